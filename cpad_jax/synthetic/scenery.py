"""Parts of rooms: walls, floors, windows, furniture and small objects."""

from __future__ import annotations

import numpy as np

from cpad_jax.synthetic.brush import RGB, Brush, mixed, shade
from cpad_jax.synthetic.outdoors import draw_weather, landscape, leaves

METAL: RGB = (182, 186, 190)
BRASS: RGB = (202, 164, 84)
IRON: RGB = (48, 48, 52)


def _wallpaper(brush: Brush, colour: RGB) -> np.ndarray:
    """A small pattern [h, w, 3] uint8 that repeats: stripes, dots, lozenges or plain."""
    size = int(brush.between(10, 22))
    other = mixed(colour, brush.paint(0.3, 0.95), brush.between(0.15, 0.35))
    y, x = np.mgrid[:size, :size]
    half = size // 2
    kind = brush.rng.random()
    if kind < 0.3:
        mask = x < half * brush.between(0.3, 1)
    elif kind < 0.5:
        mask = (x - half) ** 2 + (y - half) ** 2 < (size * 0.2) ** 2
    elif kind < 0.65:
        mask = abs(x - half) + abs(y - half) < size * 0.3
    else:
        mask = np.zeros_like(x, bool)
    return np.where(mask[:, :, None], other, colour).astype(np.uint8)


def wall(brush: Brush, base: float, colour: RGB | None = None, patterned: bool = True) -> RGB:
    """Papers or paints the back wall down to `base`. Returns its colour."""
    colour = colour or brush.paint(0.4, 0.95, 0.5)
    if patterned:
        brush.tile(0, 0, brush.width, base, _wallpaper(brush, colour))
    else:
        brush.rect(0, 0, brush.width, base, colour)
    return colour


def skirting(brush: Brush, base: float, colour: RGB) -> None:
    """Draws the board along the foot of a wall."""
    brush.rect(0, base - 3, brush.width, base, colour)
    brush.rows(0, brush.width, [base - 3.2], shade(colour, 0.7))


def floor(brush: Brush, base: float, kind: str) -> None:
    """Lays a floor from `base` down: 'planks', 'checks', 'carpet' or 'lino'."""
    vanish = brush.width * brush.between(0.35, 0.65), base - 45
    if kind == 'planks':
        colour = brush.wood()
        brush.gradient(0, base, brush.width, 100, shade(colour, 0.8), colour)
        for x in np.arange(-40, brush.width + 40, brush.between(8, 14)):
            high = (base - vanish[1]) / (100 - vanish[1])
            top = vanish[0] + (x - vanish[0]) * high
            brush.line([(top, base), (x, 100)], shade(colour, 0.7), 0.2)
    elif kind == 'checks':
        light, dark = brush.paint(0.75, 0.98, 0.15), brush.paint(0.15, 0.6, 0.5)
        brush.rect(0, base, brush.width, 100, light)
        stride = brush.between(8, 13)
        edges = [base, base + 4, base + 9.5, base + 17, 101]
        for row, (top, bottom) in enumerate(zip(edges, edges[1:], strict=False)):
            scale = [(y - vanish[1]) / (100 - vanish[1]) for y in (top, bottom)]
            for x in np.arange(-4, 20) * 2 * stride - 40 + row % 2 * stride:
                a, b = x - vanish[0], x + stride - vanish[0]
                corners = [(vanish[0] + a * scale[0], top), (vanish[0] + b * scale[0], top),
                           (vanish[0] + b * scale[1], bottom),
                           (vanish[0] + a * scale[1], bottom)]  # fmt: skip
                if corners[1][0] > 0 and corners[0][0] < brush.width:
                    brush.poly(corners, dark)
    elif kind == 'carpet':
        colour = brush.paint(0.3, 0.7, 0.65)
        brush.tile(0, base, brush.width, 100, _wallpaper(brush, colour))
        brush.light(0, base, brush.width, base + 4, 0.85)
    else:
        colour = brush.paint(0.5, 0.85, 0.2)
        brush.gradient(0, base, brush.width, 100, shade(colour, 0.85), colour)


def window(
    brush: Brush, left: float, top: float, right: float, bottom: float, curtain: bool = False
) -> None:
    """Draws a window with a view; optionally with curtains beside it."""
    frame = brush.pick([(238, 236, 228), brush.wood(), brush.paint(0.3, 0.9)])
    brush.rect(left - 1.6, top - 1.6, right + 1.6, bottom + 1.6, frame)
    landscape(brush, left, top, right, bottom, draw_weather(brush))
    count = brush.pick([2, 2, 3])
    brush_xs = np.linspace(left, right, count + 1)[1:-1]
    for x in brush_xs:
        brush.rect(x - 0.5, top, x + 0.5, bottom, frame)
    if brush.chance(0.6):
        y = top + (bottom - top) * brush.pick([0.35, 0.5])
        brush.rect(left, y - 0.4, right, y + 0.4, frame)
    brush.rect(left - 3, bottom + 1.2, right + 3, bottom + 2.8, shade(frame, 0.85))
    if curtain:
        drapes(brush, left - 3, top - 4, right + 3, bottom + brush.pick([4, 18]))


