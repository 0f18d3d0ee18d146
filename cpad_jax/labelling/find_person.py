"""Finds the moments of videos in which a person of whom there are photos is seen."""

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

# Two frames fall into a moment of a third of a second.
RATE = 6.0
# Shots cut a person's presence into pieces that belong together.
_SAME_MOMENT = 1.0  # Seconds.
# Quality of a photo's best face below which that is told, and its detail: of 120 photos of LFW and
# of another set none had less than 0.33, and faces that were blurred to less than 0.25 scored
# nothing with their own.
_POOR, _UNCLEAR = 0.5, 0.25


@dataclass(frozen=True)
class Moment:
    """A part of a video in which somebody is seen.

    Attributes:
        video: The file.
        start: Seconds from its first frame.
        end: Seconds.
        score: Cosine between the face there and the photos', -1 to 1.
        shown: Seconds at which the face is seen best.
        box: float32 [4], where it is then: ymin xmin ymax xmax as fractions of the picture.
    """

    video: Path
    start: float
    end: float
    score: float
    shown: float
    box: np.ndarray


class PartlyRead(UserError):
    """A video that could be read up to a time only.

    Attributes:
        until: Seconds, when the last frame that was looked at begins.
    """

    def __init__(self, message: str, until: float):
        """Takes why it could not be read on, and up to where it was."""
        super().__init__(message)
        self.until = until


def gather(
    paths: Sequence[str | os.PathLike[str]],
    kind: str,
    set_aside: Callable[[UserError], None],
    tell: Callable[[str], None],
) -> list[Path]:
    """Lists files, each once: those given, and in folders, at any depth, those of a kind.

    Args:
        paths: Files and folders.
        kind: What is wanted of folders, `file_kinds.PICTURE` or `VIDEO`; see `listing`.
        set_aside: Is told of every path that gives none, and why, if another gives one.
        tell: Is told, in a line per folder, what was passed over there.

    Raises:
        UserError: Nothing was found.
    """
    found: list[Path] = []
    wrong: list[str] = []
    for path in map(Path, paths):
        if os.path.isdir(path):
            listed = listing.list_files(path, kind)
            said = listed.summary(path)
            if not listed.files:
                wrong.append(f'{path}: no {kind}s are there' + (f' ({said})' if said else ''))
            elif said:
                tell(said)
            found += listed.files
        elif os.path.isfile(path):
            found.append(path)
        else:
            wrong.append(f'{path}: there is no such file or folder')
    if not found:
        raise UserError('; '.join(wrong))
    for line in wrong:
        set_aside(UserError(line))
    # By whatever spelling or link it is given, a file is one.
    once: dict[str, Path] = {}
    for path in found:
        once.setdefault(os.path.realpath(path), path)
    return list(once.values())


def describe(
    photos: Iterable[Path],
    detector: faces.FaceDetector,
    embedder: FaceEmbedder,
    set_aside: Callable[[UserError], None],
    tell: Callable[[str], None],
) -> np.ndarray:
    """Makes one feature of the photos of a person.

    Which faces are the person's, `faces.agreeing_faces` chooses by the embedder's threshold.

    Args:
        photos: Files that show the person.
        detector: What finds faces.
        embedder: What embeds them.
        set_aside: Is told of every photo that cannot be used, and why.
        tell: Is told, in a line, which of several faces is used, and that photos which are used
            seem to show different people.

    Returns:
        float32 [F] of length 1: the mean over the photos, weighted by quality.

    Raises:
        UserError: None of the photos can be used.
    """
    paths, found, features, weights = [], [], [], []
    for path in photos:
        try:
            image, seen, turned = face_turns.upright_faces(images.read_image(path), detector)
            seen = faces.large_faces(seen, path)
        except UserError as error:
            set_aside(error)
            continue
        paths.append(path)
        found.append(seen)
        features.append(embedder.embed(image, seen))
        # A face that shows nothing still counts where there is no better one.
        weights.append([max(face_quality(image, face), 1e-3) for face in seen])
        if turned:
            tell(f'note: {path}: turned by {turned} degrees clockwise to where its face is upright')
        best = int(np.argmax(weights[-1]))
        detail = face_detail(image, seen[best])
        if max(weights[-1]) < _POOR or detail < _UNCLEAR:
            tell(
                f'warning: {path}: its face is small, blurred or seen from the side (quality '
                f'{weights[-1][best]:.2f}, detail {detail:.2f} of 1), and may find others or '
                'nobody; a better photo helps'
            )
    if not paths:
        raise UserError('none of the photos shows a face; give others (see above)')
    person = faces.agreeing_faces(features, embedder.threshold)
    total, used = np.zeros(embedder.width), []
    for number, (path, chosen) in enumerate(zip(paths, person.faces, strict=True)):
        seen = found[number]
        if chosen is None:
            set_aside(_not_told(path, seen, person.likeness[number], embedder.threshold))
            continue
        total += weights[number][chosen] * features[number][chosen]
        used.append(number)
        if len(seen) > 1:
            tell(f'note: {path}: of {len(seen)} faces, {faces.place(seen[chosen])} is used')
    if not used:
        raise UserError('none of the photos tells whose face is meant; give others (see above)')
    if strange := [n for n in used if person.likeness[n] < embedder.threshold]:
        most = max(person.likeness[n] for n in strange)
        tell(
            f'warning: {", ".join(str(paths[n]) for n in strange)}: not the person in '
            f'{", ".join(str(paths[n]) for n in used if n not in strange)}, as it seems (cosine '
            f'{most:.2f} at most, expected {embedder.threshold:.2f} or more); all are used as if '
            'they were of one: give photos of one person'
        )
    return (total / np.linalg.norm(total)).astype(np.float32)


