from fractions import Fraction

import av
import numpy as np
import pytest

from cpad_jax.media import video


def write(path, late, sound=True):
    """Two seconds of picture that begin `late` seconds after the sound."""
    codec = 'mpeg4' if path.suffix == '.mp4' else 'mpeg2video' if path.suffix == '.ts' else 'mjpeg'
    with av.open(str(path), 'w') as container:
        picture = container.add_stream(codec, rate=25)
        picture.width, picture.height = 64, 48
        picture.pix_fmt = 'yuvj420p' if codec == 'mjpeg' else 'yuv420p'
        voice = container.add_stream('aac', rate=48_000) if sound else None
        for number in range(50):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 5 * number, np.uint8))
            frame.pts, frame.time_base = round(number + 25 * late), Fraction(1, 25)
            container.mux(picture.encode(frame))
        container.mux(picture.encode())
        for number in range(round(48_000 * (2 + late)) // 1024 if sound else 0):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), 'fltp', 'mono')
            frame.pts, frame.sample_rate = number * 1024, 48_000
            frame.time_base = Fraction(1, 48_000)
            container.mux(voice.encode(frame))
        if sound:
            container.mux(voice.encode())


@pytest.mark.parametrize('ending', ['.mp4', '.mkv', '.ts'])
@pytest.mark.parametrize('late', [0.0, 1.0, 3.2])
def test_a_picture_that_begins_after_the_sound(tmp_path, ending, late):
    path = tmp_path / f'a{ending}'
    write(path, late)
    assert video.probe(path).start == pytest.approx(late, abs=0.05)
    # Frames are counted from the first one, which is why subtitles have to be moved.
    assert next(iter(video.iterate_frames(path)))[1] == pytest.approx(0, abs=0.05)


def test_a_picture_without_sound_begins_with_itself(tmp_path):
    write(tmp_path / 'a.mkv', 2.0, sound=False)
    assert video.probe(tmp_path / 'a.mkv').start == 0
