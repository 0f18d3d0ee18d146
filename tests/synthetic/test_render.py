import dataclasses

import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.synthetic import render, world
from cpad_jax.text.prompts import ACTIONS

SPEC = world.WorldSpec(
    seed=2, movies=2, shows=1, clips_per_title=10, cast_size=4, train_people=6, cast_seen=5,
    cast_unseen=2, photos_per_person=(4,), reference_photos=2, seconds=1.0,
)  # fmt: skip


@pytest.fixture(scope='module')
def small():
    return world.World(SPEC)


def test_rendering_is_deterministic(small):
    first = render.render_clip(small, small.clips[3])
    render.render_clip(small, small.clips[4])
    again = render.render_clip(world.World(SPEC), small.clips[3])
    np.testing.assert_array_equal(first.frames, again.frames)
    assert first.frames.shape == (10, 168, 224, 3) and first.frames.dtype == np.uint8


def test_tracks_lie_on_faces_that_move(small):
    heights = []
    for plan in small.clips[:8]:
        clip = render.render_clip(small, plan)
        assert len(clip.tracks) == len(plan.performers)
        for track in clip.tracks:
            if len(track.times) == 0:
                continue
            assert track.times.max() <= 0.9 + 1e-6 and (np.diff(track.times) > 0).all()
            assert (track.boxes >= 0).all() and (track.boxes <= 1).all()
            assert (track.boxes[:, 2] > track.boxes[:, 0]).all()
            heights.extend((track.boxes[:, 2] - track.boxes[:, 0]) * 168)
    assert 20 < np.median(heights) < 60


def test_the_camera_moves_close_to_one_person():
    near = world.World(dataclasses.replace(SPEC, push_ins=100))
    far = world.World(SPEC)
    grown, middles = [], []
    for plan in near.clips[:8]:
        clip = render.render_clip(near, plan)
        box = clip.tracks[plan.approached].boxes[-1]
        first = clip.tracks[plan.approached].boxes[0]
        grown.append((box[2] - box[0]) / (first[2] - first[0]))
        middles.append((box[1] + box[3]) / 2)
        still = render.render_clip(far, dataclasses.replace(plan, approached=-1))
        # It begins as with a camera that stays, but for heads that are drawn finer.
        moved = np.abs(clip.frames.astype(int) - still.frames).mean(axis=(1, 2, 3))
        assert moved[:3].max() < 1 < 10 < moved[-1]
    # To 0.42 to 0.6 of the frame; a face at the edge is cut.
    assert 1.4 < np.median(grown) < 2.5
    assert 0.25 < np.mean(middles) < 0.75
    many = world.World(dataclasses.replace(SPEC, clips_per_title=100, push_ins=30)).clips
    assert abs(np.mean([plan.approached >= 0 for plan in many]) - 0.3) < 0.06
    assert all(plan.approached < len(plan.performers) for plan in many)


def test_actions_move_and_differ(small):
    moved = {}
    whole = world.World(dataclasses.replace(SPEC, movies=30, clips_per_title=20))
    for name in ('Run', 'SitUp', 'AnswerPhone'):
        plan = next(
            c for c in whole.clips if any(ACTIONS.index(name) in p.actions for p in c.performers)
        )
        frames = render.render_clip(whole, plan).frames.astype(int)
        moved[name] = np.abs(frames[-1] - frames[0]).mean()
    assert min(moved.values()) > 2


def test_photos_show_one_face_and_do_not_depend_on_the_world(small):
    plan = small.photos('train')[0]
    photo = render.render_photo(small, plan)
    other_world = world.World(dataclasses.replace(SPEC, seed=9))
    np.testing.assert_array_equal(photo.image, render.render_photo(other_world, plan).image)
    ymin, xmin, ymax, xmax = photo.bbox
    assert 0.15 < ymax - ymin < 0.9 and 0.1 < xmax - xmin < 0.9
    assert all(xmin < x < xmax and ymin < y < ymax for x, y in photo.landmarks)


def test_real_face_crops_take_the_place_of_drawn_heads(tmp_path, small):
    from cpad_jax.media import images

    rng = np.random.default_rng(0)
    # Flat colours stand for faces here, so that where they are pasted can be measured.
    colours = {}
    for number in range(12):
        folder = tmp_path / f'n{number + 1:06d}'
        folder.mkdir()
        colours[number] = rng.integers(0, 255, 3)
        for k in range(4):
            picture = np.tile(colours[number], (60, 50, 1)).astype(np.uint8)
            (folder / f'{k + 1:04d}_01.jpg').write_bytes(images.encode_jpeg(picture))
    spec = dataclasses.replace(SPEC, faces_dir=str(tmp_path))
    pasted = world.World(spec)
    plan = pasted.photos('train')[0]
    photo = render.render_photo(pasted, plan)
    x, y = photo.landmarks[2] * photo.image.shape[0]
    drawn = render.render_photo(small, plan)
    assert not np.array_equal(photo.image, drawn.image)
    patch = photo.image[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3].reshape(-1, 3)
    # Up to the film's colour grading the nose has the colour of the pasted picture.
    assert np.abs(patch.mean(0) - colours[0]).max() < 70
    with pytest.raises(UserError, match='has 6 people .* needs 8, a subfolder each'):
        few = tmp_path / 'few'
        few.mkdir()
        for number in range(6):
            (tmp_path / f'n{number + 1:06d}').rename(few / f'n{number + 1:06d}')
        render.head_artist(world.World(dataclasses.replace(SPEC, faces_dir=str(few))), 'train')
    with pytest.raises(UserError, match='no subfolder'):
        none = dataclasses.replace(SPEC, faces_dir=str(tmp_path / 'n000009'))
        render.head_artist(world.World(none), 'train')
