import errno
import os
import struct
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cpad_jax.errors import UserError
from cpad_jax.media import video


def grey_frames(count, height=48, width=64):
    """Frames [T, H, W, 3] of one grey each, 10 levels apart: a frame's level tells its number."""
    levels = np.arange(count, dtype=np.uint8) * 10 + 20
    return np.broadcast_to(levels[:, None, None, None], (count, height, width, 3)).copy()


def numbers(frames):
    """Which of `grey_frames` each frame is."""
    return np.round((frames.reshape(len(frames), -1).mean(axis=1) - 20) / 10).astype(int).tolist()


@pytest.fixture(scope='module')
def grey_video(tmp_path_factory):
    """A video of 20 frames at 10 frames/s, 64x48, whose frames tell their number."""
    path = tmp_path_factory.mktemp('video') / 'grey.mp4'
    video.write_video(path, grey_frames(20), 10)
    return path


def test_probe(grey_video):
    info = video.probe(grey_video)
    assert (info.width, info.height, info.frames) == (64, 48, 20)
    assert (info.fps, info.duration) == (pytest.approx(10), pytest.approx(2.0))


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        # Frame k is shown from k / 10 s on until the next one begins.
        ({'times': [0, 0.09, 0.1, 0.25, 0.3, 1.99]}, [0, 0, 1, 2, 3, 19]),
        ({'times': [0.5, 0.5, 7, 8]}, [5, 5, 19, 19]),
        # Middles of 4 parts of 0.5 s: 0.25, 0.75, 1.25, 1.75.
        ({'count': 4}, [2, 7, 12, 17]),
        ({'count': 20}, list(range(20))),
        ({'count': 1}, [10]),
        # Middles of intervals of 0.4 s: 0.2, 0.6, 1.0, 1.4, 1.8.
        ({'rate': 2.5}, [2, 6, 10, 14, 18]),
        ({'rate': 10}, list(range(20))),
        # A video shorter than the interval still gives a frame.
        ({'rate': 0.1}, [19]),
    ],
)
def test_frames_are_those_shown_at_the_times(grey_video, options, expected):
    frames, times = video.sample_frames(grey_video, **options)
    assert numbers(frames) == expected
    np.testing.assert_allclose(times, np.array(expected) / 10, atol=1e-3)
    assert (frames.dtype, times.dtype) == (np.uint8, np.float32)


def test_every_frame_in_order_and_in_constant_memory(grey_video):
    begins = []
    for number, (frame, time) in enumerate(video.iterate_frames(grey_video)):
        assert numbers(frame[None]) == [number]
        begins.append(time)
    np.testing.assert_allclose(begins, np.arange(20) / 10, atol=1e-6)


def test_sparse_times_give_the_same_frames_as_all_times(tmp_path):
    path = tmp_path / 'long.mp4'
    video.write_video(path, grey_frames(23), 2.3)
    every = list(video.iterate_frames(path))
    for time in (0.0, 4.2, 9.3, 9.8):
        [(frame, begins)] = video.iterate_frames(path, [time])
        expected = [f for f, t in every if t <= time + 1e-3][-1]
        np.testing.assert_array_equal(frame, expected)
        assert begins <= time + 1e-3


def test_a_frame_that_is_shown_for_long_is_found(grey_video, tmp_path):
    # The same file with every frame shown for half a second: the one entry of its timing table is
    # changed, and the edit list, which would cut the video at its old length, is made void.
    data = grey_video.read_bytes().replace(b'edts', b'free')
    start = data.index(b'stts') + 4
    version, entries, count, ticks = struct.unpack('>4I', data[start : start + 16])
    assert (version, entries, count) == (0, 1, 20)
    path = tmp_path / 'slow.mp4'
    path.write_bytes(data[: start + 12] + struct.pack('>I', ticks * 5) + data[start + 16 :])
    # Nothing tells that the first frame is shown for so long until the second one comes.
    frames, times = video.sample_frames(path, times=[0.3, 0.49, 0.5, 4.3, 12.0])
    assert numbers(frames) == [0, 0, 1, 8, 19]
    np.testing.assert_allclose(times, [0, 0, 0.5, 4.0, 9.5], atol=1e-3)


