import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.media import faces

# Every pixel says where it is: red its row, green its column.
PLACES = np.stack(
    [*np.meshgrid(np.arange(100), np.arange(120), indexing='ij'), np.zeros((100, 120))], axis=-1
).astype(np.uint8)


def face(ymin, xmin, ymax, xmax):
    box = np.array([ymin, xmin, ymax, xmax], np.float32)
    return faces.Face(box, np.zeros((5, 2), np.float32), 0.9)


class Finds:
    def __init__(self, *found):
        self.found = list(found)

    def detect(self, image):
        return self.found


def test_crop_is_the_enlarged_square_around_the_middle():
    # 20 high, 10 wide, enlarged by 0.5: a square of 30 around (40, 65): rows 25-54, columns 50-79.
    crop = faces.crop_face(PLACES, np.array([30, 60, 50, 70]), enlarge=0.5, size=30)
    np.testing.assert_array_equal(crop, PLACES[25:55, 50:80])


def test_crop_repeats_the_edge():
    # A square of 20 around (5, 5) reaches from -5 to 14.
    crop = faces.crop_face(PLACES, np.array([-5, -5, 15, 15]), enlarge=0, size=20)
    np.testing.assert_array_equal(crop[5:, 5:], PLACES[:15, :15])
    assert (crop[:5, :, 0] == 0).all() and (crop[:, :5, 1] == 0).all()
    far = faces.crop_face(PLACES, np.array([90, 110, 110, 130]), enlarge=0, size=20)
    assert far[..., 0].max() == 99 and (far[10:, :, 0] == 99).all()


def test_crop_has_the_size_asked_for():
    crop = faces.crop_face(PLACES, np.array([20.3, 30.2, 61.9, 60.7], np.float32), size=24)
    assert (crop.shape, crop.dtype) == ((24, 24, 3), np.uint8)
    # The middle stays the middle: rows around 41, columns around 45.
    assert abs(int(crop[11:13, :, 0].mean()) - 41) <= 1
    assert abs(int(crop[:, 11:13, 1].mean()) - 45) <= 1


@pytest.mark.parametrize('box', [[10, 10, 10, 30], [30, 10, 10, 30], [0, 0, np.nan, 9], [-1] * 4])
def test_an_empty_box_is_refused(box):
    with pytest.raises(ValueError, match='ymin xmin ymax xmax'):
        faces.crop_face(PLACES, np.array(box, np.float32))


@pytest.mark.parametrize(
    ('scale', 'degrees', 'shift'),
    [(0.5, 0, (40, 30)), (1, 0, (70, 60)), (0.9, 30, (90, 40)), (1, -90, (20, 180)),
     # Reduced by more than half, where pixels are averaged first.
     (2.1, 0, (5, 2)), (2.1, 7, (32, 5))],
)  # fmt: skip
def test_each_landmark_comes_to_its_place_in_the_aligned_picture(scale, degrees, shift):
    # Red tells the row and green the column of the picture, up to 255.
    rows, columns = np.indices((256, 256))
    picture = np.stack([rows, columns, 0 * rows], axis=-1).astype(np.uint8)
    angle = np.radians(degrees)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    # x and y of eyes, nose and corners of the mouth, as face embedders are taught (ArcFace).
    places = np.array([[38.3, 51.7], [73.5, 51.5], [56.0, 71.7], [41.5, 92.4], [70.7, 92.2]])
    landmarks = places @ turn.T + shift
    found = faces.Face(np.zeros(4, np.float32), landmarks.astype(np.float32), 0.9)
    aligned = faces.align_face(picture, found).astype(float)
    for x, y in [(30, 30), (56, 56), (74, 52), (42, 92), (90, 80)]:
        column, row = turn @ (x, y) + shift
        assert 3 < row < 252 and 3 < column < 252
        np.testing.assert_allclose(aligned[y, x, :2], (row, column), atol=1.2)


def test_one_face_and_a_passer_by():
    large, passer_by = face(10, 10, 60, 50), face(5, 80, 17, 90)
    assert faces.single_face([large, passer_by], 'a.jpg') is large


