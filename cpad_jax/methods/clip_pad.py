"""How each method writes and embeds its queries: with a name, with photos, with both, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cpad_jax.models.clip_pad_api import PersonalizedCLIP
from cpad_jax.models.person_adapter import padded
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


class QueryEncoder:
    """Embeds queries for every method.

    Args:
        model: The model that is evaluated.
        names: person_id → name.
        photos: image_id → face feature [Df].
        references: person_id → image ids of photos that may stand for a person, best first.
        num_references: Photos per query, at most.
        stand_ins: person_id → whose name and photos "wrong person" and "wrong photo" take, as
            `queries.impostors` draws them; somebody without one stays, and the control says
            nothing.
        spoiled: For each control of `SPOILED_PHOTOS` that is wanted: image_id → face feature [Df]
            of the photo as the control has it.
    """

    def __init__(
        self,
        model: PersonalizedCLIP,
        names: Mapping[str, str],
        photos: Mapping[str, np.ndarray],
        references: Mapping[str, Sequence[str]],
        num_references: int,
        stand_ins: Mapping[str, str],
        spoiled: Mapping[str, Mapping[str, np.ndarray]] | None = None,
    ):
        self._model, self._names, self._photos = model, names, photos
        self._references, self._count = references, num_references
        self._stand_ins, self._spoiled = stand_ins, dict(spoiled or {})
        self._memory = {}
        if model.saved.memory is not None:
            self._memory = dict(zip(model.saved.names, model.saved.memory, strict=True))

    @property
    def methods(self) -> tuple[Method, ...]:
        """The methods that this model supports."""
        return tuple(m for m in EMBEDDED if m != PAD_MEMORY or self._memory)

    def encode(self, method: Method, queries: Sequence[Query]) -> np.ndarray:
        """Embeds queries.

        Args:
            method: How.
            queries: What.

        Returns:
            float32 [Q, D] of length 1.
        """
        texts = [self._text(method, query) for query in queries]
        names = [self._name(method, query) for query in queries]
        if method.person_query in (IMAGE, TEXT_IMAGE):
            features = self._spoiled.get(method.control, self._photos)
            tokens = self._face_tokens(
                [self._photos_of(method, query) for query in queries], features
            )
            if method.person_query == TEXT_IMAGE:
                tokens = self._model.with_names(names, tokens)
        elif method.name == CLIP.name:  # No [TOK] stands in its queries.
            tokens = np.tile(self._model.default_token, (len(queries), 1, 1))
        elif method == PAD_MEMORY:
            default = self._model.default_token
            tokens = np.stack([self._memory.get(name, default) for name in names])
        else:
            tokens = self._model.name_tokens(names)
        return self._model.encode_queries(texts, tokens)

    def _name(self, method: Method, query: Query) -> str:
        if method == WRONG_PERSON:
            return self._names[self._stand_ins.get(query.person_id, query.person_id)]
        return query.name

    def _text(self, method: Method, query: Query) -> str:
        named = method.person_query in (TEXT, TEXT_IMAGE)
        name = self._name(method, query) if named else None
        if named and method.name == PAD_TEXT.name and self._model.knows(name):
            name = None  # The token says it.
        action, place = query.action, query.place
        if method == PERSON_ONLY:
            action = place = None
        return query_text(name, action, place, person_token=method.name != CLIP.name)

    def _photos_of(self, method: Method, query: Query) -> tuple[str, ...]:
        if method in (WRONG_PERSON, WRONG_PHOTO) and query.person_id in self._stand_ins:
            return tuple(self._references[self._stand_ins[query.person_id]][: self._count])
        return query.references

    def _face_tokens(
        self, photos: Sequence[tuple[str, ...]], features: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """Photos (image ids) of each query → tokens [Q, K, W]."""
        # Many queries share a person and the photos: their token is made once.
        order = sorted(set(photos))
        shown = [[features[image_id] for image_id in ids] for ids in order]
        width = len(next(iter(features.values())))
        made = self._model.tokens(*padded(shown, width, self._count))
        rows = {ids: row for row, ids in enumerate(order)}
        return made[[rows[ids] for ids in photos]]
