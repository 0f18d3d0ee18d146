"""Stage sets outdoors: house front, road, inside of a car."""

from __future__ import annotations

import numpy as np

from cpad_jax.synthetic.brush import Brush, shade
from cpad_jax.synthetic.outdoors import (
    building,
    bush,
    car,
    dim,
    draw_weather,
    fence,
    hills,
    house,
    landscape,
    leaves,
    rain,
    sky,
    street_lamp,
    tree,
)
from cpad_jax.synthetic.scenery import IRON

# The front seats of a car lie this far from its middle: a fraction of the picture's width.
SEAT = 0.19


def house_front(brush: Brush, base: float) -> None:
    """A house with its door, windows, roof and chimney, behind a garden with a fence."""
    b, wide = brush, brush.width
    weather = draw_weather(b)
    light = dim(weather)
    sky(b, 0, 0, wide, base, weather)
    if b.chance(0.5):
        hills(b, 0, wide, base - 8, b.between(10, 30), leaves(b, light * 0.7))
    for _ in range(int(b.between(2, 6))):
        tree(b, b.between(0, wide), base - 3, b.between(30, 60), light * 0.8)
    lawn = leaves(b, light)
    front = base - 3
    b.gradient(0, front, wide, 100, shade(lawn, 0.85), lawn)
    size = b.between(62, 92)
    x = b.between(size * 0.45, wide - size * 0.45)
    gap = x + size / 2 + 30
    if gap < wide:
        house(b, gap + 22, front, 60, weather)
    door = house(b, x, front, size, weather)
    path = shade((176, 166, 150), light)
    b.poly([(door - 5, front), (door + 5, front), (door + 14, 100), (door - 14, 100)], path)
    for bx in np.arange(x - size / 2, x + size / 2, b.between(9, 16)):
        if abs(bx - door) > 11:
            bush(b, bx, front + 1, b.between(4, 7), light)
    paling = shade(b.pick([(238, 236, 228), b.wood()]), light)
    fence(b, 0, max(door - 13, 0), base + 4, paling)
    fence(b, door + 13, wide, base + 4, paling)
    for side in (b.between(0, 0.12), b.between(0.9, 1)):
        if b.chance(0.7):
            tree(b, side * wide, base + 5, b.between(60, 84), light)
    if weather == 'night':
        b.glow(door, front - 22, 26, 0.6)
    if weather == 'rain':
        rain(b, 60)


def road(brush: Brush, base: float) -> None:
    """A road that runs away or across, with cars, lamps, markings, town or country beside it."""
    b, wide = brush, brush.width
    weather = draw_weather(b)
    light, night = dim(weather), weather == 'night'
    horizon = b.between(42, 50)
    sky(b, 0, 0, wide, horizon + 2, weather)
    tar = shade(b.fixed(b.between(0.55, 0.75), 0.06, b.between(0.28, 0.5)), light)
    paint = shade(b.pick([(240, 240, 232), (236, 196, 70)]), light)
    if b.chance(0.6):
        _road_away(b, horizon, weather, tar, paint)
    else:
        _road_across(b, horizon, base, weather, tar, paint)
    if night:
        for x in np.linspace(0.2, 0.8, 3) * wide:
            b.glow(x, horizon, 26, 0.2)
    if weather == 'rain':
        rain(b, 60)


def _verge(b: Brush, horizon: float, weather: str, town: bool) -> None:
    light, wide = dim(weather), b.width
    if town:
        x = -b.between(0, 8)
        while x < wide:
            step = b.between(14, 26)
            top = horizon - b.between(16, 44)
            building(b, x, max(top, 2), x + step, horizon + 4, weather, b.chance(0.4))
            x += step + b.between(0, 1)
        return
    hills(b, 0, wide, horizon + 1, b.between(12, 26), leaves(b, light * 0.7))
    for x in np.arange(b.between(0, 8), wide, b.between(9, 16)):
        tree(b, x, horizon + 3, b.between(12, 26), light)


