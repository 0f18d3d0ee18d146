"""Scores of clips on a scale that all queries share, so that one threshold may serve them all.

A row of the table may bring every query to its own mean and spread, since it only ranks. Whether
anything matches is decided by a score as it is; so what is added up here is first divided by a
number that is the same for every query.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from cpad_jax.methods.face_similarity import FaceSimilarity, NameSimilarity
from cpad_jax.methods.querybank import ActionPlace, QueryBank
from cpad_jax.models.clip_pad_api import PersonalizedCLIP
from cpad_jax.ranking import method, scorers
from cpad_jax.ranking.query import Query
from cpad_jax.text.prompts import query_text


class OpenSetScorer(Protocol):
    """Scores a gallery.

    Attributes:
        name: Of the row.
    """

    name: str

    def queries(self, asked: Sequence[Query]) -> np.ndarray:
        """Queries → float [Q, N], larger is better."""

    def people(self, tokens: np.ndarray, words: Sequence[ActionPlace]) -> list[np.ndarray]:
        """People who are in no query, by their tokens [S, K, W] → for each words float [S, N]."""


@dataclasses.dataclass(frozen=True)
class TextScorer:
    """Cosines of what a text with [TOK] says, by name and photos.

    Attributes:
        model: The model.
        encoder: Embeds queries.
        gallery: float32 [N, D] of length 1.
    """

    model: PersonalizedCLIP
    encoder: scorers.Encoder
    gallery: np.ndarray
    name: str = method.PAD_TEXT_IMAGE.name

    def queries(self, asked: Sequence[Query]) -> np.ndarray:
        """See `Asker`."""
        return self.encoder.encode(method.PAD_TEXT_IMAGE, asked) @ self.gallery.T

    def people(self, tokens: np.ndarray, words: Sequence[ActionPlace]) -> list[np.ndarray]:
        """See `Asker`."""
        texts = [query_text(None, *said, person_token=True) for said in words]
        return [
            self.model.encode_queries([text] * len(tokens), tokens) @ self.gallery.T
            for text in texts
        ]


@dataclasses.dataclass(frozen=True)
class FusedScorer:
    """The sum of what a text with [TOK] says, of what is done whoever does it, and of faces.

    Attributes:
        text: Says the first.
        bank: Says the second.
        match: Compares faces.
        words: How much it counts what is done.
        faces: How much it counts who is seen.
        spreads: Of text and faces over the gallery, each the mean over queries of strangers.
    """

    text: TextScorer
    bank: QueryBank
    match: FaceSimilarity
    words: float
    faces: float
    spreads: tuple[float, float]
    name: str = method.WITH_FACES.name

    def queries(self, asked: Sequence[Query]) -> np.ndarray:
        """See `Asker`."""
        seen = _filled(self.match(asked))
        return self._sum(self.text.queries(asked), self.bank(asked), seen)

    def people(self, tokens: np.ndarray, words: Sequence[ActionPlace]) -> list[np.ndarray]:
        """See `Asker`."""
        seen = _impostors(self.match, tokens)
        done = self.bank.log_posterior(words)
        found = self.text.people(tokens, words)
        return [self._sum(text, own, seen) for text, own in zip(found, done, strict=True)]

    def _sum(self, text: np.ndarray, done: np.ndarray, seen: np.ndarray) -> np.ndarray:
        by_text, by_faces = self.spreads
        # What is the same of every clip says nothing.
        found = text / by_text if by_text else np.zeros_like(text)
        found = found + self.words * done
        return found + self.faces * seen / by_faces if by_faces else found


def fused_scorer(
    text: TextScorer,
    bank: QueryBank,
    match: FaceSimilarity,
    strangers: np.ndarray,
    every: Sequence[ActionPlace],
    options: Mapping[str, float],
) -> FusedScorer:
    """Measures how far scores spread.

    Args:
        text: Of the gallery.
        bank: Of the gallery.
        match: Of the gallery.
        strangers: float32 [S, K, W], tokens of people who are in no query.
        every: The words that queries have.
        options: `config.eval.with_faces`.
    """
    said = [found.std(axis=1).mean() for found in text.people(strangers, every)]
    seen = _impostors(match, strangers).std(axis=1).mean()
    return FusedScorer(text, bank, match, **options, spreads=(float(np.mean(said)), float(seen)))


@dataclasses.dataclass(frozen=True)
class NameFusedScorer:
    """The sum of what is done whoever does it, and of names as plain CLIP reads them on faces.

    Attributes:
        match: Compares names and faces.
        bank: Says what is done.
        strangers: Names of the people whom `people` is asked for, in their order.
        faces: How much it counts who is seen.
        spread: Of faces over the gallery, the mean over strangers.
    """

    match: NameSimilarity
    bank: QueryBank
    strangers: Sequence[str]
    faces: float
    spread: float
    name: str = method.CLIP_FACES.name

    def queries(self, asked: Sequence[Query]) -> np.ndarray:
        """See `Asker`."""
        return self._sum(self.bank(asked), _filled(self.match(asked)))

    def people(self, tokens: np.ndarray, words: Sequence[ActionPlace]) -> list[np.ndarray]:
        """See `Asker`; these people have names, so their tokens are not looked at."""
        del tokens
        seen = _filled(self.match.similarity(self.strangers))
        return [self._sum(own, seen) for own in self.bank.log_posterior(words)]

    def _sum(self, done: np.ndarray, seen: np.ndarray) -> np.ndarray:
        return done + self.faces * seen / self.spread if self.spread else done + 0 * seen


def name_fused_scorer(
    match: NameSimilarity, bank: QueryBank, strangers: Sequence[str], faces: float
) -> NameFusedScorer:
    """Measures how far scores of faces spread.

    Args:
        match: Of the gallery.
        bank: Of the gallery.
        strangers: Names of people who are in no query.
        faces: `config.eval.clip_name_on_faces.faces`.
    """
    spread = float(_filled(match.similarity(strangers)).std(axis=1).mean())
    return NameFusedScorer(match, bank, strangers, faces, spread)


def _impostors(match: FaceSimilarity, tokens: np.ndarray) -> np.ndarray:
    """How alike people are of whom there are tokens [S, K, W] and no photos: [S, N]."""
    return _filled(match.faces.similarity(match.faces.encode_tokens(tokens)))


def _filled(seen: np.ndarray) -> np.ndarray:
    """Scores [Q, N]; a clip that cannot be judged is as good as the others on the mean."""
    known = ~np.isnan(seen)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    mean = np.where(known, seen, 0).sum(axis=1, keepdims=True) / count
    return np.where(known, seen, mean)
