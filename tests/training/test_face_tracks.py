import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.media import images
from cpad_jax.models import zoo
from cpad_jax.models.clip import CLIP
from cpad_jax.models.pretrained import PretrainedCLIP
from cpad_jax.training import face_tracks, feature_cache

CONFIG = zoo.get('testing')


def person(times, sizes, top=0.1):
    boxes = [[top, 0.2, top + size, 0.2 + size] for size in sizes]
    return {
        'tracks': {
            'times': np.array(times, np.float32),
            'boxes': np.array(boxes, np.float32).reshape(-1, 4),
        }
    }


def chosen(people, times, count):
    return [
        (who, frame) for who, frame, _ in face_tracks.choose_faces(people, np.array(times), count)
    ]


def test_the_largest_faces_of_everybody_come_first():
    people = [person([0, 1, 2], [0.1, 0.3, 0.2]), person([1], [0.05]), person([], [])]
    assert chosen(people, [0, 1, 2], 9) == [(0, 1), (1, 1), (0, 2), (0, 0)]
    assert chosen(people, [0, 1, 2], 2) == [(0, 1), (1, 1)]


def test_a_face_far_from_every_frame_in_time_is_none():
    people = [person([0.0, 1.0], [0.1, 0.2])]
    assert chosen(people, [0.2, 0.6, 1.3], 9) == [(0, 0)]
    assert chosen([person([0.0], [0.0])], [0.0], 9) == []


def test_features_are_those_of_the_face_crops(tmp_path):
    inputs = jnp.zeros((1, 32, 32, 3)), jnp.zeros((1, 8), int)
    params = jax.jit(CLIP(CONFIG).init)(jax.random.key(0), *inputs)['params']
    clip = PretrainedCLIP(CONFIG, params, 'a' * 64)
    rng = np.random.default_rng(0)
    frames = [
        images.encode_jpeg(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)) for _ in range(2)
    ]
    times = np.array([0.0, 1.0], np.float32)
    clips = [
        {'clip_id': 'a', 'frames': frames, 'times': times,
         'people': [person([0, 1], [0.3, 0.5]), person([1], [0.4], top=0.4)]},
        {'clip_id': 'b', 'frames': frames, 'times': times, 'people': []},
    ]  # fmt: skip

    def embed(source):
        return face_tracks.face_track_features(
            source, 'f', clip, tmp_path, faces_per_clip=4, batch_size=2
        )

    found = embed(clips)
    assert found.clip_ids.tolist() == ['a', 'b']
    assert found.tracks.tolist() == [[0, 1, 0, -1], [-1] * 4]
    crop = feature_cache.face_crop(images.decode_jpeg(frames[1]), [0.4, 0.2, 0.8, 0.6], 32)
    expected = clip.encode_image(clip.preprocess(crop))
    np.testing.assert_allclose(found.faces[0, 1], np.asarray(expected)[0], atol=2e-3)
    mean, present = found.mean()
    assert present.tolist() == [True, False]
    assert np.linalg.norm(mean[0]) == pytest.approx(1, abs=1e-5) and not mean[1].any()
    unit = found.faces[0, :3].astype(np.float32)
    unit /= np.linalg.norm(unit, axis=-1, keepdims=True)
    np.testing.assert_allclose(mean[0], unit.sum(0) / np.linalg.norm(unit.sum(0)), atol=1e-5)
    # From the cache: no picture is looked at again.
    again = embed([{**record, 'frames': None} for record in clips])
    np.testing.assert_array_equal(again.faces, found.faces)
    with pytest.raises(UserError, match='there are no clips'):
        embed([])
