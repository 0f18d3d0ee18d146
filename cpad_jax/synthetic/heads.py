"""Draws heads: face, hair, glasses and hats of a person, turned and lit, as a picture with alpha.

Positions on the face are in head heights: (0, 0) is the middle of the head, x to the right, y down,
the chin at y = 0.5 and the crown at -0.5. A turn to the side moves every feature by its depth.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from cpad_jax.media import images
from cpad_jax.synthetic import canvas, people

# Share of the sprite that the head's height takes; the rest is room for hair and hats.
HEAD_SHARE = 0.56
# Where the middle of the head lies in the sprite, fractions of its side.
CENTRE = (0.5, 0.47)
# Hair styles under a head covering, for styles that stand up.
_FLATTENED = {'spiky': 'short', 'bun': 'short', 'afro': 'curly'}


@dataclasses.dataclass(frozen=True)
class Face:
    """How a head is held at one moment.

    Attributes:
        yaw: Turn to the picture's right, radians, -0.7 to 0.7.
        expression: One of `people.EXPRESSIONS`.
        light: Where the light comes from, -1 left to 1 right.
        blink: Eyes closed.
    """

    yaw: float = 0.0
    expression: str = 'neutral'
    light: float = 0.0
    blink: bool = False


def _shade(colour: tuple[float, ...], factor: float) -> tuple[float, ...]:
    """Lightens (factor > 1) or darkens a colour; shadows keep a little warmth."""
    if factor > 1:
        return tuple(value + (255 - value) * (factor - 1) for value in colour)
    return tuple(value * factor for value in colour)


def _mix(a: tuple[float, ...], b: tuple[float, ...], share: float) -> tuple[float, ...]:
    return tuple(x * (1 - share) + y * share for x, y in zip(a, b, strict=True))


def skin_colour(looks: people.Looks) -> tuple[float, ...]:
    """The person's skin as RGB, 0 to 255."""
    return tuple(value + looks.skin_shift for value in people.SKIN_TONES[looks.skin])


def hair_colour(looks: people.Looks, outfit: people.Outfit) -> tuple[float, ...]:
    """The person's hair as RGB on this occasion: it greys with the years."""
    base = people.HAIR_COLOURS[looks.hair_colour]
    shifted = tuple(v + d for v, d in zip(base, looks.hair_shift, strict=True))
    age = looks.age + outfit.years
    grey = float(np.clip((age - 50) / 60, 0, 0.35))
    return _mix(shifted, people.HAIR_COLOURS['grey'], grey)


class _Pen:
    """Draws on a colour plane and, for shapes that belong to the silhouette, on an alpha plane."""

    def __init__(self, size: int, looks: people.Looks, face: Face, backing: tuple[float, ...]):
        self.rgb = canvas.blank(size, size, backing)
        self.alpha = np.zeros((size, size, 1), np.uint8)
        self.unit = size * HEAD_SHARE
        self.origin = np.array(CENTRE) * size
        self.half_width = looks.face_width / 2
        self.sin, self.cos = np.sin(face.yaw), np.cos(face.yaw)

    def at(self, x: float, y: float) -> np.ndarray:
        """Pixel of the point (x, y) on the front of the face, moved by the turn of the head."""
        inside = 1 - (x / (self.half_width * 1.12)) ** 2 - (y / 0.62) ** 2
        depth = 0.36 * np.sqrt(max(inside, 0.02))
        return self.flat(x * self.cos + depth * self.sin, y)

    def flat(self, x: float, y: float) -> np.ndarray:
        """Pixel of a point given on the screen, in head heights."""
        return self.origin + np.array([x, y]) * self.unit

    def polygon(self, points, colour, silhouette: bool = False, surface: bool = False) -> None:
        place = self.at if surface else self.flat
        pixels = [place(x, y) for x, y in points]
        canvas.polygon(self.rgb, pixels, colour)
        if silhouette:
            canvas.polygon(self.alpha, pixels, (255,))

    def oval(
        self, x, y, rx, ry, colour, silhouette: bool = False, surface: bool = False, angle=0.0,
        start=0.0, end=360.0, width=None,
    ) -> None:  # fmt: skip
        centre = self.at(x, y) if surface else self.flat(x, y)
        rx = rx * (0.55 + 0.45 * self.cos if surface else 1.0)
        radii = (rx * self.unit, ry * self.unit)
        width = None if width is None else width * self.unit
        canvas.ellipse(self.rgb, centre, radii, colour, angle, start, end, width)
        if silhouette:
            canvas.ellipse(self.alpha, centre, radii, (255,), angle, start, end, width)

    def line(self, points, colour, width: float) -> None:
        pixels = [self.at(x, y) for x, y in points]
        canvas.polyline(self.rgb, pixels, colour, width * self.unit)


