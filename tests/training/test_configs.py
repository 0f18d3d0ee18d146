import json
from pathlib import Path

import pytest

from cpad_jax import bounds
from cpad_jax.errors import UserError
from cpad_jax.training import configs

SOURCE = """
import ml_collections
def get_config(size='small'):
    return ml_collections.ConfigDict({
        'name': 'try', 'task': 'identity', 'seed': 0, 'size': size,
        'train': {'steps': 10, 'learning_rate': 1e-3, 'warmup_steps': 2, 'log_every': 5,
                  'loss': {'identity': 1.0}},
        'eval': {'controls': True, 'scenarios': ('action', 'place'), 'sizes': (1, 5),
                 'bootstrap_samples': 9},
    })
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / 'try.py'
    path.write_text(SOURCE)
    return str(path)


def test_overrides_take_the_type_of_the_key(file):
    config, workdir = configs.parse(
        ['--config', file, '--config.train.steps=1e3', '--config.train.learning_rate', '3',
         '--config.eval.controls=false', '--config.eval.scenarios=place',
         '--config.eval.sizes=3,10', '--config.name=other', '--config.seed=7']
    )  # fmt: skip
    assert (config.train.steps, type(config.train.steps)) == (1000, int)
    assert (config.train.learning_rate, type(config.train.learning_rate)) == (3.0, float)
    assert config.eval.controls is False
    assert config.eval.scenarios == ('place',)
    assert config.eval.sizes == (3, 10)
    assert config.seed == 7
    assert str(workdir) == 'runs/other'


def test_argument_behind_the_colon(file):
    assert configs.parse(['--config', f'{file}:large']).config['size'] == 'large'


def test_an_argument_that_nobody_takes_is_said(tmp_path):
    (tmp_path / 'none.py').write_text(
        'import ml_collections\ndef get_config():\n    return ml_collections.ConfigDict()\n'
    )
    with pytest.raises(UserError, match=r"none.py takes no argument, and 'large' was given"):
        configs.load(f'{tmp_path / "none.py"}:large')


def test_workdir(file):
    assert str(configs.parse([f'--config={file}', '--workdir=/x/y']).workdir) == '/x/y'


def test_the_result_takes_no_new_keys(file):
    with pytest.raises((AttributeError, KeyError)):
        configs.parse(['--config', file]).config.train.new = 1


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--config.train.step=3'], "key 'train.step': did you mean train.steps"),
        (['--config.steps=3'], 'did you mean train.steps'),
        (['--config.zzzzz=3'], "configuration key 'zzzzz': known: eval.bootstrap_samples, "),
        (['--config.train=3'], 'section: set one of its keys, train.learning_rate'),
        (['--config.train.steps=many'], 'steps=many: expected a value like 10 .int'),
        (['--config.train.steps=1.5'], 'expected a value like 10'),
        (['--config.eval.controls=maybe'], 'expected a value like True'),
        (['--config.eval.sizes=a'], 'expected a value like 1'),
        (['--config.train.steps'], '--config.train.steps needs a value'),
        (['--config.train.steps=0'], 'config.train.steps is 0, expected 1 or more'),
        (['--config.eval.bootstrap_samples=0'], 'bootstrap_samples is 0, expected 1 or more'),
        (
            ['--config.task=paint'],
            "config.task is 'paint', expected one of identity, pretrain_clip, ce, finetune",
        ),
        (['--verbose'], 'unknown option --verbose'),
        (['stray'], "unexpected argument 'stray'"),
    ],
)
def test_bad_arguments_are_one_line(file, arguments, message):
    with pytest.raises(UserError, match=message) as error:
        configs.parse(['--config', file, *arguments])
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    ('override', 'expected'),
    [
        ('features.frames_per_clip=0', '1 or more'), ('features.batch_size=1', '2 or more'),
        ('model.num_tokens=0', '1 or more'), ('train.max_references=0', '1 or more'),
        ('train.temperature=0', 'more than 0'), ('train.learning_rate=0', 'more than 0'),
        ('train.loss.identity=-1', '0 or more'), ('train.weight_decay=-1', '0 or more'),
        ('eval.with_faces.words=-1', '0 or more'), ('dtype=float8', 'float32 or bfloat16'),
        ('data.world_seed=-1', '0 or more'), ('data.seen_people=1e12', '10000 at most'),
        ('data.photos_per_person=4,0', '1 or more'), ('data.seconds=inf', '600 at most'),
        ('data.seconds=nan', '600 at most'), ('seed=1e300', '2147483647 at most'),
        ('train.loss.name_distillation=inf', '1000000 at most'),
        ('train.learning_rate=nan', '1000000 at most'),
        ('features.frames_per_clip=100000', '1024 at most'), ('data.push_ins=101', '100 at most'),
        ('train.people_per_batch=1e9', '1000000 at most'), ('model.adapter_layers=1e9', '64 at'),
    ],
)  # fmt: skip
def test_numbers_out_of_range_are_said_before_any_work(override, expected):
    key = override.partition('=')[0]
    with pytest.raises(UserError, match=f'config.{key} is .*, expected {expected}') as error:
        configs.parse(['--config', 'configs/testing.py', f'--config.{override}'])
    assert len(str(error.value)) < 120


# As a configuration of one's own may have them.
@pytest.mark.parametrize(
    ('key', 'value', 'expected'),
    [
        ('train.steps', '100', 'a whole number'), ('train.steps', 10.0, 'a whole number'),
        ('train.steps', True, 'a whole number'), ('train.steps', None, 'a whole number'),
        ('train.learning_rate', '1e-3', 'a number'), ('model.name_memory', 1, 'true or false'),
        ('data.photos_per_person', (4, 'x'), 'a whole number'), ('backbone', 3, 'text'),
        pytest.param('seed', 10**5000, '2147483647 at most', id='huge'),
        ('mine', float('nan'), 'a finite number'),
        ('clips.training.world_seed', -1, '0 or more'), ('eval.season.cast', 3, '4 or more'),
        ('eval.two_people.world.movies', 10**6, '10000 at most'),
    ],
)  # fmt: skip
def test_values_of_another_type_are_said_before_any_work(key, value, expected):
    with pytest.raises(UserError, match=f'^config.{key} is .*, expected {expected}') as error:
        bounds.check({key: value})
    assert len(str(error.value)) < 120


def test_every_number_of_the_configurations_has_bounds():
    for file in sorted(Path('configs').glob('*.py')):
        for key, value in configs.flatten(configs.load(str(file))).items():
            items = value if isinstance(value, list) else [value]
            if any(isinstance(item, int | float) for item in items):
                assert bounds._bound(key) is not None, f'{file}: {key}'


def test_no_configuration_named():
    with pytest.raises(UserError, match='which configuration'):
        configs.parse([])


def test_missing_file_names_the_nearest(file):
    with pytest.raises(UserError, match=r'no configuration file .*tri.py: did you mean .*try.py'):
        configs.load(file.replace('try.py', 'tri.py'))


def test_a_bare_name_is_a_configuration_of_the_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert configs.parse(['--config', 'testing']).config.name == 'testing'
    config, workdir = configs.parse(['--config=season:testing', '--config.seed=3'])
    assert config.eval.season.episodes == 12 and config.seed == 3
    assert workdir == Path('runs/testing')
    # A file of that name in the current folder comes first, and a folder does not count.
    (tmp_path / 'quickstart').mkdir()
    assert configs.load('quickstart').name == 'quickstart'
    (tmp_path / 'testing').write_text('def get_config(:')
    with pytest.raises(UserError, match='testing gives no configuration'):
        configs.load('testing')


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        ('testin', 'did you mean testing'),
        (
            'configs/quickstart.py',
            r'no configuration file .*: did you mean quickstart',
        ),
        ('xyzzy', 'expected a file, or one of benchmark_clip, ce, .*vggface2$'),
        ('datasets', 'expected a file, or one of'),
        ('../configs/testing', 'did you mean testing'),
    ],
)
def test_other_names_lead_to_those_of_the_package(tmp_path, monkeypatch, name, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=words) as error:
        configs.load(name)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    'source', ['x = 1', 'def get_config():\n  return 3', 'def get_config(:', 'import nothing_there']
)
def test_file_that_gives_no_configuration(tmp_path, source):
    (tmp_path / 'bad.py').write_text(source)
    with pytest.raises(UserError, match='bad.py') as error:
        configs.load(str(tmp_path / 'bad.py'))
    assert 'ConfigDict' in str(error.value)


def test_record_refuses_another_training_and_names_the_keys(file, tmp_path):
    workdir = tmp_path / 'run'
    config = configs.parse(['--config', file]).config
    configs.record(config, workdir)
    (workdir / 'checkpoints').mkdir()
    configs.record(config, workdir)
    other = configs.parse(['--config', file, '--config.train.steps=11', '--config.seed=1']).config
    with pytest.raises(UserError) as error:
        configs.record(other, workdir)
    assert 'differs in seed (there 0, now 1), train.steps (there 10, now 11): ' in str(error.value)
    assert configs.stored(workdir)['train.steps'] == 10


def test_a_run_that_made_nothing_may_be_put_right(file, tmp_path):
    configs.record(configs.parse(['--config', file]).config, tmp_path / 'run')
    configs.record(configs.parse(['--config', file, '--config.seed=1']).config, tmp_path / 'run')
    assert configs.stored(tmp_path / 'run')['seed'] == 1


def test_a_workdir_that_cannot_be_is_one_line(file, tmp_path):
    (tmp_path / 'notes.txt').write_text('mine')
    config = configs.parse(['--config', file]).config
    with pytest.raises(UserError, match='notes.txt cannot be written to .*expected a folder'):
        configs.record(config, tmp_path / 'notes.txt')
    assert (tmp_path / 'notes.txt').read_text() == 'mine'


def test_evaluation_may_differ(file, tmp_path):
    configs.record(configs.parse(['--config', file]).config, tmp_path / 'run')
    (tmp_path / 'run' / 'model').mkdir()
    other = configs.parse(
        ['--config', file, '--config.eval.controls=no'.replace('no', '0'),
         '--config.train.log_every=1']
    ).config  # fmt: skip
    configs.record(other, tmp_path / 'run')
    written = json.loads((tmp_path / 'run' / 'config.json').read_text())
    assert written['config']['eval']['controls'] is False
    assert written['sha256'] == configs.config_hash(other)


def test_only_a_finished_workdir_will_do(file, tmp_path):
    config = configs.parse(['--config', file]).config
    workdir = tmp_path / 'run'

    def refused(message):
        with pytest.raises(UserError, match=message):
            configs.require(config, workdir)

    refused('train first')
    configs.record(config, workdir)
    # Whatever configuration it is of: it was refused, or stopped at once.
    other = configs.parse(['--config', file, '--config.seed=4']).config
    configs.record(other, workdir)
    refused('before it made anything: run .*train with the same')
    configs.record(config, workdir)
    (workdir / 'data').mkdir()
    refused('no checkpoint and no finished model of 10 steps')
    (workdir / 'checkpoints' / '5').mkdir(parents=True)
    (workdir / 'model').mkdir()
    refused('a checkpoint of step 5 and no finished')
    (workdir / 'checkpoints' / '10').mkdir()
    configs.require(config, workdir)
    config = configs.parse(['--config', file, '--config.seed=4']).config
    refused('differs in seed')


def test_hashes(file):
    base, seed, evaluation = (
        configs.parse(['--config', file, f'--config.{override}']).config
        for override in ('seed=0', 'seed=1', 'eval.controls=0')
    )
    assert len(configs.training_hash(base)) == 64
    assert configs.training_hash(base) != configs.training_hash(seed)
    assert configs.training_hash(base) == configs.training_hash(evaluation)
    assert configs.config_hash(base) != configs.config_hash(evaluation)


def test_a_key_that_is_missing_is_another_training(tmp_path):
    source = Path(__file__).parents[2] / 'configs' / 'testing.py'
    now = configs.parse(['--config', str(source)]).config
    before = now.copy_and_resolve_references()
    with before.unlocked():
        del before.model.visual_prompts
    assert configs.training_hash(now) != configs.training_hash(before)
    configs.record(before, tmp_path)
    (tmp_path / 'model').mkdir()
    with pytest.raises(UserError, match=r'model.visual_prompts \(there None, now 0\)'):
        configs.record(now, tmp_path)


def test_stored_configuration_that_is_missing_or_damaged(tmp_path):
    with pytest.raises(UserError, match='train first'):
        configs.stored(tmp_path)
    (tmp_path / 'config.json').write_text('{')
    with pytest.raises(UserError, match='damaged'):
        configs.stored(tmp_path)


def _flip_bit(path, place, bit):
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << bit
    path.write_bytes(data)


def test_no_bit_of_a_stored_configuration_is_changed_in_silence(file, tmp_path):
    config = configs.parse(['--config', file]).config
    configs.record(config, tmp_path)
    path = tmp_path / 'config.json'
    whole, stored = path.read_bytes(), configs.stored(tmp_path)
    told = 0
    for place in range(len(whole)):
        _flip_bit(path, place, place % 8)
        try:
            assert configs.stored(tmp_path) == stored  # A blank between two keys says nothing.
            assert whole[place : place + 1] in b' \n'
        except UserError as error:
            told += 1
            assert str(error).startswith(f'{path} is damaged, or was changed by hand (')
            assert str(error).endswith('put a copy of it back, or train again in another --workdir')
        path.write_bytes(whole)
    assert told > len(whole) / 2


@pytest.mark.parametrize(
    'change',
    [
        lambda values: values['config']['train'].update(steps=11),
        lambda values: values['config'].pop('seed'),
        lambda values: values['config']['train'].update(more=1),
        lambda values: values.pop('sha256'),
        lambda values: values.update(sha256=None),
        lambda values: values.update(config=[1]),
    ],
)
def test_a_stored_configuration_changed_by_hand_is_refused(file, tmp_path, change):
    config = configs.parse(['--config', file]).config
    configs.record(config, tmp_path)
    (tmp_path / 'model').mkdir()
    path = tmp_path / 'config.json'
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    for use in (configs.record, configs.require):
        with pytest.raises(UserError, match='config.json is damaged, or was changed by hand'):
            use(config, tmp_path)
    assert json.loads(path.read_text()) == values


def test_celebrities_in_action_lacks_nothing_but_the_path():
    file = str(Path(__file__).parents[2] / 'configs' / 'celebrities_in_action.py')
    config = configs.parse(['--config', file, '--config.data.dir=data']).config
    assert config.data.name == config.name == 'celebrities_in_action'
    assert config.eval.data.name == '' and config.data.dir == 'data'


def test_a_tilde_is_the_home_folder_in_every_path(file, monkeypatch, tmp_path):
    monkeypatch.setenv('HOME', str(tmp_path))
    words = ['--config', file, '--workdir=~/run', '--config.name=~/x']
    config, workdir = configs.parse(words)
    assert workdir == tmp_path / 'run' and config.name == str(tmp_path / 'x')
    with pytest.raises(UserError, match='no such user'):
        configs.parse(['--config', file, '--workdir=~nobody-of-that-name/x'])
    monkeypatch.setenv('HOME', str(Path(file).parent))
    assert configs.parse(['--config', f'~/{Path(file).name}']).config.train.steps > 0


@pytest.mark.parametrize('word', ['--workdir=', '--workdir= ', '--config='])
def test_an_empty_path_is_no_path(file, word):
    with pytest.raises(UserError, match='is empty: expected a path'):
        configs.parse(['--config', file, word])
