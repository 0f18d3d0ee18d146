"""Outdoor scenery: skies, hills, trees, streets, cars, houses; also seen through windows."""

from __future__ import annotations

import math

import numpy as np

from cpad_jax.synthetic.brush import RGB, Brush, mixed, shade

_SKIES = {  # upper and lower colour: hue, saturation, value
    'clear': ((0.59, 0.6, 0.85), (0.56, 0.2, 0.97)),
    'grey': ((0.6, 0.06, 0.68), (0.6, 0.03, 0.86)),
    'dusk': ((0.7, 0.4, 0.5), (0.06, 0.5, 0.95)),
    'night': ((0.65, 0.6, 0.16), (0.63, 0.5, 0.36)),
    'rain': ((0.6, 0.1, 0.42), (0.58, 0.06, 0.62)),
}


def draw_weather(brush: Brush) -> str:
    """One of the skies; 'night' for one in four."""
    return str(brush.rng.choice(list(_SKIES), p=(0.37, 0.16, 0.12, 0.23, 0.12)))


def dim(weather: str) -> float:
    """The brightness outside in that weather, 0 to 1."""
    return {'night': 0.52, 'rain': 0.75, 'dusk': 0.72}.get(weather, 1.0)


def sky(brush: Brush, left: float, top: float, right: float, bottom: float, weather: str) -> None:
    """Paints a sky with clouds, sun, moon or stars."""
    upper, lower = (brush.fixed(*colour) for colour in _SKIES[weather])
    brush.gradient(left, top, right, bottom, upper, lower)
    inner = brush.view(left, top, right, bottom)
    wide, high = right - left, bottom - top
    if weather == 'night':
        for _ in range(int(wide * high / 250)):
            x, y = brush.between(left, right), brush.between(top, bottom)
            inner.rect(x, y, x + 0.4, y + 0.4, (200, 205, 220))
    if weather in ('night', 'clear', 'dusk') and brush.chance(0.4):
        colour = (235, 235, 215) if weather == 'night' else (255, 240, 190)
        size = brush.between(2.5, 5)
        x, y = brush.between(left, right), top + brush.between(0.1, 0.6) * high
        inner.oval(x, y, size, size, colour)
    if weather in ('clear', 'grey', 'dusk') and wide > 20:
        for _ in range(int(brush.between(0, 5))):
            x, y = brush.between(left, right), top + brush.between(0.05, 0.7) * high
            colour = mixed(lower, (255, 255, 255), 0.55)
            size = brush.between(3, 9)
            inner.oval(x, y, size * 1.7, size * 0.32, colour)
            inner.dome(x - size * 0.4, y, size * 0.7, size * 0.55, colour)
            inner.dome(x + size * 0.5, y, size * 0.55, size * 0.4, colour)


def rain(brush: Brush, count: int) -> None:
    """Draws streaks of rain over the whole brush's width."""
    slope = brush.between(-2, 2)
    for x, y in brush.rng.uniform((0, 0), (brush.width, 95), (count, 2)):
        brush.line([(x, y), (x + slope, y + 5)], (178, 186, 196), 0.2)


def hills(brush: Brush, left: float, right: float, base: float, high: float, colour: RGB) -> None:
    """Draws a rolling line of hills that rise up to `high` above `base`."""
    x = np.linspace(left, right, 24)
    phase = brush.rng.uniform(0, 2 * math.pi, 3)
    wave = sum(np.sin(x / length + p) for length, p in zip((9.0, 17.0, 31.0), phase, strict=True))
    y = base - high * (0.5 + wave / 6)
    brush.poly([*zip(x, y, strict=True), (right, base + 1), (left, base + 1)], colour)


def leaves(brush: Brush, light: float) -> RGB:
    """A colour of leaves, grass to autumn."""
    return shade(brush.fixed(brush.between(0.2, 0.38), brush.between(0.35, 0.7), 0.5), light)


