import json
import types

import numpy as np
import pytest

from cpad_jax import eval as evaluation
from cpad_jax import train
from cpad_jax.errors import UserError
from cpad_jax.methods import conditions
from cpad_jax.methods.context import EvalContext
from cpad_jax.models.person import Person
from cpad_jax.protocols.season import evaluate, segmentation
from cpad_jax.ranking import method
from cpad_jax.ranking.references import Reference
from cpad_jax.training import configs


def parsed(*overrides, learned='testing'):
    options = [f'--config.eval.season.{override}' for override in overrides]
    return configs.parse(['--config', f'configs/season.py:{learned}', *options]).config


@pytest.mark.parametrize(
    ('overrides', 'message'),
    [
        (['videos=a'], 'season.videos is given and config.eval.season.annotations is not'),
        (['annotations=a'], 'season.annotations is given and config.eval.season.videos is not'),
    ],
)
def test_a_season_of_ones_own_is_videos_and_a_table(tmp_path, overrides, message):
    with pytest.raises(UserError, match=message):
        evaluate.locate(parsed(*overrides), tmp_path)
    paths = evaluate.locate(parsed('videos=a', 'annotations=b'), tmp_path)
    assert (str(paths.videos), str(paths.table)) == ('a', 'b')


def test_only_the_drawn_world_has_a_drawn_season(tmp_path):
    with pytest.raises(UserError, match='celebrities_in_action has no drawn season'):
        evaluate.locate(parsed(learned='vggface2'), tmp_path)


@pytest.mark.parametrize(
    ('override', 'message'),
    [
        ('min_share=0', 'min_share is 0'),
        ('frame_rate=-1', 'frame_rate is -1'),
        ('moment=-1', 'moment is -1'),
        ('relevant=9,3', r'relevant is \(9, 3\)'),
        ('cuts=anywhere', "cuts names 'anywhere', expected some of equal segments, at shots"),
        ('clips_per_minute=0', 'clips_per_minute is'),
        ('cuts=', 'cuts is empty'),
    ],
)
def test_wrong_options_are_told_before_any_work(tmp_path, override, message):
    with pytest.raises(UserError, match=message):
        evaluation.evaluate(parsed(override), tmp_path)


class Model:
    """Makes of photos their mean, as a token."""

    default_token = np.zeros((1, 2), np.float32)

    def knows(self, name):
        return name == 'Ann'

    def name_tokens(self, names):
        return np.array([[[7.0, 7.0]] if self.knows(name) else [[0.0, 0.0]] for name in names])

    def with_names(self, names, tokens):
        return tokens + self.name_tokens(names)

    def tokens(self, features, weights):
        return (features * weights[..., None]).sum(1, keepdims=True) / weights.sum(1)[:, None, None]


REFERENCES = {
    'a': Reference('a', 'Ann', (), np.array([[1, 3], [3, 1]], np.float32)),
    'b': Reference('b', 'Ben', (), np.array([[5, 5]], np.float32)),
}


def test_before_and_after_come_out_of_one_list():
    def fine_tune(reference, guess):
        return Person(reference.name, guess.tokens + 10, 'image', 1)

    found = {
        (c.method, c.fine_tuned): c for c in conditions.conditions(Model(), REFERENCES, fine_tune)
    }
    assert len(found) == 7
    assert found[method.CLIP, False].people('a') is None
    ann, ben = (found[method.PAD_TEXT, False].people(who) for who in 'ab')
    assert (ann.form, ann.name_in_token, ben.name_in_token) == ('text', True, False)
    np.testing.assert_array_equal([ann.tokens, ben.tokens], [[[7, 7]], [[0, 0]]])
    both = found[method.PAD_TEXT_IMAGE, False].people('a')
    np.testing.assert_array_equal(both.tokens, [[9, 9]])
    np.testing.assert_array_equal(found[method.PAD_IMAGE, False].people('a').tokens, [[2, 2]])
    np.testing.assert_array_equal(found[method.PAD_IMAGE, False].people('b').tokens, [[5, 5]])
    # Each form is fine-tuned from its own guess.
    np.testing.assert_array_equal(found[method.PAD_IMAGE, True].people('a').tokens, [[12, 12]])
    np.testing.assert_array_equal(found[method.PAD_TEXT_IMAGE, True].people('a').tokens, [[19, 19]])
    assert not any(c.fine_tuned for c in conditions.conditions(Model(), REFERENCES, None))