def _road_away(b: Brush, horizon: float, weather: str, tar, paint) -> None:
    light, wide, night = dim(weather), b.width, weather == 'night'
    town = b.chance(0.5)
    _verge(b, horizon, weather, town)
    ground = shade((170, 166, 158), light) if town else leaves(b, light)
    b.gradient(0, horizon, wide, 100, shade(ground, 0.85), ground)
    vanish, half = wide * b.between(0.38, 0.62), wide * b.between(0.52, 0.66)
    deep = 100 - horizon

    def at(across: float, y: float) -> tuple[float, float]:
        share = (y - horizon) / deep
        return vanish + (across * half + (wide / 2 - vanish)) * share + across * 0.8, y

    for across, colour in ((1.12, shade((196, 192, 184), light)), (1.0, tar)):
        b.poly([at(-across, horizon), at(across, horizon), at(across, 101), at(-across, 101)],
               colour)  # fmt: skip
    for across in (-0.9, 0.86):
        b.poly([at(across, horizon), at(across + 0.03, horizon), at(across + 0.04, 101),
                at(across, 101)], paint)  # fmt: skip
    y = horizon + 1.5
    while y < 100:
        step = 0.22 * (y - horizon) + 0.8
        b.poly([at(-0.025, y), at(0.025, y), at(0.025, y + step), at(-0.025, y + step)], paint)
        y += 2 * step
    for share in (0.1, 0.19, 0.36, 0.72):
        y = horizon + share * deep
        for side in (-1, 1):
            x = at(side * 1.17, y)[0]
            if town or share != 0.19:
                street_lamp(b, x, y, 76 * share + 6, -side, night)
            elif share < 0.7:
                tree(b, at(side * 1.6, y)[0], y, 60 * share + 8, light)
    for across, share in ((-0.5, b.between(0.12, 0.3)), (0.45, b.between(0.08, 0.2))):
        if b.chance(0.8):
            x, y = at(across, horizon + share * deep)
            _car_front(b, x, y, half * share * 0.62 + 1, light, night)


def _car_front(b: Brush, x: float, base: float, wide: float, light: float, night: bool) -> None:
    body, high = shade(b.bright(), light), wide * 0.72
    half = wide / 2
    for side in (-0.8, 0.8):
        b.rect(x + side * half - wide * 0.09, base - wide * 0.2, x + side * half + wide * 0.09,
               base, (26, 26, 28))  # fmt: skip
    b.poly([(x - half * 0.8, base - high * 0.55), (x - half * 0.62, base - high),
            (x + half * 0.62, base - high), (x + half * 0.8, base - high * 0.55)],
           shade(body, 0.8))  # fmt: skip
    b.poly([(x - half * 0.7, base - high * 0.57), (x - half * 0.55, base - high * 0.92),
            (x + half * 0.55, base - high * 0.92), (x + half * 0.7, base - high * 0.57)],
           shade((150, 176, 190), light))  # fmt: skip
    b.rect(x - half, base - high * 0.57, x + half, base - high * 0.14, body)
    b.rect(x - half * 0.45, base - high * 0.36, x + half * 0.45, base - high * 0.2, (40, 40, 44))
    for side in (-0.74, 0.74):
        size = max(wide * 0.1, 0.5)
        b.oval(x + side * half, base - high * 0.38, size, size * 0.8, (255, 248, 205))
        if night:
            b.glow(x + side * half, base - high * 0.38, wide * 0.5, 0.6)


def _road_across(b: Brush, horizon: float, base: float, weather: str, tar, paint) -> None:
    light, wide, night = dim(weather), b.width, weather == 'night'
    kerb = shade((190, 186, 178), light)
    far = horizon + b.between(8, 12)
    _verge(b, far - 3, weather, b.chance(0.6))
    b.rect(0, far - 3, wide, far, kerb)
    b.rect(0, far, wide, far + 1.2, shade(kerb, 0.6))
    b.gradient(0, far + 1.2, wide, 100, shade(tar, 0.85), tar)
    dash = far + b.between(11, 13)
    for x in np.arange(b.between(-8, 0), wide, 17):
        b.poly([(x, dash), (x + 10, dash), (x + 9.4, dash + 2), (x - 0.6, dash + 2)], paint)
    if b.chance(0.6):  # A zebra crossing.
        start = b.between(0.1, 0.6) * wide
        for x in np.arange(start, start + 34, 7):
            b.poly([(x, far + 2), (x + 3.6, far + 2), (x + 3.2, 94), (x - 1, 94)], paint)
    for x in np.arange(b.between(4, 16), wide, b.between(36, 48)):
        street_lamp(b, x, far - 1, 46, b.pick([-1, 1]), night)
    for x in np.arange(b.between(-10, 30), wide + 20, b.between(44, 70)):
        car(b, x, far + b.between(6, 8), b.between(36, 44), light, -1, night)
    b.rect(0, 94, wide, 95, shade(kerb, 0.7))
    b.rect(0, 95, wide, 100, kerb)
    if b.chance(0.5):
        x = b.between(0.05, 0.95) * wide
        b.rect(x - 0.7, 22, x + 0.7, base, (70, 72, 76))
        b.rect(x - 2.8, 14, x + 2.8, 28, (34, 36, 38))
        for y, colour in ((17, (230, 50, 40)), (21, (90, 74, 26)), (25, (30, 80, 44))):
            b.oval(x, y, 1.6, 1.6, colour)