def _outline(looks: people.Looks, turn: float) -> np.ndarray:
    """The face's outline [N, 2] in head heights: a broad oval above, the jaw below."""
    t = np.linspace(0, 2 * np.pi, 49)[:-1]
    x, y = np.cos(t), np.sin(t)
    half = looks.face_width / 2
    # A square jaw keeps its width further down.
    power = 1.15 + 0.75 * (1 - looks.jaw)
    narrowing = np.where(y > 0.1, 1 - 0.36 * np.clip((y - 0.1) / 0.9, 0, 1) ** power, 1.0)
    width = np.sign(x) * np.abs(x) ** np.where(y > 0, 0.8, 0.95) * half * narrowing
    return np.stack([width + 0.05 * turn * np.clip(y, 0, 1), 0.5 * y], axis=1)


def _blob(rng_points: int, bumps: float, rx: float, ry: float, cx: float, cy: float) -> list:
    t = np.linspace(0, 2 * np.pi, rng_points, endpoint=False)
    radius = 1 + bumps * np.abs(np.sin(t * 6))
    return list(zip(cx + rx * radius * np.cos(t), cy + ry * radius * np.sin(t), strict=True))


def _back_hair(pen: _Pen, looks: people.Looks, outfit: people.Outfit, colour) -> None:
    """Hair that hangs behind the face."""
    half = looks.face_width / 2
    long = 0.42 + 0.4 * looks.hair_length + outfit.hair_grown * 0.5
    dark = _shade(colour, 0.72)
    style = looks.hair_style
    shift = -0.06 * pen.sin
    if style == 'long straight':
        pen.polygon(
            [(shift - half - 0.08, -0.25), (shift + half + 0.08, -0.25),
             (shift + half + 0.11, long), (shift + half - 0.06, long + 0.05),
             (shift - half + 0.06, long + 0.05), (shift - half - 0.11, long)],
            dark, silhouette=True,
        )  # fmt: skip
    elif style == 'long curly':
        for side in (-1, 1):
            for step in range(5):
                y = -0.18 + step * (long + 0.2) / 5
                pen.oval(
                    shift + side * (half + 0.03 + 0.03 * (step % 2)), y, 0.15, 0.13, dark, True
                )
    elif style == 'bob':
        pen.polygon(
            [(shift - half - 0.1, -0.25), (shift + half + 0.1, -0.25),
             (shift + half + 0.12, 0.32), (shift - half - 0.12, 0.32)],
            dark, silhouette=True,
        )  # fmt: skip
    elif style == 'ponytail':
        side = -1 if pen.sin > 0 else 1
        pen.oval(shift + side * (half + 0.13), 0.05, 0.12, 0.36, dark, True, angle=-12 * side)
    elif style == 'bun':
        pen.oval(shift, -0.62, 0.17, 0.15, dark, silhouette=True)
        pen.oval(shift, -0.63, 0.12, 0.1, colour)
    elif style == 'afro':
        pen.polygon(_blob(48, 0.06, half + 0.2, 0.44, shift, -0.2), dark, silhouette=True)
    elif style == 'curly':
        pen.polygon(_blob(36, 0.1, half + 0.06, 0.34, shift, -0.22), dark, silhouette=True)


