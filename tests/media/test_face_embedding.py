import hashlib
import itertools
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.media import face_embedding, faces, images, model_files, onnx_files, onnx_trial
from cpad_jax.media.face_quality import face_detail, face_quality
from tests.support import drawn_faces as drawn


@pytest.fixture
def embedder(tmp_path):
    path = tmp_path / 'colours.onnx'
    path.write_bytes(drawn.network())
    return face_embedding.FaceEmbedder(path)


def picture(*people, side=112):
    image = np.zeros((side + 80, len(people) * side + 80, 3), np.uint8)
    for number, who in enumerate(people):
        drawn.draw(image, 40, 40 + number * side, side, who)
    return image


def test_alignment_undoes_turn_scale_and_shift():
    angle, scale, shift = 0.3, 0.7, np.array([12.0, -5.0])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = faces.alignment(faces.ALIGNED_LANDMARKS @ (scale * turn).T + shift)
    np.testing.assert_allclose(matrix[:, :2], turn.T / scale, atol=1e-9)
    np.testing.assert_allclose(matrix[:, 2], -turn.T @ shift / scale, atol=1e-9)


def test_alignment_is_the_least_squares_one():
    rng = np.random.default_rng(0)
    source = faces.ALIGNED_LANDMARKS + rng.normal(0, 6, (5, 2))
    # Four unknowns a, b, c, d in x' = a x - b y + c, y' = b x + a y + d.
    x, y = source.T
    one, none = np.ones(5), np.zeros(5)
    equations = np.concatenate(
        [np.stack([x, -y, one, none], axis=1), np.stack([y, x, none, one], axis=1)]
    )
    a, b, c, d = np.linalg.lstsq(equations, faces.ALIGNED_LANDMARKS.T.ravel(), rcond=None)[0]
    np.testing.assert_allclose(faces.alignment(source), [[a, -b, c], [b, a, d]], atol=1e-9)


@pytest.mark.parametrize('landmarks', [np.ones((5, 2)), np.full((5, 2), np.nan)])
def test_landmarks_on_one_point_are_refused(landmarks):
    with pytest.raises(ValueError, match='five landmarks'):
        faces.alignment(landmarks)


@pytest.mark.parametrize('side', [56, 112, 224, 448, 1120])
def test_a_face_is_cut_out_whatever_its_size(side):
    image = picture(drawn.ANN, side=side)
    aligned = faces.align_face(image, drawn.face(40, 40, side))
    assert (aligned.shape, aligned.dtype) == ((112, 112, 3), np.uint8)
    expected = picture(drawn.ANN)[40:152, 40:152]
    # Away from the edges of what is drawn every pixel is as it was.
    inside = [20, 30, 40, 48, 66, 80, 90]
    near = np.abs(aligned.astype(int) - expected)[np.ix_(inside, inside)]
    assert near.max() <= 2
    # And the edges are where they were: half a pixel of shift would show as 60 grey levels.
    assert np.abs(aligned[30:80, 50:62].astype(int) - expected[30:80, 50:62]).mean() < 12


def test_a_turned_face_is_set_upright():
    image = picture(drawn.ANN, side=224)
    upright = drawn.face(40, 40, 224)
    turned = np.rot90(image).copy()
    # np.rot90 takes (x, y) to (y, width - 1 - x).
    landmarks = np.stack(
        [upright.landmarks[:, 1], image.shape[1] - 1 - upright.landmarks[:, 0]], axis=1
    )
    again = faces.align_face(turned, faces.Face(upright.box, landmarks, 0.9))
    direct = faces.align_face(image, upright)
    assert np.abs(again.astype(int) - direct).mean() < 3


def test_a_face_over_the_edge_repeats_the_edge():
    image = np.full((60, 60, 3), 90, np.uint8)
    assert (faces.align_face(image, drawn.face(-30, -30, 100)) == 90).all()
    # Even one that lies outside altogether.
    assert (faces.align_face(image, drawn.face(500, 500, 300)) == 90).all()


