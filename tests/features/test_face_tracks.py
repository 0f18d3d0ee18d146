import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.features import face_tracks, pixels
from cpad_jax.features.store import FeatureStore
from cpad_jax.media import images
from cpad_jax.models import zoo
from cpad_jax.models.clip import CLIP
from cpad_jax.models.pretrained import CLIPModel
from tests.support.sources import Records

CONFIG = zoo.get('testing')


def person(times, sizes, top=0.1):
    boxes = [[top, 0.2, top + size, 0.2 + size] for size in sizes]
    return {
        'tracks': {
            'times': np.array(times, np.float32),
            'boxes': np.array(boxes, np.float32).reshape(-1, 4),
        }
    }


def chosen(people, times, count, clip_id=''):
    found = face_tracks.choose_faces(people, np.array(times), count, clip_id)
    return [(who, frame) for who, frame, _ in found]


def test_the_largest_faces_of_everybody_come_first():
    people = [person([0, 1, 2], [0.1, 0.3, 0.2]), person([1], [0.05]), person([], [])]
    assert chosen(people, [0, 1, 2], 9) == [(0, 1), (1, 1), (0, 2), (0, 0)]
    assert chosen(people, [0, 1, 2], 2) == [(0, 1), (1, 1)]


def test_who_is_looked_at_tells_nothing_of_who_comes_first():
    # Six people in a clip, and room for four: in the order of `people` the actor is the first.
    rng = np.random.default_rng(0)
    seen, others = np.zeros(6, int), 0
    for number in range(600):
        people = [person([0, 1], rng.uniform(0.1, 0.3, 2)) for _ in range(6)]
        found = face_tracks.choose_faces(people, np.array([0.0, 1.0]), 4, f'clip{number}')
        assert len({who for who, _, _ in found}) == len(found) == 4
        seen[[who for who, _, _ in found]] += 1
        # The same people in another order: the same faces, and the same again.
        order = rng.permutation(6)
        again = face_tracks.choose_faces(
            [people[i] for i in order], np.array([0.0, 1.0]), 4, f'clip{number}'
        )
        assert {(order[who], frame) for who, frame, _ in again} == {f[:2] for f in found}
        elsewhere = face_tracks.choose_faces(people, np.array([0.0, 1.0]), 4, 'another')
        others += {f[0] for f in elsewhere} != {f[0] for f in found}
    # Everybody in 400 of 600, with a standard deviation of 12; before, the first four in all.
    assert (np.abs(seen - 400) < 50).all()
    assert 500 < others < 600


def test_those_left_over_in_a_later_turn_are_drawn_as_well():
    # Two faces of everybody, and room for one and a half: whose second face it is, is by lot.
    seconds = np.zeros(2, int)
    for number in range(400):
        people = [person([0, 1], [0.3, 0.2]), person([0, 1], [0.2, 0.3], top=0.5)]
        found = chosen(people, [0, 1], 3, f'clip{number}')
        assert found[:2] == [(0, 0), (1, 1)]
        assert found[2] in [(0, 1), (1, 0)]
        seconds[found[2][0]] += 1
    assert (np.abs(seconds - 200) < 50).all()


def test_a_face_far_from_every_frame_in_time_is_none():
    people = [person([0.0, 1.0], [0.1, 0.2])]
    assert chosen(people, [0.2, 0.6, 1.3], 9) == [(0, 0)]
    assert chosen([person([0.0], [0.0])], [0.0], 9) == []


def test_features_are_those_of_the_face_crops(tmp_path):
    inputs = jnp.zeros((1, 32, 32, 3)), jnp.zeros((1, 8), int)
    params = jax.jit(CLIP(CONFIG).init)(jax.random.key(0), *inputs)['params']
    clip = CLIPModel(CONFIG, params, 'a' * 64)
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
        return FeatureStore(clip, tmp_path, batch_size=8).faces(Records(source))

    found = embed(clips)
    assert found.clip_ids.tolist() == ['a', 'b']
    assert found.tracks.tolist() == [[0, 1, 0, -1], [-1] * 4]
    crop = pixels.face_crop(images.decode_jpeg(frames[1]), [0.4, 0.2, 0.8, 0.6], 32)
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
