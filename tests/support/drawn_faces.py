"""Faces that tests draw, a detector that finds them, and a network file that tells them apart.

A face is a grey frame around one half in a colour: whose it is stands in half and colour.
"""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from cpad_jax.media import faces, video

ANN, BOB = ('left', 0), ('right', 2)  # Red on the left, blue on the right.


def draw(image, top, left, side, who, light=255):
    """Draws somebody's face of `side` pixels, in place."""
    half, channel = who
    image[top : top + side, left : left + side] = 120
    edge = side // 8
    inner = image[top + edge : top + side - edge, left + edge : left + side - edge]
    inner[:] = 0
    columns = (
        slice(None, inner.shape[1] // 2) if half == 'left' else slice(inner.shape[1] // 2, None)
    )
    inner[:, columns, channel] = light


def face(top, left, side, score=0.9):
    """The `Face` of what `draw` draws: frontal, and aligned the square becomes 112 pixels."""
    scale = side / faces.ALIGNED_SIZE
    landmarks = faces.ALIGNED_LANDMARKS * scale + (left, top)
    box = np.array([top, left, top + side, left + side], np.float32)
    return faces.Face(box, landmarks.astype(np.float32), score)


class Detector:
    """Finds faces on black: one, or several of one size side by side."""

    path = Path('drawn.onnx')

    def detect(self, image):
        lit = image.max(axis=-1) > 60
        if not lit.any():
            return []
        rows, columns = np.flatnonzero(lit.any(axis=1)), np.flatnonzero(lit.any(axis=0))
        side = rows[-1] - rows[0] + 1
        count = max(1, round((columns[-1] - columns[0] + 1) / side))
        return [face(rows[0], columns[0] + number * side, side) for number in range(count)]


def _field(number, value):
    """A field of a protobuf message: a number, or bytes with their length."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    value = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value):
    out = b''
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def _tensor(name, shape):
    dims = b''.join(_field(1, _field(1, size)) for size in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, 1) + _field(2, dims)))


def _node(kind, source, target, **attributes):
    fields = _field(1, source) + _field(2, target) + _field(4, kind)
    for name, values in attributes.items():
        many = isinstance(values, list)
        value = b''.join(_field(8, v) for v in values) if many else _field(3, values)
        fields += _field(5, _field(1, name) + value + _field(20, 7 if many else 2))
    return fields


def network(cell=28):
    """An ONNX file that averages colours over cells of so many pixels: for 28, 48 numbers.

    They come channel by channel, row by row.
    """
    side = 112 // cell
    graph = (
        _field(
            1, _node('AveragePool', 'data', 'cells', kernel_shape=[cell] * 2, strides=[cell] * 2)
        )
        + _field(1, _node('Flatten', 'cells', 'feature', axis=1))
        + _field(2, 'colours')
        + _field(11, _tensor('data', (1, 3, 112, 112)))
        + _field(12, _tensor('feature', (1, 3 * side * side)))
    )
    return _field(1, 8) + _field(7, graph) + _field(8, _field(1, '') + _field(2, 13))


def photo(path, *people, side=80):
    image = np.zeros((120, 40 + 80 * max(1, len(people)), 3), np.uint8)
    for number, who in enumerate(people):
        draw(image, 20, 20 + 80 * number, side, who)
    Image.fromarray(image).save(path)
    return path


def film(path, seen, fps=10):
    """A video of one second a letter: A is Ann, B is Bob, - nobody."""
    frames = np.zeros((len(seen) * fps, 96, 160, 3), np.uint8)
    for number, frame in enumerate(frames):
        letter = seen[number // fps]
        if letter != '-':
            draw(frame, 16, 40, 64, {'A': ANN, 'B': BOB}[letter])
    video.write_video(path, frames, fps)
    return path


def cut_film(path, seen, kept, fps=10):
    """As `film`, an .avi file that breaks off after so many frames, as a copy does."""
    film(path.with_suffix('.mp4'), seen, fps)
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*'MJPG'), fps, (160, 96)
    )
    for frame, _ in video.iterate_frames(path.with_suffix('.mp4')):
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
    path.with_suffix('.mp4').unlink()
    # Every frame begins with these letters; the last one of a file cut off does not come out.
    path.write_bytes(b'00dc'.join(path.read_bytes().split(b'00dc')[: kept + 2]))
    return path
