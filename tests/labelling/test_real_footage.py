"""Real videos and photos through the paths that drawn ones take; runs with CPAD_REAL_DATA set.

The folder holds `videos/*`, `people/obama|biden/{1,2}.jpg`, `people/obama_and_biden.jpg`, and
in `models/` a YuNet, `face_detection_yunet*.onnx`, and an embedder, `face_embedding_*.onnx`.
"""

import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.media import faces, images, video
from cpad_jax.synthetic import render
from cpad_jax.synthetic.world import World, WorldSpec

# Width, height, seconds.
VIDEOS = {
    'arm_wrestling.mp4': (427, 256, 10.0),
    'basketball.mp4': (426, 240, 10.0),
    'make_up.avi': (320, 240, 6.6),
    'stage.mp4': (640, 360, 9.2),
    'two_people_meet.mp4': (1920, 1080, 2.6),
}
FRONTAL = 0.35  # Radians of turn up to which a drawn face counts as frontal.
SMALLEST = 40  # Pixels of height from which on drawn faces must be found.


@pytest.fixture(scope='module')
def detector(real_data):
    return faces.FaceDetector(next((real_data / 'models').glob('face_detection_yunet*.onnx')))


@pytest.mark.parametrize('name', VIDEOS)
def test_videos_are_sampled_by_time(real_data, name):
    path = real_data / 'videos' / name
    width, height, seconds = VIDEOS[name]
    info = video.probe(path)
    assert (info.width, info.height) == (width, height)
    assert info.duration == pytest.approx(seconds, abs=0.1)
    frames, times = video.sample_frames(path, count=6, size=96)
    assert min(frames.shape[1:3]) == 96
    # Each is the last frame that begins by the middle of its part, however long it is shown.
    begins = np.array([time for _, time in video.iterate_frames(path, size=32)])
    assert len(begins) == info.frames
    assert begins[0] == 0 and (np.diff(begins) > 0).all()
    middles = (np.arange(6) + 0.5) * info.duration / 6
    np.testing.assert_allclose(times, [begins[begins <= t + 1e-3][-1] for t in middles], atol=1e-5)
    # Film moves and is not black.
    assert frames.std() > 20
    assert all((a != b).any() for a, b in zip(frames, frames[1:], strict=False))
    last, [end] = video.sample_frames(path, times=[1e6])
    assert last.shape == (1, height, width, 3)
    assert info.duration - 3 / info.fps < end < info.duration


@pytest.mark.parametrize('photo', ['obama/1', 'obama/2', 'biden/1', 'biden/2'])
def test_portraits_have_one_face(real_data, detector, photo):
    path = real_data / 'people' / f'{photo}.jpg'
    image = images.read_image(path)
    face = faces.single_face(detector.detect(image), path)
    assert detector.detect(image) and face.score > 0.85
    eyes, mouth = face.landmarks[:2], face.landmarks[3:]
    assert (face.box[[1, 0]] < face.landmarks.min(axis=0)).all()
    assert (face.landmarks.max(axis=0) < face.box[[3, 2]]).all()
    assert eyes[:, 1].max() < face.landmarks[2, 1] < mouth[:, 1].min()
    assert eyes[0, 0] < eyes[1, 0] and mouth[0, 0] < mouth[1, 0]
    # Shrunk and enlarged, it is the same face.
    for size in ((60, 48), (240, 192), (3000, 2400)):
        scale = np.array([*size, *size]) / (*image.shape[:2], *image.shape[:2])
        [again] = [
            f for f in detector.detect(images.scale_image(image, *size))
            if f.height > 0.5 * face.height * scale[0]
        ]  # fmt: skip
        assert np.abs(again.box / scale - face.box).max() < 0.25 * face.height
    crop = faces.crop_face(image, face.box, size=160)
    assert faces.single_face(detector.detect(crop), 'crop').height > 80


def test_a_photo_of_several_people_is_refused(real_data, detector):
    path = real_data / 'people' / 'obama_and_biden.jpg'
    image = images.read_image(path)
    found = detector.detect(image)
    # The two men, and a child at the lower right whom the file's name does not mention.
    middles = [((f.box[1] + f.box[3]) / 2 / image.shape[1],
                (f.box[0] + f.box[2]) / 2 / image.shape[0]) for f in found]  # fmt: skip
    np.testing.assert_allclose(middles, [(0.62, 0.34), (0.43, 0.36), (0.85, 0.8)], atol=0.05)
    with pytest.raises(UserError, match=r'obama_and_biden\.jpg: 3 faces were found .* crop'):
        faces.single_face(detector.detect(image), path)
    # Cropped to either man, it will do.
    for left, right in ((0.25, 0.5), (0.52, 0.75)):
        half = image[:, int(left * image.shape[1]) : int(right * image.shape[1])]
        assert faces.single_face(detector.detect(half), path).height > 150


def _share_found(pictures, detector):
    """Share of the true boxes (normalised) that a detected face covers, over all pictures."""
    found = total = 0
    for image, boxes in pictures:
        height, width = image.shape[:2]
        detected = [face.box / (height, width, height, width) for face in detector.detect(image)]
        for box in boxes:
            total += 1
            found += any(_overlap(box, other) > 0.3 for other in detected)
    assert total >= 60
    return found / total


def _overlap(a, b):
    """Intersection over union of two boxes."""
    corner, end = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    common = np.prod(np.maximum(end - corner, 0))
    return common / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - common)


@pytest.fixture(scope='module')
def drawn_world():
    return World(WorldSpec(seed=11, movies=12, shows=1, clips_per_title=10, train_people=120,
                           cast_seen=50, cast_unseen=20, seconds=0.3))  # fmt: skip


def test_drawn_portraits_have_faces(drawn_world, detector):
    pictures = []
    for plan in drawn_world.photos('train')[::16] + drawn_world.photos('references')[::10]:
        photo = render.render_photo(drawn_world, plan)
        tall = (photo.bbox[2] - photo.bbox[0]) * photo.image.shape[0] >= SMALLEST
        if abs(photo.yaw) <= FRONTAL and tall:
            pictures.append((photo.image, [photo.bbox]))
    share = _share_found(pictures, detector)
    assert share >= 0.9, f'found {share:.1%} of {len(pictures)}'


def test_drawn_clips_have_faces(drawn_world, detector):
    pictures = []
    for plan in drawn_world.clips:
        clip = render.render_clip(drawn_world, plan)
        shown = len(clip.frames) // 2
        boxes = []
        for track in clip.tracks:
            for time, box, yaw in zip(track.times, track.boxes, track.yaws, strict=True):
                now = round(float(time) * clip.fps) == shown
                inside = (box[:2] > 0).all() and (box[2:] < 1).all()
                tall = (box[2] - box[0]) * clip.frames.shape[1] >= SMALLEST
                if now and inside and tall and abs(yaw) <= FRONTAL:
                    boxes.append(box)
        pictures.append((clip.frames[shown], boxes))
    share = _share_found(pictures, detector)
    assert share >= 0.9, f'found {share:.1%}'
