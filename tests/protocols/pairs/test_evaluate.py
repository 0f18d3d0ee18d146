import json

import numpy as np
import pytest

from cpad_jax import eval as evaluation
from cpad_jax import train
from cpad_jax.errors import UserError
from cpad_jax.protocols.open_set.evaluate import CALIBRATIONS
from cpad_jax.protocols.pairs import evaluate, table
from cpad_jax.ranking import rejection
from cpad_jax.ranking.references import Reference
from cpad_jax.training import configs


def parsed(*overrides, learned='testing'):
    options = [f'--config.eval.two_people.{override}' for override in overrides]
    return configs.parse(['--config', f'configs/two_people.py:{learned}', *options]).config


@pytest.mark.parametrize(
    ('override', 'message'),
    [
        ('min_others=0', 'two_people.min_others is 0, expected 1 or more'),
        ('cohort=1', 'two_people.cohort is 1, expected 2 or more'),
        ('scenarios=pairs', "scenarios names 'pairs', expected some of action, place, action"),
    ],
)
def test_wrong_options_are_told_before_any_work(tmp_path, override, message):
    with pytest.raises(UserError, match=message):
        evaluation.evaluate(parsed(override), tmp_path)


def test_the_drawn_gallery_has_the_cast_of_the_world_and_lies_beside_it(tmp_path, monkeypatch):
    asked = {}

    def ensure(directory, spec, parts):
        asked.update(directory=str(directory), spec=spec, parts=parts)

    monkeypatch.setattr(evaluate.synthetic_cast, 'ensure_synthetic_cast', ensure)
    config = parsed('world.movies=5')
    evaluate.locate(config, tmp_path)
    assert asked['directory'] == str(tmp_path / 'two_people' / 'data')
    spec = asked['spec']
    assert (spec.movies, spec.people_per_shot, spec.push_ins) == (5, (20, 48, 32), 0)
    assert (spec.seed, spec.cast_seen) == (config.data.world_seed, config.data.cast_seen)
    assert asked['parts'] == ('clips',)
    evaluate.locate(parsed('dir=elsewhere'), tmp_path)
    assert asked['directory'] == 'elsewhere'
    # Real clips are their own gallery.
    with pytest.raises(UserError, match='celebrities_in_action'):
        evaluate.locate(parsed(learned='vggface2'), tmp_path)


class Model:
    """Makes of photos their mean, as a token; a learned name adds 7."""

    def tokens(self, features, weights):
        return (features * weights[..., None]).sum(1, keepdims=True) / weights.sum(1)[:, None, None]

    def with_names(self, names, tokens):
        return tokens + np.array([[[7.0 * (name == 'Ann')]] for name in names])


def test_tokens_by_photos_and_by_photos_and_name():
    references = {
        'a': Reference('a', 'Ann', (), np.array([[1, 3], [3, 1]], np.float32)),
        'b': Reference('b', 'Ben', (), np.array([[5, 5]], np.float32)),
    }
    found = evaluate.person_tokens(Model(), references)
    assert found['image']['a'].tolist() == [[2, 2]] and found['image']['b'].tolist() == [[5, 5]]
    assert found['text+image']['a'].tolist() == [[9, 9]]


def bounded(**values):
    return {k: v for name, v in values.items() for k, v in
            ((name, v), (f'{name}_low', v - 0.1), (f'{name}_high', v + 0.1))}  # fmt: skip


