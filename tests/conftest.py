"""Fixtures that several tests share: real footage where there is some, and a tiny built world."""

import functools
import importlib.util
import os
import re
import sys
import tempfile
from pathlib import Path

import pytest

from cpad_jax.data import synthetic_cast
from cpad_jax.synthetic.world import WorldSpec
from tools import check_parity

# Much of the time of the tests goes to compiling, and much is compiled more than once.
COMPILED = {
    'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
    'JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES': '-1',
}


def pytest_configure(config):
    """Lets all workers, and the commands that tests start, share what JAX compiles.

    The folder goes with the run. One that JAX_COMPILATION_CACHE_DIR names stays for the next run.
    """
    if not os.environ.get('JAX_COMPILATION_CACHE_DIR'):
        folder = tempfile.TemporaryDirectory(prefix='cpad_jax_compiled_')
        config.add_cleanup(folder.cleanup)
        os.environ['JAX_COMPILATION_CACHE_DIR'] = folder.name
    os.environ.update(COMPILED)
    if 'jax' in sys.modules:  # It has read the environment already.
        jax = sys.modules['jax']
        jax.config.update('jax_compilation_cache_dir', os.environ['JAX_COMPILATION_CACHE_DIR'])
        jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
        jax.config.update('jax_persistent_cache_min_entry_size_bytes', -1)


# What takes longer: JAX, other programs, videos, worlds that are drawn, and real footage.
LONGER = re.compile(
    r'\bjax\b|jnp|tensorflow|tfds|tiny_cpad|load_clip\(|drawn_photos|synthetic_cast'
    r'|subprocess|film|drawn_world|mini_world|real_data'
)


@functools.cache
def _is_quick(path):
    return not LONGER.search(path.read_text())


def pytest_ignore_collect(collection_path, config):
    """Spares `pytest -m quick` the imports of files without a quick test."""
    if config.option.markexpr == 'quick' and collection_path.suffix == '.py':
        return not _is_quick(collection_path) or None
    return None


def pytest_collection_modifyitems(items):
    """Marks the tests of files that need nothing of what takes longer as quick."""
    for item in items:
        if _is_quick(item.path) and not item.get_closest_marker('slow'):
            item.add_marker('quick')


@pytest.fixture(scope='session')
def real_data():
    """The folder of real photos, videos and networks that CPAD_REAL_DATA names."""
    folder = os.environ.get('CPAD_REAL_DATA')
    if not folder:
        pytest.skip('set CPAD_REAL_DATA to a folder with models/, people/ and videos/')
    folder = Path(folder)
    if not (folder / 'videos').is_dir():
        pytest.fail(f'CPAD_REAL_DATA={folder} has no folder videos')
    return folder


@pytest.fixture(scope='session')
def open_clip():
    """open_clip itself, where it is installed."""
    if not importlib.util.find_spec('open_clip'):
        pytest.skip('open_clip is not installed; tools/check_parity.py says how')
    return check_parity.import_open_clip()


@pytest.fixture(scope='session')
def mini_spec():
    """The smallest world in which everything occurs."""
    return WorldSpec(
        seed=3, movies=1, shows=1, clips_per_title=4, cast_size=3, train_people=4, cast_seen=3,
        cast_unseen=2, photos_per_person=(2,), reference_photos=2, seconds=0.5,
    )  # fmt: skip


@pytest.fixture(scope='session')
def mini_world(mini_spec, tmp_path_factory):
    """Eight clips and their photos, built in this process: (DatasetPaths, WorldSpec)."""
    return synthetic_cast.ensure_synthetic_cast(
        tmp_path_factory.mktemp('world'), mini_spec, 1
    ), mini_spec
