import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFont

from cpad_jax.errors import UserError
from cpad_jax.media import contact_sheet, face_embedding, find, video
from tests.media import drawn_faces as drawn
from tests.media.drawn_faces import ANN, BOB


@pytest.fixture(scope='module')
def embedder(tmp_path_factory):
    path = tmp_path_factory.mktemp('net') / 'colours.onnx'
    path.write_bytes(drawn.network())
    return face_embedding.FaceEmbedder(path)


def photo(path, *people, side=80):
    image = np.zeros((120, 40 + 80 * max(1, len(people)), 3), np.uint8)
    for number, who in enumerate(people):
        drawn.draw(image, 20, 20 + 80 * number, side, who)
    Image.fromarray(image).save(path)
    return path


def film(path, seen, fps=10):
    """A video of one second a letter: A is Ann, B is Bob, - nobody."""
    frames = np.zeros((len(seen) * fps, 96, 160, 3), np.uint8)
    for number, frame in enumerate(frames):
        letter = seen[number // fps]
        if letter != '-':
            drawn.draw(frame, 16, 40, 64, {'A': ANN, 'B': BOB}[letter])
    video.write_video(path, frames, fps)
    return path


def moment(name, start, end, score):
    return find.Moment(Path(name), start, end, score, start, np.array([0, 0, 1, 1], np.float32))


def test_files_are_gathered_from_folders_at_any_depth(tmp_path):
    (tmp_path / 'a' / 'b').mkdir(parents=True)
    for name in ('a/1.jpg', 'a/b/2.JPEG', 'a/notes.txt', 'other.dat'):
        (tmp_path / name).touch()
    folder, other = tmp_path / 'a', tmp_path / 'other.dat'
    expected = [folder / '1.jpg', folder / 'b' / '2.JPEG', other]
    # What is named goes in whatever its ending, and nothing twice.
    assert find.gather([folder, other, folder / '1.jpg'], find.PHOTO_ENDINGS) == expected
    with pytest.raises(UserError, match='no files are there that end in .mp4'):
        find.gather([folder], find.VIDEO_ENDINGS)
    with pytest.raises(UserError, match='nowhere: there is no such file or folder'):
        find.gather([folder, tmp_path / 'nowhere'], find.PHOTO_ENDINGS)


def test_photos_are_one_feature_weighted_by_quality(tmp_path, embedder, monkeypatch):
    photos = [photo(tmp_path / 'a.png', ANN), photo(tmp_path / 'b.png', BOB)]
    ann, bob = (find.describe([p], drawn.Detector(), embedder, pytest.fail) for p in photos)
    qualities = iter([0.9, 0.3])
    monkeypatch.setattr(find, 'face_quality', lambda image, face: next(qualities))
    both = find.describe(photos, drawn.Detector(), embedder, pytest.fail)
    mean = 0.9 * ann + 0.3 * bob
    np.testing.assert_allclose(both, mean / np.linalg.norm(mean), atol=1e-5)
    # A face that shows nothing does not make the feature nothing.
    monkeypatch.setattr(find, 'face_quality', lambda image, face: 0.0)
    worst = find.describe(photos[:1], drawn.Detector(), embedder, pytest.fail)
    np.testing.assert_allclose(worst, ann, atol=1e-5)


def test_photos_without_one_face_are_set_aside(tmp_path, embedder):
    bad = [photo(tmp_path / 'none.png'), photo(tmp_path / 'two.png', ANN, BOB), tmp_path / 'no.png']
    told = []
    good = photo(tmp_path / 'a.png', ANN)
    feature = find.describe([*bad, good], drawn.Detector(), embedder, told.append)
    alone = find.describe([good], drawn.Detector(), embedder, pytest.fail)
    np.testing.assert_array_equal(feature, alone)
    said = [str(error) for error in told]
    for text, says in zip(said, ('no face was', '2 faces were', 'no such file'), strict=True):
        assert says in text
    with pytest.raises(UserError, match='none of the photos shows exactly one face'):
        find.describe(bad, drawn.Detector(), embedder, told.append)


def test_every_face_of_a_video_is_a_moment(tmp_path, embedder):
    ann = find.describe([photo(tmp_path / 'a.png', ANN)], drawn.Detector(), embedder, pytest.fail)
    path = film(tmp_path / 'film.mp4', 'A--B')
    first, second = find.find_moments(path, ann, drawn.Detector(), embedder, rate=5)
    assert (first.video, first.start, second.start) == (path, 0, pytest.approx(3, abs=0.01))
    # Last seen at 0.8 s, and taken for there until the next frame that is looked at.
    assert first.end == pytest.approx(1, abs=0.01) and second.end == pytest.approx(4, abs=0.01)
    assert first.score > 0.97 > 0.7 > second.score
    assert first.start <= first.shown <= first.end
    np.testing.assert_allclose(first.box, [16 / 96, 40 / 160, 80 / 96, 104 / 160], atol=0.03)


def test_what_is_seen_before_a_video_breaks_off_is_given(tmp_path, embedder, monkeypatch):
    ann = find.describe([photo(tmp_path / 'a.png', ANN)], drawn.Detector(), embedder, pytest.fail)
    path = film(tmp_path / 'film.mp4', 'A--')
    whole = video.iterate_frames

    def breaks(path, times):
        yield from whole(path, times)
        raise UserError(f'{path}: breaks off')

    monkeypatch.setattr(video, 'iterate_frames', breaks)
    found = []
    with pytest.raises(UserError, match='breaks off'):
        for one in find.find_moments(path, ann, drawn.Detector(), embedder):
            found.append(one)
    assert len(found) == 1 and found[0].score > 0.97


def test_moments_are_joined_and_the_best_come_first():
    moments = [
        moment('b.mp4', 3.0, 4.0, 0.5), moment('a.mp4', 5.0, 6.0, 0.4),
        moment('a.mp4', 1.0, 4.0, 0.6), moment('a.mp4', 2.0, 3.0, 0.7),
        moment('a.mp4', 7.1, 8.0, 0.9), moment('b.mp4', 4.5, 5.0, 0.29),
    ]  # fmt: skip
    found = find.join(moments, 0.3)
    assert [(m.video.name, m.start, m.end, m.score, m.shown) for m in found] == [
        ('a.mp4', 7.1, 8.0, 0.9, 7.1),
        ('a.mp4', 1.0, 6.0, 0.7, 2.0),
        ('b.mp4', 3.0, 4.0, 0.5, 3.0),
    ]
    assert find.join(moments, 0.91) == []
    assert [m.score for m in find.join(moments, 0.9)] == [0.9]


def test_times_are_written_as_players_do():
    shown = [contact_sheet.clock(seconds) for seconds in (0, 9.96, 62.54, 3600)]
    assert shown == ['0:00.0', '0:10.0', '1:02.5', '60:00.0']


def test_captions_are_in_letters_that_can_be_drawn_and_fit(tmp_path):
    font, box = ImageFont.load_default(14), np.zeros(4, np.float32)
    moment = find.Moment(tmp_path / 'a – Zoë.mp4', 61.0, 62.5, 0.9, 61.5, box)
    assert contact_sheet.caption(moment, font) == '0.90  1:01.0-1:02.5  a - Zoe.mp4'
    long = dataclasses.replace(moment, video=tmp_path / f'holiday{"_at_sea" * 9}_017.mp4')
    found = contact_sheet.caption(long, font)
    assert found.startswith('0.90  1:01.0-1:02.5  holiday_') and found.endswith('..._017.mp4')
    assert 300 < font.getlength(found) <= 320


def test_the_sheet_shows_the_faces_and_frames_them(tmp_path):
    path = film(tmp_path / 'a.mp4', '-A')
    box = np.array([16 / 96, 40 / 160, 80 / 96, 104 / 160], np.float32)
    late = find.Moment(path, 1.0, 2.0, 0.9, 1.5, box)
    early = find.Moment(path, 0.0, 1.0, 0.5, 0.5, box)
    gone = find.Moment(tmp_path / 'gone.mp4', 0.0, 1.0, 0.4, 0.5, box)
    sheet = contact_sheet.draw([late, early, gone]).astype(int)
    first, second, third = (sheet[8:188, 8 + 328 * n : 328 + 328 * n] for n in range(3))
    face = np.s_[30:65, 132:148]  # Within the left half of Ann's face, red; 1:1.
    assert first[face][..., 0].mean() > 150 and second[face].mean() < 30
    red = (sheet[..., 0] > 200) & (sheet[..., 1] < 90) & (sheet[..., 2] < 90)
    assert red[8:188, 336:656].sum() > 300, 'no frame around the face'
    assert third.std() < 3  # A video that is gone is left blank.
    assert contact_sheet.draw([early] * 30).shape == (6 * 210 + 8, 4 * 328 + 8, 3)
