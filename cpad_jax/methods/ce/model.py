"""Collaborative Experts (Liu, Albanie, Nagrani, Zisserman, BMVC 2019), asked for people by photos.

A clip is what several experts say of it: one vector each, or nothing. A query is words, and photos
of a person if one is asked for. Words become one query vector per expert by NetVLAD and gated
units; the query vector of the faces' expert is a gated unit on the photos instead, which is how
somebody is asked for who has no name here. Similarity is the mean of the experts' cosines, weighted
by what the words say about which expert matters.

Deviations from the paper, which had no person in its queries: the photos, and that an expert may be
missing in a query (no person is asked for) as it may be in a clip.
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

# Whole frames; the people's faces along their tracks; frames in which no face can be seen.
EXPERTS = ('frames', 'faces', 'place')
FACES = EXPERTS.index('faces')

_ROWS = 256  # Queries or clips per call.


@dataclasses.dataclass(frozen=True)
class CEConfig:
    """Sizes.

    Attributes:
        clip_width: D, width of frames' and places' features.
        face_width: Df, width of face features, of tracks as of photos.
        word_width: E, width of word embeddings.
        width: W, what every expert is reduced to.
        clusters: K of NetVLAD.
        ghosts: Clusters that take words in and are dropped.
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
    """Batch normalisation over the rows that are there.

    In training it takes a batch's own mean and variance and writes them to `batch_stats`, where
    `calibrate` averages those of several batches for use afterwards.
    """

    @nn.compact
    def __call__(self, x: Array, present: Array, train: bool) -> Array:
        """[..., W] → [..., W]; `present` bool [...] says which rows count."""
        present = present | ~present.any()  # Of no row at all there is no mean.
        norm = nn.BatchNorm(use_running_average=not train, momentum=0.0)
        return norm(x, mask=present[..., None])


class NetVLAD(nn.Module):
    """Pools a sequence by what is left of its vectors after the cluster centres are taken away.

    Arandjelović et al. 2016; the ghost clusters are of Zhong et al. 2018.

    Attributes:
        clusters: K.
        ghosts: Clusters without a centre, for words that say nothing.
    """

    clusters: int
    ghosts: int

    @nn.compact
    def __call__(self, x: Array, present: Array, train: bool) -> Array:
        """[B, L, E], of which `present` [B, L] says which are there → [B, K · E] of length 1."""
        draw = nn.initializers.normal(x.shape[-1] ** -0.5)
        logits = nn.Dense(self.clusters + self.ghosts, use_bias=False, kernel_init=draw)(x)
        shares = nn.softmax(BatchNorm()(logits, present, train))[..., : self.clusters]
        shares = shares * present[..., None]  # [B, L, K]
        centres = self.param('centres', draw, (self.clusters, x.shape[-1]))
        residuals = jnp.einsum('blk,ble->bke', shares, x) - shares.sum(1)[..., None] * centres
        return unit(unit(residuals).reshape(len(x), -1))


class GatedUnit(nn.Module):
    """Reduces a query to an expert's width, and lets it weigh its own dimensions."""

    width: int

    @nn.compact
    def __call__(self, x: Array, present: Array, train: bool) -> Array:
        """[B, any] → [B, W] of length 1; only rows that are `present` [B] count in training."""
        x = nn.Dense(self.width)(x)
        gate = BatchNorm()(nn.Dense(self.width)(x), present, train)
        return unit(x * nn.sigmoid(gate))


class CollaborativeGating(nn.Module):
    """Lets experts weigh each other's dimensions: what one of them saw says what matters.

    Attributes:
        width: W.
    """

    width: int

    @nn.compact
    def __call__(self, x: Array, present: Array, train: bool) -> Array:
        """[B, X, W], of which `present` bool [B, X] says which are there → the same."""
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
        told = jnp.sum(h * both[..., None], axis=2) / count  # [B, X, W]
        gated = []
        for expert, name in enumerate(EXPERTS):
            own, there = x[:, expert], present[:, expert]
            gate = BatchNorm(name=f'told_{name}')(told[:, expert], there, train)
            gate += BatchNorm(name=f'own_{name}')(
                nn.Dense(self.width, name=f'fc_{name}')(own), there, train
            )
            gated.append(unit(own * nn.sigmoid(gate)))
        return jnp.stack(gated, axis=1)