def test_embedding_is_what_the_network_says_at_length_one(embedder):
    image = picture(drawn.ANN)
    [feature] = embedder.embed(image, [drawn.face(40, 40, 112)])
    assert (feature.shape, feature.dtype, embedder.width) == ((48,), np.float32, 48)
    square = image[40:152, 40:152].astype(float)
    cells = square.reshape(4, 28, 4, 28, 3).mean(axis=(1, 3)).transpose(2, 0, 1).ravel()
    np.testing.assert_allclose(feature, cells / np.linalg.norm(cells), atol=1e-3)


def test_people_are_told_apart_and_order_is_kept(embedder):
    image = picture(drawn.ANN, drawn.BOB)
    found = [drawn.face(40, 40, 112), drawn.face(40, 152, 112)]
    ann, bob = embedder.embed(image, found)
    np.testing.assert_array_equal(embedder.embed(image, found[::-1]), [bob, ann])
    assert ann @ bob < 0.6
    [again] = embedder.embed(picture(drawn.ANN, side=300), [drawn.face(40, 40, 300)])
    assert again @ ann > 0.99 > 0.6 > again @ bob
    assert embedder.embed(image, []).shape == (0, 48)


def test_a_file_is_known_by_its_content(embedder, monkeypatch):
    data = drawn.network()
    assert embedder.sha256 == hashlib.sha256(data).hexdigest()
    assert embedder.name == 'colours'
    monkeypatch.setenv('CPAD_FACE_EMBEDDER', str(embedder.path))
    assert face_embedding.FaceEmbedder().sha256 == embedder.sha256


def test_without_a_file_it_says_how_to_get_one(tmp_path, monkeypatch):
    monkeypatch.delenv('CPAD_FACE_EMBEDDER', raising=False)
    monkeypatch.setenv('CPAD_CACHE', str(tmp_path))
    for path, says in ((None, 'no face embedder is given'), (tmp_path / 'no.onnx', 'no such')):
        with pytest.raises(UserError, match=says) as raised:
            face_embedding.FaceEmbedder(path)
        for part in ('--fetch', 'CPAD_FACE_EMBEDDER', '38696353 bytes', '0ba9fbfa01b5270c'):
            assert part in str(raised.value)


@pytest.mark.parametrize(
    'data',
    [b'', b'not a network', drawn.network()[:100], drawn.network(cell=56)],
    ids=['empty', 'text', 'cut off', 'too few numbers'],
)
def test_another_file_is_refused_in_a_line(tmp_path, data):
    path = tmp_path / 'other.onnx'
    path.write_bytes(data)
    with pytest.raises(UserError, match=r'other\.onnx: this is not a face embedder') as raised:
        face_embedding.FaceEmbedder(path)
    assert '\n' not in str(raised.value)


@pytest.mark.parametrize(
    'program, words',
    [
        ('import os, signal; os.kill(os.getpid(), signal.SIGSEGV)', 'crashed .signal 11.'),
        ('import os; os.abort()', 'crashed .signal 6.'),
        ('while True: pass', 'does not come to an end'),
        ('x = bytes(8 << 30)', 'out of memory, or worse'),
    ],
)
@pytest.mark.parametrize('kind', ['detector', 'embedder'])
def test_a_crash_of_opencv_is_a_line(tmp_path, monkeypatch, program, words, kind):
    # The same limits, and a program in the place of OpenCV.
    trial = Path(onnx_trial.__file__).read_text().replace('CPU_SECONDS = 60', 'CPU_SECONDS = 1')
    (tmp_path / 'trial.py').write_text(trial.replace('    import cv2\n', f'    {program}\n'))
    monkeypatch.setattr(onnx_trial, '__file__', str(tmp_path / 'trial.py'))
    path = tmp_path / 'other.onnx'
    path.write_bytes(drawn.network() + kind.encode())
    opens = {'detector': faces.FaceDetector, 'embedder': face_embedding.FaceEmbedder}[kind]
    with pytest.raises(UserError, match=words) as raised:
        opens(path)
    message = str(raised.value)
    assert message.startswith(f'{path}: ') and len(message) < 400 and '\n' not in message