def drapes(brush: Brush, left: float, top: float, right: float, bottom: float) -> None:
    """Hangs a pair of curtains with folds from a rod."""
    cloth = brush.paint(0.35, 0.9, 0.7)
    span = (right - left) * brush.between(0.2, 0.3)
    for start, side in ((left, 1), (right, -1)):
        for index in range(5):
            x0, x1 = start + side * span * index / 5, start + side * span * (index + 1) / 5
            fold = shade(cloth, 0.78 if index % 2 else 1.0)
            brush.rect(min(x0, x1), top, max(x0, x1), bottom, fold)
    brush.rect(left - 2, top - 0.8, right + 2, top + 0.4, brush.pick([BRASS, IRON, brush.wood()]))


def picture(brush: Brush, x: float, y: float, wide: float, high: float) -> None:
    """Hangs a framed picture, centred."""
    frame = brush.pick([BRASS, IRON, brush.wood(), (230, 226, 215)])
    left, top, right, bottom = x - wide / 2, y - high / 2, x + wide / 2, y + high / 2
    brush.rect(left - 1.2, top - 1.2, right + 1.2, bottom + 1.2, frame)
    if brush.chance(0.5):
        landscape(brush, left, top, right, bottom, draw_weather(brush))
        return
    brush.rect(left, top, right, bottom, brush.paint(0.6, 0.95, 0.4))
    inner = brush.view(left, top, right, bottom)
    for _ in range(3):
        inner.oval(brush.between(left, right), brush.between(top, bottom), wide * 0.22, high * 0.2,
                   brush.bright())  # fmt: skip


def door(brush: Brush, left: float, base: float, number: str = '') -> None:
    """Draws a room door 25 units wide and 64 high, with its number if any."""
    frame = brush.pick([brush.wood(), (232, 228, 218)])
    leaf = brush.pick([brush.wood(), brush.paint(0.4, 0.95, 0.3)])
    brush.rect(left, base - 66, left + 27, base, shade(frame, 0.9))
    brush.rect(left + 2, base - 64, left + 25, base, leaf)
    for top, bottom in ((-58, -36), (-30, -6)):
        brush.rect(left + 5, base + top, left + 22, base + bottom, shade(leaf, 0.85))
        brush.rect(left + 6, base + top + 1, left + 22, base + bottom, shade(leaf, 1.08))
    brush.oval(left + 22, base - 33, 1.1, 1.1, BRASS)
    if number:
        brush.rect(left + 7.5, base - 53, left + 19.5, base - 45, BRASS)
        brush.write(number, left + 8.4, base - 47, 4.2, (40, 30, 20))


def plant(brush: Brush, x: float, base: float, high: float) -> None:
    """Draws a pot plant."""
    pot = brush.paint(0.35, 0.85, 0.6)
    size = high * 0.17
    colour = leaves(brush, brush.between(0.8, 1.2))
    for angle in np.linspace(-1.2, 1.2, int(brush.between(6, 11))):
        length = high * brush.between(0.6, 0.85)
        tip = (x + np.sin(angle) * length * 0.75, base - size - np.cos(angle) * length)
        brush.line([(x, base - size), tip], shade(colour, brush.between(0.75, 1.2)), high * 0.06)
    brush.poly([(x - size, base - size * 1.7), (x + size, base - size * 1.7),
                (x + size * 0.7, base), (x - size * 0.7, base)], pot)  # fmt: skip


def shaded_lamp(brush: Brush, x: float, base: float, high: float, size: float) -> None:
    """Draws a lamp with a cloth shade, on a foot: a floor or a table lamp."""
    cloth = brush.fixed(brush.between(0.06, 0.16), brush.between(0.1, 0.5), 0.97)
    foot = brush.pick([BRASS, IRON, brush.wood()])
    brush.rect(x - 0.6, base - high, x + 0.6, base, foot)
    brush.dome(x, base, size * 0.5, 1.4, foot)
    brush.poly([(x - size * 0.55, base - high - size), (x + size * 0.55, base - high - size),
                (x + size, base - high + size * 0.2), (x - size, base - high + size * 0.2)],
               cloth)  # fmt: skip


