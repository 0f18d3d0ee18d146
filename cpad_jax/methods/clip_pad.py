"""CLIP-PAD as rows: queries with a name, with photos, or with both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cpad_jax.methods import clip
from cpad_jax.models.clip_pad_api import PersonalizedCLIP
from cpad_jax.models.person_adapter import padded
from cpad_jax.ranking import scorers
from cpad_jax.ranking.method import (
    CLIP,
    EMBEDDED,
    IMAGE,
    PAD_MEMORY,
    PAD_TEXT,
    PERSON_ONLY,
    TEXT,
    TEXT_IMAGE,
    WRONG_PERSON,
    WRONG_PHOTO,
    Method,
)
from cpad_jax.ranking.query import Query
from cpad_jax.text.prompts import query_text

if TYPE_CHECKING:  # It holds a `QueryEncoder`.
    from cpad_jax.methods.context import EvalContext


class QueryEncoder:
    """Encodes queries for CLIP, CLIP-PAD and their controls.

    Args:
        model: The CLIP-PAD.
        names: person_id → name.
        photos: image_id → face feature [Df].
        references: person_id → image ids of the person's reference photos, best first.
        num_references: Photos per query, at most.
        impostors: person_id → the person whose name and photos "wrong person" and "wrong photo"
            take, as `queries.impostors` draws them; a person without one keeps their own.
        spoiled: For each control of `SPOILED_PHOTOS` to evaluate: image_id → face feature [Df] of
            the altered photo.
    """

    def __init__(
        self,
        model: PersonalizedCLIP,
        names: Mapping[str, str],
        photos: Mapping[str, np.ndarray],
        references: Mapping[str, Sequence[str]],
        num_references: int,
        impostors: Mapping[str, str] | None = None,
        spoiled: Mapping[str, Mapping[str, np.ndarray]] | None = None,
    ):
        self._model, self._names, self._photos = model, names, photos
        self._clip = clip.Encoder(model)
        self._references, self._count = references, num_references
        self._impostors, self._spoiled = dict(impostors or {}), dict(spoiled or {})
        self._memory = {}
        if model.saved.memory is not None:
            self._memory = dict(zip(model.saved.names, model.saved.memory, strict=True))

    def with_controls(
        self, impostors: Mapping[str, str], spoiled: Mapping[str, Mapping[str, np.ndarray]]
    ) -> QueryEncoder:
        """The same encoder for controls as well; arguments as in the class."""
        return QueryEncoder(
            self._model,
            self._names,
            self._photos,
            self._references,
            self._count,
            impostors,
            spoiled,
        )

    @property
    def methods(self) -> tuple[Method, ...]:
        """The methods that this model supports."""
        return tuple(m for m in EMBEDDED if m != PAD_MEMORY or self._memory)

    def encode(self, method: Method, queries: Sequence[Query]) -> np.ndarray:
        """Encodes queries.

        Args:
            method: One of `methods`, or a control of CLIP or CLIP-PAD.
            queries: Q queries.

        Returns:
            float32 [Q, D], L2-normalised.
        """
        if method.name == CLIP.name:
            return self._clip.encode(method, queries)
        texts = [self._text(method, query) for query in queries]
        names = [self._name(method, query) for query in queries]
        if method.person_query in (IMAGE, TEXT_IMAGE):
            features = self._spoiled.get(method.control or '', self._photos)
            tokens = self._face_tokens(
                [self._photos_of(method, query) for query in queries], features
            )
            if method.person_query == TEXT_IMAGE:
                tokens = self._model.with_names(names, tokens)
        elif method == PAD_MEMORY:
            default = self._model.default_token
            tokens = np.stack([self._memory.get(name, default) for name in names])
        else:
            tokens = self._model.name_tokens(names)
        return self._model.encode_queries(texts, tokens)

    def _name(self, method: Method, query: Query) -> str:
        if method == WRONG_PERSON:
            return self._names[self._impostors.get(query.person_id, query.person_id)]
        return query.name

    def _text(self, method: Method, query: Query) -> str:
        name = None
        if method.person_query in (TEXT, TEXT_IMAGE):
            name = self._name(method, query)
            if method.name == PAD_TEXT.name and self._model.knows(name):
                name = None  # The token carries it.
        action, place = query.action, query.place
        if method == PERSON_ONLY:
            action = place = None
        return query_text(name, action, place, person_token=True)

    def _photos_of(self, method: Method, query: Query) -> tuple[str, ...]:
        if method in (WRONG_PERSON, WRONG_PHOTO) and query.person_id in self._impostors:
            return tuple(self._references[self._impostors[query.person_id]][: self._count])
        return query.references

    def _face_tokens(
        self, photos: Sequence[tuple[str, ...]], features: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """Photos (image ids) of each query → tokens [Q, K, W]."""
        # Many queries share a person and the photos: their token is computed once.
        different = sorted(set(photos))
        faces = [[features[image_id] for image_id in ids] for ids in different]
        width = len(next(iter(features.values())))
        tokens = self._model.tokens(*padded(faces, width, self._count))
        rows = {ids: row for row, ids in enumerate(different)}
        return tokens[[rows[ids] for ids in photos]]


def make(method: Method, context: EvalContext) -> scorers.Cosine:
    """The row of a form of the query.

    Args:
        method: `PAD_TEXT`, `PAD_MEMORY`, `PAD_IMAGE` or `PAD_TEXT_IMAGE`.
        context: The evaluation.
    """
    return scorers.Cosine(method, context.encoder, context.gallery)
