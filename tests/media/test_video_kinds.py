"""Kinds of video whose frames were once black, another video's, or of the wrong shape."""

import numpy as np
import pytest
from PIL import Image

from cpad_jax.errors import UserError
from cpad_jax.media import file_kinds, listing, video
from tests.support import films

TIMES = np.arange(30) / 25
FIELDS = {'flags': '+ildct+ilme'}
# name -> options of `films.write`
INTERLACED = {
    'h264.mp4': {'options': {'x264-params': 'tff=1'}},
    'h264.mts': {'options': {'x264-params': 'bff=1'}},
    'h264.mkv': {'options': {'x264-params': 'tff=1'}, 'b_frames': 0},
    'mpeg2.mpg': {'codec': 'mpeg2video', 'options': FIELDS, 'b_frames': 2},
    'mpeg4.avi': {'codec': 'mpeg4', 'options': FIELDS, 'b_frames': 0},
    'mpeg4.mp4': {'codec': 'mpeg4', 'options': FIELDS, 'b_frames': 0},
}


@pytest.fixture(params=INTERLACED)
def interlaced(request, tmp_path):
    path = tmp_path / request.param
    films.write(path, TIMES, **INTERLACED[request.param])
    return path


def test_interlaced_frames_are_the_videos_own(interlaced, tmp_path):
    with video.VideoStream(interlaced) as stream:
        assert next(stream).frame.interlaced_frame
    other = tmp_path / 'other.mp4'
    video.write_video(other, np.full((3, films.HEIGHT, films.WIDTH, 3), 90, np.uint8), 10)
    for (frame, time), number in zip(video.iterate_frames(interlaced), range(30), strict=True):
        video.sample_frames(other, count=1)  # Its memory must not show in the frames.
        assert films.read_number(frame) == number
        assert time == pytest.approx(TIMES[number], abs=1.1e-3)
        off = np.abs(frame.astype(int) - films.numbered_frame(number)).mean()
        assert off < 12
        assert frame.base is None and frame.flags.writeable
    info = video.probe(interlaced)
    assert (info.frames, info.duration) == (30, pytest.approx(1.2, abs=0.05))


# Kinds that were once taken for no video at all: name → options of `films.write`.
BARE = {
    'y4m.y4m': {'codec': 'wrapped_avframe', 'b_frames': 0},
    'recorder.mjpeg': {'codec': 'mjpeg', 'b_frames': 0},
    'recorder.MJPG': {'codec': 'mjpeg', 'b_frames': 0, 'muxing': {'format': 'mjpeg'}},
    'board.h264': {'b_frames': 0},
    'board.264': {'b_frames': 0, 'muxing': {'format': 'h264'}},
    'board.hevc': {'codec': 'libx265', 'b_frames': 0, 'options': {'x265-params': 'log-level=none'}},
}


@pytest.mark.parametrize('name', BARE)
def test_bare_streams_and_uncompressed_video_are_read(tmp_path, name):
    path = tmp_path / name
    films.write(path, TIMES, **BARE[name])
    assert listing.list_files(tmp_path, file_kinds.VIDEO).files == (path,)
    assert [films.read_number(frame) for frame, _ in video.iterate_frames(path)] == [*range(30)]
    frames, times = video.sample_frames(path, times=[0.2, 1.0])
    assert [films.read_number(frame) for frame in frames] == [5, 25]
    np.testing.assert_allclose(times, [0.2, 1.0], atol=1e-3)


@pytest.mark.parametrize('word', [b'AVI ', b'AVIX', b'AVI\x19', b'AMV '])
def test_every_form_of_avi_is_a_video_and_sound_is_not(word):
    assert file_kinds.of_bytes(b'RIFF\0\0\0\0' + word) == file_kinds.VIDEO
    assert file_kinds.of_bytes(b'RIFF\0\0\0\0WAVE') == file_kinds.OTHER


@pytest.mark.parametrize('kind', ['GIF', 'PNG', 'WEBP', 'JPEG', 'BMP'])
def test_a_picture_is_refused_as_a_picture(tmp_path, kind):
    path = tmp_path / 'party.mp4'
    Image.new('RGB', (32, 32)).save(path, kind)
    with pytest.raises(UserError, match=r'party.mp4: this is a picture and not a video; .* saved'):
        video.probe(path)
