import dataclasses
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageFont

from cpad_jax.errors import UserError
from cpad_jax.labelling import appearances, contact_sheet, find_person
from cpad_jax.media import face_embedding, file_kinds, video
from tests.support import drawn_faces as drawn
from tests.support import films
from tests.support.drawn_faces import ANN, BOB, cut_film, film, photo


@pytest.fixture(scope='module')
def embedder(tmp_path_factory):
    path = tmp_path_factory.mktemp('net') / 'colours.onnx'
    path.write_bytes(drawn.network())
    return face_embedding.FaceEmbedder(path)


def moment(name, start, end, score):
    return find_person.Moment(
        Path(name), start, end, score, start, np.array([0, 0, 1, 1], np.float32)
    )


def test_files_are_gathered_from_folders_at_any_depth(tmp_path):
    (tmp_path / 'a' / 'b').mkdir(parents=True)
    for name in ('a/1.jpg', 'a/b/2.JPEG', 'a/notes.txt', 'other.dat'):
        (tmp_path / name).touch()
    folder, other = tmp_path / 'a', tmp_path / 'other.dat'
    expected = [folder / '1.jpg', folder / 'b' / '2.JPEG', other]
    said = []
    # What is named goes in whatever its ending, and nothing twice.
    given = [folder, other, folder / '1.jpg']
    assert find_person.list_inputs(given, file_kinds.PICTURE, pytest.fail, said.append) == expected


def test_wrong_paths_are_set_aside_where_others_are_right(tmp_path):
    (tmp_path / 'empty').mkdir()
    (tmp_path / '1.jpg').touch()
    wrong, told = [tmp_path / 'nowhere', tmp_path / 'empty'], []
    found = find_person.list_inputs(
        [*wrong, tmp_path / '1.jpg'], file_kinds.PICTURE, told.append, pytest.fail
    )
    assert found == [tmp_path / '1.jpg']
    first, second = map(str, told)
    assert first == f'{wrong[0]}: there is no such file or folder'
    assert second.startswith(f'{wrong[1]}: no pictures are there')
    with pytest.raises(UserError, match='nowhere: there is no such .*; .*empty: no pictures are'):
        find_person.list_inputs(wrong, file_kinds.PICTURE, pytest.fail, pytest.fail)


CODECS = {
    '.avi': 'mpeg4', '.mpeg': 'mpeg2video', '.mpg': 'mpeg2video', '.webm': 'libvpx', '.wmv': 'wmv2',
}  # fmt: skip


@pytest.mark.parametrize('ending', video.ENDINGS)
def test_videos_of_every_ending_are_found_by_both_tools_and_can_be_read(tmp_path, ending):
    path = tmp_path / 'a' / f'film{ending.upper()}'
    path.parent.mkdir()
    lower = path.with_suffix(ending)
    films.write(lower, np.arange(5) / 25, CODECS.get(ending, 'libx264'), b_frames=0)
    lower.rename(path)
    assert find_person.list_inputs([tmp_path], file_kinds.VIDEO, pytest.fail, pytest.fail) == [path]
    assert appearances.find_videos([tmp_path]) == {f'a/{path.name}': path}
    frames, _ = video.sample_frames(path, times=[0.121])
    assert films.read_number(frames[0]) == 3


def test_photos_are_one_feature_weighted_by_quality(tmp_path, embedder, monkeypatch):
    photos = [photo(tmp_path / 'a.png', ANN), photo(tmp_path / 'b.png', BOB)]
    ann, bob = (
        find_person.embed_person([p], drawn.Detector(), embedder, pytest.fail, pytest.fail)
        for p in photos
    )
    qualities, told = iter([0.9, 0.3]), []
    monkeypatch.setattr(find_person, 'face_quality', lambda image, face: next(qualities))
    both = find_person.embed_person(photos, drawn.Detector(), embedder, pytest.fail, told.append)
    mean = 0.9 * ann + 0.3 * bob
    np.testing.assert_allclose(both, mean / np.linalg.norm(mean), atol=1e-5)
    # A face that shows nothing does not make the feature nothing.
    monkeypatch.setattr(find_person, 'face_quality', lambda image, face: 0.0)
    worst = find_person.embed_person(
        photos[:1], drawn.Detector(), embedder, pytest.fail, told.append
    )
    np.testing.assert_allclose(worst, ann, atol=1e-5)
    says = ': its face is small, blurred or seen from the side'
    assert told[0].startswith(f'warning: {photos[1]}{says}')
    assert told[1].startswith(f'warning: {photos[0]}{says}')
    assert '(quality 0.30, ' in told[0] and '(quality 0.00, ' in told[1]


