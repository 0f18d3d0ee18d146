import types

import numpy as np

from cpad_jax.data import detected_faces
from cpad_jax.features import face_tracks
from cpad_jax.media import faces, images


class Finder:
    """Finds a face around every bright square, as a detector would."""

    sha256 = 'd' * 64

    def get(self):
        return types.SimpleNamespace(detect=self.detect)

    def detect(self, picture):
        found = []
        for left in (10, 60):
            part = picture[20:40, left - 5 : left + 25]
            if part.mean() > 60:
                column = left - 5 + int(np.argmax(part.mean(axis=(0, 2)) > 120))
                box = np.array([20, column, 40, column + 20], np.float32)
                marks = np.array([[5, 6], [15, 6], [10, 10], [6, 15], [14, 15]], np.float32)
                found.append(faces.Face(box, marks + (column, 20), 0.9))
        return found


def frame(*lefts):
    picture = np.zeros((60, 100, 3), np.uint8)
    for left in lefts:
        picture[20:40, left : left + 20] = 255
    return images.encode_jpeg(picture)


def test_people_are_the_tracks_that_are_found_whatever_the_record_says():
    clip = {
        'clip_id': 'a', 'frames': [frame(10, 60), frame(12, 61), frame(14)],
        'times': np.array([0.0, 0.25, 0.5], np.float32), 'people': ['nobody looks here'],
    }  # fmt: skip
    (found,) = detected_faces.DetectedFaces([clip], Finder())
    assert found['clip_id'] == 'a'
    left, right = (one['tracks'] for one in found['people'])
    np.testing.assert_allclose(left['times'], [0, 0.25, 0.5])
    np.testing.assert_allclose(right['times'], [0, 0.25])
    # ymin xmin ymax xmax, fractions of the picture, each face its own.
    np.testing.assert_allclose(left['boxes'][0], [20 / 60, 0.1, 40 / 60, 0.3], atol=0.02)
    np.testing.assert_allclose(right['boxes'][1], [20 / 60, 0.61, 40 / 60, 0.81], atol=0.02)
    chosen = face_tracks.choose_faces(found['people'], found['times'], 4, 'a')
    assert len(chosen) == 4 and {who for who, _, _ in chosen} == {0, 1}


def test_a_clip_without_a_face_has_nobody():
    clip = {'clip_id': 'b', 'frames': [frame()], 'times': np.zeros(1), 'people': [1, 2]}
    assert detected_faces.DetectedFaces([clip], Finder())[0]['people'] == []


def test_without_a_detector_it_is_said_why(monkeypatch, tmp_path):
    monkeypatch.setenv('CPAD_FACE_DETECTOR', str(tmp_path / 'none.onnx'))
    assert 'none.onnx' in detected_faces.missing()


def test_a_detector_finds_faces_in_threads_of_their_own(real_data, monkeypatch):
    path = next((real_data / 'models').glob('face_detection_yunet*.onnx'))
    monkeypatch.setenv('CPAD_FACE_DETECTOR', str(path))
    assert detected_faces.missing() is None
    detector = detected_faces.Detector()
    assert len(detector.sha256) == 64 and detector.get() is detector.get()