@pytest.mark.parametrize(
    ('size', 'expected'), [((30, 50), (30, 50)), (24, (24, 32)), (96, (96, 128)), (None, (48, 64))]
)
def test_size_while_decoding(grey_video, size, expected):
    frames, _ = video.sample_frames(grey_video, times=[0, 1], size=size)
    assert frames.shape == (2, *expected, 3)
    assert numbers(frames) == [0, 10]


def test_written_video_keeps_colours_and_is_the_same_every_time(tmp_path):
    frames = np.zeros((5, 64, 96, 3), np.uint8)
    frames[..., :48, 0], frames[..., 48:, 2] = 200, 160  # red left, blue right
    for name in ('a.mp4', 'b.mp4'):
        video.write_video(tmp_path / name, frames, 25)
    assert (tmp_path / 'a.mp4').read_bytes() == (tmp_path / 'b.mp4').read_bytes()
    read, _ = video.sample_frames(tmp_path / 'a.mp4', rate=25)
    assert read.shape == frames.shape
    assert np.abs(read[:, 8:-8, 8:40].astype(int) - [200, 0, 0]).max() < 12
    assert np.abs(read[:, 8:-8, 56:-8].astype(int) - [0, 0, 160]).max() < 12
    assert sorted(p.name for p in tmp_path.iterdir()) == ['a.mp4', 'b.mp4']


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / 'a.mp4'
    video.write_video(path, grey_frames(4), 10)
    before = path.read_bytes()
    encode = video._encode
    monkeypatch.setattr(video, '_encode', lambda p, frames, *how: encode(p, frames[:-1], *how) + 1)
    with pytest.raises(UserError, match='3 of 4 frames'):
        video.write_video(path, grey_frames(4), 10)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def _rotated(data, degrees):
    """The same MP4 whose track header asks for a turn, as phones write it."""
    matrix = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[degrees]
    a, b, c, d = (value * 0x10000 for value in matrix)
    start = data.index(b'tkhd') + 4 + 40
    old = struct.unpack('>9i', data[start : start + 36])
    assert old == (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    new = struct.pack('>9i', a, b, 0, c, d, 0, 0, 0, 0x40000000)
    return data[:start] + new + data[start + 36 :]


@pytest.mark.parametrize(
    ('degrees', 'bright'),
    [
        (90, np.s_[:, :, 40:]),  # turned clockwise, the top is at the right
        (180, np.s_[:, 40:, :]),
        (270, np.s_[:, :, :8]),
    ],
)
def test_phone_videos_come_out_upright(tmp_path, degrees, bright):
    frames = np.full((3, 48, 64, 3), 20, np.uint8)
    frames[:, :8] = 220  # a bright bar at the top
    path = tmp_path / 'phone.mp4'
    video.write_video(path, frames, 10)
    path.write_bytes(_rotated(path.read_bytes(), degrees))
    info = video.probe(path)
    read, _ = video.sample_frames(path, count=2)
    assert (info.height, info.width) == read.shape[1:3]
    assert (info.height, info.width) == ((48, 64) if degrees == 180 else (64, 48))
    assert read[bright].mean() > 200
    assert read.mean() < 80


def _sound(path):
    with wave.open(str(path), 'wb') as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16_000))


def _without_frames(path, tmp_path):
    import cv2

    whole = tmp_path / 'none.mp4'
    codec = cv2.VideoWriter_fourcc(*'mp4v')
    cv2.VideoWriter(str(whole), cv2.CAP_FFMPEG, codec, 10, (64, 48)).release()
    path.write_bytes(whole.read_bytes())


