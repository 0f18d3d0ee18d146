"""The annotation table: who is in which clip, and how we know.

One JSON object per line. The labelling writes it, people may write it by hand, and the builders of
clips read it.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cpad_jax import atomic, strict_json
from cpad_jax.errors import UserError
from cpad_jax.text import person_names

SOURCES = ('movie', 'show')
_MAX_LINE = 1 << 24  # Characters: no clip needs more, and a file need not be lines at all.
# A face may reach over the edge of the picture, by this share of it; boxes in pixels lie further.
MARGIN = 0.5
# Seconds: videos say only roughly how long they are.
LATE = 0.5

# What belongs under the keys that every line, or everybody in it, needs.
_NEEDED = {
    'clip_id': "the video's name without its ending",
    'title': 'the film or show',
    'source': f'one of {SOURCES}',
    'person_id': 'a word for this person that is the same in all lines',
    'name': "the person's name, as queries say it",
}


@dataclasses.dataclass(frozen=True)
class PersonAnnotation:
    """Somebody in a clip.

    Attributes:
        person_id: Key of the person, unique in the table.
        name: As queries say it.
        confidence: 0 to 1; 1 for what a person has confirmed.
        evidence: What the label comes from, in words, e.g. 'exemplar photos: similarity 0.71'.
        actions: What this person does, by the data set's names; None where only the clip's actions
            are known.
        target: Index in `people` of the one it is done to, or -1.
        times: Seconds from the start of the clip at which the face is seen, ascending.
        boxes: Where, for each time: ymin xmin ymax xmax as fractions of the picture; a face may
            reach up to `MARGIN` over its edge.
    """

    person_id: str
    name: str
    confidence: float = 1.0
    evidence: tuple[str, ...] = ()
    actions: tuple[str, ...] | None = None
    target: int = -1
    times: tuple[float, ...] = ()
    boxes: tuple[tuple[float, float, float, float], ...] = ()


@dataclasses.dataclass(frozen=True)
class ClipAnnotation:
    """A clip and the people in it.

    Attributes:
        clip_id: Unique in the table: the file's name without its ending where a clip is a file.
        title: Id of the movie or show.
        source: 'movie' or 'show'.
        people: Those who are known; an unknown face is left out.
        video: Path of the video, relative to the folder of videos; '' where `clip_id` says it.
        start: Seconds of the video at which the clip starts.
        end: Seconds at which it ends; None for the end of the video.
        place: Where it is, by the data set's names; '' where it is unknown or set by the data set.
    """

    clip_id: str
    title: str
    source: str
    people: tuple[PersonAnnotation, ...] = ()
    video: str = ''
    start: float = 0.0
    end: float | None = None
    place: str = ''


def write(path: str | os.PathLike[str], clips: Iterable[ClipAnnotation]) -> None:
    """Writes a table, whole or not at all; bytes of `video` that are not UTF-8 become escapes."""
    with (
        atomic.writing(path) as temporary,
        temporary.open('w', encoding='utf-8', errors='backslashreplace') as file,
    ):
        for clip in clips:
            file.write(json.dumps(dataclasses.asdict(clip), ensure_ascii=False) + '\n')


def read(path: str | os.PathLike[str]) -> Iterator[ClipAnnotation]:
    """Reads a table line by line.

    Yields:
        Clips in the file's order.

    Raises:
        UserError: As `read_lines`.
    """
    for _, clip in read_lines(path):
        yield clip


def read_lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, ClipAnnotation]]:
    """Reads a table as `read` does.

    Yields:
        (number of the line from 1, clip) in the file's order.

    Raises:
        UserError: There is no such file, a line is not as expected, or one person has two names;
            names file, line and key.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f'{path}: there is no such annotation table')
    seen: dict[str, int] = {}
    names: dict[str, tuple[str, int]] = {}
    with path.open(encoding='utf-8-sig') as file:
        number = 0
        while True:
            number += 1
            where = f'{path}:{number}'
            try:
                line = file.readline(_MAX_LINE)
                if not line:
                    return
                if not line.strip():
                    continue
                value = strict_json.parse(line.encode())
            except ValueError as error:
                raise UserError(f'{where}: this is not a line of JSON ({error})') from error
            clip = _clip(value, where)
            if clip.clip_id in seen:
                raise UserError(
                    f'{where}: clip_id {clip.clip_id!r} stands in line {seen[clip.clip_id]} '
                    'already; write all people of a clip in one line'
                )
            seen[clip.clip_id] = number
            for person in clip.people:
                name, line = names.setdefault(person.person_id, (person.name, number))
                if not person_names.same(name, person.name):
                    raise UserError(
                        f'{where}: {person.person_id} is {name!r} in line {line} and '
                        f'{person.name!r} here; write one name in both, or another person_id where '
                        'these are two people'
                    )
            # In one spelling, that of the first line.
            people = (dataclasses.replace(p, name=names[p.person_id][0]) for p in clip.people)
            yield number, dataclasses.replace(clip, people=tuple(people))


