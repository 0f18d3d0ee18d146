"""Hollywood2's folders and lists: which clips there are, what is done in them, and where.

`ClipSets/Kiss_train.txt` says of every clip of a split whether it shows a kiss, so a clip's actions
come out of twelve files. Clips that show places are other files with lists of their own.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cpad_jax.data import text_lines, video_clips
from cpad_jax.data.annotations import PersonAnnotation
from cpad_jax.data.rejection_log import RejectionSink
from cpad_jax.data.video_clips import AnnotationTable, ClipPlan
from cpad_jax.errors import UserError
from cpad_jax.media import video as media_video
from cpad_jax.text.prompts import ACTIONS, PLACES

NUMBERS = {action: number for number, action in enumerate(ACTIONS)}

# A clip, with or without the ending of its video, and whether it is of the list's class.
_MARKED = re.compile(r'([^\s,;]+?)(?:\.avi)?[\s,;]+([+-]?1)', re.IGNORECASE)

INSTRUCTIONS = (
    'get Hollywood2-actions.tar.gz and Hollywood2-scenes.tar.gz from '
    'https://www.di.ens.fr/~laptev/actions/hollywood2/, unpack both in one folder (`tar xzf FILE '
    '-C DIR`), so that DIR/Hollywood2 has AVIClips, AVIClipsScenes, ClipSets and ClipSetsScenes, '
    'and give --manual_dir DIR'
)


@dataclasses.dataclass(frozen=True)
class Part:
    """One of the two halves of Hollywood2.

    Attributes:
        videos: Folder of the clips.
        lists: Folder of the lists.
        classes: What lists are named after.
        splits: What their names end in. Labels of `autotrain` were read off film scripts, and many
            are wrong; those of the other splits were checked by people.
    """

    videos: str
    lists: str
    classes: tuple[str, ...]
    splits: tuple[str, ...]


PARTS = {
    'actions': Part('AVIClips', 'ClipSets', ACTIONS, ('train', 'test', 'autotrain')),
    'scenes': Part('AVIClipsScenes', 'ClipSetsScenes', PLACES, ('test', 'autotrain')),
}


@dataclasses.dataclass(frozen=True)
class Clip:
    """A clip and its labels.

    Attributes:
        clip_id: The video's name without its ending.
        video: The file.
        split: 'train', 'test' or 'autotrain'.
        actions: What is done in it, in the order of `ACTIONS`; empty in the half of places.
        place: Where it is, one of `PLACES`; None in the half of actions, or where none was marked.
        file: The list that first names it.
        line: In that list.
    """

    clip_id: str
    video: Path
    split: str
    actions: tuple[str, ...]
    place: str | None
    file: Path
    line: int


def find(manual: Path, required: bool = True) -> Path | None:
    """Finds the folder that holds `ClipSets` and the others.

    Args:
        manual: That folder, or one with `Hollywood2` in it.
        required: Whether it must be there; otherwise None is given.

    Raises:
        UserError: It must be there and is not.
    """
    for folder in (manual / 'Hollywood2', manual / 'hollywood2', manual):
        if any((folder / part.lists).is_dir() for part in PARTS.values()):
            return folder
    if required:
        raise UserError(f'{manual}: Hollywood2 is not there; {INSTRUCTIONS}')
    return None


def parts_there(folder: Path) -> list[str]:
    """The halves whose videos are there: clips of actions and of places are two archives."""
    return [part for part, layout in PARTS.items() if (folder / layout.videos).is_dir()]


def videos(folder: Path, part: str) -> dict[str, Path]:
    """The clips of a half that are there: the video's name without its ending → its file."""
    if part not in parts_there(folder):
        return {}
    return {
        path.stem: path
        for path in sorted((folder / PARTS[part].videos).iterdir())
        if path.suffix.lower() == '.avi' and not path.name.startswith('.')
    }


def check_part(folder: Path, part: str) -> Path:
    """Makes sure that the videos and the lists of one half are there.

    Args:
        folder: As in `read_clips`.
        part: 'actions' or 'scenes'.

    Returns:
        The folder of lists.

    Raises:
        UserError: They are not.
    """
    layout = PARTS[part]
    lists = folder / layout.lists
    for path in (folder / layout.videos, lists):
        if not path.is_dir():
            raise UserError(f'{path}: there is no such folder; {INSTRUCTIONS}')
    if not videos(folder, part):
        raise UserError(f'{folder / layout.videos}: there are no .avi files; {INSTRUCTIONS}')
    if not _lists(lists):
        raise UserError(f'{lists}: there are no lists; {INSTRUCTIONS}')
    return lists


def read_clips(folder: Path, part: str, aside: RejectionSink) -> list[Clip]:
    """Reads the lists of one half.

    Args:
        folder: The one that holds `ClipSets` and the other folders.
        part: 'actions' or 'scenes'.
        aside: Receives everything that is left out.

    Returns:
        Clips by split, then by name.

    Raises:
        UserError: The videos or the lists are not there.
    """
    layout = PARTS[part]
    # Lists name clips and are passed on: only names of files that are there become paths.
    lists, there = check_part(folder, part), videos(folder, part)
    listed = _read_lists(lists, layout, there, aside)
    clips = []
    for clip_id, (split, file, line, classes) in listed.items():
        if clip_id not in there:
            aside.add(file, line, 'a clip whose video is not there', clip_id)
            continue
        known = tuple(name for name in layout.classes if name in classes)
        place = None
        if part == 'scenes':
            place, *others = known or (None,)
            if others:
                what = f'{clip_id} is {place}, not {", ".join(others)}'
                aside.add(file, line, 'a second place of a clip', what, len(others))
        clips.append(
            Clip(
                clip_id=clip_id,
                video=there[clip_id],
                split=split,
                actions=known if part == 'actions' else (),
                place=place,
                file=file,
                line=line,
            )
        )
    for clip_id in sorted(set(there) - set(listed)):
        aside.add(there[clip_id], None, 'a video that no list names')
    return sorted(clips, key=lambda clip: (layout.splits.index(clip.split), clip.clip_id))