class CE(nn.Module):
    """The whole model.

    Features are centred and brought to unit spread by constants measured on the training clips
    (`centre_frames`, …): images share most of what a CLIP says about them.
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

    def _standardised(self, expert: int, x: Array) -> Array:
        return (unit(x.astype(jnp.float32)) - self.centres[expert]) / self.spreads[expert]

    def encode_query(
        self, words: Array, spoken: Array, photos: Array, shown: Array, train: bool = False
    ) -> tuple[Array, Array]:
        """Query vectors and the weights of the experts.

        Args:
            words: float [Q, L, E], word embeddings.
            spoken: bool [Q, L], which of them are there.
            photos: float [Q, R, Df], face features of the person asked for.
            shown: float [Q, R] >= 0, how much each photo counts; all 0 if nobody is asked for.
            train: Whether batch normalisation takes the batch's own statistics.

        Returns:
            float32 [Q, X, W] of length 1, and [Q, X] >= 0: 0 for the faces where nobody is asked
            for, otherwise summing to 1 over all experts.
        """
        text = self.netvlad(words.astype(jnp.float32), spoken, train)
        asked = (shown > 0).any(axis=-1)  # [Q]
        always = jnp.ones_like(asked)
        photos = self._standardised(FACES, pool(photos, shown))
        vectors = [
            unit_of(photos, asked, train) if expert == FACES else unit_of(text, always, train)
            for expert, unit_of in enumerate(self.queries)
        ]
        weights = nn.softmax(self.weigh(text))
        return jnp.stack(vectors, axis=1), weights.at[:, FACES].multiply(asked)

    def encode_clip(
        self, features: Mapping[str, Array], present: Array, train: bool = False
    ) -> Array:
        """What the experts say of clips.

        Args:
            features: Expert → float [N, width of it], of any length; whatever where it is missing.
            present: bool [N, X], which experts have something to say.
            train: As in `encode_query`.

        Returns:
            float32 [N, X, W] of length 1; zeros where the expert is missing.
        """
        reduced = []
        for expert, name in enumerate(EXPERTS):
            there = present[:, expert, None]
            # What is missing may be anything, also NaN, which a product with 0 would keep.
            x = self._standardised(expert, jnp.where(there, features[name], 0.0))
            reduced.append(unit(self.reduce[expert](x)) * there)
        return self.gating(jnp.stack(reduced, axis=1), present, train)

    def __call__(self, batch: Mapping[str, Any], train: bool = False) -> Array:
        """Similarities [Q, N] of the queries and the clips of a batch; see `similarity`."""
        queries, weights = self.encode_query(
            batch['words'], batch['spoken'], batch['photos'], batch['shown'], train
        )
        clips = self.encode_clip({n: batch[n] for n in EXPERTS}, batch['present'], train)
        return similarity(queries, weights, clips, batch['present'])


def similarity(queries: Any, weights: Any, clips: Any, present: Any) -> Any:
    """The experts' cosines, averaged over those which both sides have; NumPy or JAX.

    Args:
        queries: float [Q, X, W] of length 1.
        weights: float [Q, X] >= 0, 0 where the query has nothing for an expert.
        clips: float [N, X, W] of length 1.
        present: bool or float [N, X], 1 where the expert says something of the clip.

    Returns:
        [Q, N], −1 to 1: Σ w·a·⟨q, c⟩ / Σ w·a over the experts; 0 where they have none in common.
    """
    there = present.astype(weights.dtype)
    above = (queries * weights[..., None]).reshape(len(queries), -1) @ (
        clips * there[..., None]
    ).reshape(len(clips), -1).T
    below = weights @ there.T
    return above / (below + (below <= 0))


def _example(config: CEConfig) -> dict[str, jax.ShapeDtypeStruct]:
    def shape(*sizes: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(sizes, dtype)

    return {
        'words': shape(2, 1, config.word_width),
        'spoken': shape(2, 1, dtype=bool),
        'photos': shape(2, 1, config.face_width),
        'shown': shape(2, 1),
        'present': shape(2, len(EXPERTS), dtype=bool),
        **{n: shape(2, w) for n, w in zip(EXPERTS, config.expert_widths, strict=True)},
    }


def init(config: CEConfig, rng: Array) -> Any:
    """Freshly drawn `params` and `batch_stats`."""
    zeros = {name: jnp.zeros(a.shape, a.dtype) for name, a in _example(config).items()}
    return jax.jit(CE(config).init)(rng, zeros)


@functools.cache  # Training asks again and again, with other variables.
def _compiled(config: CEConfig) -> tuple[Callable, Callable]:
    apply = CE(config).apply
    return tuple(
        jax.jit(functools.partial(apply, method=name)) for name in ('encode_query', 'encode_clip')
    )


class Encoder:
    """A trained CE that embeds many queries and clips, some at a time."""

    def __init__(self, config: CEConfig, variables: Any):
        """Takes `params` and `batch_stats` of `CE`."""
        self.config, self._variables = config, jax.device_put(variables)
        self._query, self._clip = _compiled(config)

    def queries(
        self, words: np.ndarray, spoken: np.ndarray, photos: np.ndarray, shown: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Query vectors [Q, X, W] and weights [Q, X]; see `CE.encode_query`."""
        found = [
            jax.device_get(self._query(self._variables, *parts))
            for parts in _turns(words, spoken, photos, shown)
        ]
        return tuple(np.concatenate(parts)[: len(words)] for parts in zip(*found, strict=True))

    def clips(self, features: Mapping[str, np.ndarray], present: np.ndarray) -> np.ndarray:
        """Clips as [N, X, W]; see `CE.encode_clip`."""
        found = [
            np.asarray(self._clip(self._variables, dict(zip(EXPERTS, parts, strict=True)), there))
            for *parts, there in _turns(*(features[name] for name in EXPERTS), present)
        ]
        return np.concatenate(found)[: len(present)]


def _turns(*arrays: np.ndarray) -> Iterator[list[np.ndarray]]:
    """Rows in pieces of one size, the last one filled up with copies of its last row."""
    count = len(arrays[0])
    for start in range(0, count, _ROWS):
        rows = np.minimum(np.arange(start, start + _ROWS), count - 1)
        yield [array[rows] for array in arrays]
