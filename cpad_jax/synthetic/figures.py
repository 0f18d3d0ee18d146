"""Draws jointed figures: a body in a pose, with clothes, head and hand-held objects.

A pose is given in head heights on the floor plan of the picture: (0, 0) is the point on the floor
under the figure, x to the right, y down (so that standing parts have negative y). Arms and legs are
solved from where hands and feet are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from cpad_jax.synthetic import canvas, heads, people

HIP = -2.05
TORSO = 1.45
UPPER_ARM, FOREARM = 0.82, 0.82
THIGH, SHIN = 1.04, 1.04
# Heads are drawn larger than life, so that a face can be read in a wide shot of few pixels.
HEAD_SIZE = 1.35
# Joint to the middle of the head.
NECK = 0.74

Point = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Pose:
    """A body at one moment, seen facing right; `Figure.mirrored` turns it round.

    Attributes:
        hip: Middle of the hips.
        lean: Angle of the back from upright, radians, forwards positive.
        hands: Far hand and near hand (the near arm is drawn over the body).
        feet: Far foot and near foot.
        turn: How far the body is turned from the camera: 0 frontal, 1 in profile.
        yaw: Turn of the head towards the facing side, radians.
        tilt: Roll of the head, radians, forwards positive.
        expression: One of `people.EXPRESSIONS`.
        held: Object in the near hand: '', 'phone', 'fork', 'cup'.
        carried: Object in the far hand: '', 'plate'.
        legs: Whether the legs are drawn (not under a blanket or in a car).
    """

    hip: Point = (0.0, HIP)
    lean: float = 0.0
    hands: tuple[Point, Point] = ((0.5, -1.85), (-0.5, -1.85))
    feet: tuple[Point, Point] = ((0.22, 0.0), (-0.22, 0.0))
    turn: float = 0.3
    yaw: float = 0.2
    tilt: float = 0.0
    expression: str = 'neutral'
    held: str = ''
    carried: str = ''
    legs: bool = True


@dataclasses.dataclass(frozen=True)
class Figure:
    """A person in the picture.

    Attributes:
        looks: Looks of the person.
        outfit: Dressed how.
        pose: Pose at this moment.
        foot: Pixel (x, y) of the floor point under the figure.
        scale: Pixels per head height.
        mirrored: Facing left instead of right.
        light: Side of the light, -1 left to 1 right.
    """

    looks: people.Looks
    outfit: people.Outfit
    pose: Pose
    foot: tuple[float, float]
    scale: float
    mirrored: bool
    light: float


def _bend(start: np.ndarray, end: np.ndarray, first: float, second: float, side: float):
    """The joint between two bones that reach from start towards end, and the end they reach."""
    reach = end - start
    distance = float(np.hypot(*reach))
    longest = (first + second) * 0.999
    if distance > longest:
        end = start + reach * (longest / distance)
        reach, distance = end - start, longest
    distance = max(distance, 1e-3)
    along = (first**2 - second**2 + distance**2) / (2 * distance)
    height = np.sqrt(max(first**2 - along**2, 0.0))
    unit = reach / distance
    normal = np.array([-unit[1], unit[0]])
    return start + unit * along + normal * height * side, end


class _Body:
    """The joints of a figure in pixels."""

    def __init__(self, figure: Figure):
        pose, looks = figure.pose, figure.looks
        self.scale = figure.scale
        self.sign = -1.0 if figure.mirrored else 1.0
        self.foot = np.asarray(figure.foot, np.float64)
        # Taller people are longer in body and legs; heads are alike.
        self.stretch = looks.height
        hip = np.array(pose.hip)
        up = np.array([np.sin(pose.lean), -np.cos(pose.lean)])
        neck = hip + up * TORSO
        wide = 0.47 * (1 - 0.55 * pose.turn) * (0.9 + 0.25 * (looks.build - 0.85))
        across = np.array([-up[1], up[0]])
        self.hip, self.neck, self.up, self.across = hip, neck, up, across
        self.shoulders = (neck + across * wide + up * -0.1, neck - across * wide + up * -0.1)
        hips_wide = 0.27 * (1 - 0.5 * pose.turn)
        self.hips = (hip + across * hips_wide, hip - across * hips_wide)
        head_up = np.array(
            [np.sin(pose.lean * 0.5 + pose.tilt), -np.cos(pose.lean * 0.5 + pose.tilt)]
        )
        self.head = neck + head_up * NECK
        self.head_angle = (pose.lean * 0.5 + pose.tilt) * self.sign

    def pixel(self, point) -> np.ndarray:
        x, y = point
        return self.foot + np.array([x * self.sign, y * self.stretch]) * self.scale


def head_centre(figure: Figure) -> np.ndarray:
    """Pixel (x, y) of the middle of the figure's head."""
    body = _Body(figure)
    return body.pixel(body.head)


