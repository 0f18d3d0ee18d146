"""Cuts of films put together from drawn clips and from moving, flashing patterns."""

import cv2
import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.media import shots, video
from cpad_jax.synthetic import render
from cpad_jax.synthetic.world import World, WorldSpec

FPS = 25


def scene(seed, height=160, width=240):
    """A random landscape larger than the picture, uint8 [H, W, 3]: a ground and coloured things."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), rng.integers(40, 200, 3), np.uint8)
    for _ in range(40):
        y, x = rng.integers(0, height), rng.integers(0, width)
        size = rng.integers(6, 30, 2)
        colour = [int(level) for level in rng.integers(0, 255, 3)]
        cv2.ellipse(picture, (int(x), int(y)), (int(size[0]), int(size[1])), 0, 0, 360, colour, -1)
    return picture


def view(picture, top, left, scale=1.0, height=96, width=128):
    """What a camera sees: a part of a scene, from so far away."""
    part = picture[
        int(top) : int(top) + int(height * scale), int(left) : int(left) + int(width * scale)
    ]
    return cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)


def still(seed, count=30):
    rng = np.random.default_rng(seed)
    frame = view(scene(seed), 20, 40).astype(int)
    return [np.clip(frame + rng.normal(0, 4, frame.shape), 0, 255).astype(np.uint8)
            for _ in range(count)]  # fmt: skip


def pan(seed, count=30, step=3):
    picture = scene(seed)
    return [view(picture, 20, step * i) for i in range(count)]


def zoom(seed, count=30):
    picture = scene(seed)
    return [view(picture, 5, 5, 1.6 - 0.03 * i) for i in range(count)]


def shake(seed, count=30):
    picture, rng = scene(seed), np.random.default_rng(seed)
    return [view(picture, *(30 + rng.integers(-8, 9, 2))) for _ in range(count)]


def flash(seed, count=30, lasting=3):
    frames = still(seed, count)
    for i in range(12, 12 + lasting):
        frames[i] = np.clip(frames[i].astype(int) + 170, 0, 255).astype(np.uint8)
    return frames


def passer_by(seed, count=40):
    """Somebody dark walks through the picture and covers half of it."""
    frames = still(seed, count)
    for i, frame in enumerate(frames):
        left = (i - 10) * 12
        frame[:, max(0, left - 64) : max(0, left)] = 25
    return frames


def lights_go_down(seed, count=40):
    return [(frame * (1 - 0.7 * i / count)).astype(np.uint8)
            for i, frame in enumerate(still(seed, count))]  # fmt: skip


@pytest.fixture(scope='module')
def drawn_clips():
    world = World(
        WorldSpec(seed=5, movies=2, shows=1, clips_per_title=6, train_people=12, cast_seen=9,
                  cast_unseen=3, cast_size=4, seconds=1.2)
    )  # fmt: skip
    return [render.render_clip(world, plan).frames for plan in world.clips]


def cuts_of(path):
    found = shots.shots(path)
    assert found[0][0] == 0
    assert found[-1][1] == pytest.approx(video.probe(path).duration)
    for (_, end), (start, _) in zip(found, found[1:], strict=False):
        assert end == start
    return [start for start, _ in found[1:]]


def write(path, parts, fps=FPS):
    """Writes parts one after the other; returns when all but the first begin."""
    video.write_video(path, np.concatenate(parts), fps)
    return np.cumsum([len(part) for part in parts])[:-1] / fps


def test_every_cut_between_drawn_clips_is_found_and_nothing_else(drawn_clips, tmp_path):
    path = tmp_path / 'film.mp4'
    true = write(path, drawn_clips, 10)
    found = cuts_of(path)
    right = {round(10 * t) for t in true} & {round(10 * t) for t in found}
    recall, precision = len(right) / len(true), len(right) / max(1, len(found))
    assert (len(true), recall, precision) == (17, 1.0, 1.0)


@pytest.mark.parametrize('kind', [still, pan, zoom, shake, flash, passer_by, lights_go_down])
def test_what_moves_or_flashes_is_one_shot(kind, tmp_path):
    for seed in range(4):
        write(tmp_path / 'one.mp4', [kind(seed)])
        assert cuts_of(tmp_path / 'one.mp4') == [], seed


def test_cuts_between_all_kinds_of_shot(tmp_path):
    path = tmp_path / 'film.mp4'
    kinds = [still, pan, flash, zoom, shake, passer_by, pan, lights_go_down, still, zoom]
    parts = [kind(50 + i) for i, kind in enumerate(kinds * 3)]
    true = write(path, parts)
    found = cuts_of(path)
    right = {round(FPS * t) for t in true} & {round(FPS * t) for t in found}
    assert len(true) == 29
    assert len(right) / len(true) == 1.0
    assert len(right) / len(found) == 1.0


def test_short_shots_and_cuts_near_both_ends(tmp_path):
    path = tmp_path / 'film.mp4'
    lengths = [4, 6, 5, 30, 8, 6, 9, 4]
    true = write(path, [still(70 + i, n) for i, n in enumerate(lengths)])
    np.testing.assert_allclose(cuts_of(path), true, atol=1e-3)


def test_a_flash_of_four_frames_or_more_is_a_shot_and_a_single_frame_none(tmp_path):
    path = tmp_path / 'film.mp4'
    write(path, [still(1), still(2, 1), still(1)])
    assert cuts_of(path) == []
    true = write(path, [still(1), still(2, 6), still(1)])
    np.testing.assert_allclose(cuts_of(path), true, atol=1e-3)


def test_one_frame_is_one_shot_and_bad_files_are_named(tmp_path):
    path = tmp_path / 'one.mp4'
    video.write_video(path, np.array(still(1, 1)), FPS)
    assert shots.shots(path) == [(0.0, pytest.approx(1 / FPS))]
    path.write_bytes(b'')
    with pytest.raises(UserError, match='is empty'):
        shots.shots(path)


@pytest.mark.parametrize('count', [2, 3])
def test_the_shortest_film_with_a_cut(tmp_path, count):
    write(tmp_path / 'short.mp4', [still(1, 1), still(2, count - 1)])
    assert cuts_of(tmp_path / 'short.mp4') == [pytest.approx(1 / FPS)]