@pytest.mark.parametrize('at, byte', [(22, 255), (23, 255), (68, 0), (70, 0)])
def test_one_changed_byte_does_not_end_the_process(tmp_path, at, byte):
    # OpenCV 5.0 divides by zero or leaves its memory on these; another version may refuse them.
    data = bytearray(drawn.network())
    data[at] = byte
    path = tmp_path / 'changed.onnx'
    path.write_bytes(data)
    with pytest.raises(UserError, match='OpenCV crashed|this is not a face embedder') as raised:
        face_embedding.FaceEmbedder(path)
    assert '\n' not in str(raised.value)


def test_only_files_that_are_not_known_are_tried(tmp_path, monkeypatch):
    path = tmp_path / 'network.onnx'
    path.write_bytes(drawn.network() + b'')
    tried = []
    monkeypatch.setattr(onnx_files, '_try', lambda *given: tried.append(given[2]))
    monkeypatch.setattr(onnx_files, '_GOOD', set())
    for _ in range(2):  # Once in a process is enough.
        face_embedding.FaceEmbedder(path)
    assert tried == ['embedder']
    monkeypatch.setattr(onnx_files, 'KNOWN', {hashlib.sha256(drawn.network()).hexdigest()})
    monkeypatch.setattr(onnx_files, '_GOOD', set())
    face_embedding.FaceEmbedder(path)
    assert tried == ['embedder']


def test_files_that_are_fetched_are_known():
    fetched = {model_files.FACE_DETECTOR.sha256, model_files.FACE_EMBEDDER.sha256}
    assert fetched | set(face_embedding._THRESHOLDS) <= onnx_files.KNOWN


def test_a_network_at_a_path_of_any_bytes(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b'/net\xffwork.onnx'))
    path.write_bytes(drawn.network())
    assert face_embedding.FaceEmbedder(path).width == 48


def test_a_file_too_large_is_not_read(tmp_path):
    path = tmp_path / 'large.onnx'
    with path.open('wb') as file:
        file.truncate(onnx_files.MAX_BYTES + 1)
    with pytest.raises(UserError, match='the file has 536870913 bytes, more than'):
        face_embedding.FaceEmbedder(path)


def textured(side):
    """A picture of 200 pixels with a frontal face full of fine detail."""
    image = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    return image, drawn.face(20, 20, side, score=0.95)


def test_quality_of_a_perfect_face_is_one():
    assert face_quality(*textured(150)) == pytest.approx(1, abs=1e-6)


def test_quality_is_the_geometric_mean_of_its_terms():
    image, face = textured(150)
    small = drawn.face(20, 20, 32, score=0.95)
    assert face_quality(image, small) == pytest.approx(0.5**0.25, rel=0.02)
    doubtful = faces.Face(face.box, face.landmarks, 0.725)
    assert face_quality(image, doubtful) == pytest.approx(0.5**0.25, rel=1e-6)
    assert face_quality(image, faces.Face(face.box, face.landmarks, 0.4)) == 0


def test_a_frontal_pose_makes_up_for_no_detail():
    image, face = textured(150)
    assert face_detail(image, face) == pytest.approx(1, abs=1e-6)
    # A quarter of the full size; and it is a little less sharp.
    assert 0.2 < face_detail(image, drawn.face(20, 20, 16, score=0.95)) <= 0.25
    aside = face.landmarks + np.array([[0], [0], [30], [0], [0]]) * [1, 0]
    assert face_detail(image, faces.Face(face.box, aside, 0.5)) > 0.9