def _tinted(colour, factor: float):
    return tuple(float(np.clip(value * factor, 0, 255)) for value in colour)


def _arm(image, body: _Body, figure: Figure, which: int) -> np.ndarray:
    """Draws one arm; returns the pixel of its hand."""
    outfit, pose = figure.outfit, figure.pose
    tint = 0.8 if which == 0 else 0.95
    sleeve = _tinted(people.CLOTHES_COLOURS[outfit.top_colour], tint)
    skin = _tinted(heads.skin_colour(figure.looks), tint + 0.05)
    start = body.shoulders[which]
    target = np.array(pose.hands[which])
    bends = [_bend(start, target, UPPER_ARM, FOREARM, side) for side in (1.0, -1.0)]
    # Elbows point down and back.
    elbow, hand = max(bends, key=lambda bend: bend[0][1] - 0.6 * bend[0][0])
    s, thick = figure.scale, 0.9 + 0.35 * (figure.looks.build - 0.85)
    a, b, c = body.pixel(start), body.pixel(elbow), body.pixel(hand)
    canvas.capsule(image, a, b, 0.19 * s * thick, 0.15 * s * thick, sleeve)
    lower = skin if outfit.short_sleeves else sleeve
    canvas.capsule(image, b, c, 0.145 * s * thick, 0.1 * s, lower)
    canvas.ellipse(image, c, (0.125 * s, 0.125 * s), skin)
    return c


def _leg(image, body: _Body, figure: Figure, which: int) -> None:
    outfit = figure.outfit
    tint = 0.78 if which == 0 else 0.95
    bare = outfit.top == 'dress'
    cloth = (
        heads.skin_colour(figure.looks) if bare else people.CLOTHES_COLOURS[outfit.trousers_colour]
    )
    cloth = _tinted(cloth, tint)
    start = body.hips[which]
    knee, foot = _bend(start, np.array(figure.pose.feet[which]), THIGH, SHIN, -1.0)
    s, thick = figure.scale, 0.9 + 0.4 * (figure.looks.build - 0.85)
    a, b, c = body.pixel(start), body.pixel(knee), body.pixel(foot)
    canvas.capsule(image, a, b, 0.25 * s * thick, 0.19 * s * thick, cloth)
    canvas.capsule(image, b, c, 0.18 * s * thick, 0.12 * s, cloth)
    toe = c + np.array([0.28 * body.sign, 0.02]) * s
    canvas.capsule(image, c, toe, 0.13 * s, 0.09 * s, (36 * tint, 30 * tint, 30 * tint))


def _torso(image, body: _Body, figure: Figure) -> None:
    outfit = figure.outfit
    top = people.CLOTHES_COLOURS[outfit.top_colour]
    second = people.CLOTHES_COLOURS[outfit.second_colour]
    build = figure.looks.build
    s = figure.scale
    far, near = (body.shoulders[0], body.shoulders[1])
    waist = 0.16 * build
    outline = [
        far + body.up * 0.02,
        body.hips[0] + body.across * waist * 0.6,
        body.hips[1] - body.across * waist * 0.6,
        near + body.up * 0.02,
        body.neck - body.across * 0.18 + body.up * 0.12,
        body.neck + body.across * 0.18 + body.up * 0.12,
    ]
    pixels = [body.pixel(point) for point in outline]
    for shoulder in body.shoulders:
        canvas.ellipse(image, body.pixel(shoulder), (0.2 * s, 0.19 * s), top)
    canvas.ellipse(image, body.pixel(body.hip), (0.36 * s * build, 0.27 * s), top)
    canvas.polygon(image, pixels, top)
    if outfit.top == 'striped shirt':
        for share in (0.18, 0.38, 0.58, 0.78):
            left = far + (body.hips[0] - far) * share
            right = near + (body.hips[1] - near) * share
            canvas.polyline(image, [body.pixel(left), body.pixel(right)], second, 0.12 * s)
    elif outfit.top == 'jacket':
        front = body.neck + body.across * 0.12
        canvas.polygon(
            image,
            [body.pixel(front + body.across * 0.13), body.pixel(front - body.across * 0.2),
             body.pixel(body.neck - body.up * 0.95)],
            second,
        )  # fmt: skip
    elif outfit.top == 'dress' and figure.pose.legs:
        hem = body.hip + np.array([0.0, 0.95])
        canvas.polygon(
            image,
            [body.pixel(body.hips[0] + body.across * 0.1),
             body.pixel(hem + np.array([0.55, 0.0])), body.pixel(hem - np.array([0.55, 0.0])),
             body.pixel(body.hips[1] - body.across * 0.1)],
            _tinted(top, 0.93),
        )  # fmt: skip


