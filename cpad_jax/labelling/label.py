"""Labels the people in the clips of a title, from photos, subtitles and manual corrections.

Faces are tracked through every shot and grouped by person. Groups similar to the exemplar photos of
one member of the cast get that name; of the rest, those that are on screen when a name is mentioned
get that one. Groups without evidence stay unknown and are left out of the table.
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
from cpad_jax.labelling.corrections import (
    Correction,
    TrackCorrection,
    add_cannot_links,
    by_track,
    constraint_ids,
    find_tracks,
)
from cpad_jax.labelling.exemplars import IdentityModel
from cpad_jax.labelling.identify import Name
from cpad_jax.labelling.subtitles import Mention
from cpad_jax.labelling.whitening import Whitening, common_mean, fit_whitening
from cpad_jax.media.tracks import FaceTrack

# Least mean cosine of two groups of faces that are merged, with features whitened on people and
# with features minus at most their mean: calibrated on drawn worlds.
LINKAGE_THRESHOLD, LINKAGE_THRESHOLD_UNWHITENED = 0.5, 0.6
# Least confidence of a name.
LEAST_CONFIDENCE = 0.5
# Seconds before and after a shot in which a mentioned name counts for it.
_CONTEXT_SECONDS = 1.0
# Descriptions of the evidence for names.
BY_HAND, _PHOTOS, _FACES = 'named by hand', 'exemplar photos', 'faces named by hand'


@dataclasses.dataclass(frozen=True, eq=False)
class LabelledTrack:
    """A face track and its name.

    Attributes:
        video: Name of the video.
        shot: Number of the shot in it.
        track: The face track.
        cluster: Number of its group; 0 is the largest.
        name: Its name, or None.
    """

    video: str
    shot: int
    track: FaceTrack
    cluster: int
    name: Name | None


@dataclasses.dataclass(frozen=True, eq=False)
class Labels:
    """The labels of a title.

    Attributes:
        tracks: All face tracks, by video and time.
        unmatched: Corrections that match no face.
        corrected: Number of faces with corrections.
    """

    tracks: tuple[LabelledTrack, ...]
    unmatched: tuple[Correction, ...]
    corrected: int


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
        cast: The people who may be in it.
        models: Identity models. Those of people outside the cast only train the whitening.
        mentions: Name of a video -> the people who are named or speak in it, with times.
        corrections: Manual corrections, which override all other evidence.
        least_confidence: Least confidence of a name, 0 to 1.
    """
    located = [
        (video, shot, track)
        for video, faces in videos.items()
        for shot, shot_tracks in enumerate(faces.tracks)
        for track in shot_tracks
    ]
    if not located:
        return Labels((), tuple(corrections), 0)
    tracks = [track for _, _, track in located]
    track_videos = [video for video, _, _ in located]
    raw = np.stack([track.feature for track in tracks])
    cannot_link = clusters.co_occurring(tracks, track_videos)
    whitening = _whitening(models, raw, cannot_link)
    features = whitening(raw)
    threshold = LINKAGE_THRESHOLD if whitening.is_full else LINKAGE_THRESHOLD_UNWHITENED
    cast_ids = {member.person_id for member in cast}
    means = {m.person_id: _mean(whitening(m.features)) for m in models if m.person_id in cast_ids}
    evidence = dict.fromkeys(means, _PHOTOS)

    no_thresholds = np.full((len(raw), len(means)), -1.0)
    grouping = _group(features, cannot_link, means, {}, threshold, no_thresholds)
    matched, unmatched = find_tracks(corrections, tracks, track_videos)
    corrected = by_track(matched, grouping.groups)
    if corrected:
        by_model = [*means, None]  # The last for -1.
        assigned = [by_model[model] for model in grouping.model]
        named = {correction.person_id for correction in corrected.values()} - {None, '', *means}
        for person in sorted(named):
            # A person without photos gets a model from the faces that corrections name.
            members = [n for n, correction in corrected.items() if correction.person_id == person]
            means[person], evidence[person] = _mean(features[members]), _FACES
        # One or two faces determine a person's mean poorly, so the faces that they name must reach
        # the cosine at which groups are merged.
        by_person = [threshold if evidence[person] == _FACES else -1.0 for person in means]
        thresholds = np.tile(by_person, (len(raw), 1))
        # So must faces whose assigned name a correction denies: without the most probable name, a
        # person of low similarity would be the most probable one of the rest.
        for number, correction in corrected.items():
            if correction.denied and assigned[number] in (None, *correction.denied):
                thresholds[number] = threshold
        cannot_links = add_cannot_links(corrected, cannot_link)
        grouping = _group(features, cannot_links, means, corrected, threshold, thresholds)

    people = list(means)
    names: list[Name | None] = [
        Name(people[model], float(sure), f'{evidence[people[model]]}: similarity {cosine:.2f}')
        if model >= 0 and sure >= least_confidence
        else None
        for model, cosine, sure in zip(
            grouping.model, grouping.similarity, grouping.confidence, strict=True
        )
    ]
    if mentions:
        from_subtitles = _names_from_subtitles(
            videos, located, grouping, cast, means, mentions, corrected, least_confidence
        )
        names = [name or from_subtitles.get(int(group))
                 for name, group in zip(names, grouping.groups, strict=True)]  # fmt: skip
    _apply_corrections(names, corrected, cannot_link)
    return Labels(
        tuple(
            LabelledTrack(*location, int(group), name)
            for location, group, name in zip(located, grouping.groups, names, strict=True)
        ),
        tuple(unmatched),
        len(corrected),
    )


