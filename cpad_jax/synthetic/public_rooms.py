"""Stage sets of public rooms: hotel, office, restaurant, shop."""

from __future__ import annotations

import numpy as np

from cpad_jax.synthetic.brush import Brush, mixed, shade
from cpad_jax.synthetic.outdoors import draw_weather, landscape
from cpad_jax.synthetic.scenery import (
    BRASS,
    IRON,
    METAL,
    binders,
    ceiling,
    clock,
    door,
    floor,
    goods,
    hanging_lamp,
    shaded_lamp,
    shelves,
    skirting,
    wall,
    window,
)


def hotel(brush: Brush, base: float) -> None:
    """A reception: desk with its bell, rack of keys, sign, numbered doors, luggage trolley."""
    b, wide = brush, brush.width
    colour = wall(b, base)
    panel = b.wood()
    if b.chance(0.5):
        b.rect(0, base - 26, wide, base, panel)
        b.columns(base - 24, base - 3, np.arange(0, wide, 9), shade(panel, 0.75))
        b.rect(0, base - 27, wide, base - 25.5, shade(panel, 0.7))
    skirting(b, base, shade(panel, 0.8))
    floor(b, base, b.pick(['carpet', 'carpet', 'checks']))
    ceiling(b, b.between(3, 6), mixed(colour, (255, 255, 255), 0.6))
    desk = b.between(56, 68)
    start = b.between(-6, wide * 0.1)
    centre = start + desk / 2
    number = int(b.between(1, 7)) * 100
    # The rack: one pigeon-hole with a key per room.
    rows, columns = 3, int(b.between(6, 9))
    cell = (desk - 8) / columns
    b.rect(start + 3, 17, start + desk - 3, 46, panel)
    for row in range(rows):
        for column in range(columns):
            x, y = start + 4.6 + column * cell, 18.3 + row * 9.2
            b.rect(x, y, x + cell - 1, y + 8, shade(panel, 0.4))
            b.write(str(number + row * columns + column + 1), x + 0.6, y + 2.9, 2.2,
                    (238, 222, 170))  # fmt: skip
            if b.chance(0.75):
                b.oval(x + cell / 2, y + 4.2, 0.9, 0.9, BRASS)
                b.rect(x + cell / 2 - 0.5, y + 4.8, x + cell / 2 + 0.5, y + 7.6, BRASS)
            elif b.chance(0.5):
                b.rect(x + 1, y + 4, x + cell - 2, y + 7.6, (240, 238, 230))
    sign = b.pick(['HOTEL', 'RECEPTION', 'GRAND HOTEL', 'LOBBY'])
    b.rect(centre - 1.7 * len(sign) - 3, 8, centre + 1.7 * len(sign) + 3, 15.4, IRON)
    b.write(sign, centre - 1.7 * len(sign), 13.5, 4.2, (240, 206, 120))
    x = start + desk + b.between(5, 9)
    while x < wide - 8:
        number += 1
        door(b, x, base, str(number))
        sconce = x + 31
        b.poly([(sconce - 2.4, 26), (sconce + 2.4, 26), (sconce + 1.3, 32), (sconce - 1.3, 32)],
               (255, 240, 196))  # fmt: skip
        b.rect(sconce - 0.5, 32, sconce + 0.5, 35, BRASS)
        b.glow(sconce, 27, 18, 0.4)
        x += b.between(35, 39)
    front, top = b.pick([panel, b.wood()]), base - b.between(29, 33)
    b.rect(start, top, start + desk, base + 3, front)
    for px in np.linspace(start + 3, start + desk - 3, int(b.between(4, 7))):
        b.rect(px - 0.5, top + 4, px + 0.5, base + 2, shade(front, 0.7))
    b.rect(start - 2, top - 2, start + desk + 2, top + 1.6, shade(front, 1.25))
    b.rect(start, base + 0.5, start + desk, base + 3, BRASS)
    bell = centre + b.between(-12, 12)
    b.dome(bell, top - 2.4, 3, 3, BRASS)
    b.rect(bell - 3.6, top - 2.8, bell + 3.6, top - 1.8, IRON)
    b.rect(start + 6, top - 3.4, start + 18, top - 2, (240, 236, 226))
    shaded_lamp(b, start + desk - 6, top - 2, 7, 4.5)
    _trolley(b, wide - b.between(18, 32), base + 5)