@pytest.mark.parametrize(('side', 'points', 'warned'), [
    (112, 200, False), (40, 200, False), (12, 200, True), (112, 40, False), (112, 10, True),
])  # fmt: skip
def test_a_frontal_face_that_is_tiny_or_blurred_is_told(tmp_path, embedder, side, points, warned):
    noise = np.random.default_rng(0).integers(0, 256, (points, points, 3), np.uint8)
    image = Image.fromarray(noise).resize((200, 200), Image.Resampling.BICUBIC)
    image.save(tmp_path / 'a.png')

    class Frontal(drawn.Detector):
        def detect(self, image):
            return [drawn.face(20, 20, side, score=0.95)]

    told = []
    find_person.embed_person([tmp_path / 'a.png'], Frontal(), embedder, pytest.fail, told.append)
    assert [line for line in told if 'its face is small, blurred' in line] == told
    assert len(told) == warned


def test_a_photo_that_lies_on_its_side_is_told_and_used(tmp_path, embedder, monkeypatch):
    upright, told = photo(tmp_path / 'a.png', ANN), []

    def turned(image, detector):
        return np.rot90(image, -1), detector.detect(np.rot90(image, -1)), 90

    expected = find_person.embed_person(
        [upright], drawn.Detector(), embedder, pytest.fail, told.append
    )
    assert told == []
    Image.fromarray(np.rot90(np.asarray(Image.open(upright)))).save(tmp_path / 'side.png')
    monkeypatch.setattr(find_person.face_turns, 'upright_faces', turned)
    found = find_person.embed_person(
        [tmp_path / 'side.png'], drawn.Detector(), embedder, pytest.fail, told.append
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert told == [
        f'note: {tmp_path}/side.png: turned by 90 degrees clockwise to where its face is upright'
    ]


def test_photos_without_one_face_are_set_aside(tmp_path, embedder):
    bad = [photo(tmp_path / 'none.png'), photo(tmp_path / 'two.png', ANN, BOB), tmp_path / 'no.png']
    told = []
    good = photo(tmp_path / 'a.png', ANN)
    feature = find_person.embed_person(
        [*bad, good], drawn.Detector(), embedder, told.append, pytest.fail
    )
    alone = find_person.embed_person([good], drawn.Detector(), embedder, pytest.fail, pytest.fail)
    np.testing.assert_array_equal(feature, alone)
    said = [str(error) for error in told]
    for text, says in zip(said, ('no face was', 'no such file', '2 faces were'), strict=True):
        assert says in text
    with pytest.raises(UserError, match='none of the photos determines whose face is meant'):
        find_person.embed_person(bad, drawn.Detector(), embedder, told.append, pytest.fail)


def test_which_of_several_faces_is_meant_is_told_by_the_other_photos(
    tmp_path, embedder, monkeypatch
):
    monkeypatch.setattr(embedder, 'threshold', 0.8)
    group = photo(tmp_path / 'group.png', BOB, ANN)
    for number, who in enumerate((ANN, BOB)):
        alone, told = photo(tmp_path / 'alone.png', who), []
        expected = find_person.embed_person(
            [alone], drawn.Detector(), embedder, pytest.fail, pytest.fail
        )
        for photos in ([group, alone], [alone, group]):
            feature = find_person.embed_person(
                photos, drawn.Detector(), embedder, pytest.fail, told.append
            )
            np.testing.assert_allclose(feature, expected, atol=1e-3)
        left = 100 - 80 * number
        line = f'note: {group}: of 2 faces, 80x80 pixels at x={left} y=20 is used'
        assert told == [line] * 2
    # Two photos of the same two people do not tell it.
    told, other = [], photo(tmp_path / 'other.png', ANN, BOB)
    with pytest.raises(UserError, match='none of the photos determines whose face is meant'):
        find_person.embed_person(
            [group, other], drawn.Detector(), embedder, told.append, pytest.fail
        )
    assert [str(line).split(': ')[0] for line in told] == [str(group), str(other)]
    assert 'the other photos do not determine whose is meant; crop' in str(told[0])


def test_a_photo_of_somebody_else_than_most_show_is_set_aside(tmp_path, embedder, monkeypatch):
    monkeypatch.setattr(embedder, 'threshold', 0.8)
    ann = [photo(tmp_path / f'{side}.png', ANN, side=side) for side in (70, 80)]
    bob = photo(tmp_path / 'bob.png', BOB)
    told = []
    feature = find_person.embed_person(
        [bob, *ann], drawn.Detector(), embedder, told.append, pytest.fail
    )
    expected = find_person.embed_person(ann, drawn.Detector(), embedder, pytest.fail, pytest.fail)
    np.testing.assert_array_equal(feature, expected)
    [line] = map(str, told)
    assert line.startswith(f'{bob}: not the person in most of the photos, as it seems (cosine 0.5')
    assert 'expected 0.80 or more' in line


def test_photos_of_two_people_of_whom_none_is_in_most_are_warned_of(
    tmp_path, embedder, monkeypatch
):
    ann, bob = photo(tmp_path / 'ann.png', ANN), photo(tmp_path / 'bob.png', BOB)
    # At a lower threshold the two would agree.
    find_person.embed_person([ann, bob], drawn.Detector(), embedder, pytest.fail, pytest.fail)
    monkeypatch.setattr(embedder, 'threshold', 0.8)
    told = []
    feature = find_person.embed_person(
        [ann, bob], drawn.Detector(), embedder, pytest.fail, told.append
    )
    [line] = told
    assert line.startswith('warning: ') and str(ann) in line and str(bob) in line
    assert '(cosine 0.57 at most, expected 0.80 or more); all are used' in line
    alone = [
        find_person.embed_person([p], drawn.Detector(), embedder, pytest.fail, pytest.fail)
        for p in (ann, bob)
    ]
    assert min(feature @ alone[0], feature @ alone[1]) > 0.85


def test_every_face_of_a_video_is_a_moment(tmp_path, embedder):
    ann = find_person.embed_person(
        [photo(tmp_path / 'a.png', ANN)], drawn.Detector(), embedder, pytest.fail, pytest.fail
    )
    path = film(tmp_path / 'film.mp4', 'A--B')
    first, second = find_person.find_moments(path, ann, drawn.Detector(), embedder, rate=5)
    assert (first.video, first.start, second.start) == (path, 0, pytest.approx(3, abs=0.01))
    # Last seen at 0.8 s, and taken for there until the next frame that is looked at.
    assert first.end == pytest.approx(1, abs=0.01) and second.end == pytest.approx(4, abs=0.01)
    assert first.score > 0.97 > 0.7 > second.score
    assert first.start <= first.best_time <= first.end
    np.testing.assert_allclose(first.box, [16 / 96, 40 / 160, 80 / 96, 104 / 160], atol=0.03)


def test_a_moment_of_a_slow_video_ends_where_the_next_frame_begins(tmp_path, embedder):
    ann = find_person.embed_person(
        [photo(tmp_path / 'a.png', ANN)], drawn.Detector(), embedder, pytest.fail, pytest.fail
    )
    path = film(tmp_path / 'film.mp4', '-A-A', fps=1)
    for seconds in (1, 5):
        slow = tmp_path / f'{seconds}.mkv'
        with av.open(str(path)) as source, av.open(str(slow), 'w') as target:
            stream = target.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.size:
                    for name in ('pts', 'dts', 'duration'):
                        setattr(packet, name, getattr(packet, name) * seconds)
                    packet.stream = stream
                    target.mux(packet)
        moments = list(find_person.find_moments(slow, ann, drawn.Detector(), embedder))
        expected = [(seconds, 2 * seconds), (3 * seconds, 4 * seconds)]
        assert [(m.start, m.end) for m in moments] == [pytest.approx(e, abs=0.01) for e in expected]


def test_interlaced_videos_show_who_is_in_them_and_nobody_else(tmp_path, embedder):
    ann = find_person.embed_person(
        [photo(tmp_path / 'a.png', ANN)], drawn.Detector(), embedder, pytest.fail, pytest.fail
    )
    told = {}
    for name, seen, fields in (
        ('a.mp4', 'A', False), ('b.mp4', '-', True), ('c.mts', 'B', True), ('d.mkv', 'A', False),
        ('e.mts', '-', True), ('f.mp4', 'A', True), ('g.mkv', '-', True),
    ):  # fmt: skip
        path = film(tmp_path / 'drawn.mp4', seen)
        with av.open(str(tmp_path / name), 'w') as target:
            stream = target.add_stream('libx264', rate=10)
            stream.height, stream.width, stream.pix_fmt = 96, 160, 'yuv420p'
            stream.options = {'preset': 'ultrafast'} | ({'x264-params': 'tff=1'} if fields else {})
            for frame, _ in video.iterate_frames(path):
                target.mux(stream.encode(av.VideoFrame.from_ndarray(frame, 'rgb24')))
            target.mux(stream.encode())
        moments = find_person.find_moments(tmp_path / name, ann, drawn.Detector(), embedder)
        told[name] = ''.join('A' if moment.score > 0.9 else 'B' for moment in moments)
    assert told == {
        'a.mp4': 'A', 'b.mp4': '', 'c.mts': 'B', 'd.mkv': 'A', 'e.mts': '', 'f.mp4': 'A',
        'g.mkv': '',
    }  # fmt: skip


def test_what_is_seen_before_a_video_breaks_off_is_given(tmp_path, embedder):
    ann = find_person.embed_person(
        [photo(tmp_path / 'a.png', ANN)], drawn.Detector(), embedder, pytest.fail, pytest.fail
    )
    path = cut_film(tmp_path / 'film.avi', '-AA', 25)
    found = []
    with pytest.raises(
        find_person.PartialVideoError, match=r'film.avi: the video breaks off at 2\.5 s of 3\.0'
    ) as raised:
        for one in find_person.find_moments(path, ann, drawn.Detector(), embedder):
            found.append(one)
    # She is in view when it breaks off.
    assert len(found) == 1 and found[0].score > 0.97
    assert found[0].start == pytest.approx(1, abs=0.1)
    assert found[0].end == pytest.approx(2.5, abs=0.1)
    assert raised.value.until == pytest.approx(2.3, abs=0.01)


def test_a_video_of_which_no_frame_is_seen_is_not_read_in_part(tmp_path, embedder, monkeypatch):
    path = film(tmp_path / 'film.mp4', 'A')

    def breaks(path, rate):
        raise UserError(f'{path}: breaks off')
        yield

    monkeypatch.setattr(video, 'iterate_grid', breaks)
    with pytest.raises(UserError, match='breaks off') as raised:
        list(find_person.find_moments(path, np.zeros(embedder.width), drawn.Detector(), embedder))
    assert not isinstance(raised.value, find_person.PartialVideoError)


def test_moments_are_joined_and_the_best_come_first():
    moments = [
        moment('b.mp4', 3.0, 4.0, 0.5), moment('a.mp4', 5.0, 6.0, 0.4),
        moment('a.mp4', 1.0, 4.0, 0.6), moment('a.mp4', 2.0, 3.0, 0.7),
        moment('a.mp4', 7.1, 8.0, 0.9), moment('b.mp4', 4.5, 5.0, 0.29),
    ]  # fmt: skip
    found = find_person.merge_moments(moments, 0.3)
    assert [(m.video.name, m.start, m.end, m.score, m.best_time) for m in found] == [
        ('a.mp4', 7.1, 8.0, 0.9, 7.1),
        ('a.mp4', 1.0, 6.0, 0.7, 2.0),
        ('b.mp4', 3.0, 4.0, 0.5, 3.0),
    ]
    assert find_person.merge_moments(moments, 0.91) == []
    assert [m.score for m in find_person.merge_moments(moments, 0.9)] == [0.9]


def test_times_are_written_as_players_do():
    shown = [contact_sheet.format_time(seconds) for seconds in (0, 9.96, 62.54, 3599.96, 36_061.2)]
    assert shown == ['0:00.0', '0:10.0', '1:02.5', '1:00:00.0', '10:01:01.2']


def test_captions_are_in_letters_that_can_be_drawn_and_fit(tmp_path):
    font, box = ImageFont.load_default(14), np.zeros(4, np.float32)
    moment = find_person.Moment(tmp_path / 'a – Zoë.mp4', 61.0, 62.5, 0.9, 61.5, box)
    assert contact_sheet.caption(moment, font) == '0.90  1:01.0-1:02.5  a - Zoe.mp4'
    long = dataclasses.replace(moment, video=tmp_path / f'holiday{"_at_sea" * 9}_017.mp4')
    found = contact_sheet.caption(long, font)
    assert found.startswith('0.90  1:01.0-1:02.5  holiday_') and found.endswith('..._017.mp4')
    assert 300 < font.getlength(found) <= 320


def test_the_sheet_shows_the_faces_and_frames_them(tmp_path):
    path = film(tmp_path / 'a.mp4', '-A')
    box = np.array([16 / 96, 40 / 160, 80 / 96, 104 / 160], np.float32)
    late = find_person.Moment(path, 1.0, 2.0, 0.9, 1.5, box)
    early = find_person.Moment(path, 0.0, 1.0, 0.5, 0.5, box)
    gone = find_person.Moment(tmp_path / 'gone.mp4', 0.0, 1.0, 0.4, 0.5, box)
    sheet = contact_sheet.draw([late, early, gone]).astype(int)
    first, second, third = (sheet[8:188, 8 + 328 * n : 328 + 328 * n] for n in range(3))
    face = np.s_[30:65, 132:148]  # Within the left half of Ann's face, red; 1:1.
    assert first[face][..., 0].mean() > 150 and second[face].mean() < 30
    red = (sheet[..., 0] > 200) & (sheet[..., 1] < 90) & (sheet[..., 2] < 90)
    assert red[8:188, 336:656].sum() > 300, 'no frame around the face'
    assert third.std() < 3  # A video that is gone is left blank.
    assert contact_sheet.draw([early] * 30).shape == (6 * 210 + 8, 4 * 328 + 8, 3)