def _not_told(
    path: Path, seen: Sequence[faces.Face], likeness: float, threshold: float
) -> UserError:
    """Why no face of a photo is taken for the person's."""
    if len(seen) > 1:
        return UserError(
            f'{path}: {len(seen)} faces were found ({"; ".join(map(faces.place, seen))}), and the '
            'other photos do not tell whose is meant; crop the photo to the person who is meant'
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
        person: float32 [F], as `describe` makes it.
        detector: What finds faces.
        embedder: What embeds them, the same as for `person`.
        rate: Frames looked at per second of video, > 0.

    Yields:
        A moment for every face that was followed, whoever it is, as soon as it is lost.

    Raises:
        PartlyRead: The video breaks off; all that was seen up to there has been given by then.
        UserError: As `video.iterate_frames`, at the first frame.
    """
    # The length only tells how far the search is: frames come until there are no more.
    count = max(1, int(np.ceil(media_video.probe(path).duration * rate)))
    ends: dict[float, float] = {}  # When a frame's place is taken by the next, or the video ends.
    broken: list[PartlyRead] = []
    readable = _readable(media_video.iterate_grid(path, rate), ends, broken.append)
    with progress.bar(readable, total=count, stage=path.name[:28], unit='frame') as bar:
        for track in tracks.iterate_tracks(bar, detector, embedder.embed):
            best = int(track.quality.argmax())
            yield Moment(
                video=path,
                start=track.start,
                end=ends[track.end],
                score=float(track.feature @ person),
                shown=float(track.times[best]),
                box=track.boxes[best],
            )
    if broken:
        raise broken[0]


def _readable(
    frames: Iterable[tuple[np.ndarray, float, float]],
    ends: dict[float, float],
    tell: Callable[[PartlyRead], None],
) -> Iterator[tuple[np.ndarray, float]]:
    """The frames before a break, at which they end, so that the faces in view are not lost."""
    until = None
    try:
        for frame, until, end in frames:
            # By the time that a face's track gives, which is of half the precision.
            ends[float(np.float32(until))] = end
            yield frame, until
    except UserError as error:
        if until is None:
            raise
        tell(PartlyRead(str(error), until))


def join(moments: Iterable[Moment], threshold: float) -> list[Moment]:
    """Keeps what scores at least `threshold`, and makes one of moments that follow each other.

    Args:
        moments: Of any videos.
        threshold: Cosine.

    Returns:
        Best first; of moments that were joined, the best one's score and face.
    """
    joined: list[Moment] = []
    kept = [moment for moment in moments if moment.score >= threshold]
    for moment in sorted(kept, key=lambda moment: (str(moment.video), moment.start)):
        last = joined[-1] if joined else None
        if last and last.video == moment.video and moment.start - last.end <= _SAME_MOMENT:
            best = max(last, moment, key=lambda one: one.score)
            joined[-1] = Moment(
                moment.video,
                last.start,
                max(last.end, moment.end),
                best.score,
                best.shown,
                best.box,
            )
        else:
            joined.append(moment)
    return sorted(joined, key=lambda moment: -moment.score)
