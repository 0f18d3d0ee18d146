"""TV Human Interactions ("High Five"): its clips, and who in them does what to whom.

The set has no names and no table of shows: people are numbers that mean something within one clip.
Boxes are squares around the upper body, in pixels of the video.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import re
from pathlib import Path

from cpad_jax.data import text_lines
from cpad_jax.data.rejection_log import RejectionSink
from cpad_jax.errors import UserError

INSTRUCTIONS = (
    'get the videos and the annotations from '
    'https://www.robots.ox.ac.uk/~alonso/tv_human_interactions.html, unpack both in one folder '
    '(`tar xzf FILE -C DIR`), so that DIR has tv_human_interactions_videos and '
    'tv_human_interaction_annotations, and give --manual_dir DIR'
)

ACTIONS = ('handShake', 'highFive', 'hug', 'kiss')
NEGATIVE = 'negative'
SPLITS = ('set1', 'set2')
_LABELS = {'hand_shake': 'handShake', 'high_five': 'highFive', 'hug': 'hug', 'kiss': 'kiss'}
# What begins a frame: #frame: 2  #num_bbxs: 3  #interactions: 1 - 2
_HEADER = re.compile(
    r'\s*#\s*frame\s*:\s*(\d{1,9})\s*#\s*num_bbxs\s*:\s*(\d{1,9})'
    r'(?:\s*#\s*interact[a-z]*\s*:?(.*))?',
    re.IGNORECASE,
)
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
        action: One of `ACTIONS`, or None; also where the file has a word that is unknown.
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
        # The archive of videos says "interactions", that of annotations "interaction".
        found = [
            path
            for kind in ('videos', 'annotations')
            for path in sorted(folder.glob(f'tv_human_interaction*_{kind}'))[:1]
            if path.is_dir()
        ]
        if len(found) == 2:
            return found[0], found[1]
    if required:
        raise UserError(f'{manual}: TV Human Interactions is not there; {INSTRUCTIONS}')
    return None


def check(videos: Path, annotations: Path) -> None:
    """Makes sure that there are videos and annotations.

    Raises:
        UserError: A folder is not there or holds nothing of the kind.
    """
    for folder, ending in ((videos, '.avi'), (annotations, '.annotations')):
        if not folder.is_dir() or not _files(folder, ending):
            raise UserError(f'{folder}: there are no {ending} files; {INSTRUCTIONS}')


def _files(folder: Path, ending: str) -> list[Path]:
    """Files of an ending, which may be in upper case; not the hidden ones that copying leaves."""
    return [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() == ending and not path.name.startswith('.')
    ]


def read_clips(videos: Path, annotations: Path, aside: RejectionSink) -> list[Clip]:
    """Finds the clips.

    Args:
        videos: Folder of `<class>_<number>.avi`.
        annotations: Folder of `<class>_<number>.annotations`.
        aside: Receives everything that is left out.

    Returns:
        Clips by set, then by name.

    Raises:
        UserError: As `check`.
    """
    check(videos, annotations)
    clips = []
    kinds = {kind.lower(): kind for kind in _SET1}
    said = {path.stem.lower(): path for path in _files(annotations, '.annotations')}
    for path in _files(videos, '.avi'):
        found = re.fullmatch(rf'({"|".join(kinds)})_(\d{{4}})', path.stem.lower())
        if not found:
            aside.add(path, None, 'a video of another name than handShake_0001.avi')
            continue
        kind, number = kinds[found[1]], int(found[2])
        annotation = said.pop(path.stem.lower(), None)
        if annotation is None:
            missing = annotations / f'{path.stem}.annotations'
            aside.add(missing, None, 'an annotation that is not there')
        clips.append(
            Clip(
                clip_id=f'{kind}_{found[2]}',
                video=path,
                split=SPLITS[number not in _SET1[kind]],
                action=None if kind == NEGATIVE else kind,
                annotation=annotation,
            )
        )
    for path in said.values():
        aside.add(path, None, 'an annotation without its video')
    return sorted(clips, key=lambda clip: (clip.split, clip.clip_id))


def read_annotation(path: Path, aside: RejectionSink) -> Annotation:
    """Reads who is where and does what.

    Args:
        path: An `.annotations` file.
        aside: Receives every line that is left out.
    """
    bodies: dict[tuple[int, int], Body] = {}
    pairs: dict[tuple[int, int, int], int] = {}
    frame, expected, found = None, 0, 0
    frames, header = 0, 0  # How many, and the line of the last one.
    # Label that is unknown → its lines: a word that is wrong once is wrong all through a file.
    unknown: dict[str, list[int]] = collections.defaultdict(list)

    def check_count() -> None:
        if header and found != expected:
            what = f'{expected} are announced, {found} follow'
            aside.add(path, header, 'another number of boxes than announced', what)

    for number, line in text_lines.read(path):
        if re.match(r'\s*#\s*num_frames', line, re.IGNORECASE):
            continue  # Never needed: the frames that are there say it.
        if line.lstrip().startswith('#'):
            check_count()
            frame, expected, here = _frame(line)
            header, found = number if frame is not None else 0, 0
            frames += frame is not None
            if frame is None:
                aside.add(path, number, 'not a header with #frame and #num_bbxs', line.strip())
            pairs.update({(frame, i, j): number for i, j in here})
            continue
        found += 1
        if frame is None:
            aside.add(path, number, 'a box of no frame')
            continue
        body, label = _body(line, frame)
        if body is None:
            aside.add(path, number, 'not id, x, y, size, label and head', line.strip())
            continue
        if (frame, body.person) in bodies:
            aside.add(path, number, 'a person twice in a frame', f'person {body.person}')
            continue
        # Who is where, and with whom, is known all the same.
        bodies[frame, body.person] = body
        if label not in _LABELS and label != _NO_INTERACTION:
            unknown[label].append(number)
    check_count()
    for label, lines in unknown.items():
        aside.add(path, lines[0], 'a label that is unknown', _in_lines(label, lines))
    if not frames:
        aside.add(path, None, 'an annotation without frames')
    people = {body.person for body in bodies.values()}
    others: dict[str, list[int]] = collections.defaultdict(list)
    for (where, i, j), number in list(pairs.items()):
        if i == j or not {i, j} <= people:
            others[f'{i} - {j}'].append(number)
            del pairs[where, i, j]
    for pair, lines in others.items():
        what = _in_lines(pair, lines)
        aside.add(path, lines[0], 'an interaction of others than two people', what)
    # The set's own tools count from 1; where a frame 0 stands, it was counted from 0.
    first = 0 if any(body.frame == 0 for body in bodies.values()) else 1
    return Annotation(
        bodies=tuple(dataclasses.replace(b, frame=b.frame - first) for b in bodies.values()),
        pairs=tuple((frame - first, i, j) for frame, i, j in pairs),
    )


def _frame(line: str) -> tuple[int | None, int, list[tuple[int, int]]]:
    """Number of the frame, of its boxes, and who interacts, of a line that begins a frame."""
    found = _HEADER.match(line)
    if not found:
        return None, 0, []
    pairs = re.findall(r'(\d{1,9})\s*-\s*(\d{1,9})', found[3] or '')
    return int(found[1]), int(found[2]), [(int(i), int(j)) for i, j in pairs]


def _in_lines(what: str, lines: list[int]) -> str:
    return f'{what}, in {len(lines)} line{"s" * (len(lines) > 1)}'


def _body(line: str, frame: int) -> tuple[Body | None, str]:
    """A body and its label in the file's words; or None where the line is no such row."""
    words = line.split()
    if len(words) != 6 or not re.fullmatch(r'\d{1,9}', words[0]):
        return None, ''
    try:
        x, y, size = (float(word) for word in words[1:4])
    except ValueError:
        return None, ''
    if not all(map(math.isfinite, (x, y, size))) or size <= 0:
        return None, ''
    label = words[4].lower()
    return Body(frame, int(words[0]), x, y, size, _LABELS.get(label), words[5]), label


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
