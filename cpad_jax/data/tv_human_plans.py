"""Joins the clips of TV Human Interactions with the annotation table, which knows titles and names.

The set says what each upper body does and the table whose the faces are: a person is found by the
body that their face lies in.
"""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from pathlib import Path

from cpad_jax.data import video_clips
from cpad_jax.data.records import PersonInClip
from cpad_jax.data.rejection_log import RejectionSink
from cpad_jax.data.tv_human_interactions import (
    ACTIONS,
    SPLITS,
    Clip,
    Person,
    people_of,
    read_annotation,
    read_clips,
)
from cpad_jax.data.video_clips import AnnotationTable, ClipPlan
from cpad_jax.errors import UserError
from cpad_jax.media import video
from cpad_jax.text.prompts import PLACES

NUMBERS = {action: number for number, action in enumerate(ACTIONS)}


def track_of(
    person: Person, info: video.VideoInfo
) -> tuple[list[float], list[tuple[float, float, float, float]]]:
    """Where somebody is: seconds, and ymin, xmin, ymax and xmax in fractions of the picture."""
    times = [body.frame / info.fps for body in person.bodies]
    boxes = [
        (
            body.y / info.height,
            body.x / info.width,
            (body.y + body.size) / info.height,
            (body.x + body.size) / info.width,
        )
        for body in person.bodies
    ]
    return times, boxes


def same_person(
    people: Sequence[Person],
    info: video.VideoInfo,
    times: Sequence[float],
    faces: Sequence[Sequence[float]],
) -> int | None:
    """Finds whom a track of faces belongs to.

    Args:
        people: Of the clip.
        info: Of the video.
        times: Seconds of the faces.
        faces: ymin, xmin, ymax and xmax for each, as fractions of the picture.

    Returns:
        Index of the one in whose upper body, and in no other's, the middles of most faces lie,
        where these are half of the faces at whose time anybody is marked; otherwise None.
    """
    by_frame: dict[int, list[tuple[int, tuple[float, ...]]]] = collections.defaultdict(list)
    for index, person in enumerate(people):
        for body, box in zip(person.bodies, track_of(person, info)[1], strict=True):
            by_frame[body.frame].append((index, box))
    marked = 0
    votes: collections.Counter[int] = collections.Counter()
    for time, (ymin, xmin, ymax, xmax) in zip(times, faces, strict=True):
        here = by_frame.get(round(time * info.fps), [])
        marked += bool(here)
        y, x = (ymin + ymax) / 2, (xmin + xmax) / 2
        inside = [index for index, box in here if box[0] <= y <= box[2] and box[1] <= x <= box[3]]
        if len(inside) == 1:  # Bodies overlap in a hug, and then a face in both says nothing.
            votes[inside[0]] += 1
    if not votes:
        return None
    index = min(votes, key=lambda index: (-votes[index], index))
    return index if 2 * votes[index] >= marked else None


def plan_clips(
    videos: Path,
    annotations: Path,
    table: AnnotationTable,
    aside: RejectionSink,
    numbers: Mapping[str, int] = NUMBERS,
) -> dict[str, list[ClipPlan]]:
    """Joins clips, their annotations and the annotation table.

    Persons without a name are `CLIP/NUMBER` and have the name 'unknown'.

    Args:
        videos: As in `tv_human_interactions.read_clips`.
        annotations: As in `tv_human_interactions.read_clips`.
        table: Clips that it leaves out have the title 'unknown'.
        aside: As in `tv_human_interactions.read_clips`.
        numbers: Name of an action → its number in the plans.

    Returns:
        Split → clips.

    Raises:
        UserError: As `tv_human_interactions.read_clips`; or the table has an unknown action or
            place.
    """
    plans: dict[str, list[ClipPlan]] = {split: [] for split in SPLITS}
    for clip in read_clips(videos, annotations, aside):
        try:
            info = video.probe(clip.video)
        except UserError as error:
            aside.add(clip.video, None, video_clips.UNREADABLE, str(error))
            continue
        people: list[Person] = []
        if clip.annotation:
            people = people_of(read_annotation(clip.annotation, aside))
        row = table[clip.clip_id]
        everybody, known = _everybody(clip, people, info, table, numbers, aside)
        actions = {action for person in everybody for action in person['actions']}
        if clip.action:
            actions.add(numbers[clip.action])
        plans[clip.split].append(
            ClipPlan(
                video=clip.video,
                file=clip.video,
                line=None,
                clip_id=clip.clip_id,
                source=row.source if row else 'show',
                title=row.title if row else video_clips.UNKNOWN,
                actions=tuple(sorted(actions)),
                place=table.place(clip.clip_id, PLACES) if row else -1,
                people=tuple(everybody),
                who_does_what=known and bool(people),
            )
        )
    return plans


def _everybody(
    clip: Clip,
    people: Sequence[Person],
    info: video.VideoInfo,
    table: AnnotationTable,
    numbers: Mapping[str, int],
    aside: RejectionSink,
) -> tuple[list[PersonInClip], bool]:
    """The people of the table, then those whom it leaves out; and whether all actions are known."""
    row = table[clip.clip_id]
    named = table.people(clip.clip_id, info.duration, aside) if row else ()
    done = table.actions(clip.clip_id, numbers) if row else []
    # Number of a person in the set → index in the record.
    places: dict[int, int] = {}
    owners: list[Person | None] = []
    for index, person in enumerate(named):
        match = same_person(people, info, person.times, person.boxes)
        owner = None if match is None or people[match].person in places else people[match]
        owners.append(owner)
        if owner:
            places[owner.person] = index
    others = [person for person in people if person.person not in places]
    places |= {person.person: len(named) + i for i, person in enumerate(others)}
    everybody, known = [], True
    for person, own, owner in zip(named, done, owners, strict=True):
        entry = video_clips.annotated_person(person, own or ())
        if own is None and owner:
            entry['actions'] = sorted(numbers[action] for action in owner.actions)
            entry['target'] = places.get(owner.target, -1)
        known = known and (own is not None or owner is not None)
        everybody.append(entry)
    for person in others:
        everybody.append(
            video_clips.person_in_clip(
                f'{clip.clip_id}/{person.person}',
                video_clips.UNKNOWN,
                (numbers[action] for action in person.actions),
                places.get(person.target, -1),
                *track_of(person, info),
            )
        )
    return everybody, known