@pytest.mark.parametrize(
    ('kind', 'says'),
    [
        ('missing', 'no such file'),
        ('folder', 'is a folder'),
        ('empty', 'is empty'),
        ('text', 'not a video'),
        ('picture', 'not a video'),
        ('sound', 'holds only sound'),
        ('zero length', 'no picture can be decoded'),
        ('cut', 'truncated'),
    ],
)
def test_bad_files_are_named_and_explained(tmp_path, grey_video, kind, says):
    # By the name FFmpeg would take this one for the video of a terminal.
    path = tmp_path / ('bad.txt' if kind == 'text' else 'bad.mp4')
    whole = grey_video.read_bytes()
    if kind == 'folder':
        path.mkdir()
    elif kind == 'picture':
        Image.fromarray(grey_frames(1)[0]).save(path, format='PNG')
    elif kind == 'sound':
        _sound(path)
    elif kind == 'zero length':
        _without_frames(path, tmp_path)
    elif kind != 'missing':
        content = {'empty': b'', 'text': b'some words\n' * 999, 'cut': whole[: len(whole) // 2]}
        path.write_bytes(content[kind])
    for use in (video.probe, lambda p: video.sample_frames(p, count=2)):
        with pytest.raises(UserError, match=says) as raised:
            use(path)
        assert str(path) in str(raised.value)
        assert '\n' not in str(raised.value)


def test_a_file_that_may_not_be_read_is_named(grey_video, monkeypatch):
    def refuse(path, *_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, 'open', refuse)
    with pytest.raises(UserError, match=r'grey.mp4: the file cannot be read \(Permission denied'):
        video.probe(grey_video)


def test_an_avi_that_breaks_off_says_where(tmp_path):
    import cv2

    path = tmp_path / 'a.avi'
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*'MJPG'), 10, (64, 48)
    )
    # Noise makes frames large, so that half of the file is half of the frames.
    noise = np.random.default_rng(0).integers(0, 40, (48, 64, 3), dtype=np.uint8)
    for frame in grey_frames(20):
        writer.write(frame - 20 + noise)
    writer.release()
    assert video.sample_frames(path, count=20)[0].shape[0] == 20
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    # What lies before the break can be had; what lies after it cannot.
    assert numbers(video.sample_frames(path, times=[0.25])[0]) == [2]
    with pytest.raises(UserError, match=r'breaks off at [01]\.\d s of 2.0 s'):
        video.sample_frames(path, count=4)


def test_broken_files_make_no_noise(tmp_path, grey_video):
    path = tmp_path / 'cut.mp4'
    path.write_bytes(grey_video.read_bytes()[:-100])
    script = (
        'import sys\nfrom cpad_jax.errors import UserError\nfrom cpad_jax.media import video\n'
        'try:\n    video.probe(sys.argv[1])\nexcept UserError:\n    print("told")\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', script, str(path)], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ('told\n', '')


def test_wrong_use_is_refused(grey_video, tmp_path):
    for options in ({}, {'count': 2, 'rate': 1.0}, {'times': [1.0, 0.5]}, {'times': []}):
        with pytest.raises(ValueError):
            video.sample_frames(grey_video, **options)
    with pytest.raises(ValueError, match='even size'):
        video.write_video(tmp_path / 'a.mp4', grey_frames(2, 47, 64), 10)
    with pytest.raises(ValueError, match='expected uint8'):
        video.write_video(tmp_path / 'a.mp4', np.zeros((0, 48, 64, 3), np.uint8), 10)


@pytest.mark.parametrize('wanted', [{'count': 0}, {'count': -1}, {'rate': 0.0}, {'rate': -2.0}])
def test_no_frames_at_all_cannot_be_sampled(wanted):
    with pytest.raises(ValueError, match='count must be 1 or more and rate above 0'):
        video.sample_frames('nowhere.mp4', **wanted)