def _clip(value: Any, where: str) -> ClipAnnotation:
    fields = _object(value, ClipAnnotation, where)
    _text(fields['clip_id'], f'{where}: clip_id')
    _text(fields['title'], f'{where}: title')
    if fields['source'] not in SOURCES:
        raise UserError(f'{where}: source is {fields["source"]!r}, expected one of {SOURCES}')
    video = fields.get('video', '')
    # A table is passed on, and must not lead out of the folder of videos.
    if not isinstance(video, str) or Path(video).is_absolute() or '..' in Path(video).parts:
        raise UserError(f'{where}: video is {video!r}, expected a path inside the folder of videos')
    start, end = fields.get('start', 0.0), fields.get('end')
    _number(start, 0, math.inf, f'{where}: start')
    if end is not None:
        _number(end, start, math.inf, f'{where}: end')
    if not isinstance(fields.get('place', ''), str):
        raise UserError(f'{where}: place is {fields["place"]!r}, expected text')
    people = fields.get('people', ())
    if not isinstance(people, list | tuple):
        raise UserError(f'{where}: people is {type(people).__name__}, expected a list')
    longest = math.inf if end is None else end - start
    fields['people'] = tuple(
        _person(person, len(people), i, longest, f'{where}: person {i}')
        for i, person in enumerate(people)
    )
    first: dict[str, int] = {}
    for i, person in enumerate(fields['people']):
        if first.setdefault(person.person_id, i) != i:
            raise UserError(
                f'{where}: person {i}: {person.person_id} is person {first[person.person_id]} '
                'already; write each person of a clip once, with all their times and boxes'
            )
    return ClipAnnotation(**fields)


def _person(value: Any, count: int, index: int, longest: float, where: str) -> PersonAnnotation:
    fields = _object(value, PersonAnnotation, where)
    _text(fields['person_id'], f'{where}: person_id')
    _text(fields['name'], f'{where}: name')
    for key in ('person_id', 'name'):
        fields[key] = unicodedata.normalize('NFC', fields[key])
    _number(fields.get('confidence', 1.0), 0, 1, f'{where}: confidence')
    target = fields.get('target', -1)
    if type(target) is not int or not -1 <= target < count or target == index:
        raise UserError(f'{where}: target is {target!r}, expected another person or -1')
    for key in ('evidence', 'actions'):
        words = fields.get(key)
        # Without actions it is unknown what somebody does; with none, it is known to be nothing.
        if key not in fields or (key == 'actions' and words is None):
            continue
        if not isinstance(words, list | tuple) or not all(isinstance(w, str) for w in words):
            raise UserError(f'{where}: {key} is {words!r}, expected a list of texts')
        fields[key] = tuple(words)
    times, boxes = fields.get('times', ()), fields.get('boxes', ())
    if not isinstance(times, list | tuple) or not isinstance(boxes, list | tuple):
        raise UserError(f'{where}: times and boxes must be lists')
    if len(times) != len(boxes):
        raise UserError(f'{where}: {len(times)} times and {len(boxes)} boxes, expected as many')
    for i, time in enumerate(times):
        _number(time, 0, math.inf, f'{where}: times')
        if i and time < times[i - 1]:
            raise UserError(
                f'{where}: times are {times[i - 1]!r} and then {time!r}, expected ascending '
                'seconds; sort them, and the boxes with them'
            )
        if time > longest + LATE:
            raise UserError(
                f'{where}: times has {time!r}, but the row lasts {longest:g} s (from start to '
                'end); count times from the start of the row'
            )
    for box in boxes:
        if not isinstance(box, list | tuple) or len(box) != 4:
            raise UserError(f'{where}: a box is {box!r}, expected ymin xmin ymax xmax')
        for side in box:
            _number(side, -math.inf, math.inf, f'{where}: boxes')
        if box[0] >= box[2] or box[1] >= box[3]:
            raise UserError(f'{where}: a box is {list(box)}, expected ymin xmin ymax xmax')
        beyond = max(-box[0], -box[1], box[2] - 1, box[3] - 1) > MARGIN
        if beyond or max(box[:2]) >= 1 or min(box[2:]) <= 0:
            raise UserError(
                f'{where}: a box is {list(box)}, expected fractions of the picture, from 0 to 1 '
                f'(up to {MARGIN} over an edge); divide pixels by its height and width'
            )
    fields['times'], fields['boxes'] = tuple(times), tuple(tuple(box) for box in boxes)
    return PersonAnnotation(**fields)


def _object(value: Any, kind: type, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f'{where}: this is {type(value).__name__}, expected an object')
    known = {field.name: field for field in dataclasses.fields(kind)}
    if unknown := sorted(set(value) - set(known)):
        raise UserError(f'{where}: unknown key {unknown[0]!r}; expected {", ".join(known)}')
    needed = [name for name, field in known.items() if field.default is dataclasses.MISSING]
    if missing := [name for name in needed if name not in value]:
        raise UserError(f'{where}: {missing[0]!r} is missing; add it: {_NEEDED[missing[0]]}')
    return dict(value)


def _text(value: Any, where: str) -> None:
    if not isinstance(value, str) or not value.strip():
        raise UserError(f'{where} is {value!r}, expected text')
    if not value.isascii() and any(unicodedata.category(letter) == 'Cs' for letter in value):
        raise UserError(
            f'{where} is {value[:80]!r}, which holds half of a character: write it anew'
        )


def _number(value: Any, lowest: float, highest: float, where: str) -> None:
    valid = isinstance(value, int | float) and not isinstance(value, bool)
    if not valid or not math.isfinite(value) or not lowest <= value <= highest:
        raise UserError(f'{where} is {value!r}, expected a number from {lowest} to {highest}')