def tree(brush: Brush, x: float, base: float, high: float, light: float = 1.0) -> None:
    """Draws a tree: round, pointed or bare."""
    bark = shade(brush.fixed(0.07, 0.5, brush.between(0.2, 0.45)), light)
    crown = leaves(brush, light * brush.between(0.7, 1.2))
    kind = brush.rng.random()
    stem = high * 0.045 + 0.3
    brush.poly([(x - stem, base), (x - stem * 0.6, base - high * 0.6),
                (x + stem * 0.6, base - high * 0.6), (x + stem, base)], bark)  # fmt: skip
    if kind < 0.3:
        for step in range(3):
            half, top = high * (0.24 - 0.05 * step), base - high * (0.55 + 0.225 * step)
            tip = [(x - half, top + high * 0.4), (x, top), (x + half, top + high * 0.4)]
            brush.poly(tip, shade(crown, 0.8 + 0.1 * step))
    elif kind < 0.9:
        for _ in range(7):
            angle, reach = brush.between(0, 2 * math.pi), brush.between(0, 0.2) * high
            size = high * brush.between(0.11, 0.2)
            cx, cy = x + reach * math.cos(angle), base - high * 0.72 + reach * math.sin(angle)
            brush.oval(cx, cy, size * 1.1, size, shade(crown, brush.between(0.8, 1.15)))
    else:
        for side in (-0.3, -0.14, 0.1, 0.28):
            top = base - high * brush.between(0.75, 1.0)
            brush.line([(x, base - high * 0.45), (x + side * high, top)], bark, stem * 0.7)


def building(
    brush: Brush, left: float, top: float, right: float, base: float, weather: str, shop: bool
) -> None:
    """Draws a block of flats or offices with its windows; `shop` gives it a shop front."""
    light = dim(weather)
    wall = shade(brush.paint(0.4, 0.85, 0.4), light)
    brush.rect(left, top, right, base, wall)
    brush.rect(left, top, right, top + 1.2, shade(wall, 0.75))
    glass = shade(brush.fixed(0.58, 0.25, brush.between(0.3, 0.6)), light)
    lit = brush.fixed(0.12, 0.45, 0.95)
    stride, storey = brush.between(4, 6.5), brush.between(7, 9.5)
    share = 0.45 if weather == 'night' else 0.04
    lowest = base - (13 if shop else 2)
    for y in np.arange(top + 3, lowest - storey * 0.5, storey):
        for x in np.arange(left + 1.5, right - stride * 0.6, stride):
            colour = lit if brush.chance(share) else glass
            brush.rect(x, y, x + stride * 0.55, y + storey * 0.58, colour)
    if shop:
        brush.rect(left + 1, base - 9, right - 1, base, lit if weather == 'night' else glass)
        stripe = (right - left) / 8
        awning = shade(brush.bright(), light)
        for index in range(8):
            x = left + index * stripe
            colour = awning if index % 2 else shade((240, 238, 230), light)
            brush.rect(x, base - 12, x + stripe, base - 8, colour)


def car(
    brush: Brush, x: float, base: float, long: float, light: float, side: int, dark: bool = False
) -> None:
    """Draws a car seen from the side, `long` units; `side` −1 faces left, 1 right."""
    body = shade(brush.pick([brush.bright(), brush.paint(0.2, 0.95, 0.2)]), light)
    high, wheel = long * 0.3, long * 0.085
    cabin, boot = brush.between(0.62, 0.8), brush.between(0.0, 0.1)

    def at(along: float, up: float) -> tuple[float, float]:
        return x + side * (along - 0.5) * long, base - up * high

    brush.oval(x, base, long * 0.52, 0.9, (38, 38, 42))
    brush.poly([at(0.1 + boot, 0.55), at(0.22 + boot, 1.0), at(cabin - 0.15, 1.0),
                at(cabin, 0.58), at(0.5, 0.5)], body)  # fmt: skip
    glass = (230, 215, 150) if dark and brush.chance(0.3) else shade((150, 175, 190), light)
    brush.poly([at(0.16 + boot, 0.58), at(0.245 + boot, 0.93), at(0.42, 0.93), at(0.42, 0.58)],
               glass)  # fmt: skip
    brush.poly([at(0.45, 0.58), at(0.45, 0.93), at(cabin - 0.16, 0.93), at(cabin - 0.04, 0.58)],
               glass)  # fmt: skip
    brush.poly([at(0, 0.2), at(0.01, 0.56), at(0.1, 0.62), at(0.75, 0.6), at(0.97, 0.46),
                at(1, 0.2), at(0.95, 0.12), at(0.05, 0.12)], body)  # fmt: skip
    brush.line([at(0.02, 0.3), at(0.98, 0.3)], shade(body, 0.75), 0.4)
    brush.line([at(0.435, 0.56), at(0.435, 0.16)], shade(body, 0.7), 0.3)
    for along in (0.2, 0.79):
        cx, _ = at(along, 0)
        brush.oval(cx, base - wheel, wheel, wheel, (28, 28, 30))
        brush.oval(cx, base - wheel, wheel * 0.5, wheel * 0.5, shade((175, 175, 180), light))
    lamp, tail = at(0.96, 0.4), at(0.02, 0.42)
    brush.oval(*lamp, long * 0.025, long * 0.022, (255, 245, 190) if dark else (225, 225, 215))
    brush.oval(*tail, long * 0.018, long * 0.02, (200, 30, 25))


