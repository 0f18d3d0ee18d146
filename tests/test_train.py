import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import cpad_jax
from cpad_jax import eval as evaluation
from cpad_jax import train
from cpad_jax.data import build, synthetic_cast
from cpad_jax.errors import UserError
from cpad_jax.models import clip, zoo
from cpad_jax.models.weights import folder
from cpad_jax.synthetic import caption_shards
from cpad_jax.synthetic.world import World
from cpad_jax.training import configs
from tests.support.photo_archives import write_vggface2

ROOT = Path(__file__).parents[1]
CLIP_CONFIG = """
import ml_collections
from tests.support.train_options import USUAL
def get_config():
    return ml_collections.ConfigDict({
        'name': 'tiny', 'task': 'pretrain_clip', 'seed': 0, 'backbone': 'testing',
        'dtype': 'float32',
        'data': {'dir': '', 'held_out': 1},
        'train': {
            **USUAL,
            'steps': 6, 'batch_size': 8, 'alike': 0.5, 'plain_steps': 2, 'init_from': '',
                  'remat': False, 'optimiser': 'muon', 'learning_rate': 1e-3,
                  'warmup_steps': 1, 'weight_decay': 0.1, 'checkpoint_every': 2,
                  'log_every': 2, 'evaluate_every': 0},
        'eval': {'controls': True},
    })
"""


def start(*arguments, module='cpad_jax.train', **options):
    environment = {**os.environ, 'JAX_PLATFORMS': 'cpu', 'PYTHONPATH': str(ROOT)}
    return subprocess.run(
        [sys.executable, '-m', module, *map(str, arguments)],
        capture_output=True, text=True, env=environment, **options,
    )  # fmt: skip


@pytest.fixture
def file(tmp_path):
    (tmp_path / 'tiny.py').write_text(CLIP_CONFIG)
    return tmp_path / 'tiny.py'


def test_help_says_how(capsys):
    train.main(['--help'])
    assert 'usage: python -m cpad_jax.train --config FILE' in capsys.readouterr().out


def one_line(done, *parts):
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith('error: ') and done.stderr.count('\n') == 1, done.stderr
    for part in parts:
        assert part in done.stderr


def refused(*arguments, parts):
    """A refusal in this process; `one_line` has what a command makes of it."""
    with pytest.raises(UserError) as error:
        train.main(list(map(str, arguments)))
    line = str(error.value)
    assert '\n' not in line and len(line) < 400
    for part in parts:
        assert part in line


def test_unknown_key_is_one_line(file):
    one_line(start('--config', file, '--config.train.setps=3'), "'train.setps'", 'train.steps')


def test_unknown_key_of_the_data_that_is_evaluated_on_is_one_line(tmp_path):
    testing = ('--config', ROOT / 'configs' / 'testing.py', '--workdir', tmp_path / 'run')
    for option, *parts in (
        ('--config.eval.data.nam=x', "'eval.data.nam'", 'eval.data.name'),
        ('--config.eval.data=x', 'section: set one of its keys, eval.data.dir, eval.data.name'),
    ):
        refused(*testing, option, parts=parts)
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('methods=palavraa', "config.eval.methods names 'palavraa', expected some of class_word"),
        ('controls=nobody', "config.eval.controls names 'nobody'"),
        ('scenarios=song', "config.eval.scenarios names 'song'"),
        ('ce=nowhere', 'there is no Collaborative Experts in nowhere'),
        ('data.name=nope', "config.eval.data.name is 'nope', expected one of synthetic_cast"),
    ],
)
def test_what_evaluation_cannot_do_is_said_before_anything_is_made(tmp_path, option, message):
    words = ['--config', str(ROOT / 'configs' / 'testing.py'), f'--config.eval.{option}']
    with pytest.raises(UserError, match=message):
        train.train(configs.parse(words).config, tmp_path)
    assert not any((tmp_path / made).exists() for made in configs.MADE)


def test_an_optimiser_or_a_world_that_is_not_there_is_refused_at_once(tmp_path):
    words = ['--config', str(ROOT / 'configs' / 'testing.py')]
    with pytest.raises(UserError, match="train.optimiser is 'nope', expected adamw or muon"):
        configs.parse([*words, '--config.train.optimiser=nope'])
    config = configs.parse([*words, '--config.data.movies=0', '--config.data.shows=0']).config
    with pytest.raises(UserError, match='0 movies and 0 shows, expected 1 title or more'):
        train.train(config, tmp_path)
    # The same workdir takes the corrected value.
    configs.record(configs.parse(words).config, tmp_path)


