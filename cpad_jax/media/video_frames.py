"""Decoded frames as pictures: RGB, of square pixels, upright, and all of one size.

Colours are converted by FFmpeg, by the matrix and range that the frame names, as the `ffmpeg`
command does. Interlaced frames come out as they are, both fields in one picture, as there.
"""

from __future__ import annotations

import itertools
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from cpad_jax.media.images import scale_image

# No camera or disc has pixels that are more times as wide as high, or the other way round.
_WIDEST = 8


class FrameConverter:
    """Makes pictures of the frames of one video."""

    def __init__(self, pixel_aspect: Fraction | None):
        """Takes how many times as wide as high a pixel is shown; None or 0 where it is not said."""
        sensible = pixel_aspect and 1 / _WIDEST <= pixel_aspect <= _WIDEST
        self._aspect = pixel_aspect if sensible else Fraction(1)
        self._reformatter = VideoReformatter()
        self._filter: tuple[tuple, av.filter.Graph] | None = None
        self._turn: tuple[int, tuple[bool, bool, bool]] | None = None
        self._size: tuple[int, int] | None = None

    def size(self, frame: av.VideoFrame) -> tuple[int, int]:
        """(height, width) at which a player shows a frame."""
        transposed, _, _ = self._turned(frame)
        height, width = frame.height, self._width(frame)
        return (width, height) if transposed else (height, width)

    def picture(self, frame: av.VideoFrame, size: int | tuple[int, int] | None) -> np.ndarray:
        """A frame as uint8 [H, W, 3] RGB, in memory of its own.

        Args:
            frame: As it was decoded.
            size: None for the size of the first requested frame, (height, width), or the
                length of the shorter side with the aspect kept.

        Raises:
            av.FFmpegError: The frame is of a kind that cannot be converted.
        """
        self._size = self._size or self.size(frame)
        if isinstance(size, int):
            scale = size / min(self._size)
            size = (round(self._size[0] * scale), round(self._size[1] * scale))
        width, (transposed, mirrored, upside_down) = self._width(frame), self._turned(frame)
        eight_bits = frame.format.components[0].bits <= 8
        if width == frame.width and eight_bits and not frame.interlaced_frame:
            # One thread: a frame takes less than it takes to wake others.
            converted = self._reformatter.reformat(
                frame, format='rgb24', interpolation=Interpolation.BICUBIC, threads=1
            )
        else:
            converted = self._filtered(frame, width)
        pixels = converted.to_ndarray()
        if transposed:
            pixels = pixels.transpose(1, 0, 2)
        pixels = pixels[:: -1 if upside_down else 1, :: -1 if mirrored else 1]
        scaled = scale_image(np.ascontiguousarray(pixels), *(size or self._size))
        return scaled if scaled.base is None and scaled.flags.owndata else scaled.copy()

    def _width(self, frame: av.VideoFrame) -> int:
        return max(1, round(frame.width * self._aspect))

    def _filtered(self, frame: av.VideoFrame, width: int) -> av.VideoFrame:
        """A frame in RGB, of another width, of two fields or of many bits, by `ffmpeg`'s filter.

        The plain conversion would take each field by itself, which halves the resolution of
        colours, and would place the colours of pictures that are made wider or have more than
        eight bits otherwise.
        """
        kind = (frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range)
        if self._filter is None or self._filter[0] != kind:
            graph = av.filter.Graph()
            parts = [
                graph.add_buffer(
                    width=frame.width,
                    height=frame.height,
                    format=frame.format,
                    time_base=Fraction(1, 1000),
                ),
                graph.add('scale', f'{width}:{frame.height}:flags=bicubic'),
                graph.add('format', 'rgb24'),
                graph.add('buffersink'),
            ]
            for part, following in itertools.pairwise(parts):
                part.link_to(following)
            graph.configure()
            self._filter = kind, graph
        graph = self._filter[1]
        graph.push(frame)
        return graph.pull()

    def _turned(self, frame: av.VideoFrame) -> tuple[bool, bool, bool]:
        """Whether a frame is shown (transposed, then mirrored, then upside down)."""
        angle = frame.rotation
        if self._turn is None or self._turn[0] != angle:
            self._turn = angle, _display_turn(frame)
        return self._turn[1]


def _display_turn(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """What the display matrix says, which maps (x, y) to (a x + c y, b x + d y)."""
    try:
        matrix = np.frombuffer(frame.side_data['DISPLAYMATRIX'], np.int32)
    except KeyError:
        return False, False, False
    a, b, _, c, d = matrix[:5].astype(float)
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return False, bool(a < 0), bool(d < 0)
    return True, bool(c < 0), bool(b < 0)
