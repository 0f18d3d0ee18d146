"""Reading by jumps gives, bit for bit, what reading every frame gives."""

import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.media import video
from cpad_jax.media.video_file import VideoFile
from cpad_jax.media.video_stream import VideoStream
from tests.support import films

STEADY = np.arange(300) / 25
# Frames of 20 to 120 ms, in whole milliseconds.
UNEVEN = np.cumsum([0, *np.random.default_rng(0).choice([20, 33, 47, 120], 299)]) / 1000
# Half of the frames of an even rate are missing.
GAPS = np.flatnonzero(np.random.default_rng(1).random(600) < 0.5)[:300] / 25
GAPS -= GAPS[0]
X265 = 'log-level=none:keyint=25:min-keyint=25:scenecut=0:pools=none:frame-threads=1'

# name -> (times, options of `films.write`, whether jumps are sure enough to be made)
FILMS = {
    'steady.mp4': (STEADY, {}, True),
    'h264.avi': (STEADY, {'b_frames': 0}, False),
    'steady.mkv': (STEADY, {}, True),
    'uneven.mp4': (UNEVEN, {}, True),
    'uneven.mov': (UNEVEN, {'b_frames': 0}, True),
    'uneven.mkv': (UNEVEN, {'b_frames': 3}, True),
    'gaps.mp4': (GAPS, {}, True),
    'gaps.mkv': (GAPS, {}, True),
    'sound.mp4': (STEADY, {'sound': True}, True),
    'sound.mkv': (UNEVEN, {'sound': True}, True),
    'turned.mp4': (UNEVEN, {'turned': 90}, True),
    'mpeg4.avi': (STEADY, {'codec': 'mpeg4', 'b_frames': 0}, True),
    'mpeg4.mp4': (UNEVEN, {'codec': 'mpeg4'}, True),
    'every.avi': (STEADY, {'codec': 'mjpeg', 'b_frames': 0}, True),
    'hevc.mp4': (UNEVEN, {'codec': 'libx265', 'options': {'x265-params': X265}}, True),
    'vp9.webm': (
        UNEVEN,
        {'codec': 'libvpx-vp9', 'options': {'deadline': 'realtime', 'cpu-used': '8'}},
        True,
    ),
    # Key frames of an open group may be followed by frames that look back beyond them.
    'open.mp4': (STEADY, {'options': {'x264-params': 'open_gop=1:keyint=25:bframes=2'}}, False),
    # Flagged as key frames are places from which on the picture is mended strip by strip.
    'strips.mp4': (STEADY, {'options': {'x264-params': 'intra-refresh=1:keyint=25'}}, False),
    # No demuxer of FFmpeg says of these where exactly it goes.
    'steady.ts': (STEADY, {}, False),
    # AVI has no place for the times of B frames.
    'backwards.avi': (STEADY, {'b_frames': 2}, False),
    'backwards4.avi': (STEADY, {'codec': 'mpeg4', 'b_frames': 2}, False),
    'one_key.mp4': (STEADY, {'gop': 1000}, False),
}


@pytest.fixture(scope='module', params=FILMS)
def film(request, tmp_path_factory):
    """(path, when its frames begin, whether it can be jumped in)."""
    times, options, may_jump = FILMS[request.param]
    path = tmp_path_factory.mktemp('film') / request.param
    films.write(path, times, **options)
    return path, times, may_jump


@pytest.fixture
def jumps(monkeypatch):
    """Where each jump led to, in seconds."""
    made = []
    jump = VideoStream.jump

    def spy(self, time):
        reached = jump(self, time)
        made.extend([] if reached is None else [reached])
        return reached

    monkeypatch.setattr(VideoStream, 'jump', spy)
    return made


def _samples(begins):
    end = begins[-1]
    rng = np.random.default_rng(7)
    yield np.arange(0.5, end, 3.1)
    yield np.arange(1.9, end, 1.9)
    yield np.array([end / 2, end / 2, end])
    yield np.array([end * 0.98])
    yield np.array([end * 0.7, end + 100])
    for count in (2, 4, 8):
        yield np.sort(rng.uniform(0, end, count))
        # The very moments at which frames begin, and just before them.
        chosen = np.sort(rng.choice(begins[1:], count, replace=False))
        yield chosen
        yield chosen - 2e-3


