"""How alike the person that a query asks for is to the people in clips, by their faces alone.

The adapter was taught who is who, and the image tower was not. So faces are not compared by what
the image tower makes of them: photos, and the faces of each person in a clip, become a token each,
and what is compared is what the text tower makes of 'a photo of [TOK]'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cpad_jax.errors import UserError
from cpad_jax.models import face_features
from cpad_jax.models.person import padded
from cpad_jax.models.personalised import PersonalisedCLIP
from cpad_jax.retrieval import scores
from cpad_jax.retrieval.scenarios import Query
from cpad_jax.text.prompts import PERSON_TOKEN
from cpad_jax.text.training_phrases import BASE
from cpad_jax.training.face_tracks import FaceTrackFeatures

# Faces of a clip that are looked at, as many as Collaborative Experts see.
FACES_PER_CLIP = 4


def check(model: PersonalisedCLIP) -> None:
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


class FaceMatch:
    """Compares a query's reference photos with everybody in every clip.

    Args:
        model: Makes tokens of faces, and embeds them.
        clips: Faces of the N clips.
        photos: image_id → face feature [Df] of a reference photo.
    """

    def __init__(
        self, model: PersonalisedCLIP, clips: FaceTrackFeatures, photos: Mapping[str, np.ndarray]
    ):
        self._model, self._photos, self._count = model, photos, len(clips.tracks)
        seen = [
            (number, faces[own == person])
            for number, (faces, own) in enumerate(zip(clips.faces, clips.tracks, strict=True))
            for person in np.unique(own[own >= 0])
        ]
        # [S, D] people as they are seen in one clip each, in the order of the clips.
        self._seen = scores.on_grid(self._embed([faces for _, faces in seen]))
        self._clips, self._first = np.unique([number for number, _ in seen], return_index=True)
        self._wanted: dict[tuple[str, ...], np.ndarray] = {}

    def __call__(self, asked: Sequence[Query]) -> np.ndarray:
        """How alike a clip's most alike person is: float64 [Q, N], larger is better.

        Cosines but for a factor, exact as in `scores`; NaN where a clip shows no face.
        """
        found = np.full((len(asked), self._count), np.nan)
        if len(self._clips):
            found[:, self._clips] = np.maximum.reduceat(
                self._people(asked) @ self._seen.T, self._first, axis=1
            )
        return found

    def _people(self, asked: Sequence[Query]) -> np.ndarray:
        """Whom the queries' photos show, float64 [Q, D]; many queries share photos."""
        new = sorted({query.references for query in asked} - set(self._wanted))
        photos = [np.stack([self._photos[name] for name in names]) for names in new]
        self._wanted.update(zip(new, scores.on_grid(self._embed(photos)), strict=True))
        return np.stack([self._wanted[query.references] for query in asked])

    def _embed(self, people: Sequence[np.ndarray]) -> np.ndarray:
        """Sets of face features [R, Df], a person each → float32 [P, D] of length 1."""
        features, weights = padded(people, self._model.saved.config.face_width)
        texts = [BASE.format(PERSON_TOKEN)] * len(people)
        return self._model.encode_queries(texts, self._model.tokens(features, weights))
