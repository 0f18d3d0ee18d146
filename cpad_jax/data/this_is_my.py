"""This-Is-My (Yeh et al., CVPR 2023): named instances in videos of vlogs, and captions about them.

Its public files say which segment of which video shows whose dog, bag or friend. The videos are the
user's to fetch, by its authors' script, which cuts the segments. An instance is somebody in terms
of our records, though only two of the fifteen are people. What its authors take for learning who it
is, all annotated segments of the videos that the anchors are from, becomes photos; the others are
the clips that are searched.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from cpad_jax import strict_json, workers
from cpad_jax.data import records as data_records
from cpad_jax.data import video_clips
from cpad_jax.data.csv_lists import read_rows
from cpad_jax.data.records import IdentityRecord
from cpad_jax.data.rejection_log import RejectionSink
from cpad_jax.data.video_clips import ClipPlan
from cpad_jax.errors import UserError
from cpad_jax.media import images
from cpad_jax.media import video as media_video

SEGMENTS, SHOWN, CAPTIONS = (
    'segments.csv',
    'this-is-my_test-set.json',
    'this-is-my_eval-captions.csv',
)
INSTANCE = '*'  # What stands for the instance in a caption.
_FOLDER = 'this-is-my-dataset'
_VIDEOS = ('train_segment', 'eval_segment')
_MOST = 64 << 20  # Bytes of a list.
_MOST_SHOWN = 16 << 20  # Of the one in JSON, which takes more memory.
_SEGMENT_ID = re.compile(r'[\w-]+')
_NO_VIDEO = 'a segment whose video is not there'

INSTRUCTIONS = (
    'Of https://github.com/danielchyeh/this-is-my one folder DIR needs (1) '
    f'{SEGMENTS}, {SHOWN} and {CAPTIONS}, in DIR or DIR/{_FOLDER}; (2) the segments that its '
    'download_video.py cuts, with --MODE train and --MODE eval: DIR/train_segment/SEGMENT.mp4 and '
    'DIR/eval_segment/SEGMENT.mp4'
)


@dataclasses.dataclass(frozen=True)
class Instance:
    """What a query can ask for.

    Attributes:
        person_id: 'instance00' and so on, in the order of the anchors.
        name: For instance "Casey's friend marlan".
        category: For instance 'man' or 'dog'.
        anchor: The segment in which the name is said.
    """

    person_id: str
    name: str
    category: str
    anchor: str


@dataclasses.dataclass(frozen=True)
class Segment:
    """A few seconds of a video, and the line of `segments.csv` that says so."""

    segment_id: str
    video_id: str
    line: int


@dataclasses.dataclass(frozen=True)
class PhotoPlan:
    """The frame in the middle of a segment as a photo of an instance; of an anchor `rank` is 0."""

    segment: Segment
    video: Path
    instance: int
    rank: int


@dataclasses.dataclass(frozen=True)
class DataSet:
    """All of it but the pictures.

    Attributes:
        table: segments.csv.
        instances: By number.
        photos: Of the videos that the anchors are from.
        clips: Annotated segments of all other videos.
        captions: For each its `caption`, `person_id` and `clip_id`, of clips that there are.
    """

    table: Path
    instances: Sequence[Instance]
    photos: Sequence[PhotoPlan]
    clips: Sequence[ClipPlan]
    captions: Sequence[Mapping[str, str]]

    @property
    def categories(self) -> dict[str, str]:
        """person_id → category."""
        return {instance.person_id: instance.category for instance in self.instances}


def find(manual: Path) -> dict[str, Path]:
    """The three lists by their names.

    Raises:
        UserError: One is not there; says what goes where.
    """
    found = {}
    for name in (SEGMENTS, SHOWN, CAPTIONS):
        places = [manual / name, manual / _FOLDER / name]
        found[name] = next((path for path in places if path.is_file()), None)
        if found[name] is None:
            raise UserError(f'{places[0]}: there is no such file. {INSTRUCTIONS}')
    return found


def plan(manual: Path, aside: RejectionSink) -> DataSet:
    """Joins the lists, and looks for the videos.

    Args:
        manual: The user's folder.
        aside: Receives everything that is left out.

    Raises:
        UserError: A list is missing or is not as expected, or no segment's video is there.
    """
    files = find(manual)
    segments, anchors = _read_segments(files[SEGMENTS])
    shown = _read_shown(files[SHOWN])
    instances, shows = [], {}
    for segment_id, (name, category) in anchors.items():
        if segment_id not in shown:
            line = segments[segment_id].line
            aside.add(files[SEGMENTS], line, 'an anchor that nothing is annotated of', name)
            continue
        instance = Instance(f'instance{len(instances):02d}', name, category, segment_id)
        for own in (segment_id, *shown[segment_id]):
            if own in segments:
                shows.setdefault(own, []).append(len(instances))
            else:
                aside.add(files[SHOWN], None, f'a segment that {SEGMENTS} has not', own)
        instances.append(instance)
    for segment_id in shown.keys() - anchors.keys():
        aside.add(files[SHOWN], None, f'an anchor that {SEGMENTS} has not', segment_id)
    learned = {segments[instance.anchor].video_id for instance in instances}
    photos, clips = [], []
    for segment_id, numbers in shows.items():
        segment = segments[segment_id]
        path = _video(manual, segment_id)
        if path is None:
            aside.add(files[SEGMENTS], segment.line, _NO_VIDEO, segment_id)
        elif segment.video_id in learned:
            for number in dict.fromkeys(numbers):
                rank = 0 if instances[number].anchor == segment_id else 1
                photos.append(PhotoPlan(segment, path, number, rank))
        else:
            clips.append(_clip(files[SEGMENTS], segment, path, dict.fromkeys(numbers), instances))
    if not photos or not clips:
        kind = _VIDEOS[0] if not photos else _VIDEOS[1]
        raise UserError(
            f'{manual / kind}: there is no video of any of the segments that belong there. '
            + INSTRUCTIONS
        )
    captions = _read_captions(files[CAPTIONS], instances, {c.clip_id for c in clips}, aside)
    return DataSet(files[SEGMENTS], instances, photos, clips, captions)


def _read_segments(path: Path) -> tuple[dict[str, Segment], dict[str, tuple[str, str]]]:
    """(id → segment, id of an anchor → name and category), in the order of the file."""
    segments: dict[str, Segment] = {}
    anchors: dict[str, tuple[str, str]] = {}
    columns = ('segment_id', 'is_anchor', 'instance_name', 'video_id', 'query')
    for line, row in read_rows(path, 'list of segments', _MOST, columns):
        own = row['segment_id']
        if not _SEGMENT_ID.fullmatch(own):
            raise UserError(f'{path}:{line}: segment_id is {own!r}, expected letters, digits and -')
        if own in segments:
            where = segments[own].line
            raise UserError(f'{path}:{line}: segment {own} stands in line {where} already')
        segments[own] = Segment(own, row['video_id'], line)
        if row['is_anchor'].casefold() == 'true':
            if not row['instance_name'] or not row['query']:
                raise UserError(f'{path}:{line}: an anchor needs instance_name and query')
            anchors[own] = row['instance_name'], row['query']
    return segments, anchors


def _read_shown(path: Path) -> dict[str, list[str]]:
    """Anchor → the segments that show the same instance."""
    try:
        value = strict_json.read(path, _MOST_SHOWN)
    except (OSError, ValueError) as error:
        raise UserError(f'{path}: this is not JSON ({error})') from error
    lists = isinstance(value, dict) and all(isinstance(own, list) for own in value.values())
    if not lists or not all(isinstance(one, str) for own in value.values() for one in own):
        raise UserError(f'{path}: expected an object that has a list of segments for each anchor')
    return value


def _video(manual: Path, segment_id: str) -> Path | None:
    names = [f'{segment_id}{ending}' for ending in ('.mp4', '.MP4')]
    paths = (manual / folder / name for folder in _VIDEOS for name in names)
    return next((path for path in paths if path.is_file()), None)


def _clip(
    table: Path, segment: Segment, path: Path, shows: Sequence[int], instances: Sequence[Instance]
) -> ClipPlan:
    people = []
    for number in shows:
        one = instances[number]
        person = video_clips.person_in_clip(one.person_id, one.name, (), -1, (), ())
        person['identity'] = number
        people.append(person)
    return ClipPlan(
        video=path, file=table, line=segment.line, clip_id=segment.segment_id, source='show',
        title=segment.video_id, actions=(), place=-1, people=tuple(people), who_does_what=True,
    )  # fmt: skip


def _read_captions(
    path: Path, instances: Sequence[Instance], clips: set[str], aside: RejectionSink
) -> list[dict[str, str]]:
    numbers = {instance.name: instance.person_id for instance in instances}
    found = []
    for line, row in read_rows(path, 'list of captions', _MOST, ('segs', 'item', 'caption')):
        if not row['caption']:
            continue  # Its authors keep rows of segments that have none.
        if row['item'] not in numbers:
            aside.add(path, line, 'a caption of nothing that is known', row['item'])
        elif INSTANCE not in row['caption']:
            aside.add(path, line, f'a caption without {INSTANCE}', row['caption'])
        elif row['segs'] not in clips:
            aside.add(path, line, 'a caption of a segment that is not searched', row['segs'])
        else:
            found.append(
                {'caption': row['caption'], 'person_id': numbers[row['item']],
                 'clip_id': row['segs']}
            )  # fmt: skip
    return found


@dataclasses.dataclass(frozen=True, eq=False)
class Photos:
    """Frames that are taken lazily, as `streamed.Source` has it.

    Attributes:
        data_set: Of which.
        processes: As in `workers.in_order`.
    """

    data_set: DataSet
    processes: int | None = None

    def __len__(self) -> int:
        return len(self.data_set.photos)

    def records(self, aside: RejectionSink) -> Iterator[IdentityRecord]:
        """Takes the frames, in their order; videos that cannot be read are set aside.

        Raises:
            UserError: A process was killed.
        """
        paths = [photo.video for photo in self.data_set.photos]
        made = workers.in_order(_middle, paths, self.processes, doing='takes frames')
        for photo, picture in zip(self.data_set.photos, made, strict=True):
            if isinstance(picture, str):
                line = photo.segment.line
                aside.add(self.data_set.table, line, video_clips.UNREADABLE, picture)
                continue
            instance = self.data_set.instances[photo.instance]
            record = IdentityRecord(
                image=picture,
                # Photos are taken by the order of their ids: the one that has the name comes first.
                image_id=f'{instance.person_id}/{photo.rank}_{photo.segment.segment_id}',
                identity=photo.instance,
                name=instance.name,
                bbox=np.full(4, -1, np.float32),  # It is known of the whole picture only.
                landmarks=np.full((5, 2), -1, np.float32),
                source=photo.segment.video_id,
            )
            data_records.check_identity(record)
            yield record


def _middle(path: Path) -> bytes | str:
    """The frame in the middle as JPEG, or what is wrong with the video."""
    try:
        info = media_video.probe(path)
        size = min(video_clips.SHORTER_SIDE, info.height, info.width)
        frames, _ = media_video.sample_frames(path, count=1, size=size)
    except UserError as error:
        return str(error)
    return images.encode_jpeg(frames[0])
