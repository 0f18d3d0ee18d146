"""Props that people of the synthetic world sit on, lie in and drive: chairs, beds, cars.

Sizes are in head heights of the figure that uses them; `s` is pixels per head height.
"""

from __future__ import annotations

import numpy as np

from cpad_jax.synthetic import canvas

Colour = tuple[float, float, float]


def _dark(colour: Colour, factor: float) -> Colour:
    return tuple(value * factor for value in colour)


def chair(image: np.ndarray, foot: tuple[float, float], s: float, sign: float, colour: Colour):
    """Draws a chair under a person who faces `sign` (1 right, -1 left), its back behind them."""
    x, y = foot
    seat, back = y - 0.98 * s, x - sign * 0.95 * s
    front = x - sign * 0.05 * s
    canvas.capsule(image, (back, seat), (back - sign * 0.12 * s, y - 2.35 * s), 0.1 * s, 0.1 * s,
                   _dark(colour, 0.8))  # fmt: skip
    for leg in (back, front):
        canvas.capsule(image, (leg, seat), (leg, y), 0.07 * s, 0.06 * s, _dark(colour, 0.65))
    left, right = min(back, front), max(back, front)
    canvas.rectangle(image, left, seat - 0.08 * s, right, seat + 0.14 * s, colour)


def bed(image: np.ndarray, foot: tuple[float, float], s: float, sign: float, colour: Colour):
    """Draws a bed with its pillow behind a person who faces `sign`."""
    x, y = foot
    head_end, foot_end = x - sign * 2.6 * s, x + sign * 2.3 * s
    left, right = min(head_end, foot_end), max(head_end, foot_end)
    canvas.rectangle(image, left, y - 0.75 * s, right, y + 0.1 * s, (118, 84, 58))
    canvas.rectangle(image, left, y - 1.1 * s, right, y - 0.5 * s, (236, 234, 228))
    post = head_end
    canvas.rectangle(
        image, min(post, post + sign * 0.2 * s), y - 2.3 * s, max(post, post + sign * 0.2 * s),
        y + 0.1 * s, (92, 62, 42),
    )  # fmt: skip
    canvas.ellipse(image, (x - sign * 1.9 * s, y - 1.3 * s), (0.62 * s, 0.3 * s), (250, 250, 248))
    canvas.rectangle(image, left, y - 0.62 * s, right, y - 0.45 * s, _dark(colour, 0.8))


def blanket(image: np.ndarray, foot: tuple[float, float], s: float, sign: float, colour: Colour):
    """Draws the blanket over the legs of a person in a bed."""
    x, y = foot
    points = [(-0.25, -1.5), (0.7, -1.72), (1.6, -1.5), (2.3, -1.2), (2.3, -0.4), (-0.3, -0.4)]
    canvas.polygon(image, [(x + sign * px * s, y + py * s) for px, py in points], colour)
    canvas.polyline(
        image, [(x + sign * px * s, y + py * s) for px, py in points[:3]], _dark(colour, 1.2),
        0.12 * s,
    )  # fmt: skip


def _wheels(image, x: float, y: float, s: float, sign: float, offsets) -> None:
    for offset in offsets:
        centre = (x + sign * offset * s, y - 0.42 * s)
        canvas.ellipse(image, centre, (0.56 * s, 0.56 * s), (26, 26, 28))
        canvas.ellipse(image, centre, (0.3 * s, 0.3 * s), (168, 170, 176))


def car_cabin(image: np.ndarray, foot: tuple[float, float], s: float, sign: float, colour: Colour):
    """Draws the upper half of a car seen from the side: roof, pillars and the dark inside."""
    x, y = foot
    roof = [(-2.1, -1.9), (-1.5, -3.95), (1.1, -3.95), (1.9, -1.9)]
    canvas.polygon(image, [(x + sign * px * s, y + py * s) for px, py in roof], colour)
    window = [(-1.75, -1.9), (-1.3, -3.7), (0.98, -3.7), (1.6, -1.9)]
    canvas.polygon(image, [(x + sign * px * s, y + py * s) for px, py in window], (88, 100, 110))
    canvas.rectangle(
        image, min(x - sign * 0.95 * s, x - sign * 0.45 * s), y - 3.2 * s,
        max(x - sign * 0.95 * s, x - sign * 0.45 * s), y - 1.9 * s, (52, 50, 54),
    )  # fmt: skip