def test_no_face_says_what_to_do():
    with pytest.raises(
        UserError, match=r'a\.jpg: no face was found, however the photo is turned; use'
    ):
        faces.single_face([], 'a.jpg')


def test_several_faces_say_how_many_and_where():
    found = face(10, 10, 60, 50), face(20, 70, 40, 90), face(5, 100, 15, 110)
    with pytest.raises(UserError) as raised:
        faces.single_face(found, 'a.jpg')
    # The third is below a quarter of the first one's height.
    assert str(raised.value) == (
        'a.jpg: 2 faces were found (40x50 pixels at x=10 y=10; 20x20 pixels at x=70 y=20), '
        'expected one; crop the photo to the person who is meant'
    )


def test_a_missing_detector_says_where_to_get_it(tmp_path, monkeypatch):
    monkeypatch.delenv('CPAD_FACE_DETECTOR', raising=False)
    other = tmp_path / 'other.onnx'
    other.write_bytes(b'not a network')
    for path, says in (
        (None, 'no face detector'),
        (tmp_path / 'none.onnx', 'no such face detector'),
        (other, 'not a YuNet'),
    ):
        with pytest.raises(UserError, match=says) as raised:
            faces.FaceDetector(path)
        for part in ('opencv_zoo', '232589 bytes', '8f2383e4dd3cfbb4', 'CPAD_FACE_DETECTOR'):
            assert part in str(raised.value)
    monkeypatch.setenv('CPAD_FACE_DETECTOR', str(tmp_path / 'named.onnx'))
    with pytest.raises(UserError, match=r'named\.onnx'):
        faces.FaceDetector()


def directions(*degrees):
    """Features [N, 2] that point so; 60 degrees apart their cosine is 0.5."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


@pytest.mark.parametrize(
    ('photos', 'chosen'),
    [
        # One photo of one face; others of several, in which that face is anywhere.
        ([[0]], (0,)),
        ([[0], [90, 10], [200, 100, 350]], (0, 1, 2)),
        # Somebody else among most; a face that only the middle of three knows.
        ([[0], [5], [120]], (0, 0, None)),
        ([[0], [50], [100]], (0, 0, 0)),
        # Both agree with the person, or neither does.
        ([[0], [10, 20]], (0, None)),
        ([[0], [90, 100]], (0, None)),
        # Photos of several only: one person is in all of them, or in most.
        ([[0, 90], [5, 200], [270, 10]], (0, 0, 1)),
        ([[0, 90], [5, 200], [270, 280]], (0, 0, None)),
        # The mean of those that agree with the middle one reaches further than it does.
        ([[0], [59], [59], [-20], [-20], [72]], (0,) * 6),
        # Photos of one face decide, however many others show another person, too.
        ([[0], [90, 5], [95, 200], [85, 330]], (0, 1, None, 1)),
    ],
)
def test_the_face_that_photos_have_in_common_is_chosen(photos, chosen):
    person = faces.agreeing_faces([directions(*photo) for photo in photos], 0.5)
    assert person.faces == chosen and person.certain


@pytest.mark.parametrize(
    ('photos', 'chosen', 'strange'),
    [
        ([[0], [90]], (0, 0), 1),
        ([[0], [120], [240]], (0, 0, 0), 2),
        ([[0], [10], [100], [110], [5, 105]], (0, 0, 0, 0, None), 2),
        ([[0, 90]], (None,), 0),
        ([[0, 90], [5, 95]], (None, None), 0),
    ],
)
def test_nobody_is_chosen_where_none_is_in_most_photos(photos, chosen, strange):
    person = faces.agreeing_faces([directions(*photo) for photo in photos], 0.5)
    assert person.faces == chosen and not person.certain
    assert sum(likeness < 0.5 for likeness in person.likeness) == strange


def test_how_like_photos_are_is_told():
    person = faces.agreeing_faces([directions(*photo) for photo in ([0], [0], [90, 60])], 0.5)
    np.testing.assert_allclose(person.likeness, [1, 1, 0.5], atol=1e-6)
    with pytest.raises(ValueError, match='a face in each'):
        faces.agreeing_faces([directions(0), directions()], 0.5)
