"""Finds the moments of videos in which a person of whom there are photos is seen."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cpad_jax import progress
from cpad_jax.errors import UserError
from cpad_jax.media import faces, images, tracks, video
from cpad_jax.media.face_embedding import FaceEmbedder
from cpad_jax.media.face_quality import face_quality

PHOTO_ENDINGS = ('.jpg', '.jpeg', '.png', '.webp', '.bmp', '.tif', '.tiff', '.gif')
VIDEO_ENDINGS = ('.mp4', '.mov', '.avi', '.mkv', '.m4v', '.webm', '.mpg', '.mpeg', '.mts', '.3gp')

# Two frames fall into a moment of a third of a second.
RATE = 6.0
# Shots cut a person's presence into pieces that belong together.
_SAME_MOMENT = 1.0  # Seconds.


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
    endings: Sequence[str],
    set_aside: Callable[[UserError], None],
) -> list[Path]:
    """Lists files: those given, and in folders, at any depth, those with such an ending.

    Args:
        paths: Files and folders.
        endings: Of the files that are wanted of folders, with the dot, in lower case.
        set_aside: Is told of every path that gives none, and why, if another gives one.

    Raises:
        UserError: Nothing was found.
    """
    found: list[Path] = []
    wrong: list[str] = []
    for path in map(Path, paths):
        if os.path.isdir(path):
            inside = sorted(p for p in path.rglob('*') if p.suffix.lower() in endings)
            files = [p for p in inside if p.is_file()]
            if not files:
                wrong.append(f'{path}: no files are there that end in {" ".join(endings)}')
            found += files
        elif os.path.isfile(path):
            found.append(path)
        else:
            wrong.append(f'{path}: there is no such file or folder')
    if not found:
        raise UserError('; '.join(wrong))
    for line in wrong:
        set_aside(UserError(line))
    return list(dict.fromkeys(found))


def describe(
    photos: Iterable[Path],
    detector: faces.FaceDetector,
    embedder: FaceEmbedder,
    set_aside: Callable[[UserError], None],
) -> np.ndarray:
    """Makes one feature of the photos of a person.

    Args:
        photos: Files, each with the person's face and no other large one.
        detector: What finds faces.
        embedder: What embeds them.
        set_aside: Is told of every photo that cannot be used, and why.

    Returns:
        float32 [F] of length 1: the mean over the photos, weighted by quality.

    Raises:
        UserError: None of the photos can be used.
    """
    total, used = np.zeros(embedder.width), 0
    for path in photos:
        try:
            image = images.read_image(path)
            face = faces.single_face(image, detector, path)
        except UserError as error:
            set_aside(error)
            continue
        # A face that shows nothing still counts where there is no better one.
        total += max(face_quality(image, face), 1e-3) * embedder.embed(image, [face])[0]
        used += 1
    if not used:
        raise UserError('none of the photos shows exactly one face; give others (see above)')
    return (total / np.linalg.norm(total)).astype(np.float32)


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
    info = video.probe(path)
    count = max(1, int(np.ceil(info.duration * rate)))
    frames = video.iterate_frames(path, (number / rate for number in range(count)))
    broken: list[PartlyRead] = []
    readable = _readable(frames, broken.append)
    with progress.bar(readable, total=count, stage=path.name[:28], unit='frame') as bar:
        for track in tracks.iterate_tracks(bar, detector, embedder.embed):
            best = int(track.quality.argmax())
            yield Moment(
                video=path,
                start=track.start,
                # Seen in a frame, a face is there until about the next that is looked at.
                end=max(track.start, min(track.end + 1 / rate, info.duration)),
                score=float(track.feature @ person),
                shown=float(track.times[best]),
                box=track.boxes[best],
            )
    if broken:
        raise broken[0]


def _readable(
    frames: Iterable[tuple[np.ndarray, float]], tell: Callable[[PartlyRead], None]
) -> Iterator[tuple[np.ndarray, float]]:
    """The frames before a break, at which they end, so that the faces in view are not lost."""
    until = None
    try:
        for frame, until in frames:
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
