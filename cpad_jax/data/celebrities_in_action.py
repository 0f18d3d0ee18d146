"""Celebrities in Action, made of its two public sources and a table of who is in their clips.

The clips are Hollywood2's, without those whose labels were read off scripts, and TV Human
Interactions': about as many as the paper has. Titles are divided into splits, so that no film or
show stands in two of them. Faces that say who somebody is are cut out of the clips themselves.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from cpad_jax import strict_json, workers
from cpad_jax.data import hollywood2, tv_human_interactions, tv_human_plans, video_clips
from cpad_jax.data import records as data_records
from cpad_jax.data.records import IdentityRecord, PersonInClip
from cpad_jax.data.rejection_log import RejectionSink
from cpad_jax.data.video_clips import AnnotationTable, ClipPlan
from cpad_jax.errors import UserError
from cpad_jax.media import faces, images, video
from cpad_jax.text.prompts import ALL_ACTIONS

SPLITS = ('train', 'validation', 'test')
PHOTO_SPLITS = ('train', 'references')
ACTIONS = ALL_ACTIONS
_FROM_TV = {'handShake': 'HandShake', 'highFive': 'HighFive', 'hug': 'HugPerson', 'kiss': 'Kiss'}
# Both sources' names, so that a table may use those of the source that it annotates.
NUMBERS = {action: number for number, action in enumerate(ACTIONS)}
NUMBERS |= {theirs: NUMBERS[ours] for theirs, ours in _FROM_TV.items()}

# Shares of the titles in train and validation; half of them are left for test.
_TRAIN, _VALIDATION = 0.4, 0.1

# Of a person in a title, at most so many faces are references.
MAX_REFERENCES = 5
FACE_SIZE = 224  # Pixels, as VGGFace2's authors cut faces.
MIN_FACE = 24  # Pixels: smaller ones show hardly anything of who it is.
_ENLARGE = 0.3

TABLE_INSTRUCTIONS = (
    'write it with the labelling tools, or by hand: a line of JSON for each clip, such as '
    '{"clip_id": "actioncliptrain00001", "title": "casablanca", "source": "movie", "people": '
    '[{"person_id": "n000001", "name": "Ingrid Bergman", "times": [0.5], "boxes": '
    '[[0.1, 0.2, 0.4, 0.35]]}]}'
)
INSTRUCTIONS = (
    'this data set is not distributed, so it is made of its sources, which belong into one folder '
    f'DIR; {hollywood2.INSTRUCTIONS}; {tv_human_interactions.INSTRUCTIONS}; one of them is enough. '
    f'Who is in which clip says DIR/annotations.jsonl, or the file that --annotations names; '
    f'{TABLE_INSTRUCTIONS}'
)


@dataclasses.dataclass(frozen=True, eq=False)
class FacePlan:
    """A face to cut out of a clip.

    Attributes:
        plan: The clip.
        index: Of the person in the clip's people.
        time: Seconds at which the face is largest.
        box: float32 [4], ymin xmin ymax xmax as fractions of the picture.
    """

    plan: ClipPlan
    index: int
    time: float
    box: np.ndarray

    @property
    def person(self) -> PersonInClip:
        """Whose it is."""
        return self.plan.people[self.index]


@dataclasses.dataclass(frozen=True)
class DataSet:
    """All of the data set but its pictures.

    Attributes:
        clips: Split of `SPLITS` → clips.
        photos: Split of `PHOTO_SPLITS` → faces.
        people: (person_id, name) by number.
        relevance: As `video_clips.relevance`.
        fingerprint: Changes when the data would be different.
    """

    clips: Mapping[str, Sequence[ClipPlan]]
    photos: Mapping[str, Sequence[FacePlan]]
    people: Sequence[tuple[str, str]]
    relevance: str
    fingerprint: str

    def is_seen(self) -> list[bool]:
        """Of everybody, whether there are training photos."""
        learned = {photo.person['person_id'] for photo in self.photos['train']}
        return [person_id in learned for person_id, _ in self.people]


@dataclasses.dataclass(frozen=True)
class Splits:
    """The user's choice of splits.

    Attributes:
        path: The file that says it.
        by_title: Title → one of `SPLITS`.
    """

    path: Path
    by_title: Mapping[str, str]


def split_of(title: str) -> str:
    """The split of a title where none was chosen: two fifths train, a tenth validation."""
    draw = int.from_bytes(hashlib.sha256(title.encode()).digest()[:8]) / 2**64
    if draw < _TRAIN:
        return 'train'
    return 'validation' if draw < _TRAIN + _VALIDATION else 'test'


def read_splits(path: str | os.PathLike[str]) -> Splits:
    """Reads a choice of splits: a JSON file that has each title's, e.g. {"casablanca": "test"}.

    Raises:
        UserError: There is no such file, it is not as expected, or it has a title twice.
    """
    path = Path(path)

    try:
        value = strict_json.read(path)
    except OSError as error:
        raise UserError(f'{path}: there is no such file of splits') from error
    except ValueError as error:
        raise UserError(f'{path}: this is not JSON ({error})') from error
    if not isinstance(value, dict):
        raise UserError(f'{path}: this is {type(value).__name__}, expected an object')
    for title, split in value.items():
        if split not in SPLITS:
            raise UserError(f'{path}: {title!r} is {split!r}, expected one of {", ".join(SPLITS)}')
    return Splits(path, value)


def source_tables(manual: Path) -> dict[str, Path]:
    """Finds the lists and annotations of the sources that are there, by their folders' names.

    Args:
        manual: The folder that both sources are in.

    Raises:
        UserError: There is no source, or something of one is missing.
    """
    found = []
    if folder := hollywood2.find(manual, required=False):
        found += [hollywood2.check_part(folder, part) for part in hollywood2.parts_there(folder)]
    if folders := tv_human_interactions.find(manual, required=False):
        tv_human_interactions.check(*folders)
        found.append(folders[1])
    if not found:
        raise UserError(f'there are neither clips of films nor of shows; {INSTRUCTIONS}')
    return {path.name: path for path in found}


def plan(
    hollywood2_folder: Path | None,
    tv_folders: tuple[Path, Path] | None,
    table: AnnotationTable,
    splits: Splits | None,
    aside: RejectionSink,
) -> DataSet:
    """Joins the sources and the table, and divides them.

    Args:
        hollywood2_folder: As in `hollywood2.plan_clips`; None where there is none.
        tv_folders: Videos and annotations, as in `tv_human_plans.plan_clips`; or None.
        table: Who is in which clip. Clips that it leaves out are set aside.
        splits: Of all titles; without it, `split_of` decides.
        aside: Receives everything that is left out.

    Raises:
        UserError: No clip is left; the splits leave a title out; or as the sources' `plan_clips`.
    """
    found: list[ClipPlan] = []
    unchecked: set[str] = set()
    if hollywood2_folder:
        for part in hollywood2.parts_there(hollywood2_folder):
            by_split = hollywood2.plan_clips(hollywood2_folder, part, table, aside, NUMBERS)
            found += by_split.get('train', []) + by_split['test']
            unchecked.update(clip.clip_id for clip in by_split['autotrain'])
    if tv_folders:
        by_split = tv_human_plans.plan_clips(*tv_folders, table, aside, NUMBERS)
        found += [clip for clips in by_split.values() for clip in clips]
    table.set_aside_others({clip.clip_id for clip in found}, aside, unchecked)
    clips = []
    for clip in found:
        if table[clip.clip_id]:
            clips.append(dataclasses.replace(clip, people=_named(clip.people)))
        else:
            what = clip.clip_id
            aside.add(clip.file, clip.line, 'a clip that the annotation table leaves out', what)
    if not clips:
        raise UserError(
            f'{table.path}: none of the {len(found)} clips is in the annotation table; '
            f'{TABLE_INSTRUCTIONS}'
        )
    titles = sorted({clip.title for clip in clips})
    _refuse_two_spellings(titles, table)
    split = _chosen(splits, titles, table, aside) if splits else {t: split_of(t) for t in titles}
    people = video_clips.number_people(clips)
    return DataSet(
        clips={name: [c for c in clips if split[c.title] == name] for name in SPLITS},
        photos=_choose_photos(clips, split),
        people=people,
        relevance=video_clips.relevance(clips),
        fingerprint=_fingerprint(clips, split),
    )


def _refuse_two_spellings(titles: Sequence[str], table: AnnotationTable) -> None:
    """Raises a `UserError` where two titles may be one, which would be in two splits at once."""
    spelled: dict[str, str] = {}
    for title in titles:
        letters = ''
        for word in re.findall(r'[^\W_]+', unicodedata.normalize('NFKD', title).casefold()):
            # "Lost 1 2" is not "Lost 12".
            letters += ' ' * (letters[-1:].isdigit() and word[0].isdigit()) + word
        same = spelled.setdefault(letters or title, title)
        if same != title:
            raise UserError(
                f'{table.path}: {same!r} and {title!r} seem to be one title, whose clips could be '
                'in training and in queries at once; spell it in one way'
            )


def _chosen(
    splits: Splits, titles: Sequence[str], table: AnnotationTable, aside: RejectionSink
) -> dict[str, str]:
    """Title → split, of titles that clips have; titles without a row are reported."""
    unused = [title for title in splits.by_title if title not in table.titles]
    if missing := [title for title in titles if title not in splits.by_title]:
        instead = ', '.join(map(repr, unused[:5]))
        raise UserError(
            f'{splits.path}: the title {missing[0]!r} is not in it; add it with one of '
            + ', '.join(SPLITS)
            + (f' (is one of these misspelled, which no row has: {instead}?)' if unused else '')
        )
    for title in unused:
        aside.add(splits.path, None, 'a title that no row of the annotation table has', title)
    return {title: splits.by_title[title] for title in titles}


def _named(people: Sequence[PersonInClip]) -> tuple[PersonInClip, ...]:
    """Those that queries can name; unnamed people are never a target."""
    kept = [index for index, person in enumerate(people) if person['name'] != video_clips.UNKNOWN]
    new = {old: index for index, old in enumerate(kept)}
    return tuple(
        PersonInClip(**{**people[old], 'target': new.get(people[old]['target'], -1)})
        for old in kept
    )


def _choose_photos(
    clips: Sequence[ClipPlan], split: Mapping[str, str]
) -> dict[str, list[FacePlan]]:
    """One face of every track: references, and in the titles of train every other one to learn."""
    groups: dict[tuple[str, str], list[FacePlan]] = collections.defaultdict(list)
    for clip in clips:
        for index, person in enumerate(clip.people):
            if face := _largest_face(clip, index):
                groups[person['person_id'], clip.title].append(face)
    photos: dict[str, list[FacePlan]] = {name: [] for name in PHOTO_SPLITS}
    for (_, title), own in sorted(groups.items()):
        own = sorted(own, key=lambda face: (-_visible(face.box), face.plan.clip_id))
        references = own
        if split[title] == 'train':
            references = own[::2][:MAX_REFERENCES]
            photos['train'] += [face for face in own if face not in references]
        photos['references'] += references[:MAX_REFERENCES]
    return photos


def _largest_face(clip: ClipPlan, index: int) -> FacePlan | None:
    tracks = clip.people[index]['tracks']
    areas = [_visible(box) for box in tracks['boxes']]
    if not areas or max(areas) <= 0:
        return None
    best = int(np.argmax(areas))
    return FacePlan(clip, index, float(tracks['times'][best]), tracks['boxes'][best])


def _visible(box: np.ndarray) -> float:
    """Share of the picture that a box covers."""
    ymin, xmin, ymax, xmax = np.clip(box, 0, 1)
    return float((ymax - ymin) * (xmax - xmin))


def _fingerprint(clips: Iterable[ClipPlan], split: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for clip in clips:
        facts = [
            clip.clip_id, clip.source, clip.title, split[clip.title], clip.actions, clip.place,
            clip.video.stat().st_size,
        ]  # fmt: skip
        for person in clip.people:
            facts += [person['person_id'], person['name'], person['actions'], person['target']]
            facts += [track.tolist() for track in person['tracks'].values()]
        digest.update(json.dumps(facts).encode())
    return digest.hexdigest()[:16]


@dataclasses.dataclass(frozen=True, eq=False)
class Faces:
    """Faces that are cut out of the videos lazily, as `streamed.Source` has it.

    Attributes:
        photos: Which faces.
        processes: As in `workers.in_order`.
    """

    photos: Sequence[FacePlan]
    processes: int | None = None

    def __len__(self) -> int:
        return len(self.photos)

    def records(self, aside: RejectionSink) -> Iterator[IdentityRecord]:
        """Cuts the faces out, in their order; those that cannot be had are set aside.

        Raises:
            UserError: A process was killed.
        """
        made = workers.in_order(_photo, self.photos, self.processes, doing='cuts out faces')
        for photo, record in zip(self.photos, made, strict=True):
            if isinstance(record, tuple):
                aside.add(photo.plan.file, photo.plan.line, *record)
            else:
                data_records.check_identity(record)
                yield record


def _photo(photo: FacePlan) -> IdentityRecord | tuple[str, str]:
    """A record, or why there is none."""
    try:
        frames, _ = video.sample_frames(photo.plan.video, times=[photo.time])
    except UserError as error:
        return video_clips.UNREADABLE, str(error)
    height, width = frames.shape[1:3]
    box = photo.box * np.array([height, width, height, width])
    tall, wide = box[2:] - box[:2]
    if min(tall, wide) < MIN_FACE:
        what = f'{photo.person["name"]} in {photo.plan.clip_id}, {wide:.0f}x{tall:.0f} pixels'
        return f'a face smaller than {MIN_FACE} pixels', what
    # `crop_face` cuts a square around the box, whose longer side grows by that share.
    side = max(tall, wide) * (1 + _ENLARGE)
    around = np.array([1 - tall / side, 1 - wide / side, 1 + tall / side, 1 + wide / side]) / 2
    return IdentityRecord(
        image=images.encode_jpeg(faces.crop_face(frames[0], box, _ENLARGE, FACE_SIZE)),
        image_id=f'{photo.plan.clip_id}/{photo.index}',
        identity=photo.person['identity'],
        name=photo.person['name'],
        bbox=around.astype(np.float32),
        landmarks=np.full((5, 2), -1, np.float32),
        source=photo.plan.title,
    )