def test_jumps_give_the_frames_that_reading_every_frame_gives(film, jumps):
    path, begins, may_jump = film
    for times in _samples(begins):
        every = list(video.iterate_frames(path, times.tolist(), may_jump=False))
        assert not jumps or may_jump
        chosen = list(video.iterate_frames(path, times.tolist()))
        assert len(every) == len(chosen) == len(times)
        for wanted, (frame, time), (same, same_time) in zip(times, every, chosen, strict=True):
            assert time == same_time
            np.testing.assert_array_equal(frame, same)
            number = films.read_number(frame)
            assert begins[number] == pytest.approx(time, abs=1.1e-3)
            # The last frame that began by then; stamps are rounded to a millisecond.
            assert begins[number] <= wanted + 2e-3
            assert number == len(begins) - 1 or begins[number + 1] > wanted
    assert bool(jumps) == may_jump


def test_a_turned_film_is_probed_and_read_upright(tmp_path):
    for turned in (90, 180, 270):
        path = tmp_path / f'{turned}.mp4'
        films.write(path, UNEVEN[:60], turned=turned)
        info = video.probe(path)
        assert (info.height, info.width) == (films.HEIGHT, films.WIDTH)
        frames, times = video.sample_frames(path, count=5)
        assert frames.shape[1:] == (films.HEIGHT, films.WIDTH, 3)
        numbers = [films.read_number(frame) for frame in frames]
        np.testing.assert_allclose(times, UNEVEN[numbers], atol=1e-3)
        assert len(set(numbers)) == 5


@pytest.mark.parametrize('name', ['uneven.mp4', 'gaps.mp4', 'gaps.mkv'])
def test_the_length_of_a_film_of_uneven_rate(tmp_path, name):
    times = FILMS[name][0]
    path = tmp_path / name
    films.write(path, times)
    info = video.probe(path)
    assert info.duration == pytest.approx(times[-1], abs=0.15)
    assert info.fps == pytest.approx(info.frames / info.duration)
    if path.suffix == '.mp4':
        assert info.frames == 300
    # Middles of four equal parts of the true length.
    _, begins = video.sample_frames(path, count=4)
    middles = (np.arange(4) + 0.5) * info.duration / 4
    np.testing.assert_allclose(begins, [times[times <= t + 1e-3][-1] for t in middles], atol=1e-3)


