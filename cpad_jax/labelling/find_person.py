"""Finds the moments of videos in which a person, known from photos, appears."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cpad_jax import progress
from cpad_jax.errors import UserError
from cpad_jax.media import face_turns, faces, images, listing, tracks
from cpad_jax.media import video as media_video
from cpad_jax.media.face_embedding import FaceEmbedder
from cpad_jax.media.face_quality import face_detail, face_quality

# Sampled frames per second: two frames in a third of a second.
RATE = 6.0
# Longest gap between two shots of one moment.
_SAME_MOMENT = 1.0  # Seconds.
# Quality and detail of a photo's best face below which a warning is printed. Of 120 photos of LFW
# and of another data set none had less detail than 0.33; faces blurred to less than 0.25 no longer
# match their originals.
_LOW_QUALITY, _LOW_DETAIL = 0.5, 0.25


@dataclass(frozen=True)
class Moment:
    """A part of a video in which a person appears.

    Attributes:
        video: The file.
        start: Seconds from its first frame.
        end: Seconds.
        score: Cosine between its face and the photos', -1 to 1.
        best_time: Seconds of the best view of the face.
        box: float32 [4], its box then: ymin xmin ymax xmax as fractions of the picture.
    """

    video: Path
    start: float
    end: float
    score: float
    best_time: float
    box: np.ndarray


class PartialVideoError(UserError):
    """A video that can be read only up to a time.

    Attributes:
        until: Start of the last frame that was read, seconds.
    """

    def __init__(self, message: str, until: float):
        """Stores the reason, and the time up to which the video was read."""
        super().__init__(message)
        self.until = until


def list_inputs(
    paths: Sequence[str | os.PathLike[str]],
    kind: str,
    reject: Callable[[UserError], None],
    report: Callable[[str], None],
) -> list[Path]:
    """Lists files without duplicates: those given, and in folders, at any depth, those of a kind.

    Args:
        paths: Files and folders.
        kind: Kind of files in folders, `file_kinds.PICTURE` or `VIDEO`; see `listing`.
        reject: Called with an error for every path without files, if another path has some.
        report: Called with one line per folder that names the skipped files.

    Raises:
        UserError: No path has files.
    """
    files: list[Path] = []
    empty: list[str] = []
    for path in map(Path, paths):
        if os.path.isdir(path):
            listed = listing.list_files(path, kind)
            summary = listed.summary(path)
            if not listed.files:
                empty.append(f'{path}: no {kind}s are there' + (f' ({summary})' if summary else ''))
            elif summary:
                report(summary)
            files += listed.files
        elif os.path.isfile(path):
            files.append(path)
        else:
            empty.append(f'{path}: there is no such file or folder')
    if not files:
        raise UserError('; '.join(empty))
    for line in empty:
        reject(UserError(line))
    # Spellings of and links to the same file count once.
    unique: dict[str, Path] = {}
    for path in files:
        unique.setdefault(os.path.realpath(path), path)
    return list(unique.values())


def embed_person(
    photos: Iterable[Path],
    detector: faces.FaceDetector,
    embedder: FaceEmbedder,
    reject: Callable[[UserError], None],
    report: Callable[[str], None],
) -> np.ndarray:
    """Computes one feature from the photos of a person.

    `faces.agreeing_faces` chooses the person's faces by the embedder's threshold.

    Args:
        photos: Files that show the person.
        detector: Finds faces.
        embedder: Embeds them.
        reject: Called with an error for every photo that cannot be used.
        report: Called with one line for a choice between several faces, and for photos that seem to
            show different people.

    Returns:
        float32 [F], L2-normalised: the mean over the photos, weighted by quality.

    Raises:
        UserError: None of the photos can be used.
    """
    paths, photo_faces, features, weights = [], [], [], []
    for path in photos:
        try:
            image, detected, turned = face_turns.upright_faces(images.read_image(path), detector)
            detected = faces.large_faces(detected, path)
        except UserError as error:
            reject(error)
            continue
        paths.append(path)
        photo_faces.append(detected)
        features.append(embedder.embed(image, detected))
        # A face of quality 0 still counts if there is no better one.
        weights.append([max(face_quality(image, face), 1e-3) for face in detected])
        if turned:
            report(
                f'note: {path}: turned by {turned} degrees clockwise to where its face is upright'
            )
        best = int(np.argmax(weights[-1]))
        detail = face_detail(image, detected[best])
        if max(weights[-1]) < _LOW_QUALITY or detail < _LOW_DETAIL:
            report(
                f'warning: {path}: its face is small, blurred or seen from the side (quality '
                f'{weights[-1][best]:.2f}, detail {detail:.2f} of 1), and may match others or '
                'no one; a better photo helps'
            )
    if not paths:
        raise UserError('none of the photos shows a face; give others (see above)')
    person = faces.agreeing_faces(features, embedder.threshold)
    total, used = np.zeros(embedder.width), []
    for number, (path, chosen) in enumerate(zip(paths, person.faces, strict=True)):
        detected = photo_faces[number]
        if chosen is None:
            reject(_no_face_chosen(path, detected, person.likeness[number], embedder.threshold))
            continue
        total += weights[number][chosen] * features[number][chosen]
        used.append(number)
        if len(detected) > 1:
            position = faces.place(detected[chosen])
            report(f'note: {path}: of {len(detected)} faces, {position} is used')
    if not used:
        raise UserError('none of the photos determines whose face is meant; give others (above)')
    if outliers := [n for n in used if person.likeness[n] < embedder.threshold]:
        highest = max(person.likeness[n] for n in outliers)
        report(
            f'warning: {", ".join(str(paths[n]) for n in outliers)}: not the person in '
            f'{", ".join(str(paths[n]) for n in used if n not in outliers)}, as it seems '
            f'(cosine {highest:.2f} at most, expected {embedder.threshold:.2f} or more); all are '
            'used as if they were of one: give photos of one person'
        )
    return (total / np.linalg.norm(total)).astype(np.float32)


def _no_face_chosen(
    path: Path, detected: Sequence[faces.Face], likeness: float, threshold: float
) -> UserError:
    """The error for a photo of which no face was chosen."""
    if len(detected) > 1:
        return UserError(
            f'{path}: {len(detected)} faces were found ({"; ".join(map(faces.place, detected))}), '
            'and the other photos do not determine whose is meant; crop the photo to the '
            'person who is meant'
        )
    return UserError(
        f'{path}: not the person in most of the photos, as it seems (cosine {likeness:.2f}, '
        f'expected {threshold:.2f} or more); if it is, search with this photo alone'
    )


def find_moments(
    path: Path,
    person: np.ndarray,
    detector: faces.FaceDetector,
    embedder: FaceEmbedder,
    rate: float = RATE,
) -> Iterator[Moment]:
    """Scores every face of a video.

    Args:
        path: A video.
        person: float32 [F], from `embed_person`.
        detector: Finds faces.
        embedder: Embeds them, the same as for `person`.
        rate: Sampled frames per second of video, > 0.

    Yields:
        A moment for every face track, of any person, as soon as it has ended.

    Raises:
        PartialVideoError: The video breaks off; all moments before have been yielded.
        UserError: As `video.iterate_frames`, at the first frame.
    """
    # The duration serves the progress bar only: all frames are read.
    count = max(1, int(np.ceil(media_video.probe(path).duration * rate)))
    ends: dict[float, float] = {}  # Start of a frame -> its end.
    breaks: list[PartialVideoError] = []
    frames = _until_break(media_video.iterate_grid(path, rate), ends, breaks.append)
    with progress.bar(frames, total=count, stage=path.name[:28], unit='frame') as bar:
        for track in tracks.iterate_tracks(bar, detector, embedder.embed):
            best = int(track.quality.argmax())
            yield Moment(
                video=path,
                start=track.start,
                end=ends[track.end],
                score=float(track.feature @ person),
                best_time=float(track.times[best]),
                box=track.boxes[best],
            )
    if breaks:
        raise breaks[0]


def _until_break(
    frames: Iterable[tuple[np.ndarray, float, float]],
    ends: dict[float, float],
    report: Callable[[PartialVideoError], None],
) -> Iterator[tuple[np.ndarray, float]]:
    """Yields the frames before a break and ends there, so that open tracks are completed."""
    until = None
    try:
        for frame, until, end in frames:
            # The key has the precision of the times of a face track.
            ends[float(np.float32(until))] = end
            yield frame, until
    except UserError as error:
        if until is None:
            raise
        report(PartialVideoError(str(error), until))


def merge_moments(moments: Iterable[Moment], threshold: float) -> list[Moment]:
    """Keeps moments that score at least `threshold`, and merges consecutive ones.

    Args:
        moments: Moments of any videos.
        threshold: Cosine.

    Returns:
        Moments by decreasing score; merged ones have the score and face of the best.
    """
    merged: list[Moment] = []
    kept = [moment for moment in moments if moment.score >= threshold]
    for moment in sorted(kept, key=lambda moment: (str(moment.video), moment.start)):
        last = merged[-1] if merged else None
        if last and last.video == moment.video and moment.start - last.end <= _SAME_MOMENT:
            best = max(last, moment, key=lambda one: one.score)
            merged[-1] = Moment(
                moment.video,
                last.start,
                max(last.end, moment.end),
                best.score,
                best.best_time,
                best.box,
            )
        else:
            merged.append(moment)
    return sorted(merged, key=lambda moment: -moment.score)
