import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.ranking import method
from tools import judge
from tools.judging import from_clips

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
def test_wrong_arguments_are_refused(words, says):
    with pytest.raises(UserError, match=says):
        judge.main(words)


def test_two_people_are_evaluated_on_a_test_world(tmp_path, monkeypatch):
    config, _ = judge.configs.parse(['--config', str(judge.CONFIG)])
    given = []
    monkeypatch.setattr(judge, 'train_seed', lambda config, *_: (config, tmp_path / 'seed0'))
    monkeypatch.setattr(judge.build, 'ensure', lambda *_: None)
    monkeypatch.setattr(judge.evaluation, 'evaluate', lambda *words: given.append(words))
    judge.evaluate_two_people(config, tmp_path, 201, 0)
    [(own, folder, out)] = given
    assert (folder, out) == (tmp_path / 'seed0', tmp_path / 'seed0' / 'two_people201')
    assert own.eval.data.world_seed == 201
    assert own.eval.two_people.dir == str(tmp_path / 'pairs201')


def test_an_evaluation_runs_again_only_for_missing_rows(tmp_path, monkeypatch):
    config, _ = judge.configs.parse(['--config', str(judge.CONFIG), '--config.eval.methods='])
    assert not judge.is_evaluated(tmp_path, config)
    ranks = {'CLIP/text': np.ones(3), method.NO_PERSON.key: np.ones(3)}
    np.savez(tmp_path / 'ranks.npz', **ranks)
    assert not judge.is_evaluated(tmp_path, config)
    for controls in ((), ('no person',)):
        config.eval.controls = controls
        assert judge.is_evaluated(tmp_path, config)
    config.eval.ce = 'runs/ce'
    assert not judge.is_evaluated(tmp_path, config)
    np.savez(tmp_path / 'ranks.npz', **ranks, **{method.CE.key: np.ones(3)})
    assert judge.is_evaluated(tmp_path, config)
    config.eval.methods = ('polar',)
    assert not judge.is_evaluated(tmp_path, config)
    # Rows with detected faces are not required without a face detector.
    monkeypatch.setattr(judge.registry.detected_faces, 'missing', lambda: 'there is none')
    config.eval.methods = ('late_fusion_detected',)
    assert judge.is_evaluated(tmp_path, config)


def test_a_missing_evaluation_is_named_with_its_command(tmp_path):
    with pytest.raises(UserError, match=r'no ranks.npz: python tools/judge.py run .* --seeds 0 '):
        judge.main(['table', '--workdir', str(tmp_path)])
    (tmp_path / 'seed0' / 'eval').mkdir(parents=True)
    np.savez(tmp_path / 'seed0' / 'eval' / 'ranks.npz', **{
        'query_id': np.array(['action/a/Eat', 'place/a/EXT-road']), 'seen': np.ones(2, bool),
        'num_relevant': np.array([1, 2]), method.PAD_IMAGE.key: np.array([1, 3, 4]),
    })  # fmt: skip
    with pytest.raises(UserError, match=r'clips/eval: .* --seeds 0 --clips makes it'):
        judge.main(['table', '--workdir', str(tmp_path), '--clips'])


def test_training_from_clips_shares_the_base_run(tmp_path):
    base, _ = judge.configs.parse(['--config', str(judge.CONFIG), '--config.data.movies=5'])
    base.seed, base.features.dir = 3, 'somewhere'
    config, folder = from_clips.clip_pad(base, tmp_path, tmp_path / 'seed3')
    assert (config.task, config.start_from) == ('finetune_on_clips', str(tmp_path / 'seed3'))
    assert not config.eval.controls and base.eval.controls
    assert folder == tmp_path / 'seed3' / 'clips'
    assert (config.seed, config.data.movies, config.features.dir) == (3, 5, 'somewhere')
    # Both learn from the same clips, in folders that all initial seeds share.
    experts = from_clips.config_of(from_clips.EXPERTS, base, tmp_path)
    assert experts.clips == config.clips
    assert config.clips.training.dir == str(tmp_path / 'training')
    assert experts.features.faces_per_clip == 4 and experts.model.width == 256


@pytest.fixture
def short_clips(monkeypatch):
    """What learns from clips, in little time."""
    full = from_clips.config_of

    def short(*arguments):
        config = full(*arguments)
        for world in (config.clips.training, config.clips.validation):
            world.update(cast_seen=30, clips_per_title=10)
        config.train.update(
            steps=4, warmup_steps=1, evaluate_every=2, checkpoint_every=2, people_per_batch=8
        )
        if config.task == 'finetune_on_clips':
            config.train.word_steps = 2
        return config

    monkeypatch.setattr(from_clips, 'config_of', short)


@pytest.mark.slow
def test_two_worlds_from_end_to_end(tmp_path, capsys, short_clips):
    words = ['--workdir', str(tmp_path), '--worlds', '100,201', *SMALL]
    judge.main(['run', '--clips', '--seeds', '0,1', *words])
    printed = capsys.readouterr()
    assert 'NOT the judged benchmark' in printed.err
    for world in (100, 201):
        assert f'World {world}\n\nseen people: hit' in printed.out
    # One command prints the table of the paper, and that of CLIP-PAD fine-tuned on clips.
    photos, clips = printed.out.partition('CLIP-PAD trained on photos\n')[2].split(
        'CLIP-PAD fine-tuned on the clips of CE\n'
    )
    for table in (photos, clips):  # Of seen and of unseen people.
        assert table.count('\nCE        image  ') == table.count('\nCLIP-PAD  image  ') == 2
    assert 'World 201, fine-tuned on clips\n\nseen people: hit' in printed.out
    assert (tmp_path / 'report.txt').read_text().strip() in printed.out
    # One set of training photos, and features, for all seeds; each world once.
    assert {path.name for path in tmp_path.iterdir()} == {
        'data', 'features', 'report.txt', 'seed0', 'seed1', 'training', 'validation', 'world201',
    }  # fmt: skip
    made = [
        tmp_path / 'seed1' / 'world201' / 'ranks.npz',
        tmp_path / 'seed0' / 'eval' / 'ranks.npz',
    ]
    ranks = [path.stat().st_mtime_ns for path in made]
    judge.main(['curves', *words])
    printed = capsys.readouterr()
    assert printed.out.count('training photos of the person') == 2
    judge.main(['difficulty', *words])
    assert capsys.readouterr().out.count('best prompt') == 2
    # Existing worlds are used again.
    assert not list(tmp_path.glob('difficulty*'))
    assert [path.stat().st_mtime_ns for path in made] == ranks