def test_a_jump_that_does_not_lead_where_it_should_is_taken_back(tmp_path, monkeypatch, jumps):
    path = tmp_path / 'steady.mp4'
    films.write(path, STEADY)
    times = [4.2, 8.1, 11.0]
    expected = list(video.iterate_frames(path, times, may_jump=False))
    seek, asked = VideoFile.seek, []

    def astray(self, stamp, by):
        asked.append(by)
        seek(self, max(0, stamp + by * 30_000 // 25))

    for wrong in (-30, -1000, 14, 60, 1000):
        monkeypatch.setattr(VideoFile, 'seek', lambda self, to, by=wrong: astray(self, to, by))
        for (frame, time), (right, right_time) in zip(
            video.iterate_frames(path, times), expected, strict=True
        ):
            assert time == right_time
            np.testing.assert_array_equal(frame, right)
        assert wrong in asked


def _all_flagged(avi):
    """The bytes of an AVI file whose index calls every frame a key frame."""
    start = avi.rindex(b'idx1')
    for place in range(start + 8, len(avi) - 15, 16):
        avi[place + 4] |= 0x10
    return avi


@pytest.mark.parametrize('name', ['h264.mp4', 'mpeg4.mp4', 'mpeg4.avi'])
def test_wrong_flags_of_key_frames_are_not_believed(tmp_path, jumps, name):
    path = tmp_path / name
    films.write(path, STEADY, codec={'h264': 'libx264'}.get(path.stem, path.stem), b_frames=0)
    targets = [[time] for time in np.arange(5, 11, 0.4)]
    expected = [next(video.iterate_frames(path, target, may_jump=False)) for target in targets]
    data = path.read_bytes()
    if path.suffix == '.mp4':
        # Without its table of key frames, an MP4 file says that every frame is one.
        data = data.replace(b'stss', b'free')
    else:
        data = _all_flagged(bytearray(data))
    path.write_bytes(data)
    for target, (frame, time) in zip(targets, expected, strict=True):
        [(same, same_time)] = video.iterate_frames(path, target)
        assert time == same_time
        np.testing.assert_array_equal(frame, same)
    # In AVI a jump leads to the key frame itself, which is one; the index can do no harm.
    assert jumps or path.suffix == '.mp4'


def test_a_film_whose_beginning_was_cut_off_by_an_edit(tmp_path, jumps):
    path = tmp_path / 'edited.mp4'
    films.write(path, STEADY)
    data = bytearray(path.read_bytes())
    place = data.index(b'elst') + 4 + 4 + 4 + 4  # Version, number of edits, length of the edit.
    start = int.from_bytes(data[place : place + 4])
    data[place : place + 4] = (start + 40 * 30_000 // 25).to_bytes(4)
    path.write_bytes(data)
    times = [0.0, 1.5, 4.6, 9.3]
    every = list(video.iterate_frames(path, times, may_jump=False))
    for (frame, time), (same, same_time) in zip(
        video.iterate_frames(path, times), every, strict=True
    ):
        assert time == same_time
        np.testing.assert_array_equal(frame, same)
        assert STEADY[films.read_number(frame)] == pytest.approx(1.6 + time, abs=2e-3)
    assert jumps


@pytest.mark.parametrize('name', ['cut.mkv', 'cut.mp4'])
def test_a_cut_off_film_breaks_off_where_it_does_without_jumps(tmp_path, jumps, name):
    path = tmp_path / name
    # With its index at the front, as in films from the web, an MP4 file opens however short.
    films.write(path, STEADY, muxing={'movflags': 'faststart'} if name == 'cut.mp4' else None)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    told = []
    for may_jump in (True, False):
        reading = video.iterate_frames(path, [3.0, 6.0, 11.5], may_jump=may_jump)
        assert [films.read_number(next(reading)[0]) for _ in range(2)] == [75, 150]
        with pytest.raises(UserError, match=r'breaks off at \d\.\d s of 12.0 s') as raised:
            next(reading)
        told.append(str(raised.value))
    assert told[0] == told[1]
    assert jumps


def test_after_a_jump_the_film_is_read_to_its_end(tmp_path, jumps):
    path = tmp_path / 'gaps.mp4'
    films.write(path, GAPS)
    times = [*GAPS[100:].tolist(), 99.0]
    numbers = [films.read_number(frame) for frame, _ in video.iterate_frames(path, times)]
    assert numbers == [*range(100, 300), 299]
    assert jumps


def test_a_file_with_sound_only_and_one_that_claims_too_much(tmp_path):
    path = tmp_path / 'sound.mp4'
    films.write_sound(path)
    with pytest.raises(UserError, match=r'sound\.mp4: no picture can be decoded'):
        video.probe(path)
    path = tmp_path / 'film.avi'
    films.write(path, STEADY[:30], codec='mpeg4', b_frames=0)
    data = bytearray(path.read_bytes())
    place = data.index(b'strh') + 8 + 32
    assert int.from_bytes(data[place : place + 4], 'little') == 30
    data[place : place + 4] = (2**31 - 1).to_bytes(4, 'little')
    path.write_bytes(data)
    # A header is not believed: what is there is read, up to its end.
    info = video.probe(path)
    assert (info.frames, info.duration) == (30, pytest.approx(1.2))
    frames, _ = video.sample_frames(path, rate=5)
    assert [films.read_number(frame) for frame in frames] == [2, 7, 12, 17, 22, 27]


def test_frames_side_by_side_are_read_without_asking_for_packets(tmp_path, monkeypatch):
    path = tmp_path / 'steady.mp4'
    films.write(path, STEADY[:100])
    monkeypatch.delattr('cpad_jax.media.video_stream.Packets')
    frames, _ = video.sample_frames(path, rate=1)
    assert [films.read_number(frame) for frame in frames] == [12, 37, 62, 87]
    assert sum(1 for _ in video.iterate_frames(path)) == 100


def test_memory_does_not_grow_with_the_length(tmp_path):
    path = tmp_path / 'long.mp4'
    films.write(path, np.arange(1000) / 25, gop=20)
    with VideoStream(path) as stream:
        next(stream)
        for time in (12.0, 39.0):
            assert stream.jump(time).time == pytest.approx(time)
            # Three groups of 20 frames before the wanted one and its own, and those beyond it.
            assert len(stream._packets.between(0, 100)) < 120
        assert stream.jumps == 2