FOUND = {
    'num_clips': 40,
    'pairs': [
        {'scenario': scenario, 'way': way, 'person_query': 'image', 'num_queries': 9,
         'num_titles': 3, 'num_relevant': 1.5,
         **bounded(**{'hit@1': value, 'hit@5': 0.7, 'map': 0.25})}
        for scenario in ('together', 'action') for way, value in (('<one>', 0.5), ('B', 0.25))
    ],
    'comparisons': [
        {'scenario': 'action', 'metric': metric, 'a': 'A', 'b': 'B', 'difference': 0.25,
         'low': 0.125, 'high': None if metric == 'map' else 0.375} for metric in ('hit@1', 'map')
    ],
    'bounds': [{'known': 'who is there', 'person_query': 'image', 'hit@1': 0.625}],
    'order': [
        {'way': 'one', 'person_query': 'image', 'action': action, 'num_pairs': 7,
         **bounded(told=0.5)} for action in (None, 'Kiss')
    ],
    'detection': [
        {'scenario': 'action', 'method': 'CLIP-PAD', 'calibration': name,
         'num_queries': 3, 'floor': 0.2,
         'missed_at_0.1': 0.4, 'the person otherwise': 0.5, 'others doing it': 0.25,
         'neither': 0.25, **bounded(equal_error_rate=0.3)} for name in CALIBRATIONS
    ],
}  # fmt: skip


def test_tables_say_what_came_out():
    text = table.render(FOUND)
    assert '"[A] hugging [B]": 9 queries of 3 titles, 1.5 right clips each among 40' in text
    assert '0.500 [0.400, 0.600]' in text and 'all (7)' in text and 'Kiss (7)' in text
    assert '+0.250 [+0.125, +0.375]' in text and 'who is there  CLIP-PAD, image' in text
    assert '0.300 [0.200, 0.400]' in text and '(3 of action)' in text
    # Only hit@1 of the comparisons.
    assert text.count('+0.250') == 1
    lines = table.markdown(FOUND).split('\n')
    assert '| --- | --- | ---: | ---: | ---: |' in lines
    widths = [line.count('|') for line in lines if line.startswith('|')]
    # A head, a rule and rows each: 2, 2, 1, 1, 1 and 5 of them.
    assert len(widths) == 6 * 2 + 12 and min(widths) == 4


def test_the_page_draws_both_errors():
    scores = np.array([[9.0, 1, 2], [0, 5, 1], [3, 0, 1]])
    trials = rejection.trials(scores, scores, [(0,), (0,), (0,)])
    pairs, nothing = table.sections(FOUND, [trials] * len(CALIBRATIONS))
    assert '&lt;one&gt;' in pairs.body and '<one>' not in pairs.body
    assert 'Nothing matches' not in pairs.body
    assert nothing.body.count('<polyline') == len(CALIBRATIONS)
    assert 'false alarms, %' in nothing.body
    # All alarms and no miss is the lower right corner, within the axes' last line.
    assert 'points="346.0,302.0 ' in nothing.body
    empty = {**FOUND, 'detection': [], 'order': []}
    _, nothing = table.sections(empty, [])
    assert not nothing.body


@pytest.mark.slow
def test_two_people_from_end_to_end(tmp_path, capsys):
    small = ('world.movies=1', 'world.shows=1', 'world.clips_per_title=12', 'min_others=1')
    options = [f'--config.eval.two_people.{override}' for override in small]
    options += ['--config.data.seen_people=12']  # Eight of them act; the others are the cohort.
    command = ['--config', 'configs/two_people.py:testing', '--workdir', str(tmp_path), *options]
    train.train(configs.parse(command).config, tmp_path)
    evaluation.main(command)
    folder = tmp_path / 'two_people'
    found = json.loads((folder / 'results.json').read_text())
    assert found['num_clips'] == 24
    assert {row['scenario'] for row in found['pairs']} >= {'together', 'action'}
    assert all(0 <= row['hit@1'] <= 1 for row in found['pairs'])
    assert [row['known'] for row in found['bounds']][:3] == [
        'nothing', 'who is there', 'what is done'
    ]  # fmt: skip
    assert {row['calibration'] for row in found['detection']} == set(CALIBRATIONS)
    assert (folder / 'table.md').is_file() and '<polyline' in (folder / 'report.html').read_text()
    before = (folder / 'results.json').read_bytes()
    evaluation.main(command)
    assert (folder / 'results.json').read_bytes() == before
    assert 'Nothing matches' in capsys.readouterr().out
