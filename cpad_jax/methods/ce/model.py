"""Collaborative Experts (Liu, Albanie, Nagrani, Zisserman, BMVC 2019) with photos of a person.

A clip has one vector of each of several experts, some of which may be missing. A query has words
and, if it is about a person, photos. NetVLAD and gated units map the words to one query vector per
expert; the query vector of the faces expert is a gated unit on the photos instead. Similarity is
the mean of the experts' cosines, with weights predicted from the words.

Deviations from the paper, which had no person in its queries: the photos, and that an expert may be
missing in a query (one without a person) as it may be in a clip.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from cpad_jax.models.person_adapter import pool, unit

Array = jax.Array

# Whole frames; faces of the people along their tracks; frames with blurred faces.
EXPERTS = ('frames', 'faces', 'place')
FACES = EXPERTS.index('faces')

_ROWS = 256  # Queries or clips per call.


@dataclasses.dataclass(frozen=True)
class CEConfig:
    """Sizes.

    Attributes:
        clip_width: D, width of frames' and places' features.
        face_width: Df, width of face features of tracks and photos.
        word_width: E, width of word embeddings.
        width: W, common width of all experts.
        clusters: K of NetVLAD.
        ghosts: Ghost clusters of NetVLAD, which are dropped.
    """

    clip_width: int
    face_width: int
    word_width: int
    width: int = 256
    clusters: int = 16
    ghosts: int = 1

    @property
    def expert_widths(self) -> tuple[int, ...]:
        """Width of each of `EXPERTS`."""
        return self.clip_width, self.face_width, self.clip_width


class BatchNorm(nn.Module):
    """Batch normalisation over the rows that are present.

    In training it uses the mean and variance of the batch and writes them to `batch_stats`, where
    `calibrated` averages those of several batches for use afterwards.
    """

    @nn.compact
    def __call__(self, x: Array, present: Array, train: bool) -> Array:
        """[..., W] → [..., W]; `present` bool [...] masks rows."""
        present = present | ~present.any()  # Without any row the mean is not defined.
        norm = nn.BatchNorm(use_running_average=not train, momentum=0.0)
        return norm(x, mask=present[..., None])


class NetVLAD(nn.Module):
    """Pools a sequence by the residuals of its vectors to cluster centres.

    Arandjelović et al. 2016; the ghost clusters are of Zhong et al. 2018.

    Attributes:
        clusters: K.
        ghosts: Clusters without a centre, for uninformative words.
    """

    clusters: int
    ghosts: int

    @nn.compact
    def __call__(self, x: Array, present: Array, train: bool) -> Array:
        """[B, L, E] with mask `present` [B, L] → [B, K · E], L2-normalised."""
        draw = nn.initializers.normal(x.shape[-1] ** -0.5)
        logits = nn.Dense(self.clusters + self.ghosts, use_bias=False, kernel_init=draw)(x)
        shares = nn.softmax(BatchNorm()(logits, present, train))[..., : self.clusters]
        shares = shares * present[..., None]  # [B, L, K]
        centres = self.param('centres', draw, (self.clusters, x.shape[-1]))
        residuals = jnp.einsum('blk,ble->bke', shares, x) - shares.sum(1)[..., None] * centres
        return unit(unit(residuals).reshape(len(x), -1))


class GatedUnit(nn.Module):
    """Projects a query to the width of an expert, and gates its dimensions by itself."""

    width: int

    @nn.compact
    def __call__(self, x: Array, present: Array, train: bool) -> Array:
        """[B, any] → [B, W], L2-normalised; `present` [B] masks rows in training."""
        x = nn.Dense(self.width)(x)
        gate = BatchNorm()(nn.Dense(self.width)(x), present, train)
        return unit(x * nn.sigmoid(gate))


class CollaborativeGating(nn.Module):
    """Gates the dimensions of each expert by all experts.

    Attributes:
        width: W.
    """

    width: int

    @nn.compact
    def __call__(self, x: Array, present: Array, train: bool) -> Array:
        """[B, X, W] with mask `present` bool [B, X] → [B, X, W]."""
        rows, experts, width = x.shape
        pairs = jnp.concatenate([
            jnp.broadcast_to(x[:, :, None], (rows, experts, experts, width)),
            jnp.broadcast_to(x[:, None], (rows, experts, experts, width)),
        ], axis=-1)  # [B, X, X, 2W]  # fmt: skip
        both = present[:, :, None] & present[:, None]  # [B, X, X]
        h = nn.Dense(self.width)(pairs)
        for _ in range(2):
            h = BatchNorm()(h, both, train)
            h = nn.Dense(self.width)(h * jnp.tanh(nn.softplus(h)))  # Mish.
        count = jnp.maximum(both.sum(axis=2), 1)[..., None]
        pooled = jnp.sum(h * both[..., None], axis=2) / count  # [B, X, W]
        gated = []
        for expert, name in enumerate(EXPERTS):
            vector, mask = x[:, expert], present[:, expert]
            gate = BatchNorm(name=f'pairs_{name}')(pooled[:, expert], mask, train)
            gate += BatchNorm(name=f'self_{name}')(
                nn.Dense(self.width, name=f'fc_{name}')(vector), mask, train
            )
            gated.append(unit(vector * nn.sigmoid(gate)))
        return jnp.stack(gated, axis=1)


class CE(nn.Module):
    """The whole model.

    Features are standardised by constants measured on the training clips (`centre_frames`, …):
    CLIP embeddings of images share most of their direction.
    """

    config: CEConfig

    def setup(self) -> None:
        """Makes the parts."""
        c = self.config
        self.netvlad = NetVLAD(c.clusters, c.ghosts)
        self.weigh = nn.Dense(len(EXPERTS))
        self.queries = [GatedUnit(c.width) for _ in EXPERTS]
        self.reduce = [nn.Dense(c.width) for _ in EXPERTS]
        self.gating = CollaborativeGating(c.width)
        self.centres = [
            self.param(f'centre_{name}', nn.initializers.zeros, (width,))
            for name, width in zip(EXPERTS, c.expert_widths, strict=True)
        ]
        self.spreads = [self.param(f'spread_{name}', nn.initializers.ones, ()) for name in EXPERTS]

    def _standardise(self, expert: int, x: Array) -> Array:
        return (unit(x.astype(jnp.float32)) - self.centres[expert]) / self.spreads[expert]

    def encode_query(
        self,
        words: Array,
        word_mask: Array,
        photos: Array,
        photo_weights: Array,
        train: bool = False,
    ) -> tuple[Array, Array]:
        """Query vectors and the weights of the experts.

        Args:
            words: float [Q, L, E], word embeddings.
            word_mask: bool [Q, L], False for padding.
            photos: float [Q, R, Df], face features of the query's person.
            photo_weights: float [Q, R] >= 0, weights of the photos; all 0 for no person.
            train: Whether batch normalisation uses the statistics of the batch.

        Returns:
            float32 [Q, X, W], L2-normalised, and [Q, X] >= 0: 0 for the faces of queries without a
            person, otherwise summing to 1 over all experts.
        """
        text = self.netvlad(words.astype(jnp.float32), word_mask, train)
        has_person = (photo_weights > 0).any(axis=-1)  # [Q]
        always = jnp.ones_like(has_person)
        photos = self._standardise(FACES, pool(photos, photo_weights))
        vectors = [
            unit_of(photos, has_person, train) if expert == FACES else unit_of(text, always, train)
            for expert, unit_of in enumerate(self.queries)
        ]
        weights = nn.softmax(self.weigh(text))
        return jnp.stack(vectors, axis=1), weights.at[:, FACES].multiply(has_person)

    def encode_clip(
        self, features: Mapping[str, Array], present: Array, train: bool = False
    ) -> Array:
        """Encodes clips.

        Args:
            features: Expert → float [N, width of it], of any norm; any values where it is missing.
            present: bool [N, X], which experts are present.
            train: As in `encode_query`.

        Returns:
            float32 [N, X, W], L2-normalised; zeros where the expert is missing.
        """
        reduced = []
        for expert, name in enumerate(EXPERTS):
            mask = present[:, expert, None]
            # Missing features may be NaN, which a product with 0 would keep.
            x = self._standardise(expert, jnp.where(mask, features[name], 0.0))
            reduced.append(unit(self.reduce[expert](x)) * mask)
        return self.gating(jnp.stack(reduced, axis=1), present, train)

    def __call__(self, batch: Mapping[str, Any], train: bool = False) -> Array:
        """Similarities [Q, N] of the queries and the clips of a batch; see `similarity`."""
        queries, weights = self.encode_query(
            batch['words'], batch['word_mask'], batch['photos'], batch['photo_weights'], train
        )
        clips = self.encode_clip({n: batch[n] for n in EXPERTS}, batch['present'], train)
        return similarity(queries, weights, clips, batch['present'])


def similarity(queries: Any, weights: Any, clips: Any, present: Any) -> Any:
    """Weighted mean of the experts' cosines over those that both sides have; NumPy or JAX.

    Args:
        queries: float [Q, X, W], L2-normalised.
        weights: float [Q, X] >= 0, 0 where the query lacks an expert.
        clips: float [N, X, W], L2-normalised.
        present: bool or float [N, X], 1 where the clip has the expert.

    Returns:
        [Q, N], −1 to 1: Σ w·a·⟨q, c⟩ / Σ w·a over the experts; 0 where they have none in common.
    """
    mask = present.astype(weights.dtype)
    above = (queries * weights[..., None]).reshape(len(queries), -1) @ (
        clips * mask[..., None]
    ).reshape(len(clips), -1).T
    below = weights @ mask.T
    return above / (below + (below <= 0))


def _example(config: CEConfig) -> dict[str, jax.ShapeDtypeStruct]:
    def shape(*sizes: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(sizes, dtype)

    return {
        'words': shape(2, 1, config.word_width),
        'word_mask': shape(2, 1, dtype=bool),
        'photos': shape(2, 1, config.face_width),
        'photo_weights': shape(2, 1),
        'present': shape(2, len(EXPERTS), dtype=bool),
        **{n: shape(2, w) for n, w in zip(EXPERTS, config.expert_widths, strict=True)},
    }


def init(config: CEConfig, rng: Array) -> Any:
    """Initial `params` and `batch_stats`."""
    zeros = {name: jnp.zeros(a.shape, a.dtype) for name, a in _example(config).items()}
    return jax.jit(CE(config).init)(rng, zeros)


@functools.cache  # One compilation serves all variables during training.
def _compiled(config: CEConfig) -> tuple[Callable, Callable]:
    apply = CE(config).apply
    encode_query, encode_clip = (
        jax.jit(functools.partial(apply, method=name)) for name in ('encode_query', 'encode_clip')
    )
    return encode_query, encode_clip


class Encoder:
    """A trained CE that encodes queries and clips in batches."""

    def __init__(self, config: CEConfig, variables: Any):
        """Takes `params` and `batch_stats` of `CE`."""
        self.config, self._variables = config, jax.device_put(variables)
        self._query, self._clip = _compiled(config)

    def queries(
        self,
        words: np.ndarray,
        word_mask: np.ndarray,
        photos: np.ndarray,
        photo_weights: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Query vectors [Q, X, W] and weights [Q, X]; see `CE.encode_query`."""
        batches = [
            jax.device_get(self._query(self._variables, *batch))
            for batch in _batches(words, word_mask, photos, photo_weights)
        ]
        vectors, weights = (np.concatenate(p)[: len(words)] for p in zip(*batches, strict=True))
        return vectors, weights

    def clips(self, features: Mapping[str, np.ndarray], present: np.ndarray) -> np.ndarray:
        """Clips as [N, X, W]; see `CE.encode_clip`."""
        batches = [
            np.asarray(self._clip(self._variables, dict(zip(EXPERTS, batch, strict=True)), mask))
            for *batch, mask in _batches(*(features[name] for name in EXPERTS), present)
        ]
        return np.concatenate(batches)[: len(present)]


def _batches(*arrays: np.ndarray) -> Iterator[list[np.ndarray]]:
    """Batches of rows of one size, the last one padded with copies of its last row."""
    count = len(arrays[0])
    for start in range(0, count, _ROWS):
        rows = np.minimum(np.arange(start, start + _ROWS), count - 1)
        yield [array[rows] for array in arrays]
