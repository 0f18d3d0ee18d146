"""Stages and films one shot: positions of people, distance of the camera, frames over time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from cpad_jax.media import images
from cpad_jax.synthetic import actions, figures, heads, people, props
from cpad_jax.synthetic.places import Stage
from cpad_jax.synthetic.world import Performer
from cpad_jax.text.prompts import ACTIONS

HEIGHT, WIDTH = 168, 224

# (person, outfit, face, size, seed) -> head
HeadArtist = Callable[[int, people.Outfit, heads.Face, int, int], heads.Head]

# Actions that are recognised by the legs are framed from head to foot.
_FULL_LENGTH = frozenset({'Run', 'SitDown', 'StandUp', 'GetOutCar', 'FightPerson'})
# Room that a performer takes, in head heights.
_ROOM = {
    'DriveCar': 6.0,
    'GetOutCar': 6.2,
    'SitUp': 4.6,
    'Run': 2.6,
    'SitDown': 2.6,
    'StandUp': 2.6,
}
# Pixels per head height: nearest and farthest, by kind of shot.
_SCALES = {
    'full': (26.0, 30.0),
    'bed': (29.0, 36.0),
    'drive': (27.0, 33.0),
    'cabin': (36.0, 46.0),
    1: (36.0, 50.0),
    2: (33.0, 44.0),
    3: (29.0, 35.0),
    4: (26.0, 31.0),
    5: (24.0, 28.0),
}
_HEAD_SIZE = 112
# Start and end of the camera's move towards a person, as a fraction of the shot.
_APPROACH = (0.3, 0.6)


@dataclasses.dataclass(frozen=True)
class SeenFace:
    """A face in a frame: box [4] pixels (ymin, xmin, ymax, xmax), landmarks [5, 2], yaw."""

    box: np.ndarray
    landmarks: np.ndarray
    yaw: float


@dataclasses.dataclass
class _Part:
    """One performer as staged."""

    performer: Performer
    action: str
    outfit: people.Outfit
    manner: actions.Manner
    foot: tuple[float, float]
    scale: float
    mirrored: bool
    colour: tuple[float, float, float]


def _action(performer: Performer) -> str:
    return ACTIONS[performer.actions[0]] if performer.actions else ''


def _pose(part: _Part, t: float) -> figures.Pose:
    if part.performer.receives:
        return actions.RECEIVING[part.performer.receives](t, part.manner)
    if part.action:
        return actions.PERFORMANCES[part.action](t, part.manner)
    return actions.idle(t, part.manner)


class Shot:
    """A staged shot that can be filmed at any moment.

    Args:
        stage: The painted place.
        place: Its name.
        performers: The people in it.
        rng: NumPy random generator; only the constructor draws from it.
        artist: Draws heads.
    """

    def __init__(
        self,
        stage: Stage,
        place: str,
        performers: Sequence[Performer],
        rng: np.random.Generator,
        artist: HeadArtist,
    ):
        self._artist = artist
        self._heads: dict[tuple, heads.Head] = {}
        self._light = float(rng.uniform(-1, 1))
        self._cabin = place == 'INT-car'
        doings = {_action(p) or p.receives for p in performers}
        if self._cabin:
            self._kind: str | int = 'cabin'
        elif 'SitUp' in doings:
            self._kind = 'bed'
        elif 'DriveCar' in doings:
            self._kind = 'drive'
        elif doings & _FULL_LENGTH:
            self._kind = 'full'
        else:
            self._kind = len(performers)
        self._parts = self._place_parts(performers, rng)
        self._pan = rng.uniform(-0.07, 0.07, 2) * (WIDTH, HEIGHT * 0.4)
        self._zoom = float(rng.uniform(-0.09, 0.09))
        self._near = 1.0
        self._near_corner = np.zeros(2)
        self._scroll = 0.0
        if 'DriveCar' in doings:
            self._scroll = float(rng.choice([-1, 1])) * rng.uniform(0.15, 0.3) * WIDTH
        self._background, self._stage_matrix = self._frame_stage(stage, rng)
        self._dashboard = tuple(float(v) for v in rng.uniform(24, 92, 3))

    def _place_parts(self, performers: Sequence[Performer], rng: np.random.Generator):
        low, high = _SCALES[self._kind]
        scale = float(rng.uniform(low, high))
        # A unit is one person, or two who interact.
        units: list[list[int]] = []
        for index, performer in enumerate(performers):
            if performer.receives and units:
                units[-1].append(index)
            else:
                units.append([index])
        room = []
        for unit in units:
            action = _action(performers[unit[0]])
            gap = actions.PARTNER_DISTANCE.get(action, 0.0) if len(unit) == 2 else 0.0
            room.append((1.9 if self._cabin else _ROOM.get(action, 2.0)) + gap)
        scale = min(scale, WIDTH * 1.02 / sum(room))
        spare = max(0.0, WIDTH / scale - sum(room))
        gaps = rng.dirichlet(np.ones(len(units) + 1) * 2.0) * spare
        order = rng.permutation(len(units))
        parts: dict[int, _Part] = {}
        left = 0.0
        head_y = HEIGHT * float(rng.uniform(0.3, 0.4))
        for slot, which in enumerate(order):
            unit = units[which]
            left += gaps[slot]
            depth = float(rng.uniform(0.86, 1.1)) if len(units) > 1 else 1.0
            unit_scale = scale * depth
            centre = (left + room[which] / 2) * scale
            left += room[which]
            mirrored = bool(rng.random() < 0.5)
            if self._kind in ('full', 'bed', 'drive'):
                foot_y = HEIGHT * 0.965 + (depth - 1) * 26
            else:
                foot_y = head_y + (4.24 if not self._cabin else 4.12) * unit_scale
            sign = -1 if mirrored else 1
            first = performers[unit[0]]
            if _action(first) == 'DriveCar' and self._cabin:
                foot_y = head_y + 0.06 * HEIGHT + 3.2 * unit_scale
            offset = 0.0
            if len(unit) == 2:
                offset = actions.PARTNER_DISTANCE[_action(first)] / 2 * unit_scale
            for position, index in enumerate(unit):
                toward = sign if position == 0 else -sign
                performer = performers[index]
                parts[index] = _Part(
                    performer=performer,
                    action=_action(performer),
                    outfit=performer.outfit(),
                    manner=actions.Manner.draw(rng),
                    foot=(centre - toward * offset, foot_y),
                    scale=unit_scale,
                    mirrored=toward < 0,
                    colour=tuple(float(v) for v in rng.uniform(40, 210, 3)),
                )
        return [parts[index] for index in range(len(performers))]

    def _frame_stage(self, stage: Stage, rng: np.random.Generator):
        """How the painted place is cut to the frame when the camera is at rest."""
        height, width = stage.image.shape[:2]
        fraction = {'full': 0.82, 'bed': 0.76, 'drive': 0.82, 'cabin': 0.8}.get(self._kind, 0.68)
        zoom = WIDTH / (width * fraction)
        x = WIDTH / 2 - width * zoom * float(rng.uniform(0.45, 0.55))
        if self._kind in ('full', 'bed', 'drive'):
            y = HEIGHT * 0.93 - stage.floor * zoom
        else:
            y = HEIGHT / 2 - height * zoom * float(rng.uniform(0.42, 0.5))
        image = stage.image
        if isinstance(self._kind, int):
            # A near camera leaves the background a little out of focus.
            image = images.blur(image, 0.8)
        return image, np.array([[zoom, 0, x], [0, zoom, y]])

    def _head(self, part: _Part, face: heads.Face) -> heads.Head:
        # Steps of 0.12 radians are invisible at this size and save redrawing most heads.
        face = dataclasses.replace(face, yaw=round(face.yaw / 0.12) * 0.12)
        size = max(_HEAD_SIZE, round(part.scale * figures.HEAD_SIZE * 1.9 / self._near))
        key = (part.performer.person, part.performer.outfit_seed, face, size)
        if key not in self._heads:
            self._heads[key] = self._artist(
                part.performer.person, part.outfit, face, size, part.performer.outfit_seed
            )
        return self._heads[key]

    def approach(self, performer: int, share: float) -> None:
        """Moves the camera close to one person in the middle of the shot.

        Args:
            performer: Index of the performer.
            share: Share of the frame's height and width that stays in view, above 0, at most 1.
        """
        # Half way through the part that is filmed close up.
        _, faces = self.film((1 + _APPROACH[1]) / 2)
        box, frame = faces[performer].box, np.array([WIDTH, HEIGHT])
        middle = np.array([box[1] + box[3], box[0] + box[2]]) / 2
        # The face is centred horizontally, in the upper part.
        corner = middle - frame * share * (0.5, 0.38)
        self._near, self._near_corner = share, np.clip(corner, 0, frame * (1 - share))

    def _view(self, t: float) -> tuple[float, np.ndarray]:
        """Zoom and shift [2] from the frame of a camera at rest to that of the camera at `t`."""
        way = float(np.clip((t - _APPROACH[0]) / (_APPROACH[1] - _APPROACH[0]), 0, 1))
        way = way * way * (3 - 2 * way)
        nearer = 1 / (1 + way * (self._near - 1))
        zoom = (1 + self._zoom * (t - 0.5)) * nearer
        middle = np.array([WIDTH, HEIGHT]) / 2
        pan = middle * (1 - zoom / nearer) + self._pan * (t - 0.5)
        return zoom, (pan - way * self._near_corner) * nearer

    def film(self, t: float) -> tuple[np.ndarray, list[SeenFace]]:
        """The frame at a time.

        Args:
            t: Time of the clip, 0 (first frame) to 1 (last).

        Returns:
            The picture [HEIGHT, WIDTH, 3] uint8, not yet graded, and the faces of the performers
            in their order, inside the frame or not.
        """
        zoom, shift = self._view(t)
        matrix = self._stage_matrix * zoom
        matrix[:, 2] += shift + np.array([self._scroll * (t - 0.5), 0.0])
        picture = images.warp(self._background, matrix, HEIGHT, WIDTH)
        faces: list[SeenFace | None] = [None] * len(self._parts)
        # Farther people first; of two who embrace, the one who is embraced first.
        order = sorted(
            range(len(self._parts)),
            key=lambda i: (round(self._parts[i].scale, 3), not self._parts[i].performer.receives),
        )
        for index in order:
            faces[index] = self._draw_part(picture, self._parts[index], t, zoom, shift)
        if self._cabin:
            props.dashboard(picture, self._dashboard)
            self._draw_wheel(picture, zoom, shift)
        return picture, faces

    def _draw_part(self, picture, part: _Part, t: float, zoom: float, shift) -> SeenFace:
        pose = _pose(part, t)
        sign = -1.0 if part.mirrored else 1.0
        foot = np.array(part.foot)
        if part.action == 'Run':
            foot = foot + np.array([sign * (t - 0.5) * WIDTH * 0.32, 0.0])
        foot = foot * zoom + shift
        scale = part.scale * zoom
        beneath = {'SitDown': props.chair, 'StandUp': props.chair, 'SitUp': props.bed,
                   'GetOutCar': props.car_open}  # fmt: skip
        if part.action in beneath:
            beneath[part.action](picture, foot, scale, sign, part.colour)
        driving = part.action == 'DriveCar' and not self._cabin
        if driving:
            props.car_cabin(picture, foot, scale, sign, part.colour)
            foot = foot - np.array([0.0, 0.15 * scale])
        figure = figures.Figure(
            looks=people.person(part.performer.person).looks,
            outfit=part.outfit, pose=pose, foot=(float(foot[0]), float(foot[1])),
            scale=scale, mirrored=part.mirrored, light=self._light,
        )  # fmt: skip
        box, landmarks = figures.draw_figure(
            picture, figure, lambda _, face: self._head(part, face)
        )
        if part.action == 'SitUp':
            props.blanket(picture, foot, scale, sign, part.colour)
        if driving:
            props.car_side(picture, foot + np.array([0.0, 0.15 * scale]), scale, sign, part.colour)
        return SeenFace(box, landmarks, pose.yaw * sign)

    def _draw_wheel(self, picture: np.ndarray, zoom: float, shift) -> None:
        for part in self._parts:
            if part.action == 'DriveCar':
                sign = -1 if part.mirrored else 1
                centre = np.array(part.foot) + np.array([sign * 0.95, -1.75]) * part.scale
                props.steering_wheel(picture, tuple(centre * zoom + shift), part.scale * zoom)
