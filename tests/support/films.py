"""Films for tests, whose frames tell their own number and which way is up; written with PyAV."""

from fractions import Fraction

import av
import numpy as np

HEIGHT, WIDTH = 64, 96
_BITS = 10  # Frames are told apart up to 1024.


def numbered_frame(number, height=HEIGHT, width=WIDTH):
    """A frame with its number in two rows of five black or white blocks, under a red strip.

    Blocks take the upper half; the lower half moves, so that coding it is not trivial.
    """
    frame = np.full((height, width, 3), 100, np.uint8)
    frame[: height // 8] = 200, 30, 30
    for bit in range(_BITS):
        top, left = _block(bit, height, width)
        level = 225 if number >> bit & 1 else 30
        frame[top : top + height * 3 // 16, left : left + width // 5] = level
    rows, columns = np.mgrid[height // 2 : height, :width]
    wave = 128 + 60 * np.sin(columns / 7 + number / 3) + 50 * np.cos(rows / 5 - number / 4)
    frame[height // 2 :] = wave[..., None].astype(np.uint8)
    return frame


def read_number(frame):
    """The number that a frame bears; fails unless it stands upright, whatever its size."""
    height, width = frame.shape[:2]
    strip = frame[: height // 10].astype(int)
    assert (strip[..., 0] - strip[..., 1]).mean() > 90, 'the red strip is not at the top'
    number = 0
    for bit in range(_BITS):
        top, left = _block(bit, height, width)
        inner = frame[
            top + height // 16 : top + height // 8, left + width // 16 : left + width // 8
        ]
        assert not 90 < inner.mean() < 160, 'a block is neither black nor white'
        number += (inner.mean() > 128) << bit
    return number


def _block(bit, height, width):
    """Top and left of the block of a bit."""
    return height // 8 + (bit // 5) * (height * 3 // 16), (bit % 5) * (width // 5)


def write(
    path,
    times,
    codec='libx264',
    gop=25,
    b_frames=2,
    options=None,
    turned=0,
    sound=False,
    muxing=None,
):
    """Writes a film of numbered frames.

    Args:
        path: Its ending names the container.
        times: Seconds at which frames begin, ascending.
        codec: FFmpeg's name of the encoder.
        gop: Frames from one key frame to the next.
        b_frames: So many B frames at most follow each other.
        options: Of the encoder.
        turned: Degrees by which a player must turn the picture clockwise, as phones write it; the
            coded picture lies turned the other way.
        sound: Whether it has a sound track, too.
        muxing: Options of the container; its `format` where the ending does not name it.
    """
    ticks = Fraction(1, 30_000 if path.suffix in ('.mp4', '.mov') else 1000)
    muxing = dict(muxing or {})
    with av.open(str(path), 'w', muxing.pop('format', None), options=muxing) as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = (WIDTH, HEIGHT) if turned % 180 else (HEIGHT, WIDTH)
        stream.pix_fmt = 'yuvj420p' if codec == 'mjpeg' else 'yuv420p'
        coder = stream.codec_context
        coder.gop_size, coder.max_b_frames, coder.thread_count = gop, b_frames, 1
        if path.suffix in ('.avi', '.mpg', '.mpeg', '.y4m', '.mjpeg', '.MJPG'):
            ticks = Fraction(1, 25)
        coder.time_base = ticks
        defaults = {'preset': 'ultrafast', 'sc_threshold': '0'} if codec == 'libx264' else {}
        stream.options = defaults | (options or {})
        voice = container.add_stream('aac', rate=16_000) if sound else None
        for number, time in enumerate(times):
            if voice and number % 25 == 0:
                _mux_sound(container, voice, number // 25, 1)
            picture = np.rot90(numbered_frame(number), turned // 90)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), 'rgb24')
            frame.pts, frame.time_base = round(time / ticks), ticks
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    if turned:
        turn(path, turned)


def turn(path, degrees):
    """Changes the display matrix of an MP4 file's only track."""
    data = bytearray(path.read_bytes())
    place = data.index(b'tkhd') + 4 + 40
    a, b, c, d = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[degrees]
    matrix = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
    data[place : place + 36] = b''.join(v.to_bytes(4, signed=True) for v in matrix)
    path.write_bytes(data)


def write_sound(path, seconds=1):
    """Writes a file with a sound track only."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('aac', rate=16_000)
        _mux_sound(container, stream, 0, seconds)
        container.mux(stream.encode())


def _mux_sound(container, stream, begin, seconds):
    for start in range(0, 16_000 * seconds, 1000):
        wave = np.sin(np.arange(start, start + 1000) / 9)[None].astype(np.float32)
        frame = av.AudioFrame.from_ndarray(wave, 'fltp', 'mono')
        frame.sample_rate, frame.pts = 16_000, 16_000 * begin + start
        container.mux(stream.encode(frame))