def _trolley(b, x, base) -> None:
    half = 13
    for _ in range(3):
        w, h = b.between(6, 10), b.between(8, 15)
        sx, colour = b.between(x - half + 1, x + half - w - 1), b.bright()
        b.rect(sx, base - 5 - h, sx + w, base - 5, shade(colour, 0.8))
        b.rect(sx + w * 0.25, base - 5 - h, sx + w * 0.33, base - 5, shade(colour, 0.5))
        b.rect(sx + w * 0.35, base - 6.8 - h, sx + w * 0.65, base - 5.2 - h, IRON)
    b.rect(x - half, base - 5, x + half, base - 2.6, b.pick([(140, 30, 40), IRON, (40, 60, 110)]))
    b.line([(x - half, base - 4), (x - half, base - 38), (x - half * 0.7, base - 45),
            (x, base - 48), (x + half * 0.7, base - 45), (x + half, base - 38),
            (x + half, base - 4)], BRASS, 1.3)  # fmt: skip
    for side in (-0.8, 0.8):
        b.oval(x + side * half, base - 1.4, 1.6, 1.6, IRON)


def office(brush: Brush, base: float) -> None:
    """Desks with monitors, shelves of binders, a whiteboard, blinds, a gridded ceiling."""
    b, wide = brush, brush.width
    wall(b, base, patterned=False)
    skirting(b, base, (90, 92, 96))
    floor(b, base, b.pick(['carpet', 'lino', 'planks']))
    deep = b.between(13, 17)
    ceiling(b, deep, b.pick([(226, 228, 226), b.paint(0.75, 0.95, 0.1)]))
    b.rows(0, wide, [deep * 0.35, deep * 0.68], (186, 188, 188))
    for x in np.arange(b.between(-8, 4), wide, b.between(26, 34)):
        b.poly([(x, deep * 0.25), (x + 17, deep * 0.25), (x + 16, deep * 0.8), (x + 1, deep * 0.8)],
               (255, 255, 246))  # fmt: skip
    parts = ['blinds', 'board', 'binders', b.pick(['blinds', 'board', 'binders'])]
    b.rng.shuffle(parts)
    x = b.between(1, 6)
    for part in parts:
        step = b.between(30, 42)
        if part == 'binders':
            shelves(b, x, deep + 5, x + step, base + 1, 5, binders)
        elif part == 'blinds':
            landscape(b, x, deep + 4, x + step, 47, draw_weather(b))
            slat = b.pick([(236, 236, 230), b.paint(0.6, 0.95, 0.2)])
            drop = b.between(26, 47)
            b.rect(x, deep + 3, x + step, deep + 5, shade(slat, 0.8))
            for y in np.arange(deep + 4, drop, 2.1):
                b.rect(x, y, x + step, y + 1.3, slat)
            b.line([(x, deep + 4), (x, 47), (x + step, 47), (x + step, deep + 4)], METAL, 1)
        else:
            _whiteboard(b, x, deep + 5, x + step, 46)
        x += step + b.between(3, 6)
    if b.chance(0.6):
        clock(b, b.between(8, wide - 8), deep + 6, 3.6)
    timber, x = b.pick([b.wood(), (216, 214, 208)]), b.between(-8, 4)
    while x < wide - 10:
        step = b.between(38, 48)
        _desk(b, x, x + step, base, timber)
        x += step + b.between(1, 9)


def _whiteboard(b, left, top, right, bottom) -> None:
    b.rect(left - 1, top - 1, right + 1, bottom + 1, METAL)
    b.rect(left, top, right, bottom, (246, 247, 246))
    b.rect(left + 4, bottom + 1, right - 4, bottom + 2.4, (120, 122, 126))
    pens = [(30, 60, 160), (190, 40, 40), (30, 120, 60), (40, 40, 44)]
    if b.chance(0.5):
        heights = b.rng.uniform(3, 16, 5)
        for index, high in enumerate(heights):
            x = left + 3 + index * 3.6
            b.rect(x, bottom - 3 - high, x + 2.6, bottom - 3, b.pick(pens))
        b.line([(left + 2, top + 5), (left + 2, bottom - 2.6), (left + 22, bottom - 2.6)], IRON)
    else:
        for x, y in ((5, 5), (14, 13), (4, 19)):
            b.line([(left + x, top + y), (left + x + 8, top + y), (left + x + 8, top + y + 5),
                    (left + x, top + y + 5)], b.pick(pens), 0.5, closed=True)  # fmt: skip
    for y in np.arange(top + 4, bottom - 3, 3.6):
        b.line([(left + 24, y), (b.between(left + 27, right - 1), y + b.between(-0.5, 0.5))],
               b.pick(pens), 0.5)  # fmt: skip