def street_lamp(brush: Brush, x: float, base: float, high: float, side: int, lit: bool) -> None:
    """Draws a street lamp whose arm reaches to one side (−1 or 1)."""
    iron = (70, 74, 78) if not lit else (40, 42, 46)
    arm = high * 0.2
    thick = max(high * 0.018, 0.35)
    brush.line([(x, base), (x, base - high), (x + side * arm, base - high * 1.03)], iron, thick)
    head = (x + side * arm, base - high * 1.015)
    if lit:
        brush.oval(*head, high * 0.07, high * 0.07, (190, 165, 95))
    brush.oval(*head, high * 0.055, high * 0.02, (255, 240, 175) if lit else (215, 215, 205))


def fence(brush: Brush, left: float, right: float, base: float, colour: RGB) -> None:
    """Draws a picket fence."""
    high, stride = brush.between(8, 13), brush.between(2.4, 4)
    flat = brush.chance(0.4)
    for y in (base - high * 0.75, base - high * 0.3):
        brush.rect(left, y, right, y + 1, shade(colour, 0.85))
    for x in np.arange(left, right, stride):
        brush.rect(x, base - high, x + stride * 0.55, base, colour)
        if not flat:
            tip = [(x, base - high), (x + stride * 0.27, base - high - 1.5),
                   (x + stride * 0.55, base - high)]  # fmt: skip
            brush.poly(tip, colour)


def bush(brush: Brush, x: float, base: float, size: float, light: float) -> None:
    """Draws a bush, sometimes in flower."""
    colour = leaves(brush, light * 0.9)
    for dx, factor in ((-0.6, 0.75), (0.6, 0.7), (0.0, 1.0)):
        brush.dome(x + dx * size, base, size * 0.8, size * factor, shade(colour, 0.8 + factor / 5))
    if brush.chance(0.5):
        bloom = shade(brush.bright(), light)
        for _ in range(6):
            px, py = x + brush.between(-1, 1) * size, base - brush.between(0.1, 0.75) * size
            brush.oval(px, py, 0.6, 0.6, bloom)


def landscape(
    brush: Brush, left: float, top: float, right: float, bottom: float, weather: str
) -> None:
    """Draws a small view as seen through a window: town, garden or hills under a sky."""
    inner = brush.view(left, top, right, bottom)
    sky(inner, left, top, right, bottom, weather)
    wide, high, light = right - left, bottom - top, dim(weather)
    if brush.chance(0.35):
        x = left - 2
        while x < right:
            step = brush.between(6, 13)
            roof = bottom - high * brush.between(0.3, 0.8)
            building(inner, x, roof, x + step, bottom, weather, False)
            x += step + 0.3
        return
    hills(inner, left, right, bottom - high * 0.1, high * 0.35, leaves(brush, light * 0.8))
    inner.rect(left, bottom - high * 0.15, right, bottom, leaves(brush, light))
    for _ in range(int(1 + wide / 16)):
        size = high * brush.between(0.4, 0.9)
        tree(inner, brush.between(left, right), bottom - high * 0.06, size, light)


