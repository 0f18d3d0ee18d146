"""What works without the extra `train`, and what the rest says: the packages are hidden here."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from cpad_jax import errors, extras
from cpad_jax.models import zoo
from cpad_jax.models.weights import open_clip

ROOT = Path(__file__).parents[1]
# Orbax and etils are Flax's own dependencies as well.
HIDDEN = tuple(sorted({*extras._TRAIN, 'array_record'} - {'etils', 'orbax'}))


@pytest.fixture(scope='module')
def without(tmp_path_factory):
    """Runs Python as if the extra was not installed: (status, stdout, stderr)."""
    folder = tmp_path_factory.mktemp('hidden')
    (folder / 'sitecustomize.py').write_text(f"""
import sys

class Hiding:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        hidden = name.partition('.')[0] in {HIDDEN!r}
        return None if hidden else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = map(Hiding, sys.meta_path)
""")

    def run(*arguments):
        env = os.environ | {'PYTHONPATH': f'{folder}{os.pathsep}{ROOT}'}
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            capture_output=True, text=True, env=env, cwd=folder,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    return run


def test_images_and_texts_are_embedded(without):
    code = (
        'import cpad_jax, numpy as np\n'
        'clip = cpad_jax.load_clip("ViT-cast-16")\n'
        'image = clip.encode_image(clip.preprocess(np.zeros((40, 50, 3), np.uint8)), True)\n'
        'text = clip.encode_text(clip.tokenize("a kitchen"), True)\n'
        'print(image.shape, text.shape, abs(float((image @ text.T)[0, 0])) < 1)\n'
        'for name in cpad_jax.__all__:\n'
        '    getattr(cpad_jax, name)\n'
    )
    assert without('-c', code) == (0, '(1, 256) (1, 256) True\n', '')


def test_weights_are_converted(without, tmp_path):
    rng = np.random.default_rng(0)
    shapes = open_clip.shapes(zoo.get('testing')).items()
    state = {name: rng.standard_normal(shape, np.float32) for name, shape in shapes}
    safetensors.numpy.save_file(state, tmp_path / 'x.safetensors')
    status, out, err = without(
        ROOT / 'tools/convert_openclip_weights.py', tmp_path / 'x.safetensors',
        '--model', 'testing', '--out', tmp_path / 'out', '--check',
    )  # fmt: skip
    assert (status, err) == (0, '') and f'wrote {tmp_path / "out"}: testing' in out


@pytest.mark.parametrize('script', ['find_person.py', 'label_title.py'])
def test_people_are_searched_and_labelled(without, script):
    """As far as to the first error of the user's, when all is imported."""
    code = (
        'import sys\n'
        'from cpad_jax.commands import find_person, label_title\n'
        'from cpad_jax.labelling import cast, title\n'
        'from cpad_jax.media import face_embedding, faces\n'
    )
    assert without('-c', code) == (0, '', '')
    assert without(ROOT / 'tools' / script, '--help')[0] == 0


@pytest.mark.parametrize(
    'command',
    [
        ('-m', 'cpad_jax.train', '--config', 'testing'),
        ('-m', 'cpad_jax.eval', '--config', 'testing'),
        ('-m', 'cpad_jax.eval', '--compare', 'a', 'b'),
        (ROOT / 'tools/build_dataset.py', 'synthetic_cast', '--data_dir', 'data'),
    ],
    ids=lambda command: ' '.join(map(str, command[:3])),
)
def test_the_extra_is_named_in_one_line(without, command):
    status, out, err = without(*command)
    assert (status, out, err.count('\n')) == (2, '', 1)
    assert err.startswith('error: training, evaluation and data sets need the extra "train", of ')
    assert 'which clu, grain, ml_collections, tensorboard, tensorflow, tensorflow_datasets' in err
    assert "pip install 'cpad_jax[train]'" in err and len(err) < 400


@pytest.mark.parametrize('package', ['clu', 'tensorflow_datasets', 'array_record', 'grain'])
def test_an_import_that_fails_later_names_the_extra_too(package, capsys):
    """Such as one of a tool that does not look first."""

    def main():
        raise ModuleNotFoundError(f"No module named '{package}.x'", name=f'{package}.x')

    with pytest.raises(SystemExit) as ended:
        errors.run_command(main)
    assert ended.value.code == 2
    assert f'of which {package} is not installed' in capsys.readouterr().err


def test_other_imports_that_fail_are_mistakes_of_this_program():
    def main():
        raise ModuleNotFoundError("No module named 'cpad_jax.nothing'", name='cpad_jax.nothing')

    with pytest.raises(ModuleNotFoundError):
        errors.run_command(main)


def test_where_all_is_installed_nothing_is_said(monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: name)
    assert extras.missing_for_training() is None
    errors.require_training()
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: name if name != 'clu' else None)
    with pytest.raises(errors.UserError, match='of which clu is not installed'):
        errors.require_training()
