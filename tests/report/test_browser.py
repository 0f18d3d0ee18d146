"""The report as Chromium shows it, where one is installed: `pytest -m slow`."""

import json
import re
import shutil
import subprocess

import pytest

from cpad_jax.protocols.season import report
from cpad_jax.ranking import method
from cpad_jax.report import learning, run_facts
from cpad_jax.training import configs
from tests.support import drawn_outcome, drawn_season

NAMES = ('chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome')
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
MEASURE = """<script>addEventListener('load', () => {
  const root = document.documentElement;
  const inside = e => e.closest('.scroll, pre');
  const wide = [...document.body.querySelectorAll('*')].filter(e => !inside(e) &&
    e.getBoundingClientRect().right > root.clientWidth + 0.5).map(e => e.tagName);
  const pictures = [...document.images];
  root.dataset.found = JSON.stringify({
    width: innerWidth, over: root.scrollWidth - root.clientWidth, wide,
    pictures: pictures.length, broken: pictures.filter(i => !i.naturalWidth).length,
    small: [...document.querySelectorAll('svg text')].filter(
      e => e.getBoundingClientRect().height < 9).length,
    scripts: document.scripts.length, alerts: window.alerted || 0});
});</script>"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason=f'no Chromium: none of {", ".join(NAMES)}'),
]


def evaluation_page():
    config = configs.parse(['--config', 'configs/testing.py']).config
    found, _ = drawn_outcome.make()
    facts = run_facts.collect(config, drawn_outcome.FACTS, 1.0)
    curve = [
        {'step': step, 'map': step / 5000, 'hit@1': 0.1, 'loss': 0.02, 'training_loss': 0.01}
        for step in range(200, 3001, 200)
    ]
    more = [learning.section(curve, 2000)]
    failing = drawn_outcome.failures(found, 5)
    return drawn_outcome.page(found, method.PAD_TEXT_IMAGE, failing, facts, config, more)


def season_page_():
    config = configs.parse(['--config', 'configs/season.py:testing']).config
    searched = drawn_season.make()
    facts = run_facts.collect(config, drawn_outcome.FACTS, 1.0)
    return report.build(searched, drawn_season.shown(searched), facts, config)


PICTURES = {evaluation_page: 30, season_page_: 24}


@pytest.fixture(scope='module', params=PICTURES, ids=['evaluation', 'season'])
def text_and_pictures(request):
    return request.param(), PICTURES[request.param]


@pytest.fixture
def text(text_and_pictures):
    return text_and_pictures[0]


def opened(path, width, *options):
    """(the page's elements after it was loaded, the console of the browser)."""
    command = [
        CHROMIUM, '--headless', '--no-sandbox', '--disable-gpu', f'--window-size={width},900',
        '--enable-logging=stderr', f'--user-data-dir={path.parent / "profile"}',
        '--virtual-time-budget=3000', *options, path.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, done.stderr


@pytest.mark.parametrize('width', [1280, 390])
@pytest.mark.parametrize('dark', [False, True])
def test_pages_fit_the_window_and_all_pictures_load(text_and_pictures, tmp_path, width, dark):
    text, pictures = text_and_pictures
    # The page lets no script run, so a copy without that rule is measured.
    measured = re.sub('<meta http-equiv="Content-Security-Policy"[^>]*>', MEASURE, text)
    assert measured != text
    path = tmp_path / 'measured.html'
    path.write_text(measured, encoding='utf-8')
    dom, console = opened(path, width, '--dump-dom', *(['--force-dark-mode'] if dark else []))
    (found,) = re.findall(r'data-found="([^"]*)"', dom)
    found = json.loads(found.replace('&quot;', '"'))
    assert found == {
        'width': width, 'over': 0, 'wide': [], 'pictures': pictures, 'broken': 0, 'small': 0,
        'scripts': 1, 'alerts': 0,
    }  # fmt: skip
    assert 'CONSOLE' not in console


@pytest.mark.parametrize('width', [1280, 390])
def test_the_console_stays_empty(text, tmp_path, width):
    path = tmp_path / 'report.html'
    path.write_text(text, encoding='utf-8')
    dom, console = opened(path, width, '--dump-dom')
    assert '</main>' in dom and 'CONSOLE' not in console


def test_a_page_that_runs_or_fetches_something_is_noticed(text, tmp_path):
    path = tmp_path / 'bad.html'
    bad = '<script>alert(1)</script><img src="https://example.invalid/a.png" alt="">'
    path.write_text(text.replace('</main>', bad + '</main>'), encoding='utf-8')
    _, console = opened(path, 1280, '--dump-dom')
    assert console.count('Content Security Policy') >= 2
