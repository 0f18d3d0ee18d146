"""Pseudo-words: photos become a token that a frozen CLIP's text tower reads in place of [TOK].

Pic2Word and PALAVRA share a network from embeddings of photos to a token, trained on photos without
names: the text embedding of the token has to match the image embeddings of the photos.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from cpad_jax import progress
from cpad_jax.features import array_store, statistics
from cpad_jax.methods import reference_photos
from cpad_jax.methods.context import EvalContext
from cpad_jax.models import clip_pad, name_adapter
from cpad_jax.models.clip import CLIP
from cpad_jax.models.person_adapter import unit
from cpad_jax.models.pretrained import CLIPModel
from cpad_jax.models.weights import folder
from cpad_jax.ranking.method import Method
from cpad_jax.ranking.query import Query
from cpad_jax.text.prompts import PERSON_TOKEN, query_text
from cpad_jax.training import identity, losses, optimisers

Array = jax.Array

VERSION = 1  # Changed whenever the same photos would give another network.
TEXTS = 64  # Queries encoded at once.


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Training of a network.

    Attributes:
        kind: Name of its file in the cache.
        hidden_width: H.
        photos: R, photos per set.
        phrases: Texts about a set; {} is [TOK].
        pull: Weight of the squared distance to the word 'person', both L2-normalised.
        steps: Number of steps.
        rate: Peak learning rate.
        warmup: Steps of linear warm-up.
        weight_decay: Weight decay of AdamW.
        batch: Sets of photos per step.
    """

    kind: str
    hidden_width: int
    photos: int
    phrases: tuple[str, ...]
    pull: float
    steps: int
    rate: float
    warmup: int = 50
    weight_decay: float = 0.1
    batch: int = 256


class SetEncoder(nn.Module):
    """A DeepSet: a layer per photo, their mean, two layers (Zaheer et al. 2017).

    Attributes:
        text_width: W.
        hidden_width: H.
    """

    text_width: int
    hidden_width: int

    @nn.compact
    def __call__(self, pictures: Array, valid: Array) -> Array:
        """Standardised pictures float [P, R, D] and bool [P, R] → float32 [P, W]."""
        x = nn.relu(nn.Dense(self.hidden_width, name='photo')(pictures))
        x = reference_photos.mean(x, valid)
        x = nn.relu(nn.Dense(self.hidden_width, name='set')(x))
        return nn.Dense(self.text_width, name='out')(x)


class Network:
    """A network from sets of photos to tokens.

    Args:
        recipe: Its training.
        clip: The frozen CLIP.
        images: float [M, D], embeddings of training photos, which standardise all others.

    Attributes:
        params: Parameters of the `SetEncoder`, or None before `fit`.
    """

    def __init__(self, recipe: Recipe, clip: CLIPModel, images: np.ndarray):
        self.recipe, self.clip = recipe, clip
        self.params: Any = None
        table = clip.params['text']['token_embedding']['embedding']
        person = np.asarray(table[name_adapter.word_ids(clip, ['person'])[0]])
        centre, spread = statistics.face_statistics(images)
        # Tokens start at about the norm of word embeddings, and are free to change it.
        length = clip_pad.vocabulary_norm(clip.params, identity.phrase_ids(clip))
        texts = [phrase.format(PERSON_TOKEN) for phrase in recipe.phrases]
        self._fixed = {
            'frozen': {k: v for k, v in clip.params.items() if k != 'visual'},
            'ids': clip.tokenize(texts),
            'centre': centre,
            'spread': spread,
            'length': length * len(person) ** -0.5,
            'person': person,
            'scale': float(jnp.exp(clip.params['logit_scale'])),
        }

    def words(self, pictures: Any, valid: Any) -> Array:
        """L2-normalised pictures [P, R, D] and bool [P, R] → tokens float32 [P, 1, W]."""
        return _words(self.params, self._fixed, pictures, valid, self.recipe)

    def fit(self, images: np.ndarray, groups: np.ndarray, seed: int) -> None:
        """Trains the network.

        Args:
            images: float [M, D], embeddings of photos.
            groups: int [M]; photos of one group may form a set.
            seed: Seed of parameters and batches.
        """
        recipe = self.recipe
        images = np.asarray(unit(jnp.asarray(images, jnp.float32)))
        module = SetEncoder(self.clip.config.text.width, recipe.hidden_width)
        example = images[: recipe.photos][None]
        params = module.init(jax.random.key(seed), example, np.ones(example.shape[:2], bool))
        params = params['params']
        state = _optimiser(recipe).init(params)
        draw = np.random.default_rng((seed, 11))
        order = np.argsort(groups, kind='stable')
        numbers, starts, counts = np.unique(groups[order], return_index=True, return_counts=True)
        with progress.bar(total=recipe.steps, stage=f'learning {recipe.kind}', unit='step') as bar:
            for _ in range(recipe.steps):
                group = draw.integers(len(numbers), size=recipe.batch)
                which = draw.random((recipe.batch, recipe.photos)) * counts[group][:, None]
                rows = order[starts[group][:, None] + which.astype(int)]
                phrase = draw.integers(len(recipe.phrases), size=recipe.batch)
                batch = {'pictures': images[rows], 'group': group, 'phrase': phrase}
                params, state = _step(params, state, self._fixed, batch, recipe, self.clip.model)
                bar.update()
        self.params = jax.tree.map(np.asarray, params)