def test_blurred_and_turned_faces_are_worse():
    image, face = textured(150)
    sharp, shown = picture(drawn.ANN, side=150), drawn.face(40, 40, 150, score=0.95)
    blurred = [face_quality(sharp, shown)]
    blurred += [face_quality(images.blur(sharp, sigma), shown) for sigma in (1, 2, 4)]
    assert blurred == sorted(blurred, reverse=True) and blurred[-1] < 0.75 * blurred[0]
    turned = []
    for aside in (0, 10, 20, 30):
        landmarks = face.landmarks + np.array([[0], [0], [aside], [0], [0]]) * [1, 0]
        turned.append(face_quality(image, faces.Face(face.box, landmarks, 0.95)))
    assert turned == sorted(turned, reverse=True) and turned[-1] < 0.8
    assert all(0 <= value <= 1 for value in blurred + turned)


@pytest.fixture(scope='module')
def networks(real_data):
    models = real_data / 'models'
    return (
        faces.FaceDetector(next(models.glob('face_detection_yunet*.onnx'))),
        face_embedding.FaceEmbedder(next(models.glob('face_embedding_*.onnx'))),
    )


def portrait(path: Path, detector, embedder):
    image = images.read_image(path)
    return embedder.embed(image, [faces.single_face(detector.detect(image), path)])[0]


def test_the_threshold_tells_real_people_apart(real_data, networks):
    detector, embedder = networks
    people = real_data / 'people'
    seen = [(name, portrait(people / name / f'{number}.jpg', *networks))
            for name in ('obama', 'biden') for number in (1, 2)]  # fmt: skip
    image = images.read_image(people / 'obama_and_biden.jpg')
    found = sorted(detector.detect(image), key=lambda face: face.box[1])
    seen += zip(('biden', 'obama', 'a child'), embedder.embed(image, found), strict=True)
    pairs = [(one == other, float(a @ b))
             for (one, a), (other, b) in itertools.combinations(seen, 2)]  # fmt: skip
    same = [cosine for alike, cosine in pairs if alike]
    different = [cosine for alike, cosine in pairs if not alike]
    assert (len(same), len(different)) == (6, 15)
    assert min(same) == pytest.approx(0.54, abs=0.03)
    assert max(different) == pytest.approx(0.21, abs=0.03)
    # Nearer to the strangers, as faces in videos are smaller and turned.
    assert max(different) + 0.05 < embedder.threshold < min(same) - 0.15


def test_the_network_is_fed_as_opencv_feeds_it(real_data, networks):
    image = images.read_image(real_data / 'people' / 'obama' / '1.jpg')
    face = networks[0].detect(image)[0]
    theirs = cv2.FaceRecognizerSF.create(str(networks[1].path), '')
    [expected] = theirs.feature(np.ascontiguousarray(faces.align_face(image, face)[..., ::-1]))
    [feature] = networks[1].embed(image, [face])
    np.testing.assert_allclose(feature, expected / np.linalg.norm(expected), atol=1e-5)


def test_a_face_detector_is_no_embedder(networks):
    with pytest.raises(UserError, match='this is not a face embedder'):
        face_embedding.FaceEmbedder(networks[0].path)
    with pytest.raises(UserError, match='this is not a YuNet'):
        faces.FaceDetector(networks[1].path)


def test_quality_goes_with_what_the_embedder_makes_of_a_face(real_data, networks):
    detector, embedder = networks
    rng = np.random.default_rng(0)
    quality, likeness = [], []
    for path in sorted((real_data / 'people').glob('*/*.jpg')):
        image = images.read_image(path)
        whole = portrait(path, detector, embedder)
        height = faces.single_face(detector.detect(image), path).height
        for wanted in np.geomspace(12, 120, 12):
            scale = wanted / height
            small = images.scale_image(image, *(round(side * scale) for side in image.shape[:2]))
            # Half of them are blurred on top.
            if rng.random() < 0.5:
                small = cv2.GaussianBlur(small, (0, 0), 0.04 * wanted)
            for face in detector.detect(small)[:1]:
                quality.append(face_quality(small, face))
                likeness.append(float(embedder.embed(small, [face])[0] @ whole))
    assert len(quality) >= 36
    ranks = [np.argsort(np.argsort(values)) for values in (quality, likeness)]
    assert np.corrcoef(*ranks)[0, 1] > 0.7