def annotate(
    labels: Labels,
    videos: Mapping[str, VideoFaces],
    cast: Sequence[CastMember],
    title: str,
    source: str,
) -> list[ClipAnnotation]:
    """Turns labels into the annotation table's rows, one for each shot of each video.

    A video of one shot is one clip with its name; otherwise shot 3 of `a/b.mp4` is `a_b_0003`.

    Args:
        labels: From `label_tracks`.
        videos: Name -> shots and tracks.
        cast: The cast, with the names.
        title: Id of the movie or show.
        source: 'movie' or 'show'.

    Raises:
        UserError: Two clips would have the same name.
    """
    names = {member.person_id: member.name for member in cast}
    by_shot = collections.defaultdict(list)
    for labelled in labels.tracks:
        if labelled.name:
            by_shot[labelled.video, labelled.shot].append(labelled)
    clips, videos_by_clip = [], {}
    for video, faces in videos.items():
        stem = clip_stem(video)
        single_shot = len(faces.shots) == 1
        for shot, (start, end) in enumerate(faces.shots):
            people = collections.defaultdict(list)
            for labelled in by_shot[video, shot]:
                people[labelled.name.person_id].append(labelled)
            clip_id = stem if single_shot else f'{stem}_{shot + 1:04d}'
            if clip_id in videos_by_clip:
                raise UserError(
                    f'{video}: its clip {clip_id} has the name of one of '
                    f'{videos_by_clip[clip_id]}; rename one of the videos'
                )
            videos_by_clip[clip_id] = video
            # A video may be longer than its header states.
            end = max([end, *(row.track.times[-1] for row in by_shot[video, shot])])
            clips.append(
                ClipAnnotation(
                    clip_id, title, source,
                    tuple(_person(who, names[who], rows, start) for who, rows in people.items()),
                    video, start, None if single_shot else float(end),
                )
            )  # fmt: skip
    return clips


def _whitening(
    models: Sequence[IdentityModel], features: np.ndarray, cannot_link: np.ndarray
) -> Whitening:
    people_features = np.zeros((0, features.shape[1]), np.float32)
    if models:
        people = np.repeat(np.arange(len(models)), [len(m.features) for m in models])
        whitening = fit_whitening(np.concatenate([m.features for m in models]), people)
        if whitening:
            return whitening

        people_features = np.stack([model.feature for model in models])
    return Whitening(common_mean(features, cannot_link, people_features))


def _mean(features: np.ndarray) -> np.ndarray:
    mean = features.mean(0)
    return mean / max(float(np.linalg.norm(mean)), 1e-12)