def _front_hair(pen: _Pen, looks: people.Looks, outfit: people.Outfit, colour) -> None:
    """Hair on the skull and over the forehead."""
    half = looks.face_width / 2
    style = looks.hair_style
    light = _shade(colour, 1.12)
    shift = 0.1 * pen.sin
    if style == 'bald':
        pen.oval(shift + 0.08, -0.36, 0.1, 0.05, _shade(skin_colour(looks), 1.35), angle=-20)
        return
    top, side = -0.54, half + 0.035
    if style == 'receding':
        for sign in (-1, 1):
            pen.polygon(
                [(sign * side, 0.0), (sign * (side + 0.01), -0.25), (sign * half * 0.72, -0.45),
                 (sign * half * 0.7, -0.36), (sign * half * 0.86, -0.2), (sign * half * 0.9, 0.0)],
                colour, silhouette=True,
            )  # fmt: skip
        return
    line = {'short': -0.3, 'spiky': -0.32, 'curly': -0.3, 'afro': -0.27}.get(style, -0.28)
    cap = [(-side, -0.02)]
    for t in np.linspace(np.pi, 2 * np.pi, 17):
        cap.append((side * np.cos(t), -0.2 + (top + 0.2) * -np.sin(t)))
    cap.append((side, -0.02))
    inner = half * 0.9
    parting = 0.35 * half if looks.hair_length > 0.5 else -0.35 * half
    fringe = [
        (inner + shift * 0.5, -0.06),
        (inner * 0.92 + shift, line + 0.06),
        (parting + shift, line - 0.08),
        (-inner * 0.92 + shift, line + 0.06),
        (-inner + shift * 0.5, -0.06),
    ]
    pen.polygon(cap + fringe, colour, silhouette=True)
    if style == 'spiky':
        spikes = []
        for i, x in enumerate(np.linspace(-side * 0.95, side * 0.95, 13)):
            arch = np.sqrt(max(0.0, 1 - (x / side) ** 2))
            spikes.append((x, -0.22 - 0.33 * arch - (0.13 if i % 2 else 0.0)))
        pen.polygon([*spikes, (side * 0.9, -0.22), (-side * 0.9, -0.22)], colour, silhouette=True)
    if style in ('curly', 'afro', 'long curly'):
        for i, x in enumerate(np.linspace(-side * 0.85, side * 0.85, 8)):
            y = -0.27 - 0.2 * np.sqrt(max(0.0, 1 - (x / side) ** 2)) + 0.03 * (i % 2)
            pen.oval(x + shift * 0.5, y, 0.085, 0.08, colour if i % 2 else light, True)
    else:
        pen.oval(parting + shift, -0.42, half * 0.5, 0.04, light, angle=-10 if parting > 0 else 10)


def _eyes(pen: _Pen, looks: people.Looks, face: Face, age: float, skin) -> list[np.ndarray]:
    """Eyes, lids and brows. Returns the two eye centres in pixels, left of the picture first."""
    size = looks.eye_size
    brow = (40, 32, 30) if looks.hair_colour in ('black', 'brown') else (112, 84, 64)
    if looks.hair_colour in ('grey', 'white'):
        brow = (130, 126, 122)
    centres = []
    for side in (-1, 1):
        x, y = side * looks.eye_spacing, -0.055
        pen.oval(x, y - 0.01, size * 1.5, size * 1.0, _shade(skin, 0.86), surface=True)
        if face.blink:
            pen.line([(x - size, y), (x, y + 0.012), (x + size, y)], _shade(skin, 0.42), 0.016)
        else:
            open_y = size * (0.62 if face.expression != 'smile' else 0.5)
            pen.oval(x, y, size * 1.08, open_y, (242, 240, 236), surface=True)
            gaze = x + 0.012 * np.sign(pen.sin) * (abs(pen.sin) > 0.15)
            colour = people.EYE_COLOURS[looks.eye_colour]
            pen.oval(gaze, y, size * 0.52, size * 0.54, colour, surface=True)
            pen.oval(gaze, y, size * 0.26, size * 0.27, (16, 14, 16), surface=True)
            pen.oval(gaze + 0.012, y - 0.014, 0.008, 0.008, (250, 250, 250), surface=True)
            lid = [(x - size * 1.15, y + 0.005), (x - size * 0.5, y - open_y),
                   (x + size * 0.5, y - open_y), (x + size * 1.15, y + 0.005)]  # fmt: skip
            thick = 0.02 if looks.gender == 'woman' else 0.013
            pen.line(lid, (38, 26, 24), thick)
            pen.line(
                [(x - size, y + open_y), (x, y + open_y + 0.008), (x + size, y + open_y)],
                _shade(skin, 0.7), 0.007,
            )  # fmt: skip
        lift = {'open': -0.022, 'frown': 0.014}.get(face.expression, 0.0)
        inner, outer = x - side * size * 1.1, x + side * size * 1.45
        tilt = looks.brow_tilt + (0.03 if face.expression == 'frown' else 0.0)
        pen.line(
            [(inner, -0.135 + lift + tilt), (x, -0.162 + lift), (outer, -0.14 + lift - tilt)],
            brow, looks.brow_weight,
        )  # fmt: skip
        if age > 48:
            pen.line(
                [(x - size, y + 0.075), (x, y + 0.09), (x + size, y + 0.075)],
                _shade(skin, 0.8), 0.008,
            )  # fmt: skip
        centres.append(pen.at(x, y))
    return centres