def test_shots_are_looked_for_only_where_they_are_wanted():
    frames = types.SimpleNamespace(durations=[60.0, 90.0], shots=lambda: 1 / 0)
    (two, four) = evaluate.segment(frames, (2.0, 4.0), (segmentation.EQUAL,))
    assert (two.num_clips, four.num_clips) == (5, 10)
    frames.shots = lambda: [[(0.0, 60.0)], [(0.0, 40.0), (40.0, 90.0)]]
    (shots,) = evaluate.segment(frames, (2.0,), (segmentation.AT_SHOTS,))
    assert shots.segments == [[(0.0, 60.0)], [(0.0, 40.0), (40.0, 90.0)]]


def test_no_photo_of_a_searched_title_says_who_somebody_is(tmp_path, monkeypatch):
    photos = [
        {'image_id': f'{who}/{i}', 'identity': number, 'source': source}
        for number, who in enumerate(('a', 'b'))
        for i, source in enumerate(('seinfeld', 'session 1') if who == 'a' else ('seinfeld',))
    ]
    features = types.SimpleNamespace(
        image_ids=np.array([photo['image_id'] for photo in photos]),
        faces=np.arange(len(photos) * 2, dtype=np.float16).reshape(-1, 2),
        images=10 + np.arange(len(photos) * 2, dtype=np.float16).reshape(-1, 2),
    )
    people = {
        who: {'identity': number, 'name': who.title(), 'seen': True}
        for number, who in enumerate(('a', 'b'))
    }
    monkeypatch.setattr(EvalContext, 'people', people)
    monkeypatch.setattr(EvalContext, 'reference_photos', photos)
    monkeypatch.setattr(EvalContext, 'reference_features', features)

    def read(*titles):
        return EvalContext(parsed(), tmp_path).references(['a', 'b', 'stranger'], titles)

    found = read('seinfeld')
    # Of b there are photos of this season only.
    assert list(found) == ['a']
    assert [photo['image_id'] for photo in found['a'].photos] == ['a/1']
    np.testing.assert_array_equal(found['a'].features, [[2, 3]])
    np.testing.assert_array_equal(found['a'].pictures, [[12, 13]])
    assert list(read('friends')) == ['a', 'b']


@pytest.mark.slow
def test_a_season_from_end_to_end(tmp_path, capsys):
    overrides = ('episodes=1', 'minutes=0.6', 'cast=6', 'relevant=1,25')
    config = parsed(*overrides)
    train.train(config, tmp_path)
    options = [f'--config.eval.season.{override}' for override in overrides]
    command = ['--config', 'configs/season.py:testing', '--workdir', str(tmp_path), *options]
    evaluation.main(command)
    rows = json.loads((tmp_path / 'eval' / 'season.json').read_text())
    assert {(row['clips_per_minute'], row['cut']) for row in rows} == {
        (n, c) for n in (2, 4) for c in segmentation.CUTS
    }
    assert 'paper: Seinfeld' in capsys.readouterr().out
    kept = np.load(tmp_path / 'eval' / 'season_ranks.npz')
    assert kept['4 equal segments/segments'].shape == (3, 3)
    page = (tmp_path / 'eval' / 'season.html').read_text()
    assert 'The season, query by query' in page and page.count('<img ') >= 6
    before = (tmp_path / 'eval' / 'season.json').read_bytes()
    evaluation.main(command)
    assert (tmp_path / 'eval' / 'season.json').read_bytes() == before