def test_missing_file_is_one_line(file):
    refused('--config', str(file).replace('tiny', 'tyni'), parts=['tyni.py', 'tiny.py'])


def test_workdir_of_another_configuration_is_one_line(file, tmp_path):
    workdir = tmp_path / 'run'
    configs.record(configs.parse(['--config', str(file)]).config, workdir)
    (workdir / 'checkpoints').mkdir()
    parts = ['seed (there 0, now 5)', 'use another --workdir']
    refused('--config', file, '--workdir', workdir, '--config.seed=5', parts=parts)


def write_shards(directory):
    directory.mkdir()
    rng = np.random.default_rng(0)
    for shard in range(2):
        drawn = [
            caption_shards.CaptionedPicture(
                picture=rng.integers(0, 256, (32, 32, 3), dtype=np.uint8),
                captions=[('a picture', [{}]), (f'picture {i}', [{'person': i}])],
                people=[{'person': i, 'place': 0, 'doing': i % 3}],
            )
            for i in range(16)
        ]
        caption_shards.write_shard(directory, shard, drawn)
    return directory


@pytest.mark.slow
def test_pretraining_from_end_to_end(file, tmp_path):
    shards, workdir = write_shards(tmp_path / 'shards'), tmp_path / 'run'
    command = ('--config', file, '--workdir', workdir, f'--config.data.dir={shards}')
    done = start(*command)
    assert done.returncode == 0, done.stderr
    stages = [line for line in done.stderr.splitlines() if line[1:3] == '/3']
    assert [line.split()[0] for line in stages] == ['1/3', '2/3', '3/3']
    assert 'WARNING' not in done.stderr
    learned = cpad_jax.load_clip(workdir / 'model')
    assert learned.encode_text(learned.tokenize(['picture 3'])).shape == (1, 32)
    again = start(*command)
    assert again.returncode == 0 and 'learning  ' not in again.stderr


@pytest.fixture(scope='module')
def small_clip(tmp_path_factory):
    """A CLIP of random weights: quick, and good for nothing."""
    directory = tmp_path_factory.mktemp('clip') / 'testing'
    model = zoo.get('testing')
    pixels = jnp.zeros((1, model.image_size, model.image_size, 3))
    variables = clip.CLIP(model).init(jax.random.key(0), pixels, jnp.zeros((1, 8), jnp.int32))
    folder.save_clip(directory, model, variables['params'])
    return directory


def kill_at_first_checkpoint(arguments, checkpoints):
    environment = {**os.environ, 'JAX_PLATFORMS': 'cpu', 'PYTHONPATH': str(ROOT)}
    command = [sys.executable, '-m', 'cpad_jax.train', *map(str, arguments)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if any(path.name.isdigit() for path in checkpoints.glob('*')):
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.01)
    assert process.returncode == -signal.SIGKILL, 'it ended before it could be killed'


@pytest.mark.slow
def test_a_full_size_clip_goes_the_whole_way(tmp_path):
    """Photos, face features, adapter, evaluation, through a ViT-B-32 of random weights."""
    rng = np.random.default_rng(0)
    config = zoo.get('ViT-B-32')
    flat = {
        path: 0.05 * rng.standard_normal(shape, np.float32)
        for path, shape in folder.parameter_shapes(config).items()
    }
    folder.save_clip(tmp_path / 'b32', config, folder.unflatten(flat), dtype='bfloat16')
    done = start('--config', ROOT / 'configs' / 'testing.py', '--workdir', tmp_path / 'run',
                 f'--config.backbone={tmp_path / "b32"}', '--config.train.steps=4')  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / 'run' / 'eval' / 'results.json').read_text())
    assert {row['method'] for row in rows} >= {'CLIP', 'CLIP-PAD'}
    model = cpad_jax.load(tmp_path / 'run')
    frames = rng.integers(0, 256, (2, 240, 320, 3), dtype=np.uint8)
    query = model.encode_query('[TOK] eating', model.person(images=frames, cropped=True))
    assert query.shape == model.encode_clip(frames).shape == (512,)
    plain = model.clip.encode_text(model.clip.tokenize(['a cat']), normalize=True)
    np.testing.assert_array_equal(model.encode_query('a cat'), plain[0])


