"""Reading by jumps gives, bit for bit, what reading every frame gives."""

import films
import numpy as np
import pytest

from cpad_jax.media import video
from cpad_jax.media.video_stream import VideoStream

STEADY = np.arange(300) / 25
# Frames of 20 to 120 ms, in whole milliseconds.
UNEVEN = np.cumsum([0, *np.random.default_rng(0).choice([20, 33, 47, 120], 299)]) / 1000
# Half of the frames of an even rate are missing: OpenCV takes that rate for the mean.
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
    ask = VideoStream._ask
    for wrong in (-30, 14, 60):
        jumps.clear()
        monkeypatch.setattr(VideoStream, '_ask', lambda self, key, by=wrong: ask(self, key) + by)
        for (frame, time), (right, right_time) in zip(
            video.iterate_frames(path, times), expected, strict=True
        ):
            assert time == right_time
            np.testing.assert_array_equal(frame, right)


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
    assert bool(jumps) == (path.suffix == '.avi')


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


def test_a_cut_off_film_breaks_off_where_it_does_without_jumps(tmp_path, jumps):
    path = tmp_path / 'cut.mkv'
    films.write(path, STEADY)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    told = []
    for may_jump in (True, False):
        reading = video.iterate_frames(path, [3.0, 6.0, 11.5], may_jump=may_jump)
        assert [films.read_number(next(reading)[0]) for _ in range(2)] == [75, 150]
        with pytest.raises(video.UserError, match=r'breaks off at \d\.\d s of 12.0 s') as raised:
            next(reading)
        told.append(str(raised.value))
    assert told[0] == told[1]
    assert jumps


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
            assert stream.jump(time) == pytest.approx(time)
            # Three groups of 20 frames before the wanted one and its own, and those beyond it.
            assert len(stream._packets.between(0, 100)) < 120
        assert stream.jumps == 2
