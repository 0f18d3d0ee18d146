"""From video files with labels to records: what the builders of real clips share.

A record's frames are taken about twice a second, at most 32 of them, in the middles of equal parts
of the clip, with the shorter side brought to 256 pixels where it is longer.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from cpad_jax import array_files, progress, workers
from cpad_jax.data import annotations as data_annotations
from cpad_jax.data import records as data_records
from cpad_jax.data.annotations import ClipAnnotation, PersonAnnotation
from cpad_jax.data.records import ClipRecord, PersonInClip
from cpad_jax.data.rejection_log import RejectionSink
from cpad_jax.errors import UserError
from cpad_jax.media import images
from cpad_jax.media import video as media_video

FRAME_RATE = 2.0  # Per second.
MAX_FRAMES = 32
SHORTER_SIDE = 256  # Pixels; smaller videos are not enlarged.

# Title and name where they are unknown; the schema requires text.
UNKNOWN = 'unknown'

# Why a clip or a face is set aside.
UNREADABLE = 'a video that cannot be read'


@dataclasses.dataclass(frozen=True, eq=False)
class ClipPlan:
    """A clip of which all is known but its frames; fields as in `records.ClipRecord`.

    Attributes:
        video: The file.
        file: What names the clip.
        line: In that file; None where the video itself is all that does.
        who_does_what: Whether it is known of the people what each of them does; otherwise only the
            clip has actions, and theirs are empty.
    """

    video: Path
    file: Path
    line: int | None
    clip_id: str
    source: str
    title: str
    actions: tuple[int, ...]
    place: int
    people: tuple[PersonInClip, ...]
    who_does_what: bool


class AnnotationTable:
    """The annotation table by the name of the video file, which is the clip.

    The labelling writes a row for each shot of a video; these become one.
    """

    def __init__(self, path: str | os.PathLike[str] | None):
        """Reads a table.

        Args:
            path: The file; None for a table without clips.

        Raises:
            UserError: As `annotations.read_lines`; or shots of a video are of several titles.
        """
        self.path = path
        self._rows: dict[str, tuple[int, ClipAnnotation]] = {}
        shots: dict[str, list[tuple[int, ClipAnnotation]]] = collections.defaultdict(list)
        for number, row in data_annotations.read_lines(path) if path is not None else ():
            shots[PurePosixPath(row.video).stem or row.clip_id].append((number, row))
        for clip_id, own in shots.items():
            line, first = own[0]
            for number, row in own:
                if (row.title, row.source) != (first.title, first.source):
                    raise UserError(
                        f'{path}:{number}: {row.video or clip_id} is of {row.source} {row.title!r} '
                        f'here and of {first.source} {first.title!r} in line {line}'
                    )
            self._rows[clip_id] = line, _join(clip_id, [row for _, row in own])

    def __getitem__(self, clip_id: str) -> ClipAnnotation | None:
        """What is known of a clip, or None."""
        return self._rows.get(clip_id, (0, None))[1]

    def where(self, clip_id: str) -> str:
        """File and line of a clip that is in the table."""
        return f'{self.path}:{self._rows[clip_id][0]}'

    @property
    def titles(self) -> set[str]:
        """Of all rows."""
        return {row.title for _, row in self._rows.values()}

    def set_aside_others(
        self, known: Collection[str], aside: RejectionSink, unchecked: Collection[str] = ()
    ) -> None:
        """Tells of the rows whose clip is not among `known`.

        Args:
            known: Clips of the data set.
            aside: Receives rejected clips.
            unchecked: Clips that are there and left out, as their labels were read off scripts.
        """
        for clip_id, (line, _) in self._rows.items():
            if clip_id in unchecked:
                why = 'a row of a clip of autotrain, whose labels are unchecked'
                aside.add(self.path, line, why, clip_id)
            elif clip_id not in known:
                aside.add(self.path, line, 'a row without its clip', clip_id)

    def people(
        self, clip_id: str, seconds: float, aside: RejectionSink
    ) -> tuple[PersonAnnotation, ...]:
        """The people of a clip, without faces at times that its video does not have.

        Args:
            clip_id: A clip that is in the table.
            seconds: How long the video is.
            aside: Receives those faces.
        """
        line, row = self._rows[clip_id]
        people = []
        for person in row.people:
            # They ascend, so what is too late comes last.
            kept = sum(time <= seconds + data_annotations.LATE for time in person.times)
            if late := person.times[kept:]:
                what = f'{person.name} in {clip_id} at {late[0]:g} s of {seconds:g} s'
                aside.add(self.path, line, 'a face after the end of its video', what, len(late))
            people.append(
                dataclasses.replace(person, times=person.times[:kept], boxes=person.boxes[:kept])
            )
        return tuple(people)

    def actions(self, clip_id: str, numbers: Mapping[str, int]) -> list[list[int] | None]:
        """What each person of a clip does; None where the table does not say.

        Args:
            clip_id: A clip that is in the table.
            numbers: Name of an action → its number.

        Raises:
            UserError: An action is none of those.
        """
        found: list[list[int] | None] = []
        for number, person in enumerate(self[clip_id].people):
            for action in person.actions or ():
                if action not in numbers:
                    raise UserError(
                        f'{self.where(clip_id)}: person {number}: actions has {action!r}, expected '
                        f'some of {", ".join(numbers)}'
                    )
            done = person.actions
            found.append(None if done is None else sorted({numbers[action] for action in done}))
        return found

    def place(self, clip_id: str, places: Sequence[str]) -> int:
        """Number of a clip's place, or -1 where the table does not say.

        Args:
            clip_id: A clip that is in the table.
            places: Names of the places.

        Raises:
            UserError: The place is none of those.
        """
        place = self[clip_id].place
        if place and place not in places:
            raise UserError(
                f'{self.where(clip_id)}: place is {place!r}, expected one of {", ".join(places)}'
            )
        return places.index(place) if place else -1


def _join(clip_id: str, rows: Sequence[ClipAnnotation]) -> ClipAnnotation:
    """One row for a video, of those of its shots; times are then from the start of the video."""
    rows = sorted(rows, key=lambda row: row.start)
    shares: dict[str, list[tuple[ClipAnnotation, PersonAnnotation]]] = collections.defaultdict(list)
    for row in rows:
        for person in row.people:
            shares[person.person_id].append((row, person))
    numbers = {person_id: number for number, person_id in enumerate(shares)}
    people = []
    for own in shares.values():
        times, boxes, done, target = [], [], set(), -1
        for row, person in own:
            times += [time + row.start for time in person.times]
            boxes += person.boxes
            done.update(person.actions or ())
            if target < 0 <= person.target:
                target = numbers[row.people[person.target].person_id]
        known = all(person.actions is not None for _, person in own)
        order = np.argsort(times, kind='stable')
        people.append(
            dataclasses.replace(
                own[0][1],
                actions=tuple(sorted(done)) if known else None,
                target=-1 if target == numbers[own[0][1].person_id] else target,
                times=tuple(times[i] for i in order),
                boxes=tuple(boxes[i] for i in order),
            )
        )
    place = next((row.place for row in rows if row.place), '')
    first = rows[0]
    return ClipAnnotation(clip_id, first.title, first.source, tuple(people), place=place)


def relevance(plans: Iterable[ClipPlan]) -> str:
    """What the labels can say: 'person' who does what, 'clip' only what is done in a clip."""
    plans = [plan for plan in plans if plan.actions or plan.people]
    known = all(plan.who_does_what for plan in plans if plan.actions)
    return 'person' if known and any(plan.people for plan in plans) else 'clip'


def person_in_clip(
    person_id: str,
    name: str,
    actions: Iterable[int],
    target: int,
    times: Sequence[float],
    boxes: Sequence[Sequence[float]],
) -> PersonInClip:
    """Somebody in a clip, whose `identity` is given by `number_people`."""
    return PersonInClip(
        person_id=person_id,
        name=name,
        identity=0,
        actions=sorted(set(actions)),
        target=target,
        tracks={
            'times': np.asarray(times, np.float32),
            'boxes': np.asarray(boxes, np.float32).reshape(-1, 4),
        },
    )  # fmt: skip


def annotated_person(person: PersonAnnotation, actions: Iterable[int]) -> PersonInClip:
    """Somebody of the annotation table, with what they do as numbers."""
    return person_in_clip(
        person.person_id, person.name, actions, person.target, person.times, person.boxes
    )


def number_people(plans: Sequence[ClipPlan]) -> list[tuple[str, str]]:
    """Gives everybody their number, which is their place among all people by `person_id`.

    Args:
        plans: Of the whole data set; `identity` of the people in them is set. Everybody has one
            name in all of them.

    Returns:
        (person_id, name) by number.
    """
    names: dict[str, str] = {}
    for plan in plans:
        for person in plan.people:
            names[person['person_id']] = person['name']
    numbers = {person_id: number for number, person_id in enumerate(sorted(names))}
    for plan in plans:
        for person in plan.people:
            person['identity'] = numbers[person['person_id']]
    return [(person_id, names[person_id]) for person_id in numbers]


def sample_clip(path: Path) -> tuple[list[bytes], np.ndarray]:
    """Takes a record's frames out of a video, which is decoded once.

    Args:
        path: The file.

    Returns:
        (JPEGs, float32 [T] seconds at which they begin).

    Raises:
        UserError: The video cannot be read to its end.
    """
    info = media_video.probe(path)
    frames, times = media_video.sample_frames(
        path,
        count=min(MAX_FRAMES, max(1, round(info.duration * FRAME_RATE))),
        size=min(SHORTER_SIDE, info.height, info.width),
    )
    return [images.encode_jpeg(frame) for frame in frames], times


@dataclasses.dataclass(frozen=True, eq=False)
class Clips:
    """Clips whose records are made lazily, as `streamed.Source` has it.

    Attributes:
        plans: Which clips.
        actions: Number of actions that the data set knows.
        places: Number of places that it knows.
        processes: As in `workers.in_order`.
        keep: Folder in which frames are kept, so that a build that was interrupted goes on from
            there; None keeps none.
    """

    plans: Sequence[ClipPlan]
    actions: int
    places: int
    processes: int | None = None
    keep: Path | None = None

    def __len__(self) -> int:
        return len(self.plans)

    def records(self, aside: RejectionSink) -> Iterator[ClipRecord]:
        """Decodes the clips, in their order; those that cannot be read are set aside.

        Raises:
            UserError: A process was killed.
        """
        make = functools.partial(_record, keep=self.keep)
        made = workers.in_order(make, self.plans, self.processes, doing='decodes clips')
        for plan, record in zip(self.plans, made, strict=True):
            if isinstance(record, str):
                aside.add(plan.file, plan.line, UNREADABLE, record)
            else:
                data_records.check_clip(record, self.actions, self.places)
                yield record


def _record(plan: ClipPlan, keep: Path | None) -> ClipRecord | str:
    """A record, or what is wrong with the video."""
    try:
        frames, times = _kept_frames(plan, keep) if keep else sample_clip(plan.video)
    except UserError as error:
        return str(error)
    return ClipRecord(
        clip_id=plan.clip_id,
        source=plan.source,
        title=plan.title,
        frames=frames,
        times=times,
        actions=list(plan.actions),
        place=plan.place,
        people=list(plan.people),
    )


def _kept_frames(plan: ClipPlan, keep: Path) -> tuple[list[bytes], np.ndarray]:
    """As `sample_clip`, out of a file in `keep` where the same video was decoded before."""
    path = keep / f'{plan.clip_id}.npz'
    stat = plan.video.stat()
    stamp = np.array([stat.st_size, stat.st_mtime_ns])
    try:
        held = array_files.read(path)
        if np.array_equal(held['stamp'], stamp):
            ends = np.cumsum(held['lengths'])
            frames = [part.tobytes() for part in np.split(held['frames'], ends[:-1])]
            return frames, held['times']
    except FileNotFoundError:
        pass
    except (array_files.Damaged, LookupError) as error:
        progress.say(f'{path} is damaged ({error}): its clip is decoded again')
    frames, times = sample_clip(plan.video)
    kept = {
        'stamp': stamp,
        'lengths': np.array([len(frame) for frame in frames]),
        'frames': np.frombuffer(b''.join(frames), np.uint8),
        'times': times,
    }
    array_files.write(path, kept)
    return frames, times