def car_cabin(brush: Brush, base: float) -> None:
    """The inside of a car through its windscreen: roof, seats, windows, mirror, dashboard."""
    b, wide = brush, brush.width
    weather = draw_weather(b)
    light = dim(weather)
    landscape(b, 0, 0, wide, base, weather)
    trim, cloth = b.paint(0.15, 0.75, 0.3), b.paint(0.2, 0.88, 0.65)
    body, middle = shade(b.bright(), max(light, 0.55)), wide / 2
    roof, sill = b.between(15, 19), b.between(53, 58)
    top_half, foot_half = wide * b.between(0.33, 0.37), wide * b.between(0.41, 0.44)
    dash = base + b.between(3, 7)

    def span(y: float) -> float:
        """Half the width of the windscreen at height y."""
        return top_half + (foot_half - top_half) * (y - roof) / (dash - roof)

    _rear(b, middle, roof, sill, trim, cloth)
    for side in (-1, 1):
        # Doors below the side windows, with an armrest, and the pillar with its belt.
        inner, outer = middle + side * wide * 0.22, middle + side * (span(70) + 1)
        b.poly([(inner, sill - 2), (outer, sill + 4), (outer, 100), (inner, 100)],
               shade(trim, 0.75))  # fmt: skip
        b.line([(inner, sill - 2), (outer, sill + 4)], shade(trim, 1.2), 1)
        post = middle + side * wide * 0.27
        b.poly([(post - side * 1.6, roof), (post + side * 2.2, roof), (post + side * 5, sill + 8),
                (post - side * 1, sill + 8)], shade(trim, 0.55))  # fmt: skip
        b.line([(post, roof + 12), (post - side * 9, 84)], (38, 38, 42), 1.2)
        b.oval(post, roof + 11, 1.2, 1.6, (180, 180, 180))
    for side in (-1, 1):
        _seat(b, middle + side * wide * SEAT, b.between(43, 47), b.between(12.5, 14.5), cloth)
    # Roof lining with sun visors.
    left, right = middle - span(roof), middle + span(roof)
    b.poly([(left + 4, roof - 6), (right - 4, roof - 6), (right, roof + 1),
            (middle + wide * 0.2, roof + 4), (middle - wide * 0.2, roof + 4), (left, roof + 1)],
           shade(trim, 1.25))  # fmt: skip
    b.line([(left, roof + 1), (middle - wide * 0.2, roof + 4), (middle + wide * 0.2, roof + 4),
            (right, roof + 1)], shade(trim, 0.6), 0.8)  # fmt: skip
    for side in (-1, 1):
        inner, outer = middle + side * 9, middle + side * wide * 0.31
        drop = roof + b.between(4, 10)
        b.poly([(inner, roof - 3), (outer, roof - 3), (outer, drop), (inner + side, drop)],
               shade(trim, 0.95))  # fmt: skip
        b.line([(outer, drop), (inner + side, drop)], shade(trim, 0.6), 0.6)
    b.rect(middle - 0.8, roof - 5, middle + 0.8, roof + 3, IRON)
    b.oval(middle, roof + 4, 10.5, 3.4, (28, 28, 31))
    glass = (150, 172, 190) if weather != 'night' else (58, 66, 86)
    b.oval(middle, roof + 4, 9.4, 2.5, glass)
    if b.chance(0.4):
        b.line([(middle, roof + 7), (middle, roof + 13)], IRON, 0.3)
        b.poly([(middle - 2.5, roof + 19), (middle, roof + 12.5), (middle + 2.5, roof + 19)],
               b.bright())  # fmt: skip
    for side in (-1, 1):
        _screen_frame(b, middle, side, span, roof, dash, trim, body)
    b.rect(middle - span(roof) + 7, roof - 5, middle + span(roof) - 7, roof - 3.6, (26, 26, 28))
    b.poly([(0, dash + 3), (wide * 0.2, dash), (wide * 0.8, dash), (wide, dash + 3), (wide, 100),
            (0, 100)], shade(trim, 0.5))  # fmt: skip
    b.line([(0, dash + 3), (wide * 0.2, dash), (wide * 0.8, dash), (wide, dash + 3)],
           shade(trim, 1.1), 0.7)  # fmt: skip
    for x in (wide * 0.16, middle - 8, middle + 8, wide * 0.84):
        b.oval(x, dash + 5, 4.5, 2, (24, 24, 26))
        b.line([(x - 3.6, dash + 5), (x + 3.6, dash + 5)], shade(trim, 0.9), 0.4)


