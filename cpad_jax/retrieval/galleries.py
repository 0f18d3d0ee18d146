"""The clips as they are ranked: whole, and spoiled on purpose for the controls.

A control that still finds what the method finds shows what the method does not need: the order of
frames, all frames but one, the faces.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cpad_jax.media import canvas, images
from cpad_jax.retrieval import queries
from cpad_jax.training import feature_cache

# How far around a face's box is blurred, as a share of the box, so that hair and beard go too.
BLURRED_AROUND = 0.35


class BlurredFaces(Sequence):
    """Clips whose people have no face: everything where a track says that one is, is blurred."""

    def __init__(self, clips: Sequence[Mapping[str, Any]]):
        """Wraps records of the `clips` schema; `frames`, `times` and `people` are read."""
        self._clips = clips

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, number: int) -> dict[str, Any]:
        clip = dict(self._clips[number])
        frames = []
        for frame, time in zip(clip['frames'], clip['times'], strict=True):
            picture = images.decode_jpeg(frame)
            for box in _boxes_at(clip['people'], float(time)):
                blur_face(picture, box)
            frames.append(images.encode_jpeg(picture))
        return clip | {'frames': frames}


def _boxes_at(people: Sequence[Mapping[str, Any]], time: float) -> Iterator[np.ndarray]:
    """Where faces are at a time, from the nearest moment that each track knows."""
    for person in people:
        times = np.asarray(person['tracks']['times'])
        if len(times):
            yield np.asarray(person['tracks']['boxes'])[int(np.abs(times - time).argmin())]


def blur_face(picture: np.ndarray, box: Sequence[float]) -> None:
    """Leaves nothing of a face but its colours, in place.

    Args:
        picture: uint8 [H, W, 3].
        box: float [4], ymin xmin ymax xmax in fractions of the picture.
    """
    height, width = picture.shape[:2]
    top, left, bottom, right = np.asarray(box, np.float64) * (height, width, height, width)
    around_y, around_x = BLURRED_AROUND * (bottom - top), BLURRED_AROUND * (right - left)
    rows = slice(max(0, round(top - around_y)), max(0, round(bottom + around_y)))
    columns = slice(max(0, round(left - around_x)), max(0, round(right + around_x)))
    part = picture[rows, columns]
    if part.size:
        picture[rows, columns] = canvas.blur(part, max(1.0, 0.4 * (bottom - top)))


def embed_galleries(
    clips: Sequence[Mapping[str, Any]],
    fingerprint: str,
    clip: Any,
    directory: Path,
    controls: Sequence[queries.Method],
    *,
    frames_per_clip: int,
    batch_size: int,
    dtype: str,
    seed: int,
) -> dict[str | None, np.ndarray]:
    """Embeds all clips, and once more for each control that needs other ones.

    Args:
        clips: Records of the `clips` schema by number.
        fingerprint: Changes with them.
        clip: A `PretrainedCLIP`.
        directory: Of the feature cache.
        controls: Those of `queries.SPOILED_CLIPS` that are wanted; others are no matter here.
        frames_per_clip: As in `feature_cache.clip_features`.
        batch_size: Frames at once.
        dtype: As in `feature_cache.clip_features`.
        seed: Of the order that shuffled frames have.

    Returns:
        None → [N, D] of the clips as they are; the name of a control → [N, D], of length 1.
    """
    options = {
        'frames_per_clip': frames_per_clip,
        'batch_size': batch_size // frames_per_clip,
        'dtype': dtype,
    }
    whole = feature_cache.clip_features(clips, fingerprint, clip, directory, **options)
    found: dict[str | None, np.ndarray] = {None: whole.embeddings}
    if queries.FIRST_FRAME in controls:
        first = whole.frames[:, :1]
        found[queries.FIRST_FRAME.control] = feature_cache.mean_direction(first)
    if queries.SHUFFLED_FRAMES in controls:
        order = np.random.default_rng((seed, 8)).random(whole.frames.shape[:2]).argsort(axis=1)
        shuffled = np.take_along_axis(whole.frames, order[..., None], axis=1)
        found[queries.SHUFFLED_FRAMES.control] = feature_cache.mean_direction(shuffled)
    if queries.BLURRED_FACES in controls:
        found[queries.BLURRED_FACES.control] = feature_cache.clip_features(
            BlurredFaces(clips), f'{fingerprint}/faces blurred', clip, directory, **options,
            stage='embedding clips without faces',
        ).embeddings  # fmt: skip
    return found