def _nose(pen: _Pen, looks: people.Looks, face: Face, skin) -> np.ndarray:
    """Bridge, wings and shadow of the nose. Returns its tip in pixels."""
    tip = -0.04 + looks.nose_length
    lean = 0.04 * np.sign(pen.sin) if abs(pen.sin) > 0.1 else 0.0
    dark, bright = _shade(skin, 0.78), _shade(skin, 1.22)
    side = -1 if face.light > 0 else 1
    pen.line([(side * 0.032, -0.05), (side * 0.036 + lean, tip - 0.05)], _shade(skin, 0.86), 0.022)
    pen.oval(lean, tip - 0.02, looks.nose_width * 0.72, 0.042, _shade(skin, 1.06), surface=True)
    pen.line([(-side * 0.008, -0.06), (lean, tip - 0.05)], bright, 0.02)
    for sign in (-1, 1):
        x = sign * looks.nose_width * 0.55 + lean
        pen.oval(x, tip, 0.02, 0.012, _shade(skin, 0.45), surface=True)
        pen.line([(x + sign * 0.022, tip - 0.03), (x + sign * 0.026, tip + 0.005)], dark, 0.01)
    pen.line([(-0.03 + lean, tip + 0.018), (0.03 + lean, tip + 0.018)], dark, 0.012)
    return pen.at(lean, tip)


def _mouth(pen: _Pen, looks: people.Looks, face: Face, skin) -> list[np.ndarray]:
    """Lips and teeth. Returns the two corners in pixels, left of the picture first."""
    y, half = 0.275, looks.mouth_width
    full = looks.lip_fullness
    reddish = (196, 60, 72) if looks.gender == 'woman' else (168, 84, 78)
    lips = _mix(_shade(skin, 0.78), reddish, 0.55)
    dark = (92, 30, 34)
    if face.expression == 'smile':
        half *= 1.18
        upper = [(-half, y - 0.028), (-half * 0.4, y - full), (0, y - full * 0.8),
                 (half * 0.4, y - full), (half, y - 0.028)]  # fmt: skip
        lower = [(half * 0.6, y + 0.04), (0, y + 0.06 + full), (-half * 0.6, y + 0.04)]
        pen.polygon(upper + lower, lips, surface=True)
        pen.polygon(
            [(-half * 0.86, y - 0.016), (half * 0.86, y - 0.016), (half * 0.5, y + 0.028),
             (-half * 0.5, y + 0.028)],
            (240, 236, 228), surface=True,
        )  # fmt: skip
        corner_y = y - 0.028
    elif face.expression == 'open':
        pen.oval(0, y + 0.02, half * 0.78, 0.066, lips, surface=True)
        pen.oval(0, y + 0.02, half * 0.58, 0.042, dark, surface=True)
        pen.oval(0, y - 0.004, half * 0.46, 0.014, (236, 232, 224), surface=True)
        corner_y = y + 0.015
    else:
        droop = 0.022 if face.expression == 'frown' else 0.0
        pen.polygon(
            [(-half, y + droop), (-half * 0.35, y - full), (0, y - full * 0.65),
             (half * 0.35, y - full), (half, y + droop), (0, y + full * 1.7)],
            lips, surface=True,
        )  # fmt: skip
        pen.line([(-half, y + droop), (0, y + 0.006), (half, y + droop)], dark, 0.012)
        corner_y = y + droop
    return [pen.at(-half, corner_y), pen.at(half, corner_y)]


