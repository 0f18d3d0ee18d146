"""TV Human Interactions ("High Five"): its clips, and who in them does what to whom.

The set has no names and no table of shows: people are numbers that mean something within one clip.
Boxes are squares around the upper body, in pixels of the video.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from cpad_jax.data import clip_files, text_lines
from cpad_jax.data.clip_files import AnnotationTable, ClipPlan, SetAside
from cpad_jax.data.records import PersonInClip
from cpad_jax.errors import UserError
from cpad_jax.media import video
from cpad_jax.text.prompts import PLACES

INSTRUCTIONS = (
    'get tv_human_interactions_videos.tar.gz and tv_human_interactions_annotations.tar.gz from '
    'https://www.robots.ox.ac.uk/~alonso/tv_human_interactions.html, unpack both in one folder '
    '(`tar xzf FILE -C DIR`), so that DIR has tv_human_interaction_videos and '
    'tv_human_interaction_annotations, and give --manual_dir DIR'
)

ACTIONS = ('handShake', 'highFive', 'hug', 'kiss')
NEGATIVE = 'negative'
NUMBERS = {action: number for number, action in enumerate(ACTIONS)}
SPLITS = ('set1', 'set2')
_LABELS = {'hand_shake': 'handShake', 'high_five': 'highFive', 'hug': 'hug', 'kiss': 'kiss'}
_NO_INTERACTION = 'no_interaction'

# The halves that the authors trained and tested on in turn; whatever is not here is set 2.
_SET1 = {
    'handShake': (2, *range(14, 17), *range(18, 22), *range(24, 29), 32, *range(40, 51)),
    'highFive': (1, *range(6, 14), *range(23, 26), *range(27, 36), 44, 45, 47, 48),
    'hug': (2, 3, 4, 11, 12, *range(15, 19), 20, 21, 27, *range(29, 37), 42, 44, 46, 49, 50),
    'kiss': (
        *(1, *range(7, 15), *range(16, 19), 22, 23, 24, 26, 29, 31, 35, 36),
        *range(38, 43),
    ),
    NEGATIVE: tuple(range(1, 51)),
}


@dataclasses.dataclass(frozen=True)
class Clip:
    """A clip.

    Attributes:
        clip_id: The video's name without its ending, such as 'handShake_0001'.
        video: The file.
        split: 'set1' or 'set2'.
        action: One of `ACTIONS`, or None for the negative ones.
        annotation: The file that says who does what, or None where there is none.
    """

    clip_id: str
    video: Path
    split: str
    action: str | None
    annotation: Path | None


@dataclasses.dataclass(frozen=True)
class Body:
    """One upper body in one frame.

    Attributes:
        frame: Number of the frame, from 0.
        person: Number of the person within the clip.
        x: Left edge, pixels.
        y: Upper edge, pixels.
        size: Side of the square, pixels, > 0.
        action: One of `ACTIONS`, or None.
        head: Which way the head is turned, in the file's words, e.g. 'profile_left'.
    """

    frame: int
    person: int
    x: float
    y: float
    size: float
    action: str | None
    head: str


@dataclasses.dataclass(frozen=True)
class Annotation:
    """What one `.annotations` file says.

    Attributes:
        bodies: By frame, in the file's order.
        pairs: (frame, person, person): who interacts with whom.
    """

    bodies: tuple[Body, ...]
    pairs: tuple[tuple[int, int, int], ...]


@dataclasses.dataclass(frozen=True)
class Person:
    """Somebody through a clip.

    Attributes:
        person: Number within the clip.
        actions: What they do in any frame, in the order of `ACTIONS`.
        target: The `person` they do it with most often, or None.
        bodies: Where they are, by frame.
    """

    person: int
    actions: tuple[str, ...]
    target: int | None
    bodies: tuple[Body, ...]


def find(manual: Path, required: bool = True) -> tuple[Path, Path] | None:
    """Finds the folders of videos and of annotations.

    Args:
        manual: The folder that they are in, or one with `tv_human_interactions` in it that they are
            in.
        required: Whether they must be there; otherwise None is given.

    Raises:
        UserError: They must be there and are not.
    """
    for folder in (manual / 'tv_human_interactions', manual):
        for name in ('tv_human_interaction', 'tv_human_interactions'):
            found = folder / f'{name}_videos', folder / f'{name}_annotations'
            if all(path.is_dir() for path in found):
                return found
    if required:
        raise UserError(f'{manual}: TV Human Interactions is not there; {INSTRUCTIONS}')
    return None


def read_clips(videos: Path, annotations: Path, set_aside: SetAside) -> list[Clip]:
    """Finds the clips.

    Args:
        videos: Folder of `<class>_<number>.avi`.
        annotations: Folder of `<class>_<number>.annotations`.
        set_aside: Is told of everything that is dropped: where it stands, and why.

    Returns:
        Clips by set, then by name.

    Raises:
        UserError: A folder is not there or holds nothing of the kind.
    """
    for folder, ending in ((videos, '.avi'), (annotations, '.annotations')):
        if not folder.is_dir() or not any(folder.glob(f'*{ending}')):
            raise UserError(f'{folder}: there are no {ending} files; {INSTRUCTIONS}')
    clips = []
    for path in sorted(videos.glob('*.avi')):
        if path.name.startswith('.'):
            continue
        found = re.fullmatch(rf'({"|".join(_SET1)})_(\d{{4}})', path.stem)
        if not found:
            set_aside(str(path), 'expected a name such as handShake_0001.avi')
            continue
        kind, number = found[1], int(found[2])
        annotation = annotations / f'{path.stem}.annotations'
        if not annotation.is_file():
            set_aside(str(annotation), 'there is no such file: nobody is known to be in the clip')
            annotation = None
        clips.append(
            Clip(
                clip_id=path.stem,
                video=path,
                split=SPLITS[number not in _SET1[kind]],
                action=None if kind == NEGATIVE else kind,
                annotation=annotation,
            )
        )
    there = {clip.clip_id for clip in clips}
    for path in sorted(annotations.glob('*.annotations')):
        if path.stem not in there and not path.name.startswith('.'):
            set_aside(str(path), f'there is no video {path.stem}.avi')
    return sorted(clips, key=lambda clip: (clip.split, clip.clip_id))


def read_annotation(path: Path, set_aside: SetAside) -> Annotation:
    """Reads who is where and does what.

    Args:
        path: An `.annotations` file.
        set_aside: Is told of every line that is dropped: file and line, and why.
    """
    bodies: dict[tuple[int, int], Body] = {}
    pairs: dict[tuple[int, int, int], str] = {}
    frame, expected, found = None, 0, 0
    frames, header = 0, ''
    for number, line in text_lines.read(path):
        where = f'{path}:{number}'
        if line.lstrip().startswith('#num_frames'):
            continue  # Never needed: the frames that are there say it.
        if line.lstrip().startswith('#'):
            _check_count(header, found, expected, set_aside)
            frame, expected, here = _frame(line)
            header, found = where if frame is not None else '', 0
            frames += frame is not None
            if frame is None:
                set_aside(where, f'this is {line.strip()[:80]!r}, expected #frame: and #num_bbxs:')
            pairs.update({(frame, i, j): where for i, j in here})
            continue
        found += 1
        if frame is None:
            set_aside(where, 'this box is of no frame')
            continue
        body = _body(line, frame)
        if body is None:
            set_aside(
                where, f'this is {line.strip()[:80]!r}, expected id, x, y, size, label and head'
            )
        elif (frame, body.person) in bodies:
            set_aside(where, f'person {body.person} stands in frame {frame} already')
        else:
            bodies[frame, body.person] = body
    _check_count(header, found, expected, set_aside)
    if not frames:
        set_aside(str(path), 'no line begins with #frame: nobody is known to be in the clip')
    people = {body.person for body in bodies.values()}
    for (number, i, j), where in list(pairs.items()):
        if i == j or not {i, j} <= people:
            set_aside(where, f'{i} - {j} are not two people of this clip')
            del pairs[number, i, j]
    # The set's own tools count from 1; where a frame 0 stands, it was counted from 0.
    first = 0 if any(body.frame == 0 for body in bodies.values()) else 1
    return Annotation(
        bodies=tuple(dataclasses.replace(b, frame=b.frame - first) for b in bodies.values()),
        pairs=tuple((frame - first, i, j) for frame, i, j in pairs),
    )


def _check_count(header: str, found: int, expected: int, set_aside: SetAside) -> None:
    if header and found != expected:
        set_aside(header, f'{expected} boxes are announced and {found} follow')


def _frame(line: str) -> tuple[int | None, int, list[tuple[int, int]]]:
    """Number of the frame, of its boxes, and who interacts, of a line that begins a frame."""
    found = re.match(r'\s*#frame:\s*(\d{1,9})\s+#num_bbxs:\s*(\d{1,9})(.*)', line)
    if not found:
        return None, 0, []
    _, _, named = found[3].partition('#interact')
    pairs = re.findall(r'(\d{1,9})\s*-\s*(\d{1,9})', named)
    return int(found[1]), int(found[2]), [(int(i), int(j)) for i, j in pairs]


def _body(line: str, frame: int) -> Body | None:
    words = line.split()
    if len(words) != 6 or not re.fullmatch(r'\d{1,9}', words[0]):
        return None
    try:
        x, y, size = (float(word) for word in words[1:4])
    except ValueError:
        return None
    if not all(map(math.isfinite, (x, y, size))) or size <= 0:
        return None
    if words[4] not in (*_LABELS, _NO_INTERACTION):
        return None
    return Body(frame, int(words[0]), x, y, size, _LABELS.get(words[4]), words[5])


def people_of(annotation: Annotation) -> list[Person]:
    """Gathers each person's frames.

    Returns:
        People by their number. Interactions have two sides: each of a pair is the other's target,
        where both do something.
    """
    bodies: dict[int, list[Body]] = collections.defaultdict(list)
    for body in annotation.bodies:
        bodies[body.person].append(body)
    partners: dict[int, collections.Counter[int]] = collections.defaultdict(collections.Counter)
    for _, i, j in annotation.pairs:
        partners[i][j] += 1
        partners[j][i] += 1
    people = []
    for person, own in sorted(bodies.items()):
        done = {body.action for body in own}
        actions = tuple(action for action in ACTIONS if action in done)
        target = None
        if actions and partners[person]:
            target = min(partners[person], key=lambda other: (-partners[person][other], other))
        people.append(
            Person(person, actions, target, tuple(sorted(own, key=lambda body: body.frame)))
        )
    return people


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
        Index of the one in whose upper body, and in nobody else's, the middles of most faces lie,
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
    set_aside: SetAside,
    numbers: Mapping[str, int] = NUMBERS,
) -> dict[str, list[ClipPlan]]:
    """Joins clips, their annotations and the annotation table, which knows titles and names.

    Somebody of the table whose faces lie in the upper body of a person of the set is that person,
    and does what they do. Persons whom nobody names are `CLIP/NUMBER` and have the name 'unknown'.

    Args:
        videos: As in `read_clips`.
        annotations: As in `read_clips`.
        table: Clips that it leaves out have the title 'unknown'.
        set_aside: As in `read_clips`.
        numbers: Name of an action → its number in the plans.

    Returns:
        Split → clips.

    Raises:
        UserError: As `read_clips`; or the table has an unknown action or place.
    """
    plans: dict[str, list[ClipPlan]] = {split: [] for split in SPLITS}
    for clip in read_clips(videos, annotations, set_aside):
        try:
            info = video.probe(clip.video)
        except UserError as error:
            set_aside(str(clip.video), str(error))
            continue
        people: list[Person] = []
        if clip.annotation:
            people = people_of(read_annotation(clip.annotation, set_aside))
        row = table[clip.clip_id]
        everybody, known = _everybody(clip, people, info, table, numbers)
        actions = {action for person in everybody for action in person['actions']}
        if clip.action:
            actions.add(numbers[clip.action])
        plans[clip.split].append(
            ClipPlan(
                video=clip.video,
                where=str(clip.video),
                clip_id=clip.clip_id,
                source=row.source if row else 'show',
                title=row.title if row else clip_files.UNKNOWN,
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
) -> tuple[list[PersonInClip], bool]:
    """The people of the table, then those whom it leaves out; and whether all actions are known."""
    row = table[clip.clip_id]
    named = row.people if row else ()
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
        entry = clip_files.annotated_person(person, own or ())
        if own is None and owner:
            entry['actions'] = sorted(numbers[action] for action in owner.actions)
            entry['target'] = places.get(owner.target, -1)
        known = known and (own is not None or owner is not None)
        everybody.append(entry)
    for person in others:
        everybody.append(
            clip_files.person_in_clip(
                f'{clip.clip_id}/{person.person}',
                clip_files.UNKNOWN,
                (numbers[action] for action in person.actions),
                places.get(person.target, -1),
                *track_of(person, info),
            )
        )
    return everybody, known
