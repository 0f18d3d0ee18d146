"""Labels a title: who is in which clip, from photos, subtitles and corrections by hand.

Faces are followed through every shot and grouped by person. Groups that look like the exemplar
photos of one member of the cast get that name; of the rest, those that are on screen when a name is
said get that one. What nobody vouches for stays unknown and is left out of the table.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from cpad_jax.data.annotations import ClipAnnotation, PersonAnnotation
from cpad_jax.errors import UserError
from cpad_jax.labelling import clusters, corroboration, identify
from cpad_jax.labelling.appearances import VideoFaces, clip_stem
from cpad_jax.labelling.cast import CastMember
from cpad_jax.labelling.corrections import Correction, Said, find_tracks, kept_apart, kinds, settle
from cpad_jax.labelling.exemplars import IdentityModel
from cpad_jax.labelling.identify import Name
from cpad_jax.labelling.subtitles import Mention
from cpad_jax.labelling.whitening import Whitening, fit_whitening, shared_by_people
from cpad_jax.media.tracks import FaceTrack

# Least mean cosine of two groups of faces that are joined, with features that were whitened on
# people and such that lost their mean at most: calibrated on drawn worlds.
JOIN, JOIN_PLAIN = 0.5, 0.6
# Names with less confidence are not given.
LEAST_CONFIDENCE = 0.5
# Seconds before and after a shot in which a name that is said belongs to it.
_AROUND = 1.0
# What names come from, in words.
BY_HAND, _PHOTOS, _FACES = 'named by hand', 'exemplar photos', 'faces named by hand'


@dataclasses.dataclass(frozen=True, eq=False)
class LabelledTrack:
    """A face track and who it is taken for.

    Attributes:
        video: Name of the video.
        shot: Number of the shot in it.
        track: The face.
        cluster: Number of the group that it belongs to; 0 is the largest.
        name: Who it is, or None.
    """

    video: str
    shot: int
    track: FaceTrack
    cluster: int
    name: Name | None


@dataclasses.dataclass(frozen=True, eq=False)
class Labels:
    """What was found out about a title.

    Attributes:
        tracks: Every face, by video and time.
        lost: Corrections that fit no face.
        by_hand: Number of faces that corrections say something of.
    """

    tracks: tuple[LabelledTrack, ...]
    lost: tuple[Correction, ...]
    by_hand: int


def label_tracks(
    videos: Mapping[str, VideoFaces],
    cast: Sequence[CastMember],
    models: Sequence[IdentityModel] = (),
    mentions: Mapping[str, Sequence[Mention]] | None = None,
    corrections: Sequence[Correction] = (),
    least_confidence: float = LEAST_CONFIDENCE,
) -> Labels:
    """Groups a title's faces and names the groups.

    Args:
        videos: Name -> its shots and face tracks.
        cast: Who may be in it.
        models: What people look like. Those who are not in the cast serve to learn what tells
            people apart.
        mentions: Name of a video -> who is named or speaks in it, and when.
        corrections: What was said by hand; wins over everything else.
        least_confidence: Names with less are not given, 0 to 1.
    """
    where = [
        (video, shot, track)
        for video, faces in videos.items()
        for shot, of_shot in enumerate(faces.tracks)
        for track in of_shot
    ]
    if not where:
        return Labels((), tuple(corrections), 0)
    tracks, of_video = [track for _, _, track in where], [video for video, _, _ in where]
    raw = np.stack([track.feature for track in tracks])
    apart = clusters.seen_together(tracks, of_video)
    whitening = _whitening(models, raw, apart)
    features, join = whitening(raw), JOIN if whitening.whole else JOIN_PLAIN
    in_cast = {member.person_id for member in cast}
    looks = {m.person_id: _mean(whitening(m.features)) for m in models if m.person_id in in_cast}
    evidence = dict.fromkeys(looks, _PHOTOS)

    grouping = _group(features, apart, looks, {}, join, np.full((len(raw), len(looks)), -1.0))
    found, lost = find_tracks(corrections, tracks, of_video)
    by_hand = settle(found, grouping.groups)
    if by_hand:
        order = [*looks, None]  # The last for -1.
        taken_for = [order[model] for model in grouping.model]
        named = {said.person_id for said in by_hand.values()} - {None, '', *looks}
        for person in sorted(named):
            # Who has no photos is known by the faces that somebody named.
            own = [number for number, said in by_hand.items() if said.person_id == person]
            looks[person], evidence[person] = _mean(features[own]), _FACES
        # A face or two say little of how this person may look, and so much less of faces that are
        # hardly like them: those they name must be as like as faces of one group are.
        for_all = [join if evidence[person] == _FACES else -1.0 for person in looks]
        least = np.tile(for_all, (len(raw), 1))
        # So must faces that are not whom they were taken for. The likeliest name was wrong, and
        # without it somebody who is hardly like them would be the likeliest that is left.
        for number, said in by_hand.items():
            if said.denied and taken_for[number] in (None, *said.denied):
                least[number] = join
        grouping = _group(features, kept_apart(by_hand, apart), looks, by_hand, join, least)

    known = list(looks)
    names: list[Name | None] = [
        Name(known[model], float(sure), f'{evidence[known[model]]}: similarity {alike:.2f}')
        if model >= 0 and sure >= least_confidence
        else None
        for model, alike, sure in zip(
            grouping.model, grouping.alike, grouping.confidence, strict=True
        )
    ]
    if mentions:
        heard = _heard(videos, where, grouping, cast, looks, mentions, by_hand, least_confidence)
        names = [name or heard.get(int(group))
                 for name, group in zip(names, grouping.groups, strict=True)]  # fmt: skip
    _settle_names(names, by_hand, apart)
    return Labels(
        tuple(
            LabelledTrack(*place, int(group), name)
            for place, group, name in zip(where, grouping.groups, names, strict=True)
        ),
        tuple(lost),
        len(by_hand),
    )


def annotate(
    labels: Labels,
    videos: Mapping[str, VideoFaces],
    cast: Sequence[CastMember],
    title: str,
    source: str,
) -> list[ClipAnnotation]:
    """Turns labels into the annotation table's rows, one for each shot of each video.

    A video of one shot is a clip by its own name; of others, shot 3 of `a/b.mp4` is `a_b_0003`.

    Args:
        labels: As from `label_tracks`.
        videos: Name -> shots and tracks.
        cast: Gives the names of people.
        title: Id of the movie or show.
        source: 'movie' or 'show'.

    Raises:
        UserError: Two clips would bear one name.
    """
    names = {member.person_id: member.name for member in cast}
    by_shot = collections.defaultdict(list)
    for labelled in labels.tracks:
        if labelled.name:
            by_shot[labelled.video, labelled.shot].append(labelled)
    clips, of_clip = [], {}
    for video, faces in videos.items():
        stem = clip_stem(video)
        whole = len(faces.shots) == 1
        for shot, (start, end) in enumerate(faces.shots):
            people = collections.defaultdict(list)
            for labelled in by_shot[video, shot]:
                people[labelled.name.person_id].append(labelled)
            clip_id = stem if whole else f'{stem}_{shot + 1:04d}'
            if clip_id in of_clip:
                raise UserError(
                    f'{video}: its clip {clip_id} is called as one of {of_clip[clip_id]}; '
                    'rename one of the videos'
                )
            of_clip[clip_id] = video
            # A video may go on for longer than it says.
            end = max([end, *(row.track.times[-1] for row in by_shot[video, shot])])
            clips.append(
                ClipAnnotation(
                    clip_id, title, source,
                    tuple(_person(who, names[who], rows, start) for who, rows in people.items()),
                    video, start, None if whole else float(end),
                )
            )  # fmt: skip
    return clips


def _whitening(
    models: Sequence[IdentityModel], features: np.ndarray, apart: np.ndarray
) -> Whitening:
    looks = np.zeros((0, features.shape[1]), np.float32)
    if models:
        people = np.repeat(np.arange(len(models)), [len(m.features) for m in models])
        whitening = fit_whitening(np.concatenate([m.features for m in models]), people)
        if whitening:
            return whitening
        looks = np.stack([model.feature for model in models])
    return Whitening(shared_by_people(features, apart, looks))


def _mean(features: np.ndarray) -> np.ndarray:
    mean = features.mean(0)
    return mean / max(float(np.linalg.norm(mean)), 1e-12)


def _group(
    features: np.ndarray,
    apart: np.ndarray,
    looks: Mapping[str, np.ndarray],
    by_hand: Mapping[int, Said],
    join: float,
    least: np.ndarray,
) -> identify.Grouping:
    models = np.stack([*looks.values()]) if looks else np.zeros((0, features.shape[1]), np.float32)
    barred = np.zeros((len(features), len(looks)), bool)
    for number, said in by_hand.items():
        for column, person in enumerate(looks):
            barred[number, column] = said.is_not(person)
    return identify.group_by_person(
        features, apart, models, barred, join, kinds(by_hand, len(features)), least
    )


def _heard(
    videos: Mapping[str, VideoFaces],
    where: Sequence[tuple[str, int, FaceTrack]],
    grouping: identify.Grouping,
    cast: Sequence[CastMember],
    looks: Mapping[str, np.ndarray],
    mentions: Mapping[str, Sequence[Mention]],
    by_hand: Mapping[int, Said],
    least: float,
) -> dict[int, Name]:
    """Names for groups of people without photos, by who is named or speaks when they are seen."""
    spans = [(video, *span) for video, faces in videos.items() for span in faces.shots]
    number_of = {
        key: unit
        for unit, key in enumerate(
            (video, shot) for video, faces in videos.items() for shot in range(len(faces.shots))
        )
    }
    said: dict[str, np.ndarray] = {}
    for unit, (video, start, end) in enumerate(spans):
        for mention in mentions.get(video, ()):
            # Who speaks does so in the shots that the cue overlaps; who is named is near it.
            around = 0.0 if mention.speaks else _AROUND
            if mention.start < end + around and mention.end > start - around:
                said.setdefault(mention.person_id, np.zeros(len(spans), bool))[unit] = True
    people = [m.person_id for m in cast if m.person_id in said and m.person_id not in looks]
    settled = {number for number, words in by_hand.items() if words.person_id is not None}
    seen: dict[int, np.ndarray] = {}
    denied: dict[int, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    sizes = np.bincount(grouping.groups)
    for number, (video, shot, _) in enumerate(where):
        if grouping.model[number] >= 0 or number in settled:
            continue
        group = int(grouping.groups[number])
        seen.setdefault(group, np.zeros(len(spans), bool))[number_of[video, shot]] = True
        if number in by_hand:
            denied[group].update(by_hand[number].denied)
    if not people or not seen:
        return {}
    names = corroboration.corroborate(
        np.stack([*seen.values()]), np.stack([said[person] for person in people]), people,
        # A single face that is somebody else may have strayed into the group.
        np.array([[denied[g][person] > sizes[g] / 2 for person in people] for g in seen]), least,
    )  # fmt: skip
    groups = list(seen)
    return {groups[place]: name for place, name in names.items()}


def _settle_names(names: list[Name | None], by_hand: Mapping[int, Said], apart: np.ndarray) -> None:
    """Writes what was said by hand over `names`, and takes away what contradicts it."""
    for number, said in by_hand.items():
        # Nobody is two faces of a frame.
        for other in np.flatnonzero(apart[number]) if said.person_id else ():
            if names[other] and names[other].person_id == said.person_id:
                names[other] = None
    for number, said in by_hand.items():
        if said.person_id is not None:
            names[number] = Name(said.person_id, 1.0, BY_HAND) if said.person_id else None
        elif names[number] and names[number].person_id in said.denied:
            names[number] = None


def _person(
    person_id: str, name: str, rows: Sequence[LabelledTrack], start: float
) -> PersonAnnotation:
    seen: dict[float, tuple[float, float, float, float]] = {}
    for labelled in rows:
        for time, box in zip(labelled.track.times, labelled.track.boxes, strict=True):
            # Rounded, as a table is read by people too.
            seen.setdefault(
                round(max(float(time) - start, 0.0), 3), tuple(round(float(s), 4) for s in box)
            )
    times = tuple(sorted(seen))
    return PersonAnnotation(
        person_id, name, round(max(row.name.confidence for row in rows), 3),
        tuple(dict.fromkeys(row.name.evidence for row in rows)),
        times=times, boxes=tuple(seen[time] for time in times),
    )  # fmt: skip