def _optimiser(recipe: Recipe) -> optax.GradientTransformation:
    schedule = optimisers.warmup_cosine(recipe.rate, recipe.steps, recipe.warmup)
    return optax.adamw(schedule, weight_decay=recipe.weight_decay)


@functools.partial(jax.jit, static_argnames='recipe')
def _words(params: Any, fixed: Any, pictures: Any, valid: Any, recipe: Recipe) -> Array:
    """See `Network.words`."""
    module = SetEncoder(len(fixed['person']), recipe.hidden_width)
    x = (pictures - fixed['centre']) / fixed['spread']
    return fixed['length'] * jnp.asarray(module.apply({'params': params}, x, valid))[:, None]


# At module level, so that it is compiled once for all networks of a recipe.
@functools.partial(jax.jit, static_argnames=('recipe', 'clip'))
def _step(
    params: Any, state: Any, fixed: Any, batch: Any, recipe: Recipe, clip: CLIP
) -> tuple[Any, Any]:
    """One step of AdamW."""

    def loss(params: Any) -> Array:
        valid = jnp.ones(batch['pictures'].shape[:2], bool)
        words = _words(params, fixed, batch['pictures'], valid, recipe)
        texts = clip_pad.encode_query(clip, fixed['frozen'], fixed['ids'][batch['phrase']], words)
        photos = unit(batch['pictures'].mean(axis=1))
        offset = unit(words[:, 0]) - unit(fixed['person'])
        pull = recipe.pull * jnp.mean(jnp.sum(offset**2, axis=-1))
        group = batch['group']
        return losses.contrastive(texts, photos, group, group, fixed['scale']) + pull

    change, state = _optimiser(recipe).update(jax.grad(loss)(params), state, params)
    return optax.apply_updates(params, change), state


def learned(recipe: Recipe, context: EvalContext, by_person: bool) -> Network:
    """The network of a recipe, from the cache or trained now.

    Args:
        recipe: Its training.
        context: The evaluation, whose training photos it is trained on.
        by_person: Whether photos of one person form a set; else each photo is a set.
    """
    photos, clip = context.training_photos, context.model.clip
    groups = photos.labels if by_person else np.arange(len(photos.images))
    network = Network(recipe, clip, photos.images)
    digest = hashlib.sha256(photos.images.tobytes() + groups.astype(np.int64).tobytes())
    path = array_store.path_of(
        context.store.directory,
        recipe.kind,
        dataclasses.asdict(recipe)
        | {
            'version': VERSION,
            'backbone': clip.sha256,
            'dtype': jnp.dtype(clip.model.dtype).name,
            'photos': digest.hexdigest(),
            'seed': context.config.seed,
        },
    )
    cached = array_store.read(path)
    if cached is None:
        network.fit(photos.images, groups, context.config.seed)
        array_store.write(path, folder.flatten(network.params))
    else:
        network.params = folder.unflatten(cached)
    return network


_encode = jax.jit(clip_pad.encode_query, static_argnums=0)


def encode_texts(clip: CLIPModel, texts: Sequence[str], words: np.ndarray) -> np.ndarray:
    """Encodes texts with pseudo-words by plain CLIP.

    Args:
        clip: The frozen CLIP.
        texts: B >= 1 texts with [TOK].
        words: float [B, 1, W].

    Returns:
        float32 [B, D], L2-normalised.
    """
    ids = np.asarray(clip.tokenize(texts))
    frozen = {k: v for k, v in clip.params.items() if k != 'visual'}
    batches = []
    for start in range(0, len(ids), TEXTS):
        rows = np.minimum(np.arange(start, start + TEXTS), len(ids) - 1)
        batches.append(np.asarray(_encode(clip.model, frozen, ids[rows], words[rows])))
    return np.concatenate(batches)[: len(ids)]


@dataclasses.dataclass(frozen=True)
class Encoder:
    """Encodes queries with pseudo-words: '[TOK] hugging someone'.

    Attributes:
        clip: The frozen CLIP.
        words: Computes tokens [Q, 1, W] of queries.
    """

    clip: CLIPModel
    words: reference_photos.PerPerson

    def encode(self, method: Method, queries: Sequence[Query]) -> np.ndarray:
        """Encodes queries: float32 [Q, D], L2-normalised."""
        texts = [query_text(None, q.action, q.place, person_token=True) for q in queries]
        return encode_texts(self.clip, texts, self.words(queries))
