"""How alike the person that a query asks for is to the people in clips, by their faces alone.

The adapter was taught who is who, and the image tower was not. So faces are not compared by what
the image tower makes of them: photos, and the faces of each person in a clip, become a token each,
and what is compared is what the text tower makes of 'a photo of [TOK]'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cpad_jax.data import detected_faces, readers
from cpad_jax.errors import UserError
from cpad_jax.features import store
from cpad_jax.features.face_tracks import FaceTrackFeatures, face_track_features
from cpad_jax.models import face_features
from cpad_jax.models.clip_pad_api import PersonalizedCLIP
from cpad_jax.models.person_adapter import padded
from cpad_jax.models.pretrained import CLIPModel
from cpad_jax.ranking import exact_scores
from cpad_jax.ranking.query import Query
from cpad_jax.text.prompts import PERSON_TOKEN
from cpad_jax.text.training_phrases import BASE

# Faces of a clip that are looked at, as many as Collaborative Experts see.
FACES_PER_CLIP = 4


def check(model: PersonalizedCLIP) -> None:
    """Says so, rather now than after faces were embedded, where a model cannot read them.

    Raises:
        UserError: The model tells faces by another feature than that of faces in clips.
    """
    if model.face_feature != face_features.CLIP:
        raise UserError(
            f'config.eval.methods: faces in clips are read by {face_features.CLIP!r} and this '
            f'CLIP-PAD reads faces by {model.face_feature!r}: leave methods that look at faces '
            'out, or learn with that face feature'
        )


def clip_tracks(
    config: Any,
    cache: Path,
    clip: CLIPModel,
    clips: readers.ClipReader,
    fingerprint: str,
    detector: detected_faces.Detector | None = None,
) -> FaceTrackFeatures:
    """The faces of a gallery, from the cache or embedded.

    Args:
        config: The configuration; `features.batch_size` and `dtype` are read.
        cache: Folder of features.
        clip: Embeds them.
        clips: The gallery.
        fingerprint: Of its data.
        detector: Finds the faces; None for those that the records mark.
    """
    source: Sequence[Mapping[str, Any]] = clips
    if detector is not None:
        source = detected_faces.DetectedFaces(clips, detector)
        fingerprint = f'{fingerprint}/faces found by {detector.sha256} {detected_faces.VERSION}'
    batch_size = store.at_once(config.features.batch_size, FACES_PER_CLIP)
    return face_track_features(
        source, fingerprint, clip, cache,
        faces_per_clip=FACES_PER_CLIP, batch_size=batch_size, dtype=config.dtype,
        stage='embedding faces of clips' if detector is None else 'finding faces in clips',
    )  # fmt: skip


class ClipFaces:
    """Everybody in every clip, ready to be compared with somebody.

    Args:
        model: Makes tokens of faces, and embeds them.
        clips: Faces of the N clips.

    Raises:
        UserError: See `check`.
    """

    def __init__(self, model: PersonalizedCLIP, clips: FaceTrackFeatures):
        check(model)
        self._model, self._count = model, len(clips.tracks)
        seen = [
            (number, faces[own == person])
            for number, (faces, own) in enumerate(zip(clips.faces, clips.tracks, strict=True))
            for person in np.unique(own[own >= 0])
        ]
        # [S, D] people as they are seen in one clip each, in the order of the clips.
        self._seen = self.said([faces for _, faces in seen])
        self._clips, self._first = np.unique([number for number, _ in seen], return_index=True)

    def said(self, people: Sequence[np.ndarray]) -> np.ndarray:
        """What is said of people by photos, of each face features [R, Df]: float64 [P, D]."""
        features, weights = padded(people, self._model.saved.config.face_width)
        return self.said_of(self._model.tokens(features, weights))

    def said_of(self, tokens: np.ndarray) -> np.ndarray:
        """What is said of people by their tokens [P, K, W]: float64 [P, D] on the grid."""
        texts = [BASE.format(PERSON_TOKEN)] * len(tokens)
        return exact_scores.quantise(self._model.encode_queries(texts, tokens))

    def alike(self, said: np.ndarray) -> np.ndarray:
        """How alike the most alike person of each clip is.

        Args:
            said: float64 [P, D], of `said` or `said_of`.

        Returns:
            float64 [P, N], larger is better: cosines but for a factor, exact as in `scores`; NaN
            where a clip shows no face.
        """
        found = np.full((len(said), self._count), np.nan)
        if len(self._clips):
            found[:, self._clips] = np.maximum.reduceat(said @ self._seen.T, self._first, axis=1)
        return found


class FaceMatch:
    """Compares a query's reference photos with everybody in every clip.

    Args:
        faces: Of the clips.
        photos: image_id → face feature [Df] of a reference photo.
    """

    def __init__(self, faces: ClipFaces, photos: Mapping[str, np.ndarray]):
        self.faces, self._photos = faces, photos
        self._wanted: dict[tuple[str, ...], np.ndarray] = {}

    def __call__(self, asked: Sequence[Query]) -> np.ndarray:
        """float64 [Q, N] of `ClipFaces.alike`; many queries share photos."""
        new = sorted({query.references for query in asked} - set(self._wanted))
        photos = [np.stack([self._photos[name] for name in names]) for names in new]
        self._wanted.update(zip(new, self.faces.said(photos), strict=True))
        return self.faces.alike(np.stack([self._wanted[query.references] for query in asked]))