def _desk(b, left, right, base, timber) -> None:
    top = base - b.between(22, 25)
    middle = (left + right) / 2
    for place in b.pick([[0.3, 0.72], [0.4], [0.65]]):
        x, half = left + place * (right - left), b.between(7, 9.5)
        high = half * b.between(1.2, 1.5)
        case = b.pick([(34, 35, 38), (210, 206, 194), (160, 162, 166)])
        b.rect(x - 1, top - 5, x + 1, top, case)
        b.rect(x - 4, top - 1.2, x + 4, top, case)
        b.rect(x - half, top - 4 - high, x + half, top - 3, case)
        glass = b.pick([(40, 70, 120), (216, 226, 236), (26, 40, 46)])
        b.rect(x - half + 1, top - 3 - high, x + half - 1, top - 4, glass)
        for y in np.arange(top - 1.5 - high, top - 5, 2):
            b.rect(x - half + 2, y, b.between(x - half + 3, x + half - 2), y + 0.7,
                   mixed(glass, (128, 190, 150), 0.55))  # fmt: skip
    px = b.between(left + 2, right - 9)
    for sheet in range(int(b.between(1, 5))):
        b.rect(px, top - 1 - sheet * 0.9, px + 7, top - sheet * 0.9, (246 - 14 * sheet % 28,) * 3)
    b.rect(left, top, right, top + 2, timber)
    b.rect(left + 1, top + 2, left + 11, base + 3, shade(timber, 0.8))
    for y in (top + 3, top + 10, top + 17):
        b.rect(left + 2, y, left + 10, y + 5.8, shade(timber, 0.92))
        b.rect(left + 4.5, y + 2, left + 7.5, y + 2.8, IRON)
    b.rect(right - 2, top + 2, right - 0.5, base + 3, shade(timber, 0.6))
    if b.chance(0.75):  # Swivel chair.
        x, colour = middle + b.between(2, 8), b.paint(0.12, 0.5, 0.7)
        b.rect(x - 6, top - 8, x + 6, top + 6, colour)
        b.rect(x - 7, top + 8, x + 7, top + 11, shade(colour, 0.8))
        b.rect(x - 0.7, top + 6, x + 0.7, base + 3, IRON)
        b.line([(x - 6, base + 5), (x, base + 2.4), (x + 6, base + 5)], IRON, 1)


def restaurant(brush: Brush, base: float) -> None:
    """Tables with cloths and glasses, chairs, a menu board, rows of hanging lamps, a bar."""
    b, wide = brush, brush.width
    wall(b, base)
    if b.chance(0.6):
        panel = b.wood()
        b.rect(0, base - 30, wide, base, panel)
        b.columns(base - 30, base, np.arange(0, wide, b.between(4, 8)), shade(panel, 0.8))
        b.rect(0, base - 31, wide, base - 29.4, shade(panel, 0.65))
    floor(b, base, b.pick(['planks', 'checks', 'carpet']))
    parts = ['menu', 'bar', 'window']
    b.rng.shuffle(parts)
    x = b.between(1, 5)
    for part in parts:
        step = b.between(36, 42)
        if part == 'menu':
            _menu(b, x + 4, 22, x + step - 4, 48)
        elif part == 'bar':
            _bottles(b, x, 23, x + step, 48)
        else:
            window(b, x + 3, 22, x + step - 3, 47)
            cloth = b.paint(0.4, 0.9, 0.7)
            for px in np.arange(x + 3, x + step - 5, 3):
                b.rect(px, 37, px + 1.6, 47, cloth)
                b.rect(px + 1.6, 37, px + 3, 47, shade(cloth, 0.8))
            b.rect(x + 2, 36.4, x + step - 2, 37.2, BRASS)
        x += step + b.between(2, 5)
    lamp, drop, size = b.paint(0.2, 0.95, 0.85), b.between(8, 14), b.between(4.5, 7)
    for x in np.arange(b.between(6, 16), wide, b.between(20, 27)):
        b.glow(x, drop + size + 6, 24, 0.42)
        hanging_lamp(b, x, drop, size, lamp)
    cloth = b.pick([(244, 242, 236), b.paint(0.5, 0.95, 0.8), b.bright()])
    chair, checked = b.wood(), b.chance(0.4)
    for x in np.arange(b.between(10, 24), wide + 8, b.between(38, 46)):
        _table(b, x, base + b.between(2, 5), cloth, chair, checked)


