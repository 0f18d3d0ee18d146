"""Fixtures that several tests share: real footage where there is some, and a tiny built world."""

import os
from pathlib import Path

import numpy as np
import pytest

from cpad_jax.data import build
from cpad_jax.data.synthetic.world import WorldSpec
from cpad_jax.media import video

MINI_WORLD = WorldSpec(
    seed=3, movies=1, shows=1, clips_per_title=4, cast_size=3, train_people=4, cast_seen=3,
    cast_unseen=2, photos_per_person=2, reference_photos=2, seconds=0.5,
)  # fmt: skip


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
def mini_world(tmp_path_factory):
    """Eight clips and their photos, built in this process: (DatasetPaths, WorldSpec)."""
    return build.ensure_synthetic_cast(tmp_path_factory.mktemp('world'), MINI_WORLD, 1), MINI_WORLD


def grey_frames(count, height=48, width=64):
    """Frames [T, H, W, 3] of one grey each, 10 levels apart: a frame's level tells its number."""
    levels = np.arange(count, dtype=np.uint8) * 10 + 20
    return np.broadcast_to(levels[:, None, None, None], (count, height, width, 3)).copy()


def numbers(frames):
    """Which of `grey_frames` each frame is."""
    return np.round((frames.reshape(len(frames), -1).mean(axis=1) - 20) / 10).astype(int).tolist()


@pytest.fixture(scope='session')
def grey_video(tmp_path_factory):
    """A video of 20 frames at 10 frames/s, 64x48, whose frames tell their number."""
    path = tmp_path_factory.mktemp('video') / 'grey.mp4'
    video.write_video(path, grey_frames(20), 10)
    return path
