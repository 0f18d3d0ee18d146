"""Scores of clips on a scale that all queries share, so that one threshold may serve them all.

A row of the table may standardise every query by itself, since it only ranks. Rejection compares
scores with one threshold; so terms are divided by a number that all queries share before they are
added.
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

    @property
    def name(self) -> str:
        """See the class."""
        ...

    def queries(self, queries: Sequence[Query]) -> np.ndarray:
        """Queries → float [Q, N], larger is better."""
        ...

    def people(self, tokens: np.ndarray, words: Sequence[ActionPlace]) -> list[np.ndarray]:
        """Tokens [S, K, W] of people who are in no query → for each of `words` float [S, N]."""
        ...


@dataclasses.dataclass(frozen=True)
class TextScorer:
    """Cosines of a text with [TOK], by name and photos.

    Attributes:
        model: The model.
        encoder: Embeds queries.
        gallery: float32 [N, D] L2-normalised.
    """

    model: PersonalizedCLIP
    encoder: scorers.Encoder
    gallery: np.ndarray
    name: str = method.PAD_TEXT_IMAGE.name

    def queries(self, queries: Sequence[Query]) -> np.ndarray:
        """See `OpenSetScorer`."""
        return self.encoder.encode(method.PAD_TEXT_IMAGE, queries) @ self.gallery.T

    def people(self, tokens: np.ndarray, words: Sequence[ActionPlace]) -> list[np.ndarray]:
        """See `OpenSetScorer`."""
        texts = [query_text(None, *pair, person_token=True) for pair in words]
        return [
            self.model.encode_queries([text] * len(tokens), tokens) @ self.gallery.T
            for text in texts
        ]


@dataclasses.dataclass(frozen=True)
class FusedScorer:
    """The sum of a text with [TOK], of action and place whoever it is, and of faces.

    Attributes:
        text: Scores the first.
        bank: Scores the second.
        match: Compares faces.
        words: Weight of the bank.
        faces: Weight of the faces.
        spreads: Of text and faces over the gallery, each the mean over queries of the cohort.
    """

    text: TextScorer
    bank: QueryBank
    match: FaceSimilarity
    words: float
    faces: float
    spreads: tuple[float, float]
    name: str = method.WITH_FACES.name

    def queries(self, queries: Sequence[Query]) -> np.ndarray:
        """See `OpenSetScorer`."""
        faces = _filled(self.match(queries))
        return self._sum(self.text.queries(queries), self.bank(queries), faces)

    def people(self, tokens: np.ndarray, words: Sequence[ActionPlace]) -> list[np.ndarray]:
        """See `OpenSetScorer`."""
        faces = _impostors(self.match, tokens)
        done = self.bank.log_posterior(words)
        texts = self.text.people(tokens, words)
        return [self._sum(*pair, faces) for pair in zip(texts, done, strict=True)]

    def _sum(self, text: np.ndarray, done: np.ndarray, faces: np.ndarray) -> np.ndarray:
        by_text, by_faces = self.spreads
        # A score that is the same for every clip carries no information.
        scores = text / by_text if by_text else np.zeros_like(text)
        scores = scores + self.words * done
        return scores + self.faces * faces / by_faces if by_faces else scores


def fused_scorer(
    text: TextScorer,
    bank: QueryBank,
    match: FaceSimilarity,
    cohort: np.ndarray,
    every: Sequence[ActionPlace],
    options: Mapping[str, float],
) -> FusedScorer:
    """Measures how far scores spread.

    Args:
        text: Of the gallery.
        bank: Of the gallery.
        match: Of the gallery.
        cohort: float32 [S, K, W], tokens of people who are in no query.
        every: The words that queries have.
        options: `config.eval.with_faces`.
    """
    by_text = [scores.std(axis=1).mean() for scores in text.people(cohort, every)]
    by_faces = _impostors(match, cohort).std(axis=1).mean()
    spreads = float(np.mean(by_text)), float(by_faces)
    return FusedScorer(text, bank, match, options['words'], options['faces'], spreads)


@dataclasses.dataclass(frozen=True)
class NameFusedScorer:
    """The sum of action and place, whoever it is, and of names as plain CLIP reads them on faces.

    Attributes:
        match: Compares names and faces.
        bank: Scores action and place.
        cohort: Names of the people whose tokens `people` is given, in their order.
        faces: Weight of the faces.
        spread: Spread of the faces over the gallery, the mean over the cohort.
    """

    match: NameSimilarity
    bank: QueryBank
    cohort: Sequence[str]
    faces: float
    spread: float
    name: str = method.CLIP_FACES.name

    def queries(self, queries: Sequence[Query]) -> np.ndarray:
        """See `OpenSetScorer`."""
        return self._sum(self.bank(queries), _filled(self.match(queries)))

    def people(self, tokens: np.ndarray, words: Sequence[ActionPlace]) -> list[np.ndarray]:
        """See `OpenSetScorer`; these people have names, and their tokens are not read."""
        del tokens
        faces = _filled(self.match.similarity(self.cohort))
        return [self._sum(done, faces) for done in self.bank.log_posterior(words)]

    def _sum(self, done: np.ndarray, faces: np.ndarray) -> np.ndarray:
        return done + self.faces * faces / self.spread if self.spread else done + 0 * faces


def name_fused_scorer(
    match: NameSimilarity, bank: QueryBank, cohort: Sequence[str], faces: float
) -> NameFusedScorer:
    """Measures how far scores of faces spread.

    Args:
        match: Of the gallery.
        bank: Of the gallery.
        cohort: Names of people who are in no query.
        faces: `config.eval.clip_name_on_faces.faces`.
    """
    spread = float(_filled(match.similarity(cohort)).std(axis=1).mean())
    return NameFusedScorer(match, bank, cohort, faces, spread)


def _impostors(match: FaceSimilarity, tokens: np.ndarray) -> np.ndarray:
    """Similarity of people in clips to people given by tokens [S, K, W], without photos: [S, N]."""
    return _filled(match.faces.similarity(match.faces.encode_tokens(tokens)))


def _filled(scores: np.ndarray) -> np.ndarray:
    """Scores [Q, N]; a clip that cannot be judged is as good as the others on the mean."""
    known = ~np.isnan(scores)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    mean = np.where(known, scores, 0).sum(axis=1, keepdims=True) / count
    return np.where(known, scores, mean)