def _menu(b, left, top, right, bottom) -> None:
    b.rect(left - 1.6, top - 1.6, right + 1.6, bottom + 1.6, b.wood())
    b.rect(left, top, right, bottom, b.pick([(34, 38, 36), (30, 56, 46)]))
    b.write(b.pick(['MENU', 'MENU', 'CAFE', 'SPECIALS']), left + 4, top + 6, 4, (244, 240, 224))
    for y in np.arange(top + 10, bottom - 2, 4):
        b.rect(left + 2.5, y, b.between(left + 12, right - 9), y + 1, (224, 222, 210))
        b.rect(right - 6, y, right - 2.5, y + 1, (240, 214, 130))


def _bottles(b, left, top, right, bottom) -> None:
    timber = b.wood()
    b.rect(left, top, right, bottom, shade(timber, 0.45))
    for y in np.linspace(top, bottom, 4)[1:]:
        for x in np.arange(left + 1.5, right - 3, 3):
            if b.chance(0.85):
                colour, high = b.fixed(b.between(0, 0.45), 0.7, b.between(0.25, 0.8)), 6.5
                b.rect(x, y - high * 0.65, x + 2, y, colour)
                b.rect(x + 0.6, y - high, x + 1.4, y - high * 0.6, colour)
        b.rect(left, y - 0.4, right, y + 0.8, timber)


def _table(b, x, base, cloth, chair, checked) -> None:
    top, half = base - b.between(23, 26), b.between(12, 14.5)
    for side in (-1, 1):
        cx = x + side * (half + 4)
        b.rect(cx - 1 + side, base - 36, cx + 1 + side, base, chair)
        b.rect(min(cx, cx - side * 8), base - 16, max(cx, cx - side * 8), base - 14, chair)
        b.rect(cx - side * 7 - 0.7, base - 14, cx - side * 7 + 0.7, base, chair)
        for y in (-34, -29, -24):
            b.rect(cx - 1.6 + side, base + y, cx + 1.6 + side, base + y + 2, shade(chair, 0.8))
    b.rect(x - 1, top, x + 1, base, IRON)
    b.rect(x - 6, base - 1.2, x + 6, base, IRON)
    b.poly(
        [
            (x - half, top),
            (x + half, top),
            (x + half + 2, top + 15),
            (x + half * 0.5, top + 12),
            (x, top + 15),
            (x - half * 0.5, top + 12),
            (x - half - 2, top + 15),
        ],
        cloth,
    )
    if checked:
        for place in np.arange(-0.9, 1, 0.3):
            b.line([(x + place * half, top), (x + place * half * 1.1, top + 13)],
                   mixed(cloth, (200, 40, 50), 0.6), 1.2)  # fmt: skip
        b.rect(x - half, top + 4, x + half, top + 6, mixed(cloth, (200, 40, 50), 0.6))
    b.rect(x - half, top - 0.8, x + half, top + 0.8, shade(cloth, 1.3))
    for side in (-0.62, 0.62):
        gx = x + side * half
        wine = b.pick([(128, 20, 44), (236, 220, 150), (214, 226, 232)])
        b.dome(gx, top - 7.4, 1.9, 3.4, wine, down=True)
        b.rect(gx - 1.9, top - 9.2, gx + 1.9, top - 7.2, (226, 234, 238))
        b.rect(gx - 0.3, top - 4.4, gx + 0.3, top - 0.8, (226, 234, 238))
        b.rect(gx - 1.5, top - 1.2, gx + 1.5, top - 0.7, (226, 234, 238))
    if b.chance(0.5):
        b.rect(x - 0.8, top - 8, x + 0.8, top - 0.8, (246, 240, 224))
        b.oval(x, top - 9.2, 0.7, 1.3, (255, 196, 70))
        b.glow(x, top - 9, 10, 0.5)
    else:
        b.rect(x - 1.4, top - 7, x + 1.4, top - 0.8, (40, 70, 50))
        b.rect(x - 0.6, top - 11, x + 0.6, top - 7, (40, 70, 50))


