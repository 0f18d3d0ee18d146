import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.retrieval import queries
from tools import judge

SMALL = [
    f'--config.{key}={value}'
    for key, value in {
        'data.movies': 5, 'data.shows': 1, 'data.clips_per_title': 40, 'data.seen_people': 40,
        'data.cast_seen': 20, 'data.stars': 20, 'data.cast_stars': 15, 'data.unseen_people': 6,
        'data.photos_per_person': '2,8', 'train.steps': 20, 'train.people_per_batch': 16,
        'backbone': 'ViT-cast-16', 'eval.bootstrap_samples': 50,
    }.items()
]  # fmt: skip


@pytest.mark.parametrize(
    ('words', 'says'),
    [
        (['run', '--worlds', '201,x'], 'is no list such as 20,48,32'),
        (['prove'], 'invalid choice'),
        (['curves', '--figure', 'curves.jpeg'], 'expected a .svg or .png file'),
        (['curves', '--figure', 'a.svg', '--worlds', '1,2'], 'shows one world'),
        (['run', '--config.data.push_in=3'], 'did you mean data.push_ins'),
    ],
)
def test_what_makes_no_sense_is_refused(words, says):
    with pytest.raises(UserError, match=says):
        judge.main(words)


def test_an_evaluation_is_asked_again_only_for_controls_that_it_lacks(tmp_path):
    config, _ = judge.configs.parse(['--config', str(judge.CONFIG)])
    assert not judge.asked_before(tmp_path, config)
    ranks = {'CLIP/text': np.ones(3), queries.NO_PERSON.key: np.ones(3)}
    np.savez(tmp_path / 'ranks.npz', **ranks)
    assert not judge.asked_before(tmp_path, config)
    for controls in ((), ('no person',)):
        config.eval.controls = controls
        assert judge.asked_before(tmp_path, config)
    config.eval.methods = ('polar',)
    assert not judge.asked_before(tmp_path, config)


@pytest.mark.slow
def test_two_worlds_from_end_to_end(tmp_path, capsys):
    words = ['--workdir', str(tmp_path), '--worlds', '100,201', *SMALL]
    judge.main(['run', '--seeds', '0,1', *words])
    told = capsys.readouterr()
    assert 'NOT the judged benchmark' in told.err
    for world in (100, 201):
        assert f'World {world}\n\nseen people: hit' in told.out
    assert (tmp_path / 'report.txt').read_text().strip() in told.out
    # One set of training photos, and features, for all seeds; each world once.
    assert {path.name for path in tmp_path.iterdir()} == {
        'data', 'features', 'report.txt', 'seed0', 'seed1', 'world201',
    }  # fmt: skip
    made = [
        tmp_path / 'seed1' / 'world201' / 'ranks.npz',
        tmp_path / 'seed0' / 'eval' / 'ranks.npz',
    ]
    ranks = [path.stat().st_mtime_ns for path in made]
    judge.main(['curves', *words])
    told = capsys.readouterr()
    assert told.out.count('training photos of the person') == 2
    judge.main(['difficulty', *words])
    assert capsys.readouterr().out.count('best prompt') == 2
    # What is there already is asked.
    assert not list(tmp_path.glob('difficulty*'))
    assert [path.stat().st_mtime_ns for path in made] == ranks
