import os

import numpy as np
import pytest
from PIL import Image

from cpad_jax.errors import UserError
from cpad_jax.labelling import exemplars
from cpad_jax.labelling.cast import CastMember
from cpad_jax.media import face_turns
from cpad_jax.media.face_embedding import FaceEmbedder
from cpad_jax.media.faces import FaceDetector
from tests.support import drawn_faces

ADA, JOSE = CastMember('n000002', 'Ada Abbott'), CastMember('n000007', 'José Díaz')
CAST = [ADA, JOSE]
RED, BLUE = drawn_faces.ANN, drawn_faces.BOB


def photos(folder, *whose, start=1):
    folder.mkdir(parents=True, exist_ok=True)
    for number, who in enumerate(whose, start):
        image = np.zeros((64, 64, 3), np.uint8)
        if who:
            drawn_faces.draw(image, 8, 8, 48, who)
        Image.fromarray(image).save(folder / f'{number:04d}_01.png')


def names(found, root):
    return {
        who: [str(file.relative_to(root)) for file in files] for who, files in sorted(found.items())
    }


def test_a_folder_for_each_person_called_by_name_or_id(tmp_path):
    photos(tmp_path / 'ada_ABBOTT', RED)
    photos(tmp_path / 'n000007', BLUE, BLUE)
    photos(tmp_path / 'Somebody Else', RED)
    (tmp_path / 'n000007' / 'notes.txt').write_text('x')
    (tmp_path / 'n000007' / 'folder.jpg').mkdir()
    (tmp_path / 'ada_ABBOTT' / 'gone.jpg').symlink_to('nowhere')
    (tmp_path / 'list.csv').write_text('x')
    found, others = exemplars.find_photos(tmp_path, CAST)
    assert others == ['Somebody Else']
    assert names(found, tmp_path) == {
        'n000002': ['ada_ABBOTT/0001_01.png'],
        'n000007': ['n000007/0001_01.png', 'n000007/0002_01.png'],
        'other:Somebody Else': ['Somebody Else/0001_01.png'],
    }


# Of the real file: spaces, a quote that does not start the field, commas at the end and in a name.
META = (
    """Class_ID, Name, Sample_Num, Flag, Gender
n000002, "Ada_Abbott",315,1, f,
n000007, Jose_"Diaz",400,0, m
n000009, "Smith,_Jr.",99,1, m,
n000010
,,,,,
"""
    + f'n000011, "{"x" * 140_000}", 1, 1, f\n'
)


def test_as_vggface2_has_them(tmp_path):
    (tmp_path / 'identity_meta.csv').write_text(META)
    photos(tmp_path / 'train' / 'n000002', RED)
    photos(tmp_path / 'test' / 'n000007', BLUE)
    photos(tmp_path / 'test' / 'n000009', BLUE)
    cast = [CastMember(name, name) for name in ('Ada Abbott', 'José Díaz', 'Smith, Jr.')]
    assert names(exemplars.find_photos(tmp_path, cast)[0], tmp_path) == {
        'Ada Abbott': ['train/n000002/0001_01.png'],
        'José Díaz': ['test/n000007/0001_01.png'],
        'Smith, Jr.': ['test/n000009/0001_01.png'],
    }


def test_as_vggface_has_them_and_from_several_places(tmp_path):
    photos(tmp_path / 'images' / 'Ada_Abbott', RED)
    photos(tmp_path / 'Ada_Abbott', RED)
    assert names(exemplars.find_photos(tmp_path, CAST)[0], tmp_path) == {
        'n000002': ['Ada_Abbott/0001_01.png', 'images/Ada_Abbott/0001_01.png'],
    }