def shop(brush: Brush, base: float) -> None:
    """Racks full of goods with price tags, a counter with a till, banners."""
    b, wide = brush, brush.width
    wall(b, base, patterned=False)
    floor(b, base, b.pick(['lino', 'lino', 'checks', 'planks']))
    top, x = b.between(19, 22), b.between(-10, 0)
    tag = b.pick([(250, 244, 200), (250, 250, 246), (255, 226, 90)])
    while x < wide:
        step = b.between(28, 40)
        rows = int(b.between(4, 6.5))
        shelves(b, x, top, x + step, base + 1, rows, goods)
        for row in range(1, rows + 1):
            y = top + row * (base - top) / rows
            b.rect(x, y - 0.6, x + step, y + 1.2, b.pick([METAL, (228, 226, 220)]))
            for tx in np.arange(x + 2, x + step - 4, b.between(6, 9)):
                b.rect(tx, y - 0.8, tx + 3.4, y + 1.6, tag)
                b.rect(tx + 0.6, y + 0.1, tx + 2.8, y + 0.8, (190, 40, 40))
        x += step + b.between(0.5, 2)
    banner = b.bright()
    b.rect(0, 0, wide, top - 3, shade(banner, 0.85))
    word = b.pick(['SALE', 'SHOP', 'FRESH', 'MARKET', 'OPEN', 'OFFER', 'BOOKS', 'TOYS'])
    for px in np.arange(b.between(2, 14), wide, 9 * len(word) * 0.6 + b.between(8, 18)):
        b.write(word, px, top - 4.6, 5.6, (252, 250, 240))
    for px in np.arange(b.between(8, 26), wide - 10, b.between(34, 52)):
        card = b.pick([(250, 220, 60), (220, 40, 44), (250, 250, 244)])
        b.rect(px + 5.2, 0, px + 5.6, 24, IRON)
        b.rect(px, 22, px + 12, 33, card)
        ink = (30, 30, 34) if card[1] > 100 else (255, 250, 240)
        b.write(b.pick(['50%', '3 x 2', '1.99', '0.79', 'NEW']), px + 1.2, 29.2, 3.4, ink)
    _counter(b, b.pick([b.between(2, 12), wide - b.between(42, 52)]), base + 5)


def _counter(b, left, base) -> None:
    colour, top, right = b.paint(0.35, 0.9, 0.6), base - 30, left + 42
    b.rect(left, top, right, base, colour)
    b.rect(left - 1.5, top - 1.4, right + 1.5, top + 1.4, (66, 66, 70))
    b.rect(left, base - 3, right, base, shade(colour, 0.5))
    b.rect(left + 3, top + 5, right - 3, base - 6, shade(colour, 0.85))
    b.write(b.pick(['PAY HERE', 'CASH', 'THANK YOU']), left + 5, top + 13, 4, (250, 248, 240))
    x, case = right - 14, b.pick([(52, 54, 60), (206, 202, 190), (130, 60, 50)])
    b.rect(x, top - 7, x + 12, top - 1.4, case)
    b.poly([(x, top - 7), (x + 2, top - 12), (x + 10, top - 12), (x + 12, top - 7)],
           shade(case, 0.85))  # fmt: skip
    b.rect(x + 2.5, top - 17, x + 9.5, top - 12.5, (30, 34, 38))
    b.rect(x + 3.2, top - 16.2, x + 8.8, top - 13.6, (110, 220, 150))
    for row in range(2):
        for column in range(4):
            kx = x + 2.6 + column * 1.9
            b.rect(kx, top - 10.6 + row * 1.8, kx + 1.2, top - 9.5 + row * 1.8, (240, 240, 236))