def _group(
    features: np.ndarray,
    cannot_link: np.ndarray,
    means: Mapping[str, np.ndarray],
    corrected: Mapping[int, TrackCorrection],
    threshold: float,
    thresholds: np.ndarray,
) -> identify.Grouping:
    models = np.stack([*means.values()]) if means else np.zeros((0, features.shape[1]), np.float32)
    excluded = np.zeros((len(features), len(means)), bool)
    for number, correction in corrected.items():
        for column, person in enumerate(means):
            excluded[number, column] = correction.excludes(person)
    return identify.group_by_person(
        features, cannot_link, models, excluded, threshold,
        constraint_ids(corrected, len(features)), thresholds,
    )  # fmt: skip


def _names_from_subtitles(
    videos: Mapping[str, VideoFaces],
    located: Sequence[tuple[str, int, FaceTrack]],
    grouping: identify.Grouping,
    cast: Sequence[CastMember],
    means: Mapping[str, np.ndarray],
    mentions: Mapping[str, Sequence[Mention]],
    corrected: Mapping[int, TrackCorrection],
    least: float,
) -> dict[int, Name]:
    """Names for groups without photos, by the people named or speaking while they are on screen."""
    spans = [(video, *span) for video, faces in videos.items() for span in faces.shots]
    shot_numbers = {
        key: number
        for number, key in enumerate(
            (video, shot) for video, faces in videos.items() for shot in range(len(faces.shots))
        )
    }
    mentioned: dict[str, np.ndarray] = {}
    for number, (video, start, end) in enumerate(spans):
        for mention in mentions.get(video, ()):
            # Speakers are in the shots that the cue overlaps, named people in or near them.
            margin = 0.0 if mention.speaks else _CONTEXT_SECONDS
            if mention.start < end + margin and mention.end > start - margin:
                mentioned.setdefault(mention.person_id, np.zeros(len(spans), bool))[number] = True
    people = [m.person_id for m in cast if m.person_id in mentioned and m.person_id not in means]
    named = {n for n, correction in corrected.items() if correction.person_id is not None}
    on_screen: dict[int, np.ndarray] = {}
    denied: dict[int, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    sizes = np.bincount(grouping.groups)
    for number, (video, shot, _) in enumerate(located):
        if grouping.model[number] >= 0 or number in named:
            continue
        group = int(grouping.groups[number])

        on_screen.setdefault(group, np.zeros(len(spans), bool))[shot_numbers[video, shot]] = True
        if number in corrected:
            denied[group].update(corrected[number].denied)
    if not people or not on_screen:
        return {}
    names = corroboration.corroborate(
        np.stack([*on_screen.values()]), np.stack([mentioned[person] for person in people]), people,
        # A single face of another person may be in the group by error.
        np.array([[denied[g][person] > sizes[g] / 2 for person in people] for g in on_screen]),
        least,
    )  # fmt: skip
    groups = list(on_screen)
    return {groups[face]: name for face, name in names.items()}


def _apply_corrections(
    names: list[Name | None], corrected: Mapping[int, TrackCorrection], cannot_link: np.ndarray
) -> None:
    """Overwrites `names` with corrections, and removes names that contradict them."""
    for number, correction in corrected.items():
        # No person has two faces in a frame.
        for other in np.flatnonzero(cannot_link[number]) if correction.person_id else ():
            if names[other] and names[other].person_id == correction.person_id:
                names[other] = None
    for number, correction in corrected.items():
        if correction.person_id is not None:
            names[number] = (
                Name(correction.person_id, 1.0, BY_HAND) if correction.person_id else None
            )
        elif names[number] and names[number].person_id in correction.denied:
            names[number] = None


def _person(
    person_id: str, name: str, rows: Sequence[LabelledTrack], start: float
) -> PersonAnnotation:
    boxes: dict[float, tuple[float, float, float, float]] = {}
    for labelled in rows:
        for time, box in zip(labelled.track.times, labelled.track.boxes, strict=True):
            # Rounded, as people read the table, too.
            boxes.setdefault(
                round(max(float(time) - start, 0.0), 3), tuple(round(float(s), 4) for s in box)
            )
    times = tuple(sorted(boxes))
    return PersonAnnotation(
        person_id, name, round(max(row.name.confidence for row in rows), 3),
        tuple(dict.fromkeys(row.name.evidence for row in rows)),
        times=times, boxes=tuple(boxes[time] for time in times),
    )  # fmt: skip
