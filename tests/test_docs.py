"""What README and docs tell people to type is understood, and what they point at is there."""

import argparse
import re
import runpy
import shlex
from pathlib import Path

import pytest

from cpad_jax.training import configs

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').glob('*.md')),
         *sorted((ROOT / 'cpad_jax').rglob('README.md'))]  # fmt: skip


def commands():
    """Every command in a block of shell or in backquotes that runs Python, as (page, words)."""
    for page in PAGES:
        text = page.read_text(encoding='utf-8')
        written = re.findall(r'^```bash\n(.*?)^```', text, re.DOTALL | re.MULTILINE)
        lines = [line for block in written for line in block.splitlines()]
        lines += re.findall(r'`(python [^`]+)`', text)
        for line in lines:
            for part in line.split('&&'):
                words = shlex.split(part)
                if words and words[0] == 'python':
                    yield pytest.param(words, id=f'{page.name}: {part.strip()}')


def test_there_are_commands():
    assert len(list(commands())) >= 6


@pytest.mark.parametrize('words', list(commands()))
def test_commands_are_understood(words, monkeypatch):
    monkeypatch.chdir(ROOT)
    if words[1] == '-m' and '--compare' not in words:
        assert words[2] in ('cpad_jax.train', 'cpad_jax.eval')
        configs.parse(words[3:])
        return
    understood = []

    def parse(self, arguments=None, *args, original=argparse.ArgumentParser.parse_args):
        understood.append(original(self, arguments, *args))
        raise SystemExit(0)

    monkeypatch.setattr(argparse.ArgumentParser, 'parse_args', parse)
    monkeypatch.setattr('sys.argv', words[1:])
    with pytest.raises(SystemExit):
        if words[1] == '-m':
            monkeypatch.setattr('sys.argv', words[2:])
            runpy.run_module(words[2], run_name='__main__')
        else:
            runpy.run_path(words[1], run_name='__main__')
    assert understood


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r'\]\(([^)#]+)\)', page.read_text(encoding='utf-8')):
        if '://' not in target:
            assert (page.parent / target).exists(), target