def _facial_hair(pen: _Pen, looks: people.Looks, colour) -> None:
    half = looks.face_width / 2
    if looks.facial_hair == 'beard':
        pen.polygon(
            [(-half * 0.98, 0.02), (-half * 0.84, 0.2), (-half * 0.4, 0.205), (0, 0.225),
             (half * 0.4, 0.205), (half * 0.84, 0.2), (half * 0.98, 0.02), (half * 0.86, 0.34),
             (half * 0.5, 0.5), (0, 0.545), (-half * 0.5, 0.5), (-half * 0.86, 0.34)],
            _shade(colour, 0.9), surface=True,
        )  # fmt: skip
    if looks.facial_hair in ('goatee', 'moustache', 'beard'):
        wide = looks.mouth_width * 1.15
        pen.polygon(
            [(-wide, 0.262), (-wide * 0.5, 0.208), (0, 0.2), (wide * 0.5, 0.208), (wide, 0.262),
             (0, 0.248)],
            colour, surface=True,
        )  # fmt: skip
    if looks.facial_hair == 'goatee':
        pen.oval(0, 0.43, 0.1, 0.085, colour, surface=True)


def _glasses(pen: _Pen, looks: people.Looks) -> None:
    if looks.glasses == 'none':
        return
    frame = (28, 26, 30) if looks.glasses == 'square' else (122, 84, 40)
    x, y, r = looks.eye_spacing, -0.05, 0.118
    half = looks.face_width / 2
    for side in (-1, 1):
        if looks.glasses == 'round':
            pen.oval(side * x, y, r, r, frame, surface=True, width=0.024)
        else:
            corners = [(side * x - r, y - r * 0.72), (side * x + r, y - r * 0.72),
                       (side * x + r, y + r * 0.72), (side * x - r, y + r * 0.72)]  # fmt: skip
            pen.line([*corners, corners[0]], frame, 0.028)
        pen.line([(side * (x + r), y - 0.02), (side * half, y - 0.035)], frame, 0.02)
    pen.line([(-x + r, y - 0.02), (x - r, y - 0.02)], frame, 0.022)


def _covering(pen: _Pen, looks: people.Looks, outfit: people.Outfit) -> None:
    if outfit.head_covering == 'none':
        return
    half = looks.face_width / 2 + 0.06
    colour = people.CLOTHES_COLOURS[outfit.covering_colour]
    dark = _shade(colour, 0.7)
    lean = 0.08 * pen.sin
    dome = [(half * np.cos(t), -0.24 + 0.38 * np.sin(t)) for t in np.linspace(np.pi, 2 * np.pi, 15)]
    if outfit.head_covering == 'headscarf':
        for side in (-1, 1):
            pen.polygon(
                [(side * half * 0.98, -0.3), (side * (half + 0.05), 0.3), (side * 0.18, 0.6),
                 (side * 0.1, 0.52), (side * (half - 0.1), 0.25), (side * (half - 0.07), -0.2)],
                dark, silhouette=True,
            )  # fmt: skip
        pen.polygon([*dome, (half * 0.8, -0.25), (-half * 0.8, -0.25)], colour, silhouette=True)
        return
    pen.polygon(dome, colour, silhouette=True)
    if outfit.head_covering == 'cap':
        tip = lean * 3
        pen.polygon(
            [(-half * 0.8, -0.28), (half * 0.8, -0.28), (half * 0.7 + tip, -0.19),
             (tip, -0.165), (-half * 0.7 + tip, -0.19)],
            dark, silhouette=True,
        )  # fmt: skip
    else:
        pen.oval(lean, -0.27, half + 0.2, 0.06, dark, silhouette=True)
        pen.polygon(
            [(-half * 0.98, -0.34), (half * 0.98, -0.34), (half, -0.28), (-half, -0.28)],
            _shade(colour, 0.5), silhouette=False,
        )  # fmt: skip