def hanging_lamp(brush: Brush, x: float, drop: float, size: float, colour: RGB) -> None:
    """Hangs a lamp with a dome from the ceiling."""
    brush.rect(x - 0.3, 0, x + 0.3, drop, IRON)
    brush.dome(x, drop + size * 0.8, size, size * 0.9, colour)
    brush.oval(x, drop + size * 0.8, size * 0.75, size * 0.22, (255, 244, 200))


def spines(brush: Brush, left: float, right: float, base: float, high: float) -> None:
    """Fills a shelf with books."""
    x = left
    while x < right - 1.2:
        step = brush.between(1.2, 2.8)
        colour = brush.bright()
        top = base - high * brush.between(0.7, 1.0)
        brush.rect(x, top, min(x + step, right), base, colour)
        x += step + (brush.between(0, 5) if brush.chance(0.12) else 0.25)


def binders(brush: Brush, left: float, right: float, base: float, high: float) -> None:
    """Fills a shelf with office binders: broad backs with labels."""
    colours = [brush.bright(), (35, 38, 44), brush.paint(0.4, 0.9)]
    for x in np.arange(left, right - 3.4, 3.7):
        if brush.chance(0.1):
            continue
        brush.rect(x, base - high, x + 3.3, base, brush.pick(colours))
        brush.rect(x + 0.8, base - high * 0.8, x + 2.5, base - high * 0.4, (240, 240, 232))
        brush.rect(x + 1.2, base - high * 0.25, x + 2.1, base - high * 0.12, (210, 210, 210))


def goods(brush: Brush, left: float, right: float, base: float, high: float) -> None:
    """Fills a shop's shelf with one or two kinds of packages: boxes, bottles, tins, fruit."""
    middle = brush.between(left + (right - left) * 0.35, right) if brush.chance(0.6) else right
    for start, end in ((left, middle), (middle + 0.8, right)):
        kind, wide = brush.rng.random(), brush.between(2.8, 5.5)
        colours = [brush.bright(), brush.bright()]
        label = brush.pick([(245, 242, 230), brush.bright()])
        tall = high * brush.between(0.6, 0.92)
        for index, x in enumerate(np.arange(start, end - wide, wide + 0.5)):
            colour = colours[index // 3 % 2]
            if kind < 0.5:
                brush.rect(x, base - tall, x + wide, base, colour)
                brush.rect(x + 0.6, base - tall * 0.7, x + wide - 0.6, base - tall * 0.4, label)
            elif kind < 0.8:
                third = wide / 3
                brush.rect(x, base - tall * 0.65, x + wide * 0.8, base, colour)
                brush.rect(x + third * 0.8, base - tall, x + third * 1.6, base - tall * 0.6, colour)
                brush.rect(x, base - tall * 0.45, x + wide * 0.8, base - tall * 0.2, label)
            else:
                brush.dome(x + wide / 2, base, wide * 0.5, tall * 0.7, colour)


def shelves(
    brush: Brush, left: float, top: float, right: float, base: float, rows: int, fill
) -> None:
    """Draws a rack of `rows` shelves, each filled by `fill(brush, left, right, base, high)`."""
    frame = brush.pick([brush.wood(), METAL, (228, 226, 220)])
    brush.rect(left, top, right, base, frame)
    step = (base - top - 1) / rows
    for row in range(rows):
        bottom = top + (row + 1) * step
        brush.rect(left + 1.2, bottom - step + 1.2, right - 1.2, bottom, shade(frame, 0.45))
        fill(brush, left + 1.8, right - 1.8, bottom, step - 2.2)


def cushion(brush: Brush, x: float, base: float, size: float, colour: RGB) -> None:
    """Draws a cushion on its edge."""
    brush.poly([(x - size, base), (x - size * 0.85, base - size * 1.7), (x, base - size * 1.5),
                (x + size * 0.9, base - size * 1.65), (x + size, base)], colour)  # fmt: skip


def ceiling(brush: Brush, depth: float, colour: RGB) -> None:
    """Draws a strip of ceiling with its cornice."""
    brush.rect(0, 0, brush.width, depth, colour)
    brush.rect(0, depth - 1.2, brush.width, depth, shade(colour, 0.8))


def clock(brush: Brush, x: float, y: float, size: float) -> None:
    """Hangs a round clock."""
    brush.oval(x, y, size, size, IRON)
    brush.oval(x, y, size * 0.85, size * 0.85, (242, 240, 232))
    for reach in (0.5, 0.75):
        turn = brush.between(0, 6.28)
        tip = (x + np.cos(turn) * size * reach, y + np.sin(turn) * size * reach)
        brush.line([(x, y), tip], IRON, 0.3)
