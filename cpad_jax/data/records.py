"""The two kinds of record that data sets yield: a photo of a person, and a clip with people.

Both are plain dicts, so that they travel between processes and into Grain as they are. Pictures
stay JPEG until somebody looks at them (`media.images.decode_jpeg`). Boxes are ymin, xmin, ymax and
xmax, landmarks x and y, as fractions of the picture; where they are not marked all are -1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np

from cpad_jax.errors import UserError

SOURCES = ('movie', 'show')


class IdentityRecord(TypedDict):
    """One photo of one person.

    Attributes:
        image: JPEG.
        image_id: Unique in the data set, e.g. 'n000002/0001_01'.
        identity: Number of the person in the data set's table of people, >= 0.
        name: Of the person.
        bbox: float32 [4], the face, or -1.
        landmarks: float32 [5, 2] of the face: two eyes, nose, two corners of the mouth; or -1.
        source: The set of photos it belongs to, never the title of a clip; may be empty.
    """

    image: bytes
    image_id: str
    identity: int
    name: str
    bbox: np.ndarray
    landmarks: np.ndarray
    source: str


class Tracks(TypedDict):
    """Where one face is through a clip: `times` float32 [M], seconds; `boxes` float32 [M, 4]."""

    times: np.ndarray
    boxes: np.ndarray


class PersonInClip(TypedDict):
    """Somebody in a clip.

    Attributes:
        person_id: Key of the table of people.
        name: Of the person.
        identity: Number in the table of people.
        actions: What they do, as indices into the data set's actions, ascending.
        target: Index in the clip's `people` of the one it is done to, or -1.
        tracks: Where their face is; may be empty.
    """

    person_id: str
    name: str
    identity: int
    actions: list[int]
    target: int
    tracks: Tracks


class ClipRecord(TypedDict):
    """One clip.

    Attributes:
        clip_id: Unique in the data set.
        source: 'movie' or 'show'.
        title: Id of the movie or show.
        frames: JPEGs in order of time, at least one.
        times: float32 [T], seconds at which these frames begin, ascending.
        actions: What anybody does in it, as indices, ascending.
        place: Index into the data set's places, or -1 where it is unknown.
        people: Those whom the data set knows to be in it.
    """

    clip_id: str
    source: str
    title: str
    frames: list[bytes]
    times: np.ndarray
    actions: list[int]
    place: int
    people: list[PersonInClip]


def check_identity(record: Mapping[str, Any]) -> None:
    """Makes sure that a record is of the identities' form.

    Raises:
        UserError: Names the record and the field that is not.
    """
    where = f'photo {record.get("image_id")!r}'
    _fields(record, IdentityRecord, where)
    _jpeg(record['image'], f'{where}: image')
    _text(record['image_id'], f'{where}: image_id')
    _number(record['identity'], 0, None, f'{where}: identity')
    _text(record['name'], f'{where}: name')
    _boxes(np.asarray(record['bbox'])[None], 1, f'{where}: bbox')
    landmarks = np.asarray(record['landmarks'])
    if landmarks.shape != (5, 2) or not np.isfinite(landmarks).all():
        raise UserError(f'{where}: landmarks are {landmarks.tolist()}, expected 5 pairs x, y')


def check_clip(record: Mapping[str, Any], num_actions: int, num_places: int) -> None:
    """Makes sure that a record is of the clips' form.

    Args:
        record: A `ClipRecord`.
        num_actions: Number of actions that the data set knows.
        num_places: Number of places that the data set knows.

    Raises:
        UserError: Names the record and the field that is not.
    """
    where = f'clip {record.get("clip_id")!r}'
    _fields(record, ClipRecord, where)
    _text(record['clip_id'], f'{where}: clip_id')
    _text(record['title'], f'{where}: title')
    if record['source'] not in SOURCES:
        raise UserError(f'{where}: source is {record["source"]!r}, expected one of {SOURCES}')
    if not record['frames']:
        raise UserError(f'{where}: there are no frames, expected at least one')
    for number, frame in enumerate(record['frames']):
        _jpeg(frame, f'{where}: frame {number}')
    _times(record['times'], len(record['frames']), f'{where}: times')
    _actions(record['actions'], num_actions, f'{where}: actions')
    _number(record['place'], -1, num_places, f'{where}: place')
    people = record['people']
    done = set()
    for number, person in enumerate(people):
        who = f'{where}: person {number}'
        _fields(person, PersonInClip, who)
        _text(person['person_id'], f'{who}: person_id')
        _text(person['name'], f'{who}: name')
        _number(person['identity'], 0, None, f'{who}: identity')
        _actions(person['actions'], num_actions, f'{who}: actions')
        _number(person['target'], -1, len(people), f'{who}: target')
        if person['target'] == number:
            raise UserError(f'{who}: target is the person itself, expected somebody else or -1')
        tracks = person['tracks']
        _times(tracks['times'], len(tracks['times']), f'{who}: tracks')
        _boxes(np.asarray(tracks['boxes']), len(tracks['times']), f'{who}: tracks')
        done.update(person['actions'])
    if not done <= set(record['actions']):
        missing = sorted(done - set(record['actions']))
        raise UserError(f'{where}: somebody does actions {missing}, which its actions leave out')


def _fields(record: Mapping[str, Any], kind: type, where: str) -> None:
    expected, found = set(kind.__annotations__), set(record)
    if expected != found:
        raise UserError(
            f'{where}: fields missing: {sorted(expected - found)}, not expected: '
            f'{sorted(found - expected)}'
        )


def _jpeg(data: Any, where: str) -> None:
    if not isinstance(data, bytes) or not data.startswith(b'\xff\xd8'):
        raise UserError(f'{where}: these are not the bytes of a JPEG picture')


def _text(value: Any, where: str) -> None:
    if not isinstance(value, str) or not value:
        raise UserError(f'{where} is {value!r}, expected text')


def _number(value: Any, lowest: int, end: int | None, where: str) -> None:
    valid = isinstance(value, (int, np.integer)) and lowest <= value
    if not valid or (end is not None and value >= end):
        upper = 'up' if end is None else f'to {end - 1}'
        raise UserError(f'{where} is {value!r}, expected a whole number from {lowest} {upper}')


def _times(times: Any, count: int, where: str) -> None:
    times = np.asarray(times)
    if times.shape != (count,) or not ((times >= 0).all() and (np.diff(times) >= 0).all()):
        raise UserError(
            f'{where}: times are {times.tolist()}, expected {count} ascending numbers of seconds'
        )


def _actions(actions: Sequence[int], count: int, where: str) -> None:
    for action in actions:
        _number(action, 0, count, where)
    if list(actions) != sorted(set(actions)):
        raise UserError(f'{where} are {list(actions)}, expected each once, ascending')


def _boxes(boxes: np.ndarray, count: int, where: str) -> None:
    if boxes.shape != (count, 4):
        raise UserError(f'{where} has shape {boxes.shape}, expected {(count, 4)}')
    absent = (boxes == -1).all(axis=1)
    # Faces may reach over the edge of the picture, so only order and finiteness are required.
    ordered = (boxes[:, 0] <= boxes[:, 2]) & (boxes[:, 1] <= boxes[:, 3])
    if not (np.isfinite(boxes).all() and (absent | ordered).all()):
        raise UserError(f'{where} is {boxes.tolist()}, expected ymin xmin ymax xmax or -1s')
