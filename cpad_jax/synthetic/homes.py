"""Stage sets of homes: kitchen, bedroom, living room.

Every indoor set repeats what is typical of it over its whole width and its upper half, for people
stand in front. Colours come from the same ranges everywhere, so they do not give a place away.
"""

from __future__ import annotations

import numpy as np

from cpad_jax.synthetic.brush import Brush, shade
from cpad_jax.synthetic.scenery import (
    BRASS,
    IRON,
    METAL,
    cushion,
    floor,
    hanging_lamp,
    picture,
    plant,
    shaded_lamp,
    shelves,
    skirting,
    spines,
    wall,
    window,
)


def kitchen(brush: Brush, base: float) -> None:
    """Cupboards above and below, tiles, a stove with its hood, a fridge, a sink, a lamp."""
    b, wide = brush, brush.width
    wall(b, base, patterned=False)
    tile, top, bottom = b.paint(0.6, 0.98, 0.5), b.between(25, 29), b.between(46, 49)
    size = b.between(3.4, 5.5)
    b.rect(0, top - 6, wide, bottom, tile)
    joint = shade(tile, 0.72 if b.chance(0.6) else 1.5)
    b.rows(0, wide, np.arange(top - 6, bottom, size), joint)
    b.columns(top - 6, bottom, np.arange(b.between(0, 4), wide, size), joint)
    if b.chance(0.5):
        accent = b.bright()
        for x in np.arange(0, wide, size)[:: int(b.between(2, 5))]:
            b.rect(x, top + size, x + size, top + 2 * size, accent)
    front, work = b.pick([b.paint(0.5, 0.97, 0.55), b.wood()]), b.paint(0.3, 0.9, 0.25)
    floor(b, base, b.pick(['checks', 'checks', 'lino', 'planks']))
    units = ['fridge', 'stove', 'sink', 'drawers', 'cupboard', 'cupboard']
    b.rng.shuffle(units)
    x = -b.between(0, 6)
    for unit in [*units, 'cupboard', 'drawers', 'cupboard']:
        step = {'fridge': 27, 'stove': 24, 'sink': 29}.get(unit, 19) * b.between(0.92, 1.08)
        if x > wide:
            break
        _kitchen_unit(b, unit, x, x + step, top, bottom, base, front, work)
        x += step
    lamp = b.paint(0.5, 0.98, 0.8)
    for x in wide * np.array(b.pick([[0.5], [0.3, 0.7]])):
        hanging_lamp(b, x + b.between(-8, 8), b.between(3, 12), b.between(5, 8), lamp)
        b.glow(x, 15, 30, 0.2)


