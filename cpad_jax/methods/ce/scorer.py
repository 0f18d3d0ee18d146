"""Collaborative Experts as a row of the table."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cpad_jax.data import readers
from cpad_jax.errors import UserError
from cpad_jax.features.store import FeatureStore
from cpad_jax.methods.ce import export
from cpad_jax.methods.ce import model as ce_model
from cpad_jax.methods.ce.features import ClipExperts, clip_experts
from cpad_jax.methods.context import EvalContext
from cpad_jax.models import face_features
from cpad_jax.models.person_adapter import padded
from cpad_jax.models.pretrained import CLIPModel
from cpad_jax.models.word_embeddings import WordReader
from cpad_jax.ranking import metrics
from cpad_jax.ranking.method import CE
from cpad_jax.ranking.query import Query
from cpad_jax.text.prompts import query_text


class ExpertsScorer:
    """Ranks by 'a person …' and the reference photos of a query, or without any.

    Args:
        saved: The trained CE.
        clip: The CLIP whose features it reads.
        experts: Features of the gallery.
        photos: image_id → face feature [Df].
        num_references: Photos per query, at most.
    """

    method = CE

    def __init__(
        self,
        saved: export.SavedCE,
        clip: CLIPModel,
        experts: ClipExperts,
        photos: Mapping[str, np.ndarray],
        num_references: int,
    ):
        self._encoder = ce_model.Encoder(saved.config, saved.variables)
        self._clips = self._encoder.clips(experts.features, experts.present)
        self._present = experts.present
        self._read = WordReader(clip)
        self._photos, self._count = photos, num_references

    def ranks(self, queries: Sequence[Query]) -> list[np.ndarray]:
        """See `scorers.Scorer`."""
        return metrics.relevant_ranks(self.score(queries), [q.relevant for q in queries])

    def score(self, queries: Sequence[Query]) -> np.ndarray:
        """Similarities of queries and clips, −1 to 1: float32 [Q, N].

        A query without references is about no particular person.
        """
        texts = [query_text(None, q.action, q.place, person_token=False) for q in queries]
        different = sorted(set(texts))
        words, mask = self._read(different)
        rows = [different.index(text) for text in texts]
        references = [[self._photos[name] for name in q.references[: self._count]] for q in queries]
        photos, photo_weights = padded(references, self._encoder.config.face_width, self._count)
        vectors, weights = self._encoder.queries(words[rows], mask[rows], photos, photo_weights)
        return ce_model.similarity(vectors, weights, self._clips, self._present)


def model_folder(workdir: str | Path) -> Path:
    """The folder of the exported model within the workdir of a training of CE."""
    return Path(workdir) / 'model'


def make(context: EvalContext) -> ExpertsScorer:
    """The row of the Collaborative Experts of `config.eval.ce`.

    Args:
        context: Of the evaluation.

    Raises:
        UserError: There is no CE, it reads another CLIP, or faces have another feature.
    """
    config, model = context.config, context.model
    if model.face_feature != face_features.CLIP:
        raise UserError(
            f'config.eval.ce: CE reads faces by {face_features.CLIP!r} and this CLIP-PAD by '
            f'{model.face_feature!r}: leave config.eval.ce out, or train with that face feature'
        )
    saved = export.load_model(model_folder(config.eval.ce), model.clip.sha256)
    experts = gallery(saved, context.store, context.clips)
    return ExpertsScorer(saved, model.clip, experts, context.photos, config.eval.num_references)


def gallery(saved: export.SavedCE, store: FeatureStore, clips: readers.ClipReader) -> ClipExperts:
    """The experts' features of a gallery, of as many frames and faces as in training."""
    store = dataclasses.replace(store, frames_per_clip=saved.frames_per_clip)
    return clip_experts(store, clips, saved.faces_per_clip)
