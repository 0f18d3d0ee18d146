"""A brush for stage sets: draws in units of a hundredth of the picture's height.

The brush knows the scene's palette (a hue shift), may mirror the whole set from left to right,
and cuts off what lies outside its own rectangle.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np

from cpad_jax.synthetic import canvas

RGB = tuple[float, float, float]

_y, _x = np.mgrid[-1:1:64j, -1:1:64j]
_disc = np.clip(1 - np.hypot(_x, _y), 0, 1) ** 1.5
_GLOW = (_disc[:, :, None] * (255, 225, 165)).astype(np.uint8)


def shade(colour: Sequence[float], factor: float) -> RGB:
    """A colour made darker (factor < 1) or lighter (> 1, towards white)."""
    if factor <= 1:
        return tuple(value * factor for value in colour)
    return tuple(value + (255 - value) * (factor - 1) for value in colour)


def mixed(first: Sequence[float], second: Sequence[float], amount: float) -> RGB:
    """A colour between two; `amount` 0 is the first."""
    return tuple(a + (b - a) * amount for a, b in zip(first, second, strict=True))


class Brush:
    """Draws shapes on a picture in units of a hundredth of its height.

    Attributes:
        image: The picture [H, W, 3] uint8, or a view on a part of it.
        rng: Source of everything random.
        width: Width of the whole picture in units (the height is 100).
        unit: Pixels per unit.
    """

    def __init__(
        self,
        image: np.ndarray,
        rng: np.random.Generator,
        hue: float = 0.0,
        mirrored: bool = False,
    ):
        self.image = image
        self.rng = rng
        self.unit = image.shape[0] / 100
        self.width = image.shape[1] / self.unit
        self._hue = hue
        self._mirrored = mirrored
        self._left = self._top = 0

    # Chance.

    def between(self, low: float, high: float) -> float:
        """A uniform number."""
        return low + (high - low) * self.rng.random()

    def chance(self, probability: float) -> bool:
        """True with that probability."""
        return self.rng.random() < probability

    def pick(self, choices: Sequence):
        """One of the choices."""
        return choices[int(self.rng.random() * len(choices))]

    # Colours.

    def colour(self, hue: float, saturation: float, value: float) -> RGB:
        """A colour of the scene's palette; `hue` 0 to 1 turns with the title, all in 0 to 1."""
        red, green, blue = colorsys.hsv_to_rgb((hue + self._hue) % 1.0, saturation, value)
        return red * 255, green * 255, blue * 255

    def fixed(self, hue: float, saturation: float, value: float) -> RGB:
        """A colour that no title turns (leaves, skies, wood)."""
        red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
        return red * 255, green * 255, blue * 255

    def paint(self, low: float = 0.45, high: float = 0.9, saturation: float = 0.45) -> RGB:
        """A random colour of a painted or woven surface; `low` to `high` is its brightness."""
        hue = self.rng.normal(0.0, 0.22)
        return self.colour(hue, self.between(0.05, saturation), self.between(low, high))

    def bright(self) -> RGB:
        """A random strong colour, as of packages, flowers and book spines."""
        return self.fixed(self.rng.random(), self.between(0.4, 0.9), self.between(0.4, 0.95))

    def wood(self) -> RGB:
        """A random colour of wood, from birch to ebony."""
        value = self.between(0.25, 0.8)
        return self.fixed(self.between(0.05, 0.1), self.between(0.3, 0.65), value)

    # Shapes.

    def pixels(self, points) -> np.ndarray:
        """Points [N, 2] in units as pixels of this brush's view."""
        points = np.array(points, np.float64)
        if self._mirrored:
            points[:, 0] = self.width - points[:, 0]
        return points * self.unit - (self._left, self._top)

    def _box(self, left: float, top: float, right: float, bottom: float) -> tuple[slice, slice]:
        if self._mirrored:
            left, right = self.width - right, self.width - left
        unit = self.unit
        x0, x1 = round(left * unit) - self._left, round(right * unit) - self._left
        y0, y1 = round(top * unit) - self._top, round(bottom * unit) - self._top
        return slice(max(y0, 0), max(y1, 0)), slice(max(x0, 0), max(x1, 0))

    def rect(self, left: float, top: float, right: float, bottom: float, colour) -> None:
        """Fills an upright rectangle (whole pixels: quick)."""
        self.image[self._box(left, top, right, bottom)] = np.array(colour).astype(np.uint8)

    def view(self, left: float, top: float, right: float, bottom: float) -> Brush:
        """A brush with the same coordinates that draws inside a rectangle only."""
        rows, columns = self._box(left, top, right, bottom)
        inner = Brush.__new__(Brush)
        inner.__dict__.update(self.__dict__)
        inner.image = self.image[rows, columns]
        inner._top, inner._left = self._top + rows.start, self._left + columns.start
        return inner

    @property
    def empty(self) -> bool:
        """Whether nothing of this brush's rectangle lies in the picture."""
        return self.image.size == 0

    def poly(self, points, colour) -> None:
        """Fills a polygon."""
        if not self.empty:
            canvas.polygon(self.image, self.pixels(points), colour)

    def line(self, points, colour, width: float = 0.4, closed: bool = False) -> None:
        """Draws a line; `width` in units, at least one pixel."""
        if not self.empty:
            canvas.polyline(self.image, self.pixels(points), colour, width * self.unit, closed)

    def oval(self, x: float, y: float, rx: float, ry: float, colour, width=None) -> None:
        """Fills an ellipse, or draws its rim of `width` units."""
        if not self.empty:
            centre = self.pixels([(x, y)])[0]
            radii = (rx * self.unit, ry * self.unit)
            rim = None if width is None else width * self.unit
            canvas.ellipse(self.image, centre, radii, colour, width=rim)

    def dome(self, x: float, y: float, rx: float, ry: float, colour, down: bool = False) -> None:
        """Fills the upper half of an ellipse (or the lower)."""
        if not self.empty:
            centre = self.pixels([(x, y)])[0]
            start, end = (0, 180) if down else (180, 360)
            radii = (rx * self.unit, ry * self.unit)
            canvas.ellipse(self.image, centre, radii, colour, start=start, end=end)

    def write(self, words: str, left: float, base: float, height: float, colour) -> None:
        """Writes words; never mirrored, about 0.8 heights wide per letter."""
        if not self.empty:
            if self._mirrored:
                left += 0.8 * height * len(words)
            x, y = self.pixels([(left, base)])[0]
            canvas.text(self.image, words, x, y, height * self.unit, colour)

    # Surfaces.

    def gradient(self, left: float, top: float, right: float, bottom: float, upper, lower) -> None:
        """Fills a rectangle with a vertical gradient."""
        target = self.image[self._box(left, top, right, bottom)]
        steps = np.linspace(0, 1, max(target.shape[0], 1))[: target.shape[0], None]
        rows = (1 - steps) * np.asarray(upper) + steps * np.asarray(lower)
        target[:] = np.clip(rows, 0, 255).astype(np.uint8)[:, None]

    def rows(self, left: float, right: float, ys, colour) -> None:
        """Draws hair lines across at all heights `ys`."""
        for y in ys:
            self.rect(left, y, right, y + 1.01 / self.unit, colour)

    def columns(self, top: float, bottom: float, xs, colour) -> None:
        """Draws hair lines downwards at all places `xs`."""
        for x in xs:
            self.rect(x, top, x + 1.01 / self.unit, bottom, colour)

    def tile(self, left: float, top: float, right: float, bottom: float, pattern) -> None:
        """Fills a rectangle with copies of `pattern` [h, w, 3] uint8."""
        target = self.image[self._box(left, top, right, bottom)]
        height, width = target.shape[:2]
        if height and width:
            down, across = -(-height // pattern.shape[0]), -(-width // pattern.shape[1])
            target[:] = np.tile(pattern, (down, across, 1))[:height, :width]

    def light(self, left: float, top: float, right: float, bottom: float, factor: float) -> None:
        """Darkens (factor < 1) or lightens what is already in a rectangle."""
        target = self.image[self._box(left, top, right, bottom)]
        if target.size:
            values = np.arange(256)
            table = values * factor if factor < 1 else 255 - (255 - values) / factor
            target[:] = canvas.lookup(target, table.astype(np.uint8))

    def glow(self, x: float, y: float, radius: float, strength: float = 0.35) -> None:
        """Adds the warm light of a lamp round a point."""
        size = max(round(2 * radius * self.unit), 2)
        left, top = np.round(self.pixels([(x, y)])[0]).astype(int) - size // 2
        rows = slice(max(top, 0), max(min(top + size, self.image.shape[0]), 0))
        columns = slice(max(left, 0), max(min(left + size, self.image.shape[1]), 0))
        target = self.image[rows, columns]
        if target.size:
            disc = canvas.resize(_GLOW, size, size)
            disc = disc[rows.start - top : rows.stop - top, columns.start - left :]
            disc = disc[:, : target.shape[1]]
            target[:] = canvas.blend(target, 1.0, disc, strength)