def _rear(b, middle, roof, sill, trim, cloth) -> None:
    """The back of the cabin: a rear window over a bench with two headrests."""
    half, top, lower = b.width * b.between(0.14, 0.17), roof + 6, b.between(43, 47)
    outer = b.width * 0.24
    for side in (-1, 1):
        b.poly([(middle + side * half, top - 8), (middle + side * (outer - 5), top - 8),
                (middle + side * outer, lower + 9), (middle + side * (half + 3), lower + 9)],
               shade(trim, 0.6))  # fmt: skip
    b.rect(middle - outer, top - 6, middle + outer, top, shade(trim, 0.6))
    b.rect(middle - outer, lower, middle + outer, 100, shade(trim, 0.5))
    for y in np.arange(top + 3, lower, 4):  # Heating wires.
        b.rows(middle - half, middle + half, [y], shade((150, 130, 110), 0.8))
    b.rect(middle - outer, lower + 3, middle + outer, 100, shade(cloth, 0.55))
    for side in (-1, 1):
        b.oval(middle + side * half * 0.55, lower + 1, 5, 3.4, shade(cloth, 0.62))


def _screen_frame(b, middle, side, span, roof, dash, trim, body) -> None:
    """One side's pillar, the bodywork beyond it and the outside mirror."""
    edge = middle + side * (span(dash) + 16)

    def rim(offset: float) -> list[tuple[float, float]]:
        """The curve of the windscreen's side, rounded above."""
        points = [(span(roof) - 7, roof - 4.4), (span(roof) - 2, roof - 3), (span(roof), roof + 1),
                  (span(dash), dash + 4)]  # fmt: skip
        return [(middle + side * (x + offset), y) for x, y in points]

    b.poly([(middle, roof - 11), (middle + side * span(roof) * 0.75, roof - 10),
            (middle + side * (span(roof) + 2), roof - 5), (middle + side * (span(roof) + 7), roof),
            (middle + side * (span(56) + 6), 56), (middle + side * (span(62) + 11), 63),
            (edge, 66), (edge, dash + 4), *rim(0)[::-1], (middle, roof - 4.4)], body)  # fmt: skip
    b.line([(middle + side * (span(roof) + 3.5), roof + 2), (middle + side * (span(56) + 3), 57)],
           shade(body, 1.3), 0.6)  # fmt: skip
    b.poly([*rim(-3.2), *rim(0.6)[::-1]], shade(trim, 0.7))
    b.line(rim(0.6), (26, 26, 28), 1.1)
    x = middle + side * (span(60) + 7)
    b.oval(x, 59, 6, 4.2, shade(body, 0.7))
    b.oval(x, 59, 4.6, 3, (140, 158, 172))


def _seat(b, x, top, half, cloth) -> None:
    head = half * 0.5
    for side in (-0.4, 0.4):
        b.rect(x + side * head - 0.4, top - 4, x + side * head + 0.4, top + 2, (176, 178, 182))
    b.oval(x, top - half * 0.42 - 2, head, half * 0.4, cloth)
    b.oval(x, top - half * 0.42 - 2, head * 0.7, half * 0.26, shade(cloth, 0.88))
    b.poly([(x - half * 0.7, top), (x + half * 0.7, top), (x + half, top + half * 0.6),
            (x + half * 1.02, 100), (x - half * 1.02, 100), (x - half, top + half * 0.6)],
           cloth)  # fmt: skip
    for side in (-0.5, 0.5):
        b.line([(x + side * half, top + 2), (x + side * half * 1.1, 100)], shade(cloth, 0.75), 0.7)
    b.rows(x - half * 0.5, x + half * 0.5, np.arange(top + 6, 96, 6), shade(cloth, 0.85))
