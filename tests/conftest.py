"""Fixtures that several tests share: real footage where there is some, and a tiny built world."""

import importlib.util
import os
from pathlib import Path

import pytest

from cpad_jax.data import drawn_world
from cpad_jax.data.synthetic.world import WorldSpec
from tools import check_parity


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
    return drawn_world.ensure_synthetic_cast(
        tmp_path_factory.mktemp('world'), mini_spec, 1
    ), mini_spec