def _kitchen_unit(b, unit, x0, x1, top, bottom, base, front, work) -> None:
    edge, middle = shade(front, 0.72), (x0 + x1) / 2
    if unit == 'fridge':
        colour = b.pick([(236, 238, 238), METAL, b.paint(0.5, 0.95, 0.6)])
        high = b.between(16, 24)
        b.rect(x0, 0, x1, base, shade(front, 0.6))
        b.rect(x0 + 0.6, high, x1 - 0.6, base - 1, colour)
        split = b.between(0.28, 0.62) * (base - high) + high
        b.rect(x0 + 0.6, split, x1 - 0.6, split + 1, shade(colour, 0.55))
        b.rect(x0 + 0.6, high, x0 + 2, base - 1, shade(colour, 0.85))
        b.rect(x1 - 4, split - 12, x1 - 2.6, split - 2, shade(colour, 0.5))
        b.rect(x1 - 4, split + 3, x1 - 2.6, split + 16, shade(colour, 0.5))
        for _ in range(int(b.between(0, 7))):
            nx, ny = b.between(x0 + 3, x1 - 8), b.between(high + 2, split - 5)
            b.rect(nx, ny, nx + b.between(1.5, 4), ny + b.between(1.5, 4), b.bright())
        b.rect(x0 + 1, 2, x1 - 1, high - 1, front)
        b.rect(middle - 0.3, 2, middle + 0.3, high - 1, edge)
        return
    b.rect(x0, bottom + 2.5, x1, base - 2.5, front)
    b.rect(x0, base - 2.5, x1, base, shade(front, 0.3))
    b.columns(bottom + 2.5, base - 2.5, [x0, x1 - 0.4], edge)
    if unit == 'stove':
        colour = b.pick([(232, 232, 230), METAL, (58, 58, 62), b.paint(0.4, 0.9, 0.6)])
        b.rect(x0, bottom, x1, base - 1, colour)
        b.rect(x0 + 3, bottom + 9, x1 - 3, base - 7, (34, 32, 34))
        b.rect(x0 + 4.5, bottom + 11, x1 - 4.5, base - 9, (98, 66, 40))
        b.rect(x0 + 3, bottom + 6.8, x1 - 3, bottom + 7.8, shade(colour, 0.5))
        for kx in np.linspace(x0 + 3.5, x1 - 3.5, 5):
            b.oval(kx, bottom + 3.8, 1.0, 1.0, (30, 30, 32))
        b.rect(x0, bottom - 0.8, x1, bottom + 1, (28, 28, 30))
        for place in (0.28, 0.72):
            b.rect(x0 + place * (x1 - x0) - 3.5, bottom - 1.4, x0 + place * (x1 - x0) + 3.5,
                   bottom - 0.6, IRON)  # fmt: skip
        hood = b.pick([METAL, front, (64, 64, 68)])
        b.poly([(middle - 3.5, 0), (middle + 3.5, 0), (middle + 4, top - 9), (x1, top - 2),
                (x1, top + 0.6), (x0, top + 0.6), (x0, top - 2), (middle - 4, top - 9)],
               hood)  # fmt: skip
        b.rect(x0, top - 0.8, x1, top + 0.6, shade(hood, 0.6))
        for place in (0.28, 0.72):
            if b.chance(0.7):
                _pot(b, x0 + place * (x1 - x0), bottom - 1.4)
        return
    b.rect(x0, bottom, x1, bottom + 2.5, work)
    b.rect(x0, bottom + 2.5, x1, bottom + 3.5, shade(front, 0.5))
    if unit == 'drawers':
        for y in np.linspace(bottom + 4, base - 3, 5)[:4]:
            b.rows(x0 + 1, x1 - 1, [y], edge)
            b.rect(middle - 3, y + 2, middle + 3, y + 3, shade(front, 0.45))
    else:
        for a, c, handle in ((x0, middle, middle - 2), (middle, x1, middle + 1.2)):
            b.rect(a + 1, bottom + 4.5, c - 1, base - 4, edge)
            b.rect(a + 1.6, bottom + 5.2, c - 1.6, base - 4.6, front)
            b.rect(handle, bottom + 8, handle + 0.9, bottom + 13, shade(front, 0.4))
    if unit == 'sink':
        window(b, x0 + 4, 6, x1 - 4, top + 9)
        b.rect(x0 + 4, bottom - 0.2, x1 - 4, bottom + 2.2, (150, 154, 158))
        b.line(
            [
                (middle, bottom),
                (middle, bottom - 8),
                (middle + 2, bottom - 10),
                (middle + 5, bottom - 9),
                (middle + 5, bottom - 7),
            ],
            (205, 208, 212),
            1.0,
        )
        for _ in range(3):
            px = b.between(x0 + 3, middle - 3)
            b.oval(px, bottom - 3, 1.6, 3, (236, 238, 240))
        return
    b.rect(x0, 1, x1, top, edge)
    for a, c, handle in ((x0, middle, middle - 2), (middle, x1, middle + 1.2)):
        b.rect(a + 0.5, 1.6, c - 0.5, top - 0.6, front)
        b.rect(a + 1.8, 3.5, c - 1.8, top - 2.4, shade(front, 0.9))
        b.rect(handle, top - 7, handle + 0.9, top - 3, shade(front, 0.4))
    _kitchen_things(b, x0, x1, bottom)


