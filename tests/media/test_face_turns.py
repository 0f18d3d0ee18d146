"""That a photo is turned until its face stands upright, and left alone where it does."""

import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.labelling import find_person
from cpad_jax.media import face_embedding, face_turns, faces, images

# A face is a bright square with a red mark on its forehead.
SIDE = 40


def photo(degrees):
    """A photo with a face turned clockwise by so many degrees."""
    image = np.zeros((200, 160, 3), np.uint8)
    image[60:140, 50:110] = 120
    image[60:80, 50:110] = 250, 0, 0
    return face_turns._turned(image, degrees % 360)


class Detector:
    """Surer the more upright a face is, as YuNet; it sees none at a slant of 80 and more."""

    def __init__(self, sure=0.95):
        self.sure, self.looked = sure, 0

    def detect(self, image):
        self.looked += 1
        red = np.argwhere((image[..., 0] > 180) & (image[..., 1] < 60)).mean(axis=0)
        middle = np.argwhere(image[..., 0] > 60).mean(axis=0)
        down, right = middle - red
        slant = abs(np.degrees(np.arctan2(right, down)))
        if slant > 80:
            return []
        box = np.concatenate([middle - 20, middle + 20]).astype(np.float32)
        return [faces.Face(box, np.zeros((5, 2), np.float32), self.sure - slant / 400)]


@pytest.mark.parametrize('slant', [-10, 0, 10])
def test_a_photo_that_is_nearly_upright_stays_as_it_is(slant):
    image, detector = photo(slant), Detector()
    turned, found, degrees = face_turns.upright_faces(image, detector)
    assert turned is image and degrees == 0 and len(found) == 1
    assert detector.looked == 360 // face_turns._STEP + 1


@pytest.mark.parametrize('slant', range(30, 360, 30))
def test_any_other_is_turned_upright(slant):
    turned, found, degrees = face_turns.upright_faces(photo(slant), Detector())
    assert abs((slant + degrees + 180) % 360 - 180) <= (0 if slant % 90 == 0 else 10)
    assert found[0].score > 0.92
    # The place of the face is that in the photo that was turned.
    ymin, xmin, ymax, xmax = found[0].box
    middle = turned[int(ymin + ymax) // 2, int(xmin + xmax) // 2]
    assert middle.min() > 90
    above = turned[int(ymin) - 8, int(xmin + xmax) // 2]
    assert above[0] > 200 and above[1] < 60


@pytest.mark.parametrize('slant', [45, 70, 100, 200, 290])
def test_what_lies_between_two_turns_is_upright_too(slant):
    _, found, degrees = face_turns.upright_faces(photo(slant), Detector())
    assert abs((slant + degrees + 180) % 360 - 180) <= 10
    assert found[0].score > 0.92


def test_a_right_angle_keeps_every_pixel():
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    np.testing.assert_array_equal(face_turns._turned(image, 90), image[::-1].transpose(1, 0, 2))
    np.testing.assert_array_equal(face_turns._turned(image, 180), image[::-1, ::-1])
    np.testing.assert_array_equal(face_turns._turned(image, 270), image.transpose(1, 0, 2)[::-1])
    assert face_turns._turned(image, 30).shape == (8, 9, 3)


def test_a_photo_in_which_no_turn_is_better_stays_as_it_is():
    class Unsure:
        def detect(self, image):
            return [faces.Face(np.array([0, 0, 9, 9]), np.zeros((5, 2)), 0.8)]

    class Blind:
        def detect(self, image):
            return []

    image = photo(0)
    for detector, count in ((Unsure(), 1), (Blind(), 0)):
        turned, found, degrees = face_turns.upright_faces(image, detector)
        assert turned is image and degrees == 0 and len(found) == count


def test_large_photos_are_turned_in_bounded_memory():
    image = np.repeat(np.repeat(photo(45), 40, axis=0), 40, axis=1)
    turned, _, degrees = face_turns.upright_faces(image, Detector())
    assert 305 <= degrees <= 325 and max(turned.shape) < 6000
    on_side = np.ascontiguousarray(np.rot90(np.repeat(np.repeat(photo(0), 25, 0), 25, 1)))
    turned, _, degrees = face_turns.upright_faces(on_side, Detector())
    assert (degrees, turned.shape) == (90, (5000, 4000, 3))


@pytest.mark.parametrize('slant', [0, 20, 40, 70, 90, 160, 180, 200, 270])
def test_photos_of_real_people_find_them_at_any_slant(real_data, slant):
    detector = faces.FaceDetector(real_data / 'models/face_detection_yunet_n_320.onnx')
    embedder = face_embedding.FaceEmbedder(real_data / 'models/face_embedding_mobileface_v2.onnx')
    for path in sorted(real_data.glob('people/*/1.jpg')):
        image = face_turns._reduced(images.read_image(path), 800)
        upright = embedder.embed(image, detector.detect(image)[:1])[0]
        turned, found, _ = face_turns.upright_faces(face_turns._turned(image, slant), detector)
        assert embedder.embed(turned, found[:1])[0] @ upright > 0.8


def test_no_face_says_that_turning_did_not_help(tmp_path):
    from PIL import Image

    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / 'a.png')

    class Blind:
        def detect(self, image):
            return []

    told = []
    with pytest.raises(UserError, match='none of the photos shows a face'):
        find_person.embed_person([tmp_path / 'a.png'], Blind(), None, told.append, pytest.fail)
    assert str(told[0]) == (
        f'{tmp_path}/a.png: no face was found, however the photo is turned; use one in which one '
        'face is in plain view'
    )