def car_side(image: np.ndarray, foot: tuple[float, float], s: float, sign: float, colour: Colour):
    """Draws the lower half of a car seen from the side, with wheels, in front of its driver."""
    x, y = foot
    body = [(-3.1, -0.5), (-3.0, -1.75), (-2.1, -1.95), (1.9, -1.95), (3.0, -1.6), (3.3, -0.5)]
    canvas.polygon(image, [(x + sign * px * s, y + py * s) for px, py in body], colour)
    wheel = np.array([(0.75, -1.6), (1.12, -2.2)])
    points = [(x + sign * px * s, y + py * s) for px, py in wheel]
    canvas.polyline(image, points, (20, 20, 22), 0.16 * s)
    canvas.polyline(
        image, [(x + sign * -0.6 * s, y - 1.85 * s), (x + sign * -0.6 * s, y - 0.6 * s)],
        _dark(colour, 0.6), 0.06 * s,
    )  # fmt: skip
    canvas.ellipse(image, (x + sign * 3.1 * s, y - 1.3 * s), (0.2 * s, 0.16 * s), (250, 236, 180))
    _wheels(image, x, y, s, sign, (-1.9, 2.05))


def car_open(image: np.ndarray, foot: tuple[float, float], s: float, sign: float, colour: Colour):
    """Draws a standing car behind a person who gets out of it, its door open."""
    x, y = foot
    cabin = [(-2.6, -1.9), (-2.0, -3.35), (0.6, -3.35), (1.4, -1.9)]
    canvas.polygon(image, [(x + sign * px * s, y + py * s) for px, py in cabin], colour)
    glass = [(-2.3, -1.95), (-1.85, -3.15), (-1.2, -3.15), (-1.2, -1.95)]
    canvas.polygon(image, [(x + sign * px * s, y + py * s) for px, py in glass], (150, 176, 190))
    body = [(-3.6, -0.5), (-3.5, -1.7), (-2.6, -1.95), (1.4, -1.95), (2.6, -1.65), (2.9, -0.5)]
    canvas.polygon(image, [(x + sign * px * s, y + py * s) for px, py in body], colour)
    inside = [(-1.05, -3.15), (0.45, -3.15), (1.05, -1.95), (0.9, -0.55), (-1.05, -0.55)]
    canvas.polygon(image, [(x + sign * px * s, y + py * s) for px, py in inside], (40, 38, 42))
    _wheels(image, x, y, s, sign, (-2.5, 1.9))
    door = [(0.95, -3.2), (1.75, -2.9), (1.8, -0.35), (0.95, -0.5)]
    canvas.polygon(image, [(x + sign * px * s, y + py * s) for px, py in door], _dark(colour, 0.82))
    pane = [(1.02, -3.02), (1.64, -2.78), (1.68, -1.95), (1.02, -2.0)]
    canvas.polygon(image, [(x + sign * px * s, y + py * s) for px, py in pane], (170, 196, 208))


def dashboard(image: np.ndarray, colour: Colour) -> None:
    """Draws the dashboard along the lower edge, as seen through a windscreen."""
    height, width = image.shape[:2]
    top = 0.86 * height
    canvas.polygon(
        image,
        [(0, top + 0.03 * height), (0.5 * width, top), (width, top + 0.03 * height),
         (width, height), (0, height)],
        colour,
    )  # fmt: skip


def steering_wheel(image: np.ndarray, centre: tuple[float, float], s: float) -> None:
    """Draws a steering wheel seen from the front of the car."""
    canvas.ellipse(image, centre, (0.78 * s, 0.62 * s), (22, 22, 24), width=0.15 * s)
    canvas.capsule(
        image, (centre[0] - 0.7 * s, centre[1]), (centre[0] + 0.7 * s, centre[1]),
        0.09 * s, 0.09 * s, (30, 30, 32),
    )  # fmt: skip