def _pot(b, x, base) -> None:
    colour = b.pick([METAL, b.bright(), (60, 62, 66)])
    size = b.between(2.6, 4)
    b.rect(x - size, base - size * 1.3, x + size, base, colour)
    b.rect(x - size - 1.8, base - size, x + size + 1.8, base - size * 0.7, shade(colour, 0.6))
    b.dome(x, base - size * 1.3, size, 1.3, shade(colour, 0.8))
    b.oval(x, base - size * 1.3 - 1.5, 0.6, 0.6, IRON)


def _kitchen_things(b, x0, x1, y) -> None:
    kind, x, colour = b.rng.random(), (x0 + x1) / 2, b.bright()
    if kind < 0.25:  # Kettle.
        b.poly([(x - 4, y), (x - 2.6, y - 7), (x + 2.6, y - 7), (x + 4, y)], colour)
        b.line([(x + 3, y - 4), (x + 6, y - 7)], colour, 1)
        b.oval(x, y - 8, 3, 3, IRON, 0.7)
    elif kind < 0.45:  # Toaster.
        b.rect(x - 5, y - 7, x + 5, y, METAL)
        b.rect(x - 3.5, y - 9, x + 3.5, y - 7, (196, 142, 82))
        b.rect(x + 5, y - 5, x + 6, y - 3.5, IRON)
    elif kind < 0.75:  # Jars.
        for index in range(4):
            jx = x0 + 2 + index * (x1 - x0 - 4) / 4
            b.rect(jx, y - 6.5 + index, jx + 3, y, shade(colour, 0.8 + index * 0.1))
            b.rect(jx, y - 7.5 + index, jx + 3, y - 6.2 + index, (232, 228, 216))
    else:  # Rail with ladles.
        b.rect(x0 + 2, y - 17, x1 - 2, y - 16.3, METAL)
        for lx in np.linspace(x0 + 4, x1 - 4, 4):
            b.rect(lx, y - 16.5, lx + 0.6, y - 9, METAL)
            b.oval(lx + 0.3, y - 8.3, 1.3, 1.3, METAL)


def bedroom(brush: Brush, base: float) -> None:
    """A bed with pillows, bedside lamps, a wardrobe, curtains."""
    b, wide = brush, brush.width
    wall(b, base)
    skirting(b, base, b.pick([(236, 232, 222), b.wood()]))
    floor(b, base, b.pick(['planks', 'carpet']))
    timber = b.wood()
    bed = wide * b.between(0.42, 0.6)
    left = wide - bed - 38
    # Wardrobe on one side, window or picture over the bed.
    right = wide + b.between(-4, 6)
    storage = _wardrobe if b.chance(0.65) else _dresser
    storage(b, right - 36, base, right, timber)
    centre = b.between(0.48, 0.56) * (wide - 34)
    half = bed / 2
    if b.chance(0.55):
        window(b, centre - 17, 10, centre + 17, 36, curtain=True)
    else:
        for x in np.linspace(centre - half * 0.6, centre + half * 0.6, b.pick([1, 2, 3])):
            picture(b, x, b.between(16, 24), b.between(11, 16), b.between(10, 15))
    if b.chance(0.65):
        _bed_from_foot(b, centre, half, base, timber)
    else:
        _bed_from_side(b, centre - half * 1.15, centre + half * 1.15, base, timber)
    for x in (centre - half - 9, centre + half + 8):
        if x < right - 42:
            b.rect(x - 6, base - 20, x + 6, base + 1, timber)
            b.rect(x - 4.8, base - 17.5, x + 4.8, base - 10, shade(timber, 0.75))
            b.oval(x, base - 13.5, 0.8, 0.8, BRASS)
            shaded_lamp(b, x, base - 20, 9, 6)
            b.glow(x, base - 31, 26, 0.4)
    if left > 30 and b.chance(0.5):
        plant(b, 4, base + 4, 30)