def house(brush: Brush, x: float, base: float, wide: float, weather: str) -> float:
    """Draws a house front about x, `wide` units. Returns the x of its door."""
    light, night = dim(weather), weather == 'night'
    wall = shade(brush.pick([brush.paint(0.6, 0.95, 0.35), brush.fixed(0.03, 0.5, 0.62)]), light)
    trim = shade(brush.pick([(240, 238, 230), brush.paint(0.25, 0.9, 0.4)]), light)
    roof = shade(brush.pick([brush.fixed(0.02, 0.6, 0.55), brush.fixed(0.6, 0.15, 0.4),
                             brush.wood()]), light)  # fmt: skip
    left, right = x - wide / 2, x + wide / 2
    two = brush.chance(0.55)
    eaves = base - (45 if two else 30) * brush.between(0.95, 1.1)
    peak = max(eaves - brush.between(15, 24), 3)
    chimney = x + brush.pick([-0.3, 0.3]) * wide
    brush.rect(chimney - 2.5, peak - 2, chimney + 2.5, eaves, shade(wall, 0.7))
    brush.rect(chimney - 3.2, peak - 3, chimney + 3.2, peak - 1.5, shade(wall, 0.55))
    brush.rect(left, eaves, right, base, wall)
    if brush.chance(0.6):  # Clapboard or brick courses.
        brush.rows(left, right, np.arange(eaves + 2.2, base, 2.2), shade(wall, 0.9))
    if brush.chance(0.5):
        brush.poly([(left, eaves), (x, peak), (right, eaves)], wall)
        brush.poly([(left - 4, eaves + 2), (x, peak - 3), (right + 4, eaves + 2),
                    (right + 1.5, eaves + 2), (x, peak + 1.5), (left - 1.5, eaves + 2)],
                   roof)  # fmt: skip
        brush.oval(x, (peak * 0.45 + eaves * 0.55), 3, 3, trim)
        brush.oval(x, (peak * 0.45 + eaves * 0.55), 2.1, 2.1, shade((90, 105, 125), light))
    else:
        inset = wide * brush.between(0.06, 0.2)
        brush.poly([(left - 4, eaves + 2), (left + inset, peak), (right - inset, peak),
                    (right + 4, eaves + 2)], roof)  # fmt: skip
        for step in (0.3, 0.55, 0.8):
            y, reach = peak + step * (eaves + 2 - peak), (inset + 4) * (1 - step)
            brush.rows(left - 4 + reach, right + 4 - reach, [y], shade(roof, 0.8))
    brush.rect(left, eaves + 2, right, eaves + 3.5, shade(wall, 0.7))
    door = x + brush.pick([-0.3, 0.0, 0.0, 0.3]) * wide
    glass = (250, 220, 140) if night else shade((135, 165, 190), light)
    sill = shade(trim, 0.8)
    storeys = [base - 23] + ([base - 43] if two else [])
    for top in storeys:
        for place in (-0.36, -0.12, 0.12, 0.36) if wide > 62 else (-0.32, 0.0, 0.32):
            cx = x + place * wide
            if top == storeys[0] and abs(cx - door) < 10:
                continue
            pane = glass if not night or brush.chance(0.7) else (45, 50, 62)
            brush.rect(cx - 4.6, top - 0.8, cx + 4.6, top + 12.8, trim)
            brush.rect(cx - 3.8, top, cx + 3.8, top + 12, pane)
            brush.columns(top, top + 12, [cx - 0.2], trim)
            brush.rows(cx - 3.8, cx + 3.8, [top + 5], trim)
            brush.rect(cx - 5.2, top + 12.5, cx + 5.2, top + 13.6, sill)
    leaf = shade(brush.bright(), light * 0.85)
    brush.rect(door - 6, base - 29, door + 6, base, trim)
    brush.rect(door - 4.8, base - 27.5, door + 4.8, base, leaf)
    for dy in (-25, -12.5):
        brush.rect(door - 3.3, base + dy, door + 3.3, base + dy + 9.5, shade(leaf, 0.8))
    brush.oval(door + 3.9, base - 13, 0.6, 0.6, (225, 190, 90))
    if brush.chance(0.5):
        brush.poly([(door - 9, base - 29), (door, base - 36), (door + 9, base - 29)], roof)
    brush.rect(door - 8, base - 1.5, door + 8, base + 1, shade((160, 158, 152), light))
    return door