def _light(rgb: np.ndarray, pen: _Pen, face: Face) -> np.ndarray:
    """Rounds the head: darker towards the edge, brighter on the side of the light."""
    size = rgb.shape[0]
    grid = np.mgrid[0:size, 0:size].astype(np.float32)
    y, x = (grid - pen.origin[::-1, None, None]) / pen.unit
    inside = np.clip(1 - (x / 0.46) ** 2 - (y / 0.66) ** 2, 0, 1)
    gain = 0.8 + 0.26 * np.sqrt(inside) + 0.3 * face.light * x - 0.1 * np.clip(y, -0.5, 0.6)
    return np.clip(rgb * gain[:, :, None], 0, 255).astype(np.uint8)


@dataclasses.dataclass(frozen=True)
class Head:
    """A drawn head.

    Attributes:
        sprite: [size, size, 4] uint8 RGBA.
        box: Face box in the sprite's pixels: ymin, xmin, ymax, xmax (forehead to chin).
        landmarks: [5, 2] (x, y) pixels: the two eyes, the nose, the two corners of the mouth.
    """

    sprite: np.ndarray
    box: tuple[float, float, float, float]
    landmarks: np.ndarray


def draw_head(looks: people.Looks, outfit: people.Outfit, face: Face, size: int) -> Head:
    """Draws a head of `size` × `size` pixels; the head's height is `HEAD_SHARE` of that."""
    if outfit.head_covering != 'none' and looks.hair_style in _FLATTENED:
        looks = dataclasses.replace(looks, hair_style=_FLATTENED[looks.hair_style])
    skin, hair = skin_colour(looks), hair_colour(looks, outfit)
    age = looks.age + outfit.years
    pen = _Pen(size, looks, face, hair if looks.hair_style != 'bald' else skin)
    _back_hair(pen, looks, outfit, hair)
    half = looks.face_width / 2
    pen.polygon([(-0.17, 0.3), (0.17, 0.3), (0.2, 0.75), (-0.2, 0.75)], _shade(skin, 0.74), True)
    for side in (-1, 1):
        x = side * half * 1.0 - 0.12 * pen.sin
        pen.oval(x, 0.0, 0.05, looks.ear_size, _shade(skin, 0.86), silhouette=True)
    outline = _outline(looks, pen.sin)
    pen.polygon(outline, skin, silhouette=True)
    for side in (-1, 1):
        pen.oval(side * half * 0.6, 0.13, 0.1, 0.075, _mix(skin, (226, 96, 84), 0.14), surface=True)
    pen.polygon(
        [(-0.16, 0.40), (0.16, 0.40), (0.1, 0.475), (-0.1, 0.475)], _shade(skin, 0.93), surface=True
    )
    _facial_hair(pen, looks, hair)
    if age > 55:
        for y in (-0.27, -0.225):
            pen.line([(-0.14, y), (0, y - 0.012), (0.14, y)], _shade(skin, 0.84), 0.009)
    if age > 45:
        for side in (-1, 1):
            pen.line([(side * 0.1, 0.15), (side * 0.175, 0.25)], _shade(skin, 0.8), 0.011)
    eyes = _eyes(pen, looks, face, age, skin)
    nose = _nose(pen, looks, face, skin)
    mouth = _mouth(pen, looks, face, skin)
    if looks.freckles:
        for x, y in ((-0.16, 0.07), (-0.1, 0.1), (-0.21, 0.11), (0.13, 0.06), (0.19, 0.1)):
            pen.oval(x, y, 0.011, 0.011, _shade(skin, 0.7), surface=True)
    pen.rgb = lit = _light(pen.rgb, pen, face)
    lit[:] = images.blur(lit, size / 230)
    _front_hair(pen, looks, outfit, hair)
    _glasses(pen, looks)
    _covering(pen, looks, outfit)
    top, bottom = pen.flat(0, -0.36)[1], pen.flat(0, 0.5)[1]
    left, right = pen.flat(-half, 0)[0], pen.flat(half, 0)[0]
    landmarks = np.array([eyes[0], eyes[1], nose, mouth[0], mouth[1]], np.float32)
    sprite = np.concatenate([pen.rgb, pen.alpha], axis=2)
    return Head(sprite, (top, left, bottom, right), landmarks)
