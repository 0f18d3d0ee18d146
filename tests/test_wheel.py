"""The wheel, installed outside of any clone: its commands find all that they need."""

import importlib.metadata
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from cpad_jax.models import zoo
from cpad_jax.models.weights import open_clip

ROOT = Path(__file__).parents[1]
SETUPTOOLS = tuple(map(int, importlib.metadata.version('setuptools').split('.')[:2]))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(SETUPTOOLS < (70, 1), reason='needs setuptools 70.1 to build a wheel'),
]


def run(*command, status=0, **options):
    # Neither the clone nor the tests' own path may help.
    env = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, env=env, **options
    )
    assert done.returncode == status, f'{done.stdout}\n{done.stderr}'
    return done


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """The wheel of a copy of the tree: building leaves folders in it."""
    folder = tmp_path_factory.mktemp('wheel')
    files = run('git', '-C', ROOT, 'ls-files').stdout.splitlines()
    for name in files:
        if (ROOT / name).is_file():
            (folder / 'tree' / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / 'tree' / name).write_bytes((ROOT / name).read_bytes())
    run(sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation',
        '--no-index', '-w', folder, folder / 'tree')  # fmt: skip
    [path] = folder.glob('*.whl')
    return path


@pytest.fixture(scope='module')
def installed(wheel, tmp_path_factory):
    """The folder of the commands, in an environment that has the wheel and our dependencies."""
    folder = tmp_path_factory.mktemp('installed')
    run(sys.executable, '-m', 'venv', '--without-pip', folder)
    python = folder / 'bin' / 'python'
    run(sys.executable, '-m', 'pip', '--python', python, 'install', '-q', '--no-deps',
        '--no-index', wheel)  # fmt: skip
    # Behind its own packages come those of this environment; their .pth files, which may lead to
    # a clone, are not read.
    own = run(python, '-c', 'import sysconfig; print(sysconfig.get_path("purelib"))').stdout.strip()
    paths = dict.fromkeys(map(sysconfig.get_path, ('purelib', 'platlib')))
    extra = [path for path in sys.path if path.endswith('site-packages') and path not in paths]
    (Path(own) / 'dependencies.pth').write_text('\n'.join([*paths, *extra]))
    where = run(python, '-c', 'import cpad_jax; print(cpad_jax.__file__)', cwd=folder).stdout
    assert where.startswith(own)
    return folder / 'bin'


@pytest.fixture(scope='module')
def empty(tmp_path_factory):
    return tmp_path_factory.mktemp('empty')


def test_the_wheel_holds_what_the_commands_need_and_no_tests(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.partition('/')[0] for name in names} == {'cpad_jax', 'cpad_jax-0.1.0.dist-info'}
    for folder in ('configs', 'datasets'):
        there = {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob('*.*')}
        there = {n for n in there if not re.search(r'_test\.py$|__pycache__', n)}
        assert {f'cpad_jax/{name}' for name in there} <= names and len(there) > 9
    assert {'cpad_jax/py.typed', 'cpad_jax/models/weights/open_clip_tags.json',
            'cpad_jax/models/shipped/ViT-cast-16/weights.safetensors'} <= names  # fmt: skip
    assert not [name for name in names if name.endswith('_test.py')]


def test_training_and_evaluation(installed, empty):
    done = run(installed / 'cpad-train', '--config', 'testing', cwd=empty)
    assert 'CLIP-PAD' in done.stdout
    assert (empty / 'runs/testing/model/weights.safetensors').is_file()
    results = empty / 'runs/testing/eval/results.json'
    trained = results.read_bytes()
    results.unlink()
    run(installed / 'cpad-eval', '--config', 'testing', cwd=empty)
    assert results.stat().st_size == len(trained)
    assert [path.name for path in empty.iterdir()] == ['runs']


def test_a_weight_file_is_converted_and_loaded(installed, tmp_path):
    rng = np.random.default_rng(0)
    shapes = open_clip.shapes(zoo.get('testing')).items()
    state = {name: rng.standard_normal(shape, np.float32) for name, shape in shapes}
    safetensors.numpy.save_file(state, tmp_path / 'x.safetensors')
    done = run(installed / 'cpad-convert', 'x.safetensors', '--model', 'testing', '--out', 'ours',
               '--check', cwd=tmp_path)  # fmt: skip
    assert 'wrote ours: testing' in done.stdout and 'every number is the same' in done.stdout
    done = run(installed / 'python', '-c', 'import cpad_jax; print(cpad_jax.load_clip("ours"))',
               cwd=tmp_path)  # fmt: skip
    assert done.stdout.startswith("CLIPModel('testing', embed_dim=32")


def test_a_data_set_is_built(installed, tmp_path):
    small = {
        'movies': 1, 'shows': 1, 'clips_per_title': 4, 'cast_size': 3, 'seen_people': 4,
        'cast_seen': 3, 'unseen_people': 2, 'photos_per_person': 2, 'reference_photos': 2,
        'seconds': 0.5,
    }  # fmt: skip
    words = [word for key, value in small.items() for word in (f'--{key}', value)]
    done = run(installed / 'cpad-build-dataset', 'synthetic_cast', '--data_dir', 'data', *words,
               cwd=tmp_path)  # fmt: skip
    assert 'data/synthetic_cast: 8 clips of 2 titles' in done.stdout


@pytest.mark.parametrize(
    'command', ['cpad-build-dataset', 'cpad-convert', 'cpad-eval', 'cpad-find', 'cpad-label',
                'cpad-train'],
)  # fmt: skip
def test_every_command_helps_and_refuses_in_one_line(installed, tmp_path, command):
    assert command in run(installed / command, '--help', cwd=tmp_path).stdout
    refused = run(installed / command, '--nothing', status=2, cwd=tmp_path)
    assert refused.stderr.startswith('error: ') and refused.stderr.count('\n') == 1
