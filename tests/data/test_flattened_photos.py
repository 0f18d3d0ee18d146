import numpy as np
import pytest

from cpad_jax.data import flattened_photos
from cpad_jax.data.flattened_photos import FACE_ONLY, HAIR_ONLY
from cpad_jax.media import images

# Eyes at a height of 40, mouth at 60: what the ovals go by is 20 pixels.
MARKS = np.array([[40.0, 40], [60, 40], [50, 50], [43, 60], [57, 60]])
BOX = np.array([25.0, 30, 75, 70])
GREY = (122, 116, 104)


@pytest.fixture
def picture():
    """Hair (red) around a face (skin) with eyes and a mouth (black)."""
    image = np.zeros((100, 100, 3), np.uint8)
    image[:] = (200, 30, 30)
    image[26:76, 32:69] = (220, 180, 150)
    for x, y in MARKS.astype(int):
        image[y - 2 : y + 3, x - 2 : x + 3] = 0
    return image


def test_a_face_without_hair_keeps_its_features_and_nothing_around(picture):
    found = flattened_photos.flattened(picture, MARKS, BOX, FACE_ONLY)
    # Middle 0.62 · 20 below the eyes; 1.1 · 20 down and 0.85 · 20 across.
    for x, y in MARKS.astype(int):
        np.testing.assert_array_equal(found[y, x], picture[y, x])
    middle = 40 + 0.62 * 20
    for x, y in (
        (50, middle - 24),
        (50, middle + 24),
        (50 - 19, middle),
        (50 + 19, middle),
        (3, 3),
    ):
        np.testing.assert_array_equal(found[round(y), round(x)], GREY)
    for x, y in ((50, middle - 20), (50, middle + 20), (50 - 15, middle), (50 + 15, middle)):
        np.testing.assert_array_equal(found[round(y), round(x)], picture[round(y), round(x)])
    assert not (found == (200, 30, 30)).all(axis=2).any()  # No hair anywhere.


def test_hair_without_a_face_keeps_all_but_the_features(picture):
    found = flattened_photos.flattened(picture, MARKS, BOX, HAIR_ONLY)
    assert not (found == 0).all(axis=2).any()  # Neither eyes nor mouth.
    for x, y in MARKS.astype(int):
        np.testing.assert_array_equal(found[y, x], (220, 180, 150))
    for x, y in ((50, 22), (26, 47), (74, 47), (50, 72)):
        np.testing.assert_array_equal(found[y, x], picture[y, x])


def test_a_face_that_leans_takes_its_oval_along(picture):
    turned, marks = np.rot90(picture).copy(), MARKS[:, ::-1] * (1, -1) + (0, 99)
    box = np.array([99 - BOX[3], BOX[0], 99 - BOX[1], BOX[2]])
    for kept in (FACE_ONLY, HAIR_ONLY):
        upright = flattened_photos.flattened(picture, MARKS, BOX, kept)
        found = flattened_photos.flattened(turned, marks, box, kept)
        apart = np.abs(np.rot90(upright).astype(int) - found).max(axis=2) > 40
        assert apart.mean() < 0.005


def test_from_the_side_the_box_says_where_the_face_is(picture):
    # Eyes and mouth at the left edge of the face: the oval stays amid the box.
    side = MARKS - (15, 0)
    found = flattened_photos.flattened(picture, side, BOX, FACE_ONLY)
    expected = flattened_photos.flattened(picture, MARKS, BOX, FACE_ONLY)
    np.testing.assert_array_equal(found, expected)


def test_records_are_changed_in_their_picture_alone(picture):
    height, width = picture.shape[:2]
    photo = {
        'image': images.encode_jpeg(picture), 'image_id': 'a', 'name': 'Ada',
        'bbox': (BOX / 100).astype(np.float32), 'landmarks': (MARKS / 100).astype(np.float32),
    }  # fmt: skip
    (changed,) = flattened_photos.FlattenedPhotos([photo], HAIR_ONLY)
    assert {**changed, 'image': b''} == {**photo, 'image': b''}
    seen = images.decode_jpeg(changed['image']).astype(int)
    assert np.abs(seen[40, 40] - (220, 180, 150)).max() < 25
    assert flattened_photos.marked(photo)
    for key in ('bbox', 'landmarks'):
        assert not flattened_photos.marked(photo | {key: np.full_like(photo[key], -1)})