def test_so_many_and_evenly_spread(tmp_path):
    for folder, count in (('n000002', 130), ('n000555', 24)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            (tmp_path / folder / f'{number:04d}.jpg').touch()
    found, _ = exemplars.find_photos(tmp_path, [ADA])
    own = [int(file.stem) for file in found['n000002']]
    assert len(own) == 60 and own[:4] == [0, 2, 4, 6] and own[-1] == 127
    assert [int(f.stem) for f in found['other:n000555']] == list(range(0, 24, 2))


def test_no_more_than_200_others(tmp_path):
    for number in range(230):
        (tmp_path / f'x{number:03d}').mkdir()
        (tmp_path / f'x{number:03d}' / '1.jpg').touch()
    found, others = exemplars.find_photos(tmp_path, CAST)
    assert (len(found), len(others)) == (200, 230)


def test_folders_without_photos_are_told(tmp_path):
    with pytest.raises(UserError, match='no such folder of exemplar photos'):
        exemplars.find_photos(tmp_path / 'x', CAST)
    (tmp_path / 'Ada Abbott').mkdir()
    with pytest.raises(UserError, match='no photo was found; expected .*/PERSON/PHOTO.jpg'):
        exemplars.find_photos(tmp_path, CAST)


def at(*degrees):
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


@pytest.mark.parametrize(('degrees', 'agree'), [
    # To the middle one, 10°, the others have cosines of 0.98, 1, 0.98 and 0.17; half of the median
    # 0.98 is needed.
    ((0, 10, 20, 90), [True, True, True, False]),
    ((0, 10, 20, 69), [True, True, True, True]),
    ((0, 180), [True, True]),
    ((0,), [True]),
])  # fmt: skip
def test_photos_of_the_person_most_photos_show(degrees, agree):
    assert exemplars.inliers(at(*degrees)).tolist() == agree


@pytest.mark.parametrize(('faces', 'alone', 'told'), [
    # Photos at 0° and 60° have a cosine of 0.5: a face is theirs if the mean of its cosines with
    # both is 0.25, which is √3/2 times the cosine with 30°, so up to 73° from there.
    ((30, 120), (0, 60), 0),
    ((120, 30), (0, 60), 1),
    ((-42, 110), (0, 60), 0),
    ((-42, 102), (0, 60), None),  # Both are.
    ((-44, 104), (0, 60), None),  # Neither is.
    ((0, 90), (0,), None),  # One photo does not say how like another would be.
    ((0, 90), (), None),
    ((0, 90), (0, 100), None),  # Photos that have nothing in common.
    # That of somebody else does not count: without 90°, photos of 0° and 10° tell 50° from 75°.
    ((50, 75), (0, 10, 0, 90), 0),
])  # fmt: skip
def test_the_face_of_several_that_other_photos_show(faces, alone, told):
    assert exemplars.choose_face(at(*faces), at(*alone)) == told


# At a photo: in every turn of a small copy, and once for its faces.
LOOKS = 360 // face_turns._STEP + 1


class Counting(drawn_faces.Detector):
    def __init__(self):
        self.calls = 0

    def detect(self, image):
        self.calls += 1
        return super().detect(image)


def colour(image, faces):
    """A face's feature: its middle's mean colour."""
    rows = []
    for face in faces:
        top, left, bottom, right = face.box.astype(int)
        side = (bottom - top) // 6
        row = image[top + side : bottom - side, left + side : right - side].mean((0, 1)) + 1
        rows.append(row / np.linalg.norm(row))
    return np.array(rows, np.float32)


def test_models_and_what_is_set_aside(tmp_path):
    photos(tmp_path / 'n000002', RED, RED, BLUE, RED, None)
    (tmp_path / 'n000002' / 'broken.jpg').write_bytes(b'x')
    photos(tmp_path / 'n000007', None)
    found, _ = exemplars.find_photos(tmp_path, CAST)
    detector, kept = Counting(), tmp_path / 'kept'
    models, aside = exemplars.build_models(found, detector, colour, 'a', kept)
    (ada,) = models
    assert (ada.person_id, ada.photos, len(ada.features)) == ('n000002', 6, 3)
    assert ada.feature.argmax() == 0 and np.linalg.norm(ada.feature) == pytest.approx(1)
    assert [line.split('/')[-1].split(':')[0] for line in aside] == [
        '0005_01.png', 'broken.jpg', '0001_01.png',
    ]  # fmt: skip
    assert 'no face was found' in aside[0] and str(tmp_path) in aside[1]

    def again(feature='a'):
        before = detector.calls
        out, lines = exemplars.build_models(
            exemplars.find_photos(tmp_path, CAST)[0], detector, colour, feature, kept
        )
        assert lines == aside
        np.testing.assert_array_equal(out[0].features, ada.features)
        return detector.calls - before

    assert again() == 0
    # Another network; the two photos without a face are turned in a second size as well.
    assert again('b') == 4 * LOOKS + 2 * (2 * LOOKS - 1)
    assert again('b') == 0
    os.utime(tmp_path / 'n000007' / '0001_01.png', (1, 1))
    assert again('b') == 2 * LOOKS - 1  # Another photo of somebody.
    files = sorted(kept.iterdir())
    for file in files:
        file.write_bytes(file.read_bytes()[:-100])
    assert again('b') == 4 * LOOKS + 2 * (2 * LOOKS - 1)  # What was kept is broken.
    assert again('b') == 0
    assert sorted(kept.iterdir()) == files and len(files) == 2


def group(folder, name, *whose):
    folder.mkdir(parents=True, exist_ok=True)
    image = np.zeros((64, 16 + 48 * len(whose), 3), np.uint8)
    for place, who in enumerate(whose):
        drawn_faces.draw(image, 8, 8 + 48 * place, 48, who)
    Image.fromarray(image).save(folder / f'{name}.png')


def test_of_a_photo_of_several_the_face_that_the_others_show(tmp_path):
    group(tmp_path / 'n000002', 'a', BLUE, RED)
    group(tmp_path / 'n000002', 'b', BLUE, BLUE)  # She is not there,
    group(tmp_path / 'n000002', 'c', RED, RED)  # or twice.
    photos(tmp_path / 'n000002', RED, RED)
    group(tmp_path / 'n000007', 'd', BLUE, RED)  # There is nothing to tell by.
    found, _ = exemplars.find_photos(tmp_path, CAST)
    for _ in ('seen', 'kept'):
        (ada,), aside = exemplars.build_models(found, Counting(), colour, 'a', tmp_path / 'kept')
        assert (ada.person_id, ada.photos, len(ada.features)) == ('n000002', 5, 3)
        np.testing.assert_allclose(ada.features @ ada.feature, 1, atol=1e-3)
        assert [line.split('/')[-1] for line in aside] == [
            f'{name}: 2 faces were found, and the photos that show this person alone do not '
            'determine which one is meant; crop the photo to it'
            for name in ('b.png', 'c.png', 'd.png')
        ]


@pytest.mark.parametrize(('side', 'usable'), [(11, 1), (13, 0)])
def test_somebody_in_the_background_spoils_no_portrait(tmp_path, side, usable):
    class Crowd(drawn_faces.Detector):
        def detect(self, image):
            return [*super().detect(image), drawn_faces.face(0, 50, side)]  # The other has 48.

    photos(tmp_path / 'n000002', RED)
    models, aside = exemplars.build_models(
        exemplars.find_photos(tmp_path, CAST)[0], Crowd(), colour, 'a', tmp_path / 'kept'
    )
    assert (len(models), len(aside)) == (usable, 1 - usable)


def test_a_real_photo_of_two_people(real_data, tmp_path):
    models, people = real_data / 'models', real_data / 'people'
    detector = FaceDetector(next(models.glob('face_detection_yunet*.onnx')))
    embedder = FaceEmbedder(next(models.glob('face_embedding_*.onnx')))
    both = people / 'obama_and_biden.jpg'
    biden, obama = (sorted((people / name).glob('*.jpg')) for name in ('biden', 'obama'))
    photos = {'biden': [*biden, both], 'obama': [both, *obama], 'one of two': [both]}
    found, aside = exemplars.build_models(photos, detector, embedder.embed, 'a', tmp_path)
    assert [(model.person_id, len(model.features)) for model in found] == [
        ('biden', 3), ('obama', 3),
    ]  # fmt: skip
    # Of the same photo each has another face, and their own.
    his, other = found[0].features[2], found[1].features[0]
    assert his @ other < 0.3
    assert his @ found[0].features[0] > 0.4 and other @ found[1].features[1] > 0.4
    (line,) = aside
    assert line.startswith(f'{both}: 3 faces were found')


def test_whole_people_outlast_an_interruption(tmp_path):
    class Stops(Counting):
        def detect(self, image):
            if self.calls == 5 * LOOKS:
                raise KeyboardInterrupt
            return super().detect(image)

    photos(tmp_path / 'n000002', RED, RED, RED)
    photos(tmp_path / 'n000007', BLUE, BLUE, BLUE)
    found, kept = exemplars.find_photos(tmp_path, CAST)[0], tmp_path / 'kept'
    with pytest.raises(KeyboardInterrupt):
        exemplars.build_models(found, Stops(), colour, 'a', kept)
    rest = Counting()
    models, aside = exemplars.build_models(found, rest, colour, 'a', kept)
    assert rest.calls == 3 * LOOKS  # All of the second person's; the first one is done.
    assert [(m.person_id, len(m.features)) for m in models] == [('n000002', 3), ('n000007', 3)]
    assert aside == [] and not list(kept.glob('.*'))
