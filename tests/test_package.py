"""What holds for the package as a whole: light to import, and imports that go one way."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import cpad_jax

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'cpad_jax'
# A module may import from its own layer and from those to the right of it.
LAYERS = (
    'commands', 'train', 'eval', 'protocols', 'report', 'methods', 'training', 'ranking',
    'features', 'models', 'labelling', 'data', 'synthetic', 'media', 'text',
)  # fmt: skip
# These know nothing of the rest and serve everybody.
FOUNDATIONS = {
    'array_files', 'atomic', 'bounds', 'companions', 'digests', 'errors', 'extras', 'interruption',
    'locks', 'printable',
    'progress', 'standard_streams', 'strict_json', 'whole_folders', 'workers',
}  # fmt: skip
# What only training and building data sets need, and what `import cpad_jax` does not import.
TRAINING = ('tensorflow', 'tensorflow_datasets', 'clu', 'torch', 'grain', 'array_record')
HEAVY = (*TRAINING, 'orbax', 'cv2', 'jax')
# The only places that may import a fragile dependency.
DOORS = {
    'orbax': {'training/checkpoints.py'},
    'clu': {'training/loop.py'},
    'cv2': {
        'media/video.py',
        'media/shots.py',
        'media/images.py',
        'media/faces.py',
        'media/face_embedding.py',
        'synthetic/canvas.py',
        'media/onnx_trial.py',
    },  # fmt: skip
    'av': {
        'media/video_file.py',
        'media/video_frames.py',
        'media/video_stream.py',
        'media/packets.py',
    },  # fmt: skip
    'huggingface_hub': {'models/weights/sources.py'},
    'tokenizers': {'text/file_tokenizer.py'},
    'torch': set(),
}


def _imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f'{node.module}.{alias.name}' for alias in node.names}
    return names


def _modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob('*.py') if path.name != '__init__.py')


def _layer(module: str) -> str:
    return module.removeprefix('cpad_jax.').split('.')[0]


@pytest.mark.parametrize('path', _modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_downwards(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix('.py')
    for name in _imports(path):
        if not name.startswith('cpad_jax.'):
            continue
        other = _layer(name)
        if other in FOUNDATIONS:
            continue
        assert own not in FOUNDATIONS, f'{path.name} is a foundation and imports {name}'
        assert LAYERS.index(other) >= LAYERS.index(own), f'{own} must not import {name}'


@pytest.mark.parametrize('dependency', sorted(DOORS))
def test_fragile_dependencies_have_one_door(dependency):
    users = {
        str(path.relative_to(PACKAGE))
        for path in _modules()
        if any(name.split('.')[0] == dependency for name in _imports(path))
    }
    assert users <= DOORS[dependency]


def run_python(code):
    return subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.splitlines()


def test_import_is_light():
    code = (
        'import sys, cpad_jax\n'
        f'print([name for name in {HEAVY!r} if name in sys.modules])\n'
        'for name in cpad_jax.__all__:\n'
        '    getattr(cpad_jax, name)\n'
        f'print([name for name in {TRAINING!r} if name in sys.modules])\n'
    )
    assert run_python(code) == ['[]', '[]']


PUBLIC = {
    'CLIPModel', 'Person', 'PersonStore', 'PersonalizedCLIP', 'UserError', '__version__',
    'fine_tune', 'list_models', 'load', 'load_clip', 'sample_frames',
}  # fmt: skip


def test_the_public_api():
    assert set(cpad_jax.__all__) == PUBLIC and len(cpad_jax.__all__) == len(PUBLIC)
    assert PUBLIC <= set(dir(cpad_jax))
    for name in PUBLIC - {'__version__'}:
        public = getattr(cpad_jax, name)
        assert (public.__name__, public.__module__) == (name, cpad_jax._MODULES[name])
        assert public.__doc__ and f'`{name}' in cpad_jax.__doc__ or name in {
            'CLIPModel', 'PersonalizedCLIP'
        }, name  # fmt: skip
    with pytest.raises(AttributeError, match="'cpad_jax' has no attribute 'People'"):
        _ = cpad_jax.People


def test_type_checkers_see_the_same_names():
    """A checker reads the imports under TYPE_CHECKING, Python the table."""
    tree = ast.parse((PACKAGE / '__init__.py').read_text(encoding='utf-8'))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    assert ast.unparse(block.test) == 'TYPE_CHECKING'
    seen = {alias.asname: node.module for node in block.body for alias in node.names}
    assert seen == cpad_jax._MODULES
    assert (PACKAGE / 'py.typed').is_file()


def test_only_cpad_jax_is_installed():
    from setuptools import find_packages

    found = find_packages(str(ROOT), include=['cpad_jax', 'cpad_jax.*'])
    assert 'cpad_jax.synthetic' in found
    assert not (ROOT / 'datasets' / '__init__.py').exists()


def test_every_folder_of_code_is_a_package():
    for path in _modules():
        assert (path.parent / '__init__.py').exists(), path.parent