def _object(image, name: str, hand: np.ndarray, s: float, sign: float) -> None:
    x, y = hand
    if name == 'phone':
        canvas.capsule(
            image, (x - 0.03 * s * sign, y - 0.26 * s), (x + 0.05 * s * sign, y + 0.22 * s),
            0.1 * s, 0.1 * s, (24, 24, 28),
        )  # fmt: skip
        canvas.ellipse(
            image, (x - 0.01 * s * sign, y - 0.2 * s), (0.05 * s, 0.05 * s), (90, 200, 240)
        )
    elif name == 'fork':
        tip = (x + 0.2 * s * sign, y - 0.2 * s)
        canvas.polyline(image, [(x, y), tip], (206, 208, 214), 0.07 * s)
        canvas.ellipse(image, tip, (0.1 * s, 0.08 * s), (206, 132, 48))
    elif name == 'plate':
        canvas.ellipse(image, (x, y - 0.05 * s), (0.5 * s, 0.14 * s), (242, 242, 238))
        canvas.ellipse(image, (x, y - 0.12 * s), (0.32 * s, 0.12 * s), (202, 116, 40))
        canvas.ellipse(image, (x + 0.12 * s, y - 0.14 * s), (0.13 * s, 0.08 * s), (66, 140, 56))
    elif name == 'cup':
        canvas.rectangle(
            image, x - 0.12 * s, y - 0.24 * s, x + 0.12 * s, y + 0.06 * s, (240, 240, 244)
        )


DrawHead = Callable[[Figure, heads.Face], heads.Head]


def draw_figure(image: np.ndarray, figure: Figure, draw_head: DrawHead) -> tuple[np.ndarray, ...]:
    """Draws a figure on `image` [H, W, 3] in place.

    Args:
        image: Picture to draw on, uint8 RGB.
        figure: The figure, with its pose and position.
        draw_head: Gives the head for a figure and a face, so that the caller can keep drawn heads.

    Returns:
        The face box [4] in pixels (ymin, xmin, ymax, xmax), possibly outside the picture, and the
        landmarks [5, 2] as (x, y) pixels.
    """
    body, pose, s = _Body(figure), figure.pose, figure.scale
    far_hand = _arm(image, body, figure, 0)
    if pose.carried:
        _object(image, pose.carried, far_hand, s, body.sign)
    if pose.legs:
        _leg(image, body, figure, 0)
        _leg(image, body, figure, 1)
    _torso(image, body, figure)
    face = heads.Face(yaw=pose.yaw * body.sign, expression=pose.expression, light=figure.light)
    head = draw_head(figure, face)
    size = head.sprite.shape[0]
    zoom = HEAD_SIZE * s / (heads.HEAD_SHARE * size)
    cos, sin = np.cos(body.head_angle) * zoom, np.sin(body.head_angle) * zoom
    centre = body.pixel(body.head)
    middle = np.array(heads.CENTRE) * size
    rotation = np.array([[cos, -sin], [sin, cos]])
    matrix = np.concatenate([rotation, (centre - rotation @ middle)[:, None]], axis=1)
    canvas.paste(image, head.sprite, matrix)
    if pose.carried == 'plate':
        _object(image, 'plate', far_hand, s, body.sign)
    near_hand = _arm(image, body, figure, 1)
    if pose.held:
        _object(image, pose.held, near_hand, s, body.sign)
    ymin, xmin, ymax, xmax = head.box
    corners = np.array([[xmin, ymin], [xmax, ymin], [xmin, ymax], [xmax, ymax]])
    corners = corners @ rotation.T + matrix[:, 2]
    low, high = corners.min(0), corners.max(0)
    box = np.array([low[1], low[0], high[1], high[0]], np.float32)
    landmarks = (head.landmarks @ rotation.T + matrix[:, 2]).astype(np.float32)
    return box, landmarks
