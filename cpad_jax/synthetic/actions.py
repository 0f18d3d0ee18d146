"""Poses of the twelve Hollywood2 actions as functions of time.

Every function takes the time of the clip, 0 to 1, and the numbers by which one performance differs
from the next, and returns a pose facing right. Actions that look alike in a still picture
differ as they do in life: a person who sits down feels for the chair behind, one who stands up
pushes off the knees.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from cpad_jax.synthetic.figures import HIP, Pose

# Where the partner stands, in head heights in front of the actor.
PARTNER_DISTANCE = {'FightPerson': 1.95, 'HandShake': 2.0, 'HugPerson': 1.1, 'Kiss': 1.15}
SEAT = -1.12


@dataclasses.dataclass(frozen=True)
class Manner:
    """How one performance of an action differs from another.

    Attributes:
        phase: Where in a repeated movement the clip begins, 0 to 1.
        pace: Repetitions per clip.
        sway: Size of small movements, 0 to 1.
        start: Share of the clip before a single movement begins.
        expression: Facial expression, unless the action has its own.
    """

    phase: float
    pace: float
    sway: float
    start: float
    expression: str

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Manner:
        """Draws a manner."""
        return cls(
            phase=float(rng.uniform()),
            pace=float(rng.uniform(1.4, 2.6)),
            sway=float(rng.uniform(0.3, 1.0)),
            start=float(rng.uniform(0.0, 0.2)),
            expression=str(rng.choice(['neutral', 'neutral', 'smile', 'frown', 'open'])),
        )


def _ease(t: float, start: float, end: float) -> float:
    """Goes smoothly from 0 to 1 between two times."""
    share = float(np.clip((t - start) / max(end - start, 1e-6), 0, 1))
    return share * share * (3 - 2 * share)


def _between(a, b, share: float):
    return tuple(float(x + (y - x) * share) for x, y in zip(a, b, strict=True))


def _wave(t: float, manner: Manner) -> float:
    return float(np.sin(2 * np.pi * (manner.phase + manner.pace * t)))


def idle(t: float, manner: Manner) -> Pose:
    """Stands about: hands down, on the hips, arms folded, or a cup in the hand."""
    swing = 0.06 * manner.sway * _wave(t, manner)
    kind = int(manner.phase * 4)
    hands = (
        ((0.52, -1.8), (-0.52, -1.8)),
        ((0.5, -2.2), (-0.5, -2.2)),
        ((-0.25, -2.85), (0.3, -2.75)),
        ((0.5, -1.85), (0.45, -2.75)),
    )[kind]
    return Pose(
        hip=(swing, HIP), hands=hands, yaw=0.25 + swing * 3, expression=manner.expression,
        turn=0.15, held='cup' if kind == 3 else '',
    )  # fmt: skip


def answer_phone(t: float, manner: Manner) -> Pose:
    """Lifts a telephone to the ear and talks."""
    up = _ease(t, 0.0, 0.08 + manner.start * 0.6)
    hand = _between((0.3, -2.3), (-0.5, -4.05), up)
    talk = 'open' if _wave(t * 2, manner) > 0 else manner.expression
    return Pose(
        hands=((0.5, -2.15), hand), held='phone', yaw=0.3, tilt=-0.14 * up,
        expression=talk, turn=0.2,
    )  # fmt: skip


def drive_car(t: float, manner: Manner) -> Pose:
    """Holds the wheel with both hands; the figure is seen above the door."""
    steer = 0.16 * _wave(t, manner)
    return Pose(
        hip=(0.0, SEAT), lean=-0.1, turn=0.55, legs=False, yaw=0.42, expression=manner.expression,
        hands=((1.02, -1.98 - steer), (0.92, -1.86 + steer)),
    )  # fmt: skip


def eat(t: float, manner: Manner) -> Pose:
    """Moves a fork between the plate in the far hand and the mouth."""
    bite = 0.5 + 0.5 * _wave(t, manner)
    hand = _between((0.5, -2.7), (0.24, -3.78), bite)
    return Pose(
        hands=((0.62, -2.5), hand), held='fork', carried='plate', yaw=0.25, tilt=0.1,
        expression='open' if bite > 0.55 else 'neutral', turn=0.25,
    )  # fmt: skip


def fight(t: float, manner: Manner) -> Pose:
    """Lunges and throws punches at the other person's head."""
    punch = 0.5 + 0.5 * _wave(t, manner)
    near = _between((0.55, -3.35), (1.6, -3.85), punch)
    far = _between((1.6, -3.75), (0.6, -3.4), punch)
    return Pose(
        hip=(-0.1, HIP + 0.22), lean=0.26, turn=0.7, yaw=0.5, hands=(far, near),
        feet=((0.85, 0.0), (-0.85, 0.0)), expression='frown',
    )  # fmt: skip


def fend_off(t: float, manner: Manner) -> Pose:
    """Bends back from a blow with both hands up."""
    back = 0.22 + 0.12 * _wave(t, manner)
    return Pose(
        hip=(-0.1, HIP + 0.05), lean=-back, turn=0.6, yaw=0.4, expression='open',
        hands=((0.75, -3.1), (0.62, -3.3)), feet=((0.45, 0.0), (-0.45, 0.0)),
    )  # fmt: skip


def get_out_of_car(t: float, manner: Manner) -> Pose:
    """Comes up from the seat through the open door, one hand on the door frame."""
    up = _ease(t, manner.start, manner.start + 0.75)
    hip = _between((-0.55, SEAT - 0.1), (0.1, HIP + 0.05), up)
    return Pose(
        hip=hip, lean=0.5 * (1 - up) + 0.12, turn=0.45, yaw=0.35,
        hands=((1.05, -2.6), (-0.75, -2.0 - 0.5 * up)),
        feet=((0.5, 0.0), (0.05 - 0.1 * up, 0.0)), expression=manner.expression,
    )  # fmt: skip


