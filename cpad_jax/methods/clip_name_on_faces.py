"""CLIP + faces: plain CLIP reads the name on the same face crops, without training and photos.

How near a name is to the faces in a clip is CLIP's own knowledge of who that is. The prompt is the
name alone, by which plain CLIP finds most (`tools/judge.py difficulty`). Fused with the same bank
of words as late fusion, it says what of that row, and of CLIP-PAD + faces, looking at faces from
near brings by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cpad_jax.features.face_tracks import FaceTrackFeatures
from cpad_jax.models.pretrained import CLIPModel
from cpad_jax.ranking import exact_scores
from cpad_jax.ranking.query import Query


class NameMatch:
    """Compares a name with everybody in every clip.

    Args:
        clip: Plain CLIP, which embedded the faces, too.
        clips: Faces of the N clips.
    """

    def __init__(self, clip: CLIPModel, clips: FaceTrackFeatures):
        self._clip, self._count = clip, len(clips.tracks)
        seen = [
            (number, _mean_direction(faces[own == person]))
            for number, (faces, own) in enumerate(zip(clips.faces, clips.tracks, strict=True))
            for person in np.unique(own[own >= 0])
        ]
        # [S, D] people as they are seen in one clip each, in the order of the clips.
        self._seen = exact_scores.quantise(np.stack([face for _, face in seen])) if seen else None
        self._clips, self._first = np.unique([number for number, _ in seen], return_index=True)
        self._said: dict[str, np.ndarray] = {}

    def alike(self, names: Sequence[str]) -> np.ndarray:
        """How near the person of each clip is that is nearest to the name.

        Args:
            names: P names.

        Returns:
            float64 [P, N], larger is better: cosines but for a factor, exact as in `scores`; NaN
            where a clip shows no face.
        """
        found = np.full((len(names), self._count), np.nan)
        if self._seen is None or not len(names):
            return found
        new = sorted(set(names) - set(self._said))
        if new:
            ids = self._clip.tokenize(new)
            embedded = exact_scores.quantise(
                np.asarray(self._clip.encode_text(ids, normalize=True))
            )
            self._said.update(zip(new, embedded, strict=True))
        said = np.stack([self._said[name] for name in names])
        found[:, self._clips] = np.maximum.reduceat(said @ self._seen.T, self._first, axis=1)
        return found

    def __call__(self, asked: Sequence[Query]) -> np.ndarray:
        """float64 [Q, N] of `alike`, by the names that queries ask for."""
        return self.alike([query.name for query in asked])


def _mean_direction(faces: np.ndarray) -> np.ndarray:
    """One direction for the faces [R, D] of somebody in a clip: float32 [D] of length 1."""
    faces = faces.astype(np.float32)
    faces = faces / np.maximum(np.linalg.norm(faces, axis=1, keepdims=True), 1e-12)
    total = faces.sum(axis=0)
    return total / max(float(np.linalg.norm(total)), 1e-12)
