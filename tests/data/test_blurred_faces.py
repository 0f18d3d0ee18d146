import numpy as np
import pytest

from cpad_jax.data import blurred_faces
from cpad_jax.media import images

# A grey picture with a checked face in it: rows 20 to 40, columns 30 to 50, of 80 by 100.
BOX = np.array([0.25, 0.3, 0.5, 0.5], np.float32)


def picture():
    frame = np.full((80, 100, 3), 120, np.uint8)
    frame[20:40, 30:50] = np.where(np.indices((20, 20)).sum(0)[..., None] % 2, 255, 0)
    return frame


def clip_record(moves=0.0):
    boxes = np.stack([BOX, BOX + [0, moves, 0, moves]]).astype(np.float32)
    return {
        'clip_id': 'a', 'frames': [images.encode_jpeg(picture(), 95)] * 3,
        'times': np.array([0.0, 0.4, 1.0], np.float32),
        'people': [
            {'tracks': {'times': np.array([0.0, 1.0], np.float32), 'boxes': boxes}},
            {'tracks': {'times': np.zeros(0, np.float32), 'boxes': np.zeros((0, 4), np.float32)}},
        ],
    }  # fmt: skip


def test_a_blurred_face_is_gone_and_the_rest_stays():
    frame = picture()
    blurred_faces.blur_face(frame, BOX)
    # 0.35 of a box around it: rows 13 to 47, columns 23 to 57.
    assert frame[20:40, 30:50].std() < 12
    untouched = np.ones((80, 100), bool)
    untouched[13:47, 23:57] = False
    np.testing.assert_array_equal(frame[untouched], picture()[untouched])


def test_hair_around_a_face_is_blurred_as_well():
    rows, columns = np.indices((80, 100))
    squares = (255 * ((rows // 3 + columns // 3) % 2)).astype(np.uint8)
    frame = np.repeat(squares[..., None], 3, axis=2)
    before = frame.copy()
    blurred_faces.blur_face(frame, BOX)
    hair = np.zeros((80, 100), bool)
    hair[13:47, 23:57] = True
    np.testing.assert_array_equal(frame[~hair], before[~hair])
    # A third of the face's height and width around it, on each of its four sides.
    for part in (frame[13:20, 23:57], frame[40:47, 23:57], frame[13:47, 23:30], frame[13:47, 50:57],
                 frame[20:40, 30:50]):  # fmt: skip
        assert part.std() < 2 < 120 < before.std()


def test_a_larger_face_is_blurred_more():
    # Each half of the face is of one colour, as a face lit from one side: it must not stay two.
    for side in (20, 60):
        frame = np.full((100, 100, 3), 120, np.uint8)
        frame[20 : 20 + side, 20 : 20 + side // 2] = 0
        frame[20 : 20 + side, 20 + side // 2 : 20 + side] = 240
        blurred_faces.blur_face(frame, (0.2, 0.2, 0.2 + side / 100, 0.2 + side / 100))
        middle = frame[20 + side // 2, 20 : 20 + side, 0].astype(int)
        assert 40 < middle[-1] - middle[0] < 90
        assert np.abs(np.diff(middle)).max() < 160 / side


@pytest.mark.parametrize('box', [(-0.2, -0.3, 0.1, 0.1), (0.9, 0.9, 1.4, 1.4), (2, 2, 3, 3)])
def test_a_face_at_or_beyond_the_edge_is_no_error(box):
    blurred_faces.blur_face(picture(), box)


def test_faces_are_blurred_where_their_track_is_at_that_time():
    blurred = blurred_faces.BlurredFaces([clip_record(moves=0.5)])[0]
    contrast = [images.decode_jpeg(f)[20:40, 30:50].std() for f in blurred['frames']]
    # The face of the last frame is elsewhere.
    assert contrast[0] < 20 and contrast[1] < 20 and contrast[2] > 100
    assert len(blurred_faces.BlurredFaces([clip_record()])) == 1
