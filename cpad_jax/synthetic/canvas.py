"""Drawing: the one place where pictures are made from shapes (by OpenCV).

Images are uint8 [H, W, 3] RGB and are drawn on in place; points are (x, y) in pixels, with
fractions.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

Colour = Sequence[float]
Point = Sequence[float]

# OpenCV takes fixed-point coordinates; 4 bits place a shape to a sixteenth of a pixel.
_SHIFT = 4
_ONE = 1 << _SHIFT

# Many processes draw at once; threads inside each would only get in each other's way.
cv2.setNumThreads(1)


def _colour(colour: Colour) -> tuple[float, ...]:
    return tuple(min(max(float(value), 0.0), 255.0) for value in colour)


def _fixed(points: np.ndarray | Sequence[Point]) -> np.ndarray:
    return np.rint(np.asarray(points, np.float64) * _ONE).astype(np.int32)


def blank(height: int, width: int, colour: Colour) -> np.ndarray:
    """A picture [height, width, len(colour)] uint8 of one colour."""
    return np.full((height, width, len(colour)), np.asarray(_colour(colour)), np.uint8)


def polygon(image: np.ndarray, points: np.ndarray | Sequence[Point], colour: Colour) -> None:
    """Fills the polygon through `points` [N, 2]."""
    cv2.fillPoly(image, [_fixed(points)], _colour(colour), cv2.LINE_AA, _SHIFT)


def rectangle(
    image: np.ndarray, left: float, top: float, right: float, bottom: float, colour: Colour
) -> None:
    """Fills an upright rectangle."""
    polygon(image, [(left, top), (right, top), (right, bottom), (left, bottom)], colour)


def polyline(
    image: np.ndarray,
    points: np.ndarray | Sequence[Point],
    colour: Colour,
    width: float = 1.0,
    closed: bool = False,
) -> None:
    """Draws a line of `width` pixels through `points` [N, 2]."""
    thickness = max(1, round(width))
    cv2.polylines(image, [_fixed(points)], closed, _colour(colour), thickness, cv2.LINE_AA, _SHIFT)


def ellipse(
    image: np.ndarray,
    centre: Point,
    radii: Point,
    colour: Colour,
    angle: float = 0.0,
    start: float = 0.0,
    end: float = 360.0,
    width: float | None = None,
) -> None:
    """Fills an ellipse, or its sector from `start` to `end` degrees; `width` draws the arc only.

    Args:
        image: Picture to draw on.
        centre: (x, y).
        radii: Half axes (rx, ry), pixels.
        colour: RGB, 0 to 255.
        angle: Turn of the whole ellipse, degrees, clockwise on the screen.
        start: First angle of the sector, degrees, clockwise from the x axis.
        end: Last angle of the sector, degrees.
        width: Line width in pixels; None fills.
    """
    x, y = _fixed(centre)
    rx, ry = np.maximum(_fixed(radii), 1)
    thickness = cv2.FILLED if width is None else max(1, round(width))
    cv2.ellipse(
        image, (int(x), int(y)), (int(rx), int(ry)), angle, start, end, _colour(colour),
        thickness, cv2.LINE_AA, _SHIFT,
    )  # fmt: skip


def capsule(
    image: np.ndarray, p: Point, q: Point, radius_p: float, radius_q: float, colour: Colour
) -> None:
    """Fills a tapered limb: the convex hull of two discs."""
    p, q = np.asarray(p, np.float64), np.asarray(q, np.float64)
    axis = q - p
    length = float(np.hypot(*axis))
    if length > 1e-6:
        normal = np.array([-axis[1], axis[0]]) / length
        polygon(
            image,
            [p + normal * radius_p, q + normal * radius_q,
             q - normal * radius_q, p - normal * radius_p],
            colour,
        )  # fmt: skip
    ellipse(image, p, (radius_p, radius_p), colour)
    ellipse(image, q, (radius_q, radius_q), colour)


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Area-averaged when smaller, bilinear when larger. Returns a new picture."""
    smaller = height < image.shape[0]
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=method)


def paste(image: np.ndarray, sprite: np.ndarray, matrix: np.ndarray) -> None:
    """Blends an RGBA sprite [h, w, 4] uint8 onto `image` through a [2, 3] affine matrix.

    Only the rectangle that the sprite covers is touched; parts outside the picture are cut off.
    The sprite's colours must reach beyond its alpha edge, or a dark rim shows.
    """
    h, w = sprite.shape[:2]
    matrix = np.asarray(matrix, np.float64)
    corners = np.array([[0, 0, 1], [w, 0, 1], [0, h, 1], [w, h, 1]], np.float64) @ matrix.T
    left, top = np.floor(corners.min(0)).astype(int)
    right, bottom = np.ceil(corners.max(0)).astype(int)
    left, top = max(left, 0), max(top, 0)
    right, bottom = min(right, image.shape[1]), min(bottom, image.shape[0])
    if right <= left or bottom <= top:
        return
    local = matrix.copy()
    local[:, 2] -= (left, top)
    scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    # A strong reduction would skip pixels: average them first.
    if scale < 0.5:
        factor = scale / 0.75
        small_h, small_w = max(2, round(h * factor)), max(2, round(w * factor))
        sprite = cv2.resize(sprite, (small_w, small_h), interpolation=cv2.INTER_AREA)
        local[:, 0] *= w / small_w
        local[:, 1] *= h / small_h
    patch = cv2.warpAffine(
        sprite, local, (int(right - left), int(bottom - top)), flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT, borderValue=(0, 0, 0, 0),
    )  # fmt: skip
    alpha = patch[:, :, 3:].astype(np.uint16)
    target = image[top:bottom, left:right]
    mixed = target.astype(np.uint16) * (255 - alpha) + patch[:, :, :3].astype(np.uint16) * alpha
    target[:] = ((mixed + 127) // 255).astype(np.uint8)


def text(
    image: np.ndarray, words: str, left: float, base: float, height: float, colour: Colour
) -> None:
    """Writes ASCII `words` with their base line at `base`; capitals are about `height` pixels."""
    cv2.putText(
        image, words, (round(left), round(base)), cv2.FONT_HERSHEY_SIMPLEX, height / 21.0,
        _colour(colour), max(1, round(height / 9.0)), cv2.LINE_AA,
    )  # fmt: skip


def lookup(image: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Sends every value through a table [256] or, one per channel, [256, C] uint8."""
    return cv2.LUT(image, table.reshape(1, 256, -1))


def mix_channels(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Multiplies every pixel by `matrix` [C, C], or [C, C + 1] with an offset; saturates."""
    return cv2.transform(image, matrix)


def multiply(image: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The product of two uint8 pictures of one shape, where 255 means 1."""
    return cv2.multiply(image, other, scale=1 / 255)


def blend(
    image: np.ndarray, weight: float, other: np.ndarray, other_weight: float, offset: float = 0.0
) -> np.ndarray:
    """The saturated sum weight * image + other_weight * other + offset of two uint8 pictures."""
    return cv2.addWeighted(image, weight, other, other_weight, offset)
