"""The ten Hollywood2 places as painted stage sets, and backdrops for portrait photos."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from cpad_jax.media import images
from cpad_jax.synthetic import canvas, homes, public_rooms, streets
from cpad_jax.synthetic.brush import Brush, shade
from cpad_jax.synthetic.colour_grading import TitleStyle
from cpad_jax.synthetic.outdoors import draw_weather, landscape


@dataclass(frozen=True)
class Stage:
    """A set on which people can stand.

    Attributes:
        image: The background [H, W, 3] uint8 RGB.
        floor: y in pixels of the line on which people stand.
        spots: Places to stand, fractions of the width from left to right, well apart.
    """

    image: np.ndarray
    floor: float
    spots: tuple[float, ...]


_UNPAINTED = (120, 118, 112)
_DRAWERS: dict[str, Callable[[Brush, float], None]] = {
    'EXT-house': streets.house_front,
    'EXT-road': streets.road,
    'INT-bedroom': homes.bedroom,
    'INT-car': streets.car_cabin,
    'INT-hotel': public_rooms.hotel,
    'INT-kitchen': homes.kitchen,
    'INT-living-room': homes.living_room,
    'INT-office': public_rooms.office,
    'INT-restaurant': public_rooms.restaurant,
    'INT-shop': public_rooms.shop,
}
PLACES = tuple(_DRAWERS)
_LIGHTS = 12


@lru_cache(maxsize=64)
def _light(height: int, width: int, number: int) -> np.ndarray:
    """Uneven light: a wide pool somewhere, darker far from it; [height, width, 3] uint8."""
    x0, y0, reach = np.random.default_rng(number).uniform((0.1, 0.1, 0.7), (0.9, 0.6, 1.1))
    y = np.linspace(0, 1, height)[:, None]
    x = np.linspace(0, 4 / 3, width)[None]
    pool = np.exp(-(((x - x0 * 4 / 3) ** 2 + (y - y0) ** 2) / reach**2))
    return np.repeat(np.round(255 * (0.7 + 0.3 * pool)).astype(np.uint8)[:, :, None], 3, 2)


def draw_place(
    place: str, rng: np.random.Generator, height: int, width: int, style: TitleStyle
) -> Stage:
    """Paints a set.

    Args:
        place: One of `PLACES`.
        rng: Decides everything about the set but the palette.
        height: Of the picture, pixels.
        width: Of the picture, pixels; about 4/3 of the height.
        style: Turns the palette; light, contrast and grain are `TitleStyle.grade`'s.

    Returns:
        The stage; equal seeds give equal stages.

    Raises:
        KeyError: For a place that is not in `PLACES`.
    """
    drawer = _DRAWERS[place]
    # A set may leave a hairline unpainted; it must be the same one every time.
    image = canvas.blank(height, width, _UNPAINTED)
    brush = Brush(image, rng, hue=style.hue, mirrored=rng.random() < 0.5)
    floor = brush.between(83.5, 89)
    drawer(brush, floor - brush.between(7, 10))
    image = canvas.multiply(image, _light(height, width, int(rng.integers(_LIGHTS))))
    if place == 'INT-car':
        spots = np.array([0.5 - streets.SEAT, 0.5, 0.5 + streets.SEAT])
    else:
        count = int(rng.integers(3, 6))
        spots = (np.arange(count) + 0.5 + rng.uniform(-0.15, 0.15, count)) / count
    return Stage(image, floor * brush.unit, tuple(float(x) for x in spots))


def draw_plain_backdrop(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Paints the background of a portrait, out of focus: a studio cloth, a room or a park.

    Args:
        rng: NumPy random generator.
        height: Of the picture, pixels.
        width: Of the picture, pixels.

    Returns:
        The picture [height, width, 3] uint8.
    """
    # Out of focus needs no detail: paint small, soften, enlarge.
    small = canvas.blank(72, max(round(72 * width / height), 8), _UNPAINTED)
    brush = Brush(small, rng, hue=rng.random(), mirrored=rng.random() < 0.5)
    kind = rng.random()
    if kind < 0.4:
        colour = brush.paint(0.25, 0.95, 0.5)
        brush.gradient(0, 0, brush.width, 100, shade(colour, brush.between(0.7, 1.2)),
                       shade(colour, brush.between(0.5, 1.1)))  # fmt: skip
        brush.glow(brush.between(0.2, 0.8) * brush.width, brush.between(20, 70), 60, 0.25)
        soft = 1.5
    elif kind < 0.7:
        landscape(brush, 0, 0, brush.width, 100, draw_weather(brush))
        soft = brush.between(2, 4)
    else:
        drawers = list(_DRAWERS.values())
        drawers[int(rng.integers(len(drawers)))](brush, 78)
        soft = brush.between(2.5, 5)
    return canvas.resize(images.blur(small, soft), height, width)
