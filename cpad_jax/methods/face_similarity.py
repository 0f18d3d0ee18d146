"""Similarity of a query's person to the people in clips, by their faces alone.

Identity is what the adapter has learned, and the image tower has not. So faces are not compared by
their image embeddings: the photos of a query, and the faces of each person in a clip, become one
token each, and the text tower's encodings of 'a photo of [TOK]' are compared. Plain CLIP compares
its embeddings of a name and of the faces instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cpad_jax.errors import UserError
from cpad_jax.features.face_tracks import FaceTrackFeatures
from cpad_jax.models import face_features
from cpad_jax.models.clip_pad_api import PersonalizedCLIP
from cpad_jax.models.person_adapter import padded
from cpad_jax.models.pretrained import CLIPModel
from cpad_jax.ranking import exact_scores
from cpad_jax.ranking.query import Query
from cpad_jax.text.prompts import PERSON_TOKEN
from cpad_jax.text.training_phrases import BASE


def check(face_feature: str) -> None:
    """Refuses a face feature that does not read faces in clips, before they are embedded.

    Raises:
        UserError: It is another one than that of faces in clips.
    """
    if face_feature != face_features.CLIP:
        raise UserError(
            f'config.eval.methods: faces in clips are read by {face_features.CLIP!r} and this '
            f'CLIP-PAD reads faces by {face_feature!r}: leave methods with faces out, or '
            'train with that face feature'
        )


class _PeopleInClips:
    """People of N clips by their face tracks, in the order of the clips.

    Attributes:
        faces: Face features [T, D] of each person in each clip.
    """

    def __init__(self, clips: FaceTrackFeatures):
        self._count = len(clips.tracks)
        people = [
            (number, faces[tracks == person])
            for number, (faces, tracks) in enumerate(zip(clips.faces, clips.tracks, strict=True))
            for person in np.unique(tracks[tracks >= 0])
        ]
        self.faces = [faces for _, faces in people]
        self._clips, self._first = np.unique([number for number, _ in people], return_index=True)

    def best(self, queries: np.ndarray, people: np.ndarray) -> np.ndarray:
        """The largest product over the people of each clip.

        Args:
            queries: float64 [P, D].
            people: float64 [S, D], of each of `faces`.

        Returns:
            float64 [P, N]; NaN where a clip shows no face.
        """
        largest = np.full((len(queries), self._count), np.nan)
        if len(self._clips) and len(queries):
            products = queries @ people.T
            largest[:, self._clips] = np.maximum.reduceat(products, self._first, axis=1)
        return largest


class ClipFaces:
    """All people of all clips, encoded by CLIP-PAD for comparison with a query's person.

    Args:
        model: Makes tokens of faces, and encodes them.
        clips: Faces of the N clips.

    Raises:
        UserError: See `check`.
    """

    def __init__(self, model: PersonalizedCLIP, clips: FaceTrackFeatures):
        check(model.face_feature)
        self._model, self._people = model, _PeopleInClips(clips)
        self._encoded = self.encode_people(self._people.faces)

    def encode_people(self, people: Sequence[np.ndarray]) -> np.ndarray:
        """Encodes people by face features [R, Df] of each: float64 [P, D], quantised."""
        features, weights = padded(people, self._model.saved.config.face_width)
        return self.encode_tokens(self._model.tokens(features, weights))

    def encode_tokens(self, tokens: np.ndarray) -> np.ndarray:
        """Encodes people by their tokens [P, K, W]: float64 [P, D], quantised."""
        texts = [BASE.format(PERSON_TOKEN)] * len(tokens)
        return exact_scores.quantise(self._model.encode_queries(texts, tokens))

    def similarity(self, people: np.ndarray) -> np.ndarray:
        """The similarity of the most similar person of each clip.

        Args:
            people: float64 [P, D], of `encode_people` or `encode_tokens`.

        Returns:
            float64 [P, N], larger is better: cosines up to a factor, exact as in `exact_scores`;
            NaN where a clip shows no face.
        """
        return self._people.best(people, self._encoded)


class FaceSimilarity:
    """Compares a query's reference photos with all people in all clips.

    Args:
        faces: Of the clips.
        photos: image_id → face feature [Df] of a reference photo.
    """

    def __init__(self, faces: ClipFaces, photos: Mapping[str, np.ndarray]):
        self.faces, self._photos = faces, photos
        self._encoded: dict[tuple[str, ...], np.ndarray] = {}

    def __call__(self, queries: Sequence[Query]) -> np.ndarray:
        """float64 [Q, N] of `ClipFaces.similarity`; many queries share photos."""
        new = sorted({query.references for query in queries} - set(self._encoded))
        photos = [np.stack([self._photos[name] for name in names]) for names in new]
        self._encoded.update(zip(new, self.faces.encode_people(photos), strict=True))
        return self.faces.similarity(np.stack([self._encoded[q.references] for q in queries]))


class NameSimilarity:
    """Compares a name with all people in all clips by plain CLIP, without training and photos.

    The similarity of a name to the faces in a clip is CLIP's own knowledge of the person. The
    prompt is the name alone, which has the most hits with plain CLIP (`tools/judge.py difficulty`).

    Args:
        clip: Plain CLIP, which embedded the faces as well.
        clips: Faces of the N clips.
    """

    def __init__(self, clip: CLIPModel, clips: FaceTrackFeatures):
        self._clip, self._people = clip, _PeopleInClips(clips)
        faces = [_mean_direction(faces) for faces in self._people.faces]
        # [S, D] people of one clip each.
        self._faces = exact_scores.quantise(np.stack(faces)) if faces else np.zeros((0, 1))
        self._encoded: dict[str, np.ndarray] = {}

    def similarity(self, names: Sequence[str]) -> np.ndarray:
        """The similarity of the person of each clip that is most similar to the name.

        Args:
            names: P names.

        Returns:
            float64 [P, N], larger is better: cosines up to a factor, exact as in `exact_scores`;
            NaN where a clip shows no face.
        """
        new = sorted(set(names) - set(self._encoded)) if self._people.faces else []
        if new:
            ids = self._clip.tokenize(new)
            embedded = np.asarray(self._clip.encode_text(ids, normalize=True))
            self._encoded.update(zip(new, exact_scores.quantise(embedded), strict=True))
        if not self._people.faces or not names:
            return self._people.best(np.zeros((len(names), 1)), self._faces)
        return self._people.best(np.stack([self._encoded[name] for name in names]), self._faces)

    def __call__(self, queries: Sequence[Query]) -> np.ndarray:
        """float64 [Q, N] of `similarity`, by the names of the queries' people."""
        return self.similarity([query.name for query in queries])


def _mean_direction(faces: np.ndarray) -> np.ndarray:
    """The mean direction of the faces [R, D] of a person in a clip: float32 [D], L2-normalised."""
    faces = faces.astype(np.float32)
    faces = faces / np.maximum(np.linalg.norm(faces, axis=1, keepdims=True), 1e-12)
    total = faces.sum(axis=0)
    return total / max(float(np.linalg.norm(total)), 1e-12)