def _wardrobe(b, left, base, right, timber) -> None:
    top = b.between(8, 14)
    b.rect(left, top, right, base + 2, timber)
    b.rect(left - 1.5, top - 2, right + 1.5, top + 1, shade(timber, 0.8))
    middle = (left + right) / 2
    mirror = b.chance(0.5)
    for a, c in ((left, middle), (middle, right)):
        panel = (176, 192, 200) if mirror and a == left else shade(timber, 0.88)
        b.rect(a + 2.5, top + 4, c - 2.5, base - 14, panel)
        b.rect(a + 2.5, base - 11, c - 2.5, base - 2, shade(timber, 0.8))
        b.oval((a + c) / 2, base - 6.5, 0.9, 0.9, BRASS)
    b.rect(middle - 0.3, top + 1, middle + 0.3, base - 12, shade(timber, 0.55))
    for side in (-1.6, 1.6):
        b.rect(middle + side - 0.4, base - 44, middle + side + 0.4, base - 37, BRASS)


def _dresser(b, left, base, right, timber) -> None:
    left, top, middle = left + 4, base - 30, (left + right) / 2
    b.oval(middle + 2, top - 15, 11, 15, shade(timber, 0.8))
    b.oval(middle + 2, top - 15, 9.4, 13.2, (172, 192, 202))
    b.line([(middle - 3, top - 10), (middle + 5, top - 22)], (214, 226, 232), 1.2)
    b.rect(left, top, right, base + 2, timber)
    b.rect(left - 1, top - 1.4, right + 1, top + 1, shade(timber, 0.8))
    for y in (top + 3, top + 12, top + 21):
        b.rect(left + 2, y, right - 2, y + 7.6, shade(timber, 0.86))
        for x in (left + 8, right - 8):
            b.oval(x, y + 3.8, 0.9, 0.9, BRASS)
    for x in (left + 3, left + 6, right - 6):
        high = b.between(3, 6)
        b.rect(x, top - 1.4 - high, x + 2.2, top - 1.4, b.bright())


def _bed_from_foot(b, x, half, base, timber) -> None:
    head = b.pick([timber, b.paint(0.35, 0.8, 0.6)])
    top = base - b.between(34, 42)
    if b.chance(0.5):
        b.dome(x, top + 6, half, b.between(6, 11), head)
    b.rect(x - half, top + 5, x + half, base, head)
    for place in np.linspace(-0.8, 0.8, 7):
        b.rect(x + place * half - 0.3, top + 7, x + place * half + 0.3, base, shade(head, 0.8))
    sheet = (240, 238, 232)
    b.poly([(x - half + 2, base - 20), (x + half - 2, base - 20), (x + half + 4, base),
            (x - half - 4, base)], sheet)  # fmt: skip
    for side in (-0.5, 0.5):
        px = x + side * half * 0.95
        colour = b.pick([(248, 246, 240), b.paint(0.7, 0.97, 0.3)])
        b.oval(px, base - 22, half * 0.42, 6, shade(colour, 0.85))
        b.oval(px, base - 22.8, half * 0.41, 5.4, colour)
    cover = b.paint(0.35, 0.95, 0.75)
    b.poly([(x - half, base - 15), (x + half, base - 15), (x + half + 7, base + 6),
            (x - half - 7, base + 6)], cover)  # fmt: skip
    b.poly([(x - half, base - 16), (x + half, base - 16), (x + half + 1.2, base - 12),
            (x - half - 1.2, base - 12)], sheet)  # fmt: skip
    kind = b.rng.random()
    if kind < 0.4:
        for place in np.linspace(-0.85, 0.85, 8):
            b.line([(x + place * half, base - 12), (x + place * (half + 7), base + 6)],
                   shade(cover, 0.75), 1)  # fmt: skip
    if 0.25 < kind < 0.75:
        for y in (-8, -3, 2):
            b.line([(x - half - 4, base + y), (x + half + 4, base + y)], shade(cover, 0.75), 1)
    b.rect(x - half - 7, base + 5, x + half + 7, base + 9, shade(cover, 0.7))