@pytest.mark.slow
def test_identity_learning_from_end_to_end(small_clip, tmp_path):
    common = ('--config', ROOT / 'configs' / 'testing.py', f'--config.backbone={small_clip}',
              f'--config.data.dir={tmp_path / "data"}', '--config.train.steps=200')  # fmt: skip
    killed, whole = (tmp_path / name for name in ('killed', 'whole'))
    kill_at_first_checkpoint((*common, '--workdir', killed), killed / 'checkpoints')
    assert not (killed / 'model').exists()
    one_line(start(*common, '--workdir', killed, module='cpad_jax.eval'), 'no finished model')

    done = start(*common, '--workdir', killed)
    assert done.returncode == 0, done.stderr
    stages = [line.split()[0] for line in done.stderr.splitlines() if line[1:3] == '/5']
    assert stages == ['1/5', '2/5', '3/5', '4/5', '5/5']
    assert not {'WARNING', 'Warning', 'I0000', 'Traceback'} & set(done.stderr.split())
    assert 'CLIP-PAD' in done.stdout
    rows = json.loads((killed / 'eval' / 'results.json').read_text())
    assert {row['scenario'] for row in rows} == {'action', 'place', 'action+place'}

    assert start(*common, '--workdir', whole).returncode == 0
    first, second = ((w / 'model' / 'weights.safetensors').read_bytes() for w in (killed, whole))
    assert first == second

    again = start(*common, '--workdir', killed)
    assert again.returncode == 0, again.stderr
    assert '2/5' not in again.stderr and 'learned before' in again.stderr
    assert again.stdout == done.stdout
    one_line(start(*common, '--workdir', killed, '--config.train.learning_rate=1'), 'learning_rate')


def test_people_are_learned_from_vggface2(tmp_path):
    people = {f'n{number:06d}': f'Person_{number}' for number in range(2, 6)}
    copy = write_vggface2(tmp_path / 'copy', people, {'n000001': 'Test'})
    (copy / 'loose_bb_train.csv').write_text('NAME_ID,X,Y,W,H\n"n000002/0001_01",-3,5,40,30\n')
    data = tmp_path / 'data'
    arguments = (
        '--config', ROOT / 'configs/testing.py', '--workdir', tmp_path / 'run',
        '--config.train.steps=2', '--config.data.name=vggface2', f'--config.data.dir={data}',
    )  # fmt: skip
    build.prepare('vggface2', data, copy)
    no_clips = 'vggface2: this data set has no clips, only identities; give another one'
    refused = start(*arguments, '--config.eval.data.name=vggface2')
    stage, error = refused.stderr.splitlines()
    assert (refused.returncode, stage) == (2, '1/5 data set vggface2')
    assert error.startswith('error: ') and no_clips in error
    assert not (tmp_path / 'run' / 'features').exists()
    done = start(*arguments)
    assert done.returncode == 0, done.stderr
    assert 'learning 4 people: 2 steps' in done.stderr
    assert '5/5 no evaluation: vggface2 has photos of people and no clips' in done.stderr
    model = cpad_jax.load(tmp_path / 'run')
    assert model.person(name='Person 3') is not None
    config = configs.parse([str(argument) for argument in arguments]).config
    with pytest.raises(UserError, match='vggface2: this data set has no clips'):
        evaluation.evaluate(config, tmp_path / 'run')


def test_no_title_is_in_two_splits(tmp_path):
    config = configs.parse(['--config', 'configs/ce.py']).config
    splits = build.title_splits(config, tmp_path)
    seeds = {split: data['world_seed'] for split, data in splits.items()}
    assert seeds == {'test': 100, 'training': 301, 'validation': 302}
    # Titles, casts and scenes are drawn from the seed alone: no two of the worlds share one.
    style = {
        title.style_seed
        for data in splits.values()
        for title in World(synthetic_cast.world_spec({**data, 'clips_per_title': 1})).titles
    }
    assert len(style) == 3 * (69 + 5)
    # Whoever acts in what is learned from has training photos; people to be never seen do not.
    for split in ('training', 'validation'):
        assert max(World(synthetic_cast.world_spec(splits[split])).cast) < 9000
    with pytest.raises(UserError, match='titles of one world would be in two splits'):
        config.clips.validation.world_seed = 100
        build.title_splits(config, tmp_path)


def test_every_task_of_a_configuration_has_its_functions():
    assert tuple(train.TASKS) == configs.TASKS