def shake_hands(t: float, manner: Manner) -> Pose:
    """Holds out a hand at the height of the belt and shakes."""
    pump = 0.14 * _wave(t, manner)
    return Pose(
        lean=0.07, turn=0.6, yaw=0.45, expression='smile',
        hands=((0.2, -1.95), (1.0, -2.5 + pump)),
    )  # fmt: skip


def hug(t: float, manner: Manner) -> Pose:
    """Puts both arms round the other person's back."""
    close = _ease(t, 0.0, 0.15 + manner.start)
    return Pose(
        hip=(0.1 * close, HIP), lean=0.1, turn=0.65, yaw=0.4, tilt=0.1, expression='smile',
        hands=((1.35, -3.0), _between((1.0, -2.7), (1.42, -2.75), close)),
    )  # fmt: skip


def is_hugged(t: float, manner: Manner) -> Pose:
    """Stands in the other person's arms, hands down."""
    return Pose(
        lean=0.05, turn=0.65, yaw=0.35, tilt=0.08, expression=manner.expression,
        hands=((0.3, -1.8), (-0.35, -1.8)),
    )  # fmt: skip


def kiss(t: float, manner: Manner) -> Pose:
    """Leans over to the other person's face, a hand on their shoulder."""
    close = _ease(t, 0.0, 0.2 + manner.start)
    return Pose(
        hip=(0.0, HIP), lean=0.1 + 0.1 * close, turn=0.6, yaw=0.62, tilt=0.16 * close,
        hands=((0.5, -2.0), (1.0, -3.0)), expression='neutral',
    )  # fmt: skip


def is_kissed(t: float, manner: Manner) -> Pose:
    """Keeps still for a kiss."""
    return Pose(
        lean=0.08, turn=0.5, yaw=0.5, tilt=0.05, expression='smile',
        hands=((0.35, -1.8), (-0.4, -1.8)),
    )  # fmt: skip


def run(t: float, manner: Manner) -> Pose:
    """Runs on the spot of the picture; the scene moves the figure along."""
    cycle = 2 * np.pi * (manner.phase + (1.5 + manner.pace) * t)
    swing, lift = np.sin(cycle), np.cos(cycle)
    near = (-0.15 + 0.95 * swing, -0.12 - 0.75 * max(0.0, lift))
    far = (-0.15 - 0.95 * swing, -0.12 - 0.75 * max(0.0, -lift))
    return Pose(
        hip=(0.0, HIP + 0.05 - 0.1 * abs(lift)), lean=0.3, turn=0.75, yaw=0.45,
        hands=((0.35 + 0.6 * swing, -2.75), (0.35 - 0.6 * swing, -2.75)),
        feet=(far, near), expression='open',
    )  # fmt: skip


def sit_down(t: float, manner: Manner) -> Pose:
    """Lowers onto a chair behind, feeling for it with both hands."""
    down = _ease(t, manner.start, manner.start + 0.75)
    return Pose(
        hip=_between((0.0, HIP + 0.25), (-0.5, SEAT - 0.25), down), lean=0.12 - 0.3 * down,
        turn=0.65, yaw=0.1, tilt=-0.15,
        hands=((-0.75, -1.7), (-1.0, -1.6)), feet=((0.42, 0.0), (0.3, 0.0)),
        expression=manner.expression,
    )  # fmt: skip


def stand_up(t: float, manner: Manner) -> Pose:
    """Rises from a chair, bent forwards, hands pushing off the knees."""
    up = _ease(t, manner.start, manner.start + 0.8)
    hip = _between((-0.5, SEAT - 0.25), (0.05, HIP + 0.15), up)
    knee = (0.55, -1.25)
    return Pose(
        hip=hip, lean=0.75 - 0.4 * up, turn=0.7, yaw=0.5, tilt=0.1,
        hands=(knee, (knee[0] - 0.1, knee[1])), feet=((0.32, 0.0), (0.12, 0.0)),
        expression=manner.expression,
    )  # fmt: skip


def sit_up(t: float, manner: Manner) -> Pose:
    """Rises from lying in bed, one arm propping the back."""
    up = _ease(t, manner.start * 0.5, 0.8)
    return Pose(
        hip=(0.0, SEAT - 0.1), lean=-1.3 + 1.15 * up, turn=0.5, yaw=0.25, tilt=0.3 * (1 - up),
        hands=((0.4, -1.5), (-0.9, SEAT + 0.05)), feet=((1.7, SEAT), (1.75, SEAT)),
        expression=manner.expression, legs=False,
    )  # fmt: skip


PERFORMANCES = {
    'AnswerPhone': answer_phone,
    'DriveCar': drive_car,
    'Eat': eat,
    'FightPerson': fight,
    'GetOutCar': get_out_of_car,
    'HandShake': shake_hands,
    'HugPerson': hug,
    'Kiss': kiss,
    'Run': run,
    'SitDown': sit_down,
    'SitUp': sit_up,
    'StandUp': stand_up,
}
# Poses of the person who receives the action.
RECEIVING = {
    'FightPerson': fend_off,
    'HandShake': shake_hands,
    'HugPerson': is_hugged,
    'Kiss': is_kissed,
}
# Shaking hands takes two: both are doing it.
MUTUAL = frozenset({'HandShake'})
