"""Kinds of video whose frames were once black, another video's, or of the wrong shape."""

import films
import numpy as np
import pytest

from cpad_jax.media import video

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
