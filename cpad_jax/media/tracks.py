"""Faces followed through a shot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from cpad_jax.media.face_quality import face_quality
from cpad_jax.media.faces import Face, FaceDetector, align_face

Embed = Callable[[np.ndarray, Sequence[Face]], np.ndarray]

# A face may be lost for this long (turned away, covered) and is then still the same one.
_MAX_GAP = 1.0  # Seconds.
# In place of a box that moved too far to overlap, a face is known by its features.
_OVERLAP, _NEAR = 0.3, 2.0
_UNLIKE, _ALIKE = 0.2, 0.4


@dataclass(frozen=True, eq=False)
class FaceTrack:
    """One face through one shot.

    Attributes:
        times: float32 [M], seconds from the video's first frame, ascending, M >= 1.
        boxes: float32 [M, 4], ymin xmin ymax xmax as fractions of the picture.
        quality: float32 [M], 0 to 1: how well each face shows who it is.
        feature: float32 [F], L2-normalised: the faces' features, weighted by quality, as one.
        crop: uint8 [S, S, 3] RGB, the face of the best quality, aligned.
    """

    times: np.ndarray
    boxes: np.ndarray
    quality: np.ndarray
    feature: np.ndarray
    crop: np.ndarray

    @property
    def start(self) -> float:
        """Seconds."""
        return float(self.times[0])

    @property
    def end(self) -> float:
        """Seconds at which the last face was seen."""
        return float(self.times[-1])

    def together(self, other: FaceTrack) -> bool:
        """Whether both are seen at one time, and so are two people."""
        return bool(np.intersect1d(self.times, other.times).size)


def track_faces(
    frames: Iterable[tuple[np.ndarray, float]], detector: FaceDetector, embed: Embed
) -> list[FaceTrack]:
    """Follows every face through one shot.

    Args:
        frames: (uint8 [H, W, 3] RGB, seconds), ascending, as `video.iterate_frames` gives them;
            one that comes again, because it is shown for long, is looked at once.
        detector: What finds faces.
        embed: Gives [N, F] for N faces of a picture; those of different people should be about
            orthogonal, as face embedders' are (subtract the mean of many faces from others').

    Returns:
        Tracks in the order in which they start. Faces of one frame are never in one track.
    """
    return sorted(iterate_tracks(frames, detector, embed), key=lambda track: track.start)


def iterate_tracks(
    frames: Iterable[tuple[np.ndarray, float]], detector: FaceDetector, embed: Embed
) -> Iterator[FaceTrack]:
    """As `track_faces`, but gives a track as soon as it has ended, for videos of any length."""
    active: list[_Growing] = []
    last = -np.inf
    for image, time in frames:
        if time <= last:
            continue
        last = time
        ended = [track for track in active if time - track.times[-1] > _MAX_GAP]
        active = [track for track in active if time - track.times[-1] <= _MAX_GAP]
        yield from (track.finish() for track in ended)
        found = detector.detect(image)
        if not found:
            continue
        scale = np.array([*image.shape[:2], *image.shape[:2]], np.float32)
        boxes = np.stack([face.box for face in found])
        features = _unit(np.asarray(embed(image, found), np.float32))
        chosen = _assign(active, boxes / scale, features, time, scale)
        for number, face in enumerate(found):
            track = chosen.get(number)
            if track is None:
                track = _Growing()
                active.append(track)
            track.add(image, face, time, boxes[number] / scale, features[number])
    yield from (track.finish() for track in active)


@dataclass(eq=False)
class _Growing:
    """A track that may go on."""

    times: list[float] = field(default_factory=list)
    boxes: list[np.ndarray] = field(default_factory=list)
    quality: list[float] = field(default_factory=list)
    total: np.ndarray | float = 0.0
    last: np.ndarray | None = None
    crop: np.ndarray | None = None

    def add(
        self, image: np.ndarray, face: Face, time: float, box: np.ndarray, feature: np.ndarray
    ) -> None:
        quality = face_quality(image, face)
        if not self.quality or quality > max(self.quality):
            self.crop = align_face(image, face)
        self.times.append(time)
        self.boxes.append(box)
        self.quality.append(quality)
        # A face that shows nothing still counts where there is no better one.
        self.total = self.total + max(quality, 1e-3) * feature
        self.last = feature

    def expected(self, time: float) -> np.ndarray:
        """Where the face is at `time` if it goes on moving, for as long as it has been watched."""
        if len(self.boxes) < 2:
            return self.boxes[-1]
        step = self.times[-1] - self.times[-2]
        ahead = min(time - self.times[-1], step) / step
        before, last = _middle(self.boxes[-2]), _middle(self.boxes[-1])
        return self.boxes[-1] + np.tile(ahead * (last - before), 2)

    def finish(self) -> FaceTrack:
        return FaceTrack(
            times=np.array(self.times, np.float32),
            boxes=np.stack(self.boxes).astype(np.float32),
            quality=np.array(self.quality, np.float32),
            feature=_unit(self.total[None])[0].astype(np.float32),
            crop=self.crop,
        )


def _assign(
    active: list[_Growing], boxes: np.ndarray, features: np.ndarray, time: float, scale: np.ndarray
) -> dict[int, _Growing]:
    """Which face goes on which track: the surest pairs first, each face and track once."""
    pairs = []
    for row, track in enumerate(active):
        # A head that turns looks less and less like what it was, but like a moment ago.
        likeness = np.maximum(features @ _unit(track.total[None])[0], features @ track.last)
        places = np.stack([track.boxes[-1], track.expected(time)])
        for number, box in enumerate(boxes):
            overlap = max(_overlap(place * scale, box * scale) for place in places)
            near = min(_distance(place * scale, box * scale) for place in places) < _NEAR
            same = overlap >= _OVERLAP and likeness[number] >= _UNLIKE
            if same or (near and likeness[number] >= _ALIKE):
                pairs.append((overlap + float(likeness[number]), number, row))
    chosen: dict[int, _Growing] = {}
    taken = set()
    for _, number, row in sorted(pairs, reverse=True):
        if number not in chosen and row not in taken:
            chosen[number] = active[row]
            taken.add(row)
    return chosen


def _unit(features: np.ndarray) -> np.ndarray:
    return features / np.maximum(np.linalg.norm(features, axis=-1, keepdims=True), 1e-12)


def _middle(box: np.ndarray) -> np.ndarray:
    return (box[:2] + box[2:]) / 2


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union."""
    common = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0))
    return float(common / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - common))


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    """Between the middles, in sides of the larger box; boxes of another size are far away."""
    sides = np.sqrt(np.prod(a[2:] - a[:2])), np.sqrt(np.prod(b[2:] - b[:2]))
    if max(sides) > 2 * min(sides):
        return np.inf
    return float(np.linalg.norm(_middle(a) - _middle(b)) / max(sides))