def _bed_from_side(b, left, right, base, timber) -> None:
    b.rect(left - 2, base - 40, left + 3, base + 5, timber)
    b.rect(right - 2, base - 19, right + 2, base + 5, timber)
    b.rect(left, base - 7, right, base + 2, shade(timber, 0.85))
    b.rect(left + 3, base - 16, right - 2, base - 6, (240, 238, 232))
    b.oval(left + 13, base - 18.5, 10, 5, (214, 212, 208))
    b.oval(left + 13, base - 19.2, 9.8, 4.5, (248, 246, 240))
    cover = b.paint(0.35, 0.95, 0.75)
    b.poly([(left + 24, base - 19), (right - 2, base - 18), (right - 2, base - 4),
            (left + 22, base - 4)], cover)  # fmt: skip
    for x in np.arange(left + 29, right - 5, b.between(5, 9)):
        b.rect(x, base - 18, x + 2, base - 4, shade(cover, 0.78))
    b.poly([(left + 23, base - 19.5), (left + 29, base - 19.5), (left + 28, base - 4),
            (left + 21, base - 4)], (244, 242, 236))  # fmt: skip


def living_room(brush: Brush, base: float) -> None:
    """A sofa, a television, a rug, pictures, plants, a floor lamp, books or a fireplace."""
    b, wide = brush, brush.width
    wall(b, base)
    skirting(b, base, b.pick([(236, 232, 222), b.wood()]))
    floor(b, base, b.pick(['planks', 'planks', 'carpet']))
    rug = b.paint(0.3, 0.85, 0.75)
    x = wide * b.between(0.4, 0.6)
    b.oval(x, 93, wide * 0.4, 7, rug)
    b.oval(x, 93, wide * 0.34, 5.4, shade(rug, 0.8), 0.9)
    b.oval(x, 93, wide * 0.2, 3, b.paint(0.5, 0.95))
    sofa, side = b.between(62, 72), b.between(34, 40)
    start = b.between(2, 8)
    middle = start + sofa / 2
    kind = b.rng.random()
    if kind < 0.4:
        window(b, middle - 18, 7, middle + 18, 40, curtain=True)
    else:
        for px in np.linspace(start + 12, start + sofa - 12, b.pick([2, 3, 3])):
            picture(b, px, b.between(18, 28), b.between(11, 17), b.between(10, 17))
    _sofa(b, start, start + sofa, base + 3)
    right = start + sofa + b.between(9, 13)
    shaded_lamp(b, right - 4, base + 2, b.between(48, 54), 7.5)
    b.glow(right - 4, base - 53, 34, 0.4)
    right += 5
    kind = b.rng.random()
    if kind < 0.3:
        _fireplace(b, right, right + side, base)
    elif kind < 0.5:
        shelves(b, right, b.between(10, 16), right + side, base + 2, 5, spines)
    else:
        _television(b, right, right + side, base)
    if b.chance(0.6):
        _coffee_table(b, middle + b.between(-12, 12), base + b.between(10, 13))
    plant(b, b.pick([wide - 3, start - 3]), base + 5, b.between(30, 44))