def _lists(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() == '.txt' and not path.name.startswith('.')
    ]


def _read_lists(
    folder: Path, layout: Part, there: Iterable[str], aside: RejectionSink
) -> dict[str, tuple[str, Path, int, set[str]]]:
    """Clip → its split, the file and line that first name it, and the classes it is of.

    Clips are spelled as the names of their videos are, `there`.
    """
    spelled = {clip_id.lower(): clip_id for clip_id in there}
    listed: dict[str, tuple[str, Path, int, set[str]]] = {}
    files = {}
    classes_of = {name.lower(): name for name in layout.classes}
    for path in _lists(folder):
        # actions_train.txt and scenes_test.txt say the same over again in another form.
        if path.name.lower().startswith(('actions_', 'scenes_')):
            continue
        name, _, split = path.stem.lower().rpartition('_')
        if name in classes_of and split in layout.splits:
            files[split, classes_of[name]] = path
        else:
            aside.add(path, None, 'a list of no class that is known')
    if not files:
        raise UserError(f'{folder}: there are no lists; {INSTRUCTIONS}')
    for split in layout.splits:
        absent = [name for name in layout.classes if (split, name) not in files]
        if absent:
            what = f'{", ".join(absent)} of {split}'
            aside.add(folder, None, 'a list that is not there', what, len(absent))
        for name in layout.classes:
            if (split, name) not in files:
                continue
            here = set()
            file = files[split, name]
            for number, line in text_lines.read(file):
                found = _MARKED.fullmatch(line.strip())
                if not found:
                    aside.add(file, number, 'not a clip and 1 or -1', line.strip())
                    continue
                clip_id, mark = spelled.get(found[1].lower(), found[1]), found[2]
                first, _, _, classes = listed.setdefault(clip_id, (split, file, number, set()))
                if first != split:
                    aside.add(file, number, 'a clip of another split', f'{clip_id} is of {first}')
                elif clip_id in here:
                    aside.add(file, number, 'a clip that stands in the list already', clip_id)
                elif mark != '-1':
                    classes.add(name)
                here.add(clip_id)
    return listed


def plan_clips(
    folder: Path,
    part: str,
    table: AnnotationTable,
    aside: RejectionSink,
    numbers: Mapping[str, int] = NUMBERS,
) -> dict[str, list[ClipPlan]]:
    """Joins the lists with the annotation table, which knows titles and people.

    Args:
        folder: As in `read_clips`.
        part: 'actions' or 'scenes'.
        table: Clips that it leaves out have the title 'unknown', and no known people.
        aside: As in `read_clips`.
        numbers: Name of an action → its number in the plans.

    Returns:
        Split → clips.

    Raises:
        UserError: As `read_clips`; or the table has an unknown action or place.
    """
    plans: dict[str, list[ClipPlan]] = {split: [] for split in PARTS[part].splits}
    for clip in read_clips(folder, part, aside):
        row = table[clip.clip_id]
        actions = {numbers[action] for action in clip.actions}
        place = PLACES.index(clip.place) if clip.place else -1
        people, known = [], False
        if row:
            done = table.actions(clip.clip_id, numbers)
            known = None not in done
            people = [
                video_clips.annotated_person(person, own or ())
                for person, own in zip(_people(clip, table, aside), done, strict=True)
            ]
            actions.update(*(own for own in done if own))
            said = table.place(clip.clip_id, PLACES)  # In any case: a wrong word is an error.
            place = place if place >= 0 else said
        plans[clip.split].append(
            ClipPlan(
                video=clip.video,
                file=clip.file,
                line=clip.line,
                clip_id=clip.clip_id,
                source=row.source if row else 'movie',
                title=row.title if row else video_clips.UNKNOWN,
                actions=tuple(sorted(actions)),
                place=place,
                people=tuple(people),
                who_does_what=known,
            )
        )
    return plans


def _people(clip: Clip, table: AnnotationTable, aside: RejectionSink) -> Sequence[PersonAnnotation]:
    people = table[clip.clip_id].people
    if not any(person.times for person in people):
        return people
    try:
        info = media_video.probe(clip.video)
    except UserError:
        return people  # The clip is set aside when it is decoded.
    return table.people(clip.clip_id, info.duration, aside)


def read_shot_bounds(folder: Path, part: str, clip_id: str) -> tuple[int, ...]:
    """Numbers of the frames, counted from 0, with which new shots begin within a clip.

    Args:
        folder: As in `read_clips`.
        part: 'actions' or 'scenes'.
        clip_id: A clip's.

    Returns:
        Ascending; empty where the clip is one shot.

    Raises:
        UserError: There is no such file, or it holds something else.
    """
    name = 'ShotBounds' if part == 'actions' else 'ShotBoundsScenes'
    path = folder / name / f'{clip_id}.sht'
    if not path.is_file():
        raise UserError(f'{path}: there is no such file of shot bounds')
    bounds: list[int] = []
    for number, line in text_lines.read(path):
        for word in line.split():
            if not re.fullmatch(r'\d{1,9}', word) or (bounds and int(word) < bounds[-1]):
                raise UserError(f'{path}:{number}: {word[:20]!r}, expected ascending frame numbers')
            bounds.append(int(word))
    return tuple(bounds)