def _sofa(b, left, right, base) -> None:
    cloth = b.paint(0.25, 0.85, 0.75)
    top = base - b.between(29, 33)
    b.rect(left + 4, top, right - 4, base - 5, shade(cloth, 0.88))
    b.oval(left + 7, top + 2, 5, 2.6, shade(cloth, 0.88))
    b.oval(right - 7, top + 2, 5, 2.6, shade(cloth, 0.88))
    count = b.pick([2, 3])
    edges = np.linspace(left + 8, right - 8, count + 1)
    for a, c in zip(edges, edges[1:], strict=False):
        b.rect(a + 0.4, top + 2, c - 0.4, base - 15, shade(cloth, 0.96))
        b.rect(a + 0.3, base - 16, c - 0.3, base - 10, shade(cloth, 1.1))
        b.rect(a + 0.3, base - 10.4, c - 0.3, base - 9.8, shade(cloth, 0.6))
    b.rect(left + 3, base - 10, right - 3, base - 3, shade(cloth, 0.9))
    for a in (left, right - 9):
        b.rect(a, base - 20, a + 9, base - 3, cloth)
        b.dome(a + 4.5, base - 20, 4.6, 3, cloth)
        b.line([(a, base - 3), (a, base - 20)], shade(cloth, 0.7))
        b.rect(a + 3, base - 3, a + 5.5, base, (60, 44, 32))
    for _ in range(int(b.between(1, 5))):
        cushion(b, b.between(left + 13, right - 13), base - 15, b.between(4.5, 6), b.bright())


def _coffee_table(b, x, base) -> None:
    timber, half, top = b.wood(), b.between(13, 18), base - 11
    b.rect(x - half, top, x + half, top + 2, timber)
    for side in (-0.88, 0.88):
        b.rect(x + side * half - 0.9, top + 2, x + side * half + 0.9, base, shade(timber, 0.7))
    b.rect(x - 6, top - 1.2, x + 2, top, b.bright())
    b.rect(x + 5, top - 3.4, x + 8, top, b.bright())


def _television(b, left, right, base) -> None:
    timber, top = b.wood(), base - 18
    b.rect(left, top, right, base + 2, timber)
    for a in np.linspace(left + 1, right, 4)[:3]:
        b.rect(a, top + 3, a + (right - left) / 3 - 2, base - 1, shade(timber, 0.7))
    x, half = (left + right) / 2, (right - left) * 0.45
    screen = b.pick([(30, 36, 46), (70, 110, 150), (120, 140, 120)])
    if b.chance(0.5):
        b.rect(x - half, top - 23, x + half, top - 2, (24, 24, 26))
        b.rect(x - half + 1, top - 22, x + half - 1, top - 3.4, screen)
        b.rect(x - 6, top - 2, x + 6, top, (24, 24, 26))
    else:
        half *= 0.85
        b.rect(x - half, top - 23, x + half, top, b.wood())
        b.oval(x - 3, top - 11.5, half - 5, 9, (28, 28, 30))
        b.oval(x - 3, top - 11.5, half - 6, 8, screen)
        for dy in (-17, -12):
            b.oval(x + half - 4, top + dy, 1.5, 1.5, BRASS)
        b.line([(x - 8, top - 36), (x, top - 23), (x + 8, top - 35)], METAL, 0.5)
    shelf = 20
    b.rect(left, shelf, right, shelf + 1.6, timber)
    spines(b, left + 2, right - 3, shelf, 9)


def _fireplace(b, left, right, base) -> None:
    stone = b.pick([(214, 208, 198), (150, 82, 62), b.paint(0.4, 0.9, 0.3)])
    top = base - 36
    b.rect(left, top, right, base + 2, stone)
    b.rows(left, right, np.arange(top + 4, base, 4), shade(stone, 0.8))
    b.rect(left - 2, top - 2.4, right + 2, top + 1, shade(stone, 0.75))
    middle, half = (left + right) / 2, (right - left) * 0.3
    b.rect(middle - half, base - 24, middle + half, base + 2, (30, 24, 22))
    for size, colour in ((9, (220, 90, 30)), (6, (250, 170, 50)), (3, (255, 235, 140))):
        b.poly([(middle - size * 0.8, base), (middle - size * 0.3, base - size * 1.9),
                (middle, base - size), (middle + size * 0.3, base - size * 2),
                (middle + size * 0.8, base)], colour)  # fmt: skip
    b.glow(middle, base - 8, 22, 0.4)
    picture(b, middle, 24, 18, 15)
    for x in (left + 3, right - 3):
        b.rect(x - 0.8, top - 8, x + 0.8, top - 2, (240, 234, 220))
