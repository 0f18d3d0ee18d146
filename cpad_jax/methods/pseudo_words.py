"""Pseudo-words: photos become a token that a frozen CLIP's text tower reads where [TOK] stands.

What Pic2Word and PALAVRA share: a network from embeddings of photos to a token, learned from the
training photos with nobody's name: the text tower must say of the token what the photos show.
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
from cpad_jax.methods.context import Setting
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
TEXTS = 64  # Queries embedded at once.


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a network is learned.

    Attributes:
        kind: Name of the file that keeps it.
        hidden_width: H.
        photos: R, photos per set.
        phrases: What is said of a set; {} is [TOK].
        pull: Weight of the way from the word 'person', between directions, squared.
        steps: How many.
        rate: Highest learning rate.
        warmup: Steps in which it rises.
        weight_decay: Of AdamW.
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
    def __call__(self, pictures: Array, there: Array) -> Array:
        """Float [P, R, D] of unit spread, bool [P, R] that are there → float32 [P, W]."""
        x = nn.relu(nn.Dense(self.hidden_width, name='photo')(pictures))
        x = reference_photos.mean(x, there)
        x = nn.relu(nn.Dense(self.hidden_width, name='set')(x))
        return nn.Dense(self.text_width, name='out')(x)


class Network:
    """From sets of photos to tokens.

    Args:
        recipe: How it is learned.
        clip: The frozen CLIP.
        images: float [M, D], embeddings of training photos, by which others are centred.

    Attributes:
        params: Of the `SetEncoder`, once there are any.
    """

    def __init__(self, recipe: Recipe, clip: CLIPModel, images: np.ndarray):
        self.recipe, self.clip = recipe, clip
        self.params: Any = None
        table = clip.params['text']['token_embedding']['embedding']
        person = np.asarray(table[name_adapter.word_ids(clip, ['person'])[0]])
        centre, spread = statistics.face_statistics(images)
        # Tokens start at about the length of words, and are free to change it.
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

    def words(self, pictures: Array, there: Array) -> Array:
        """Pictures of length 1, [P, R, D], and bool [P, R] → tokens float32 [P, 1, W]."""
        return _words(self.params, self._fixed, pictures, there, self.recipe)

    def fit(self, images: np.ndarray, groups: np.ndarray, seed: int) -> None:
        """Learns.

        Args:
            images: float [M, D], embeddings of photos.
            groups: int [M]; photos of one number may stand in one set.
            seed: Of the start and of the draws.
        """
        recipe = self.recipe
        images = np.asarray(unit(images.astype(np.float32)))
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
def _words(params: Any, fixed: Any, pictures: Array, there: Array, recipe: Recipe) -> Array:
    """See `Network.words`."""
    module = SetEncoder(len(fixed['person']), recipe.hidden_width)
    x = (pictures - fixed['centre']) / fixed['spread']
    return fixed['length'] * module.apply({'params': params}, x, there)[:, None]


# Of the module, so that it is compiled once for all networks of a recipe.
@functools.partial(jax.jit, static_argnames=('recipe', 'clip'))
def _step(
    params: Any, state: Any, fixed: Any, batch: Any, recipe: Recipe, clip: CLIP
) -> tuple[Any, Any]:
    """One step of AdamW."""

    def loss(params: Any) -> Array:
        there = jnp.ones(batch['pictures'].shape[:2], bool)
        words = _words(params, fixed, batch['pictures'], there, recipe)
        said = clip_pad.encode_query(clip, fixed['frozen'], fixed['ids'][batch['phrase']], words)
        shown = unit(batch['pictures'].mean(axis=1))
        away = unit(words[:, 0]) - unit(fixed['person'])
        pull = recipe.pull * jnp.mean(jnp.sum(away**2, axis=-1))
        group = batch['group']
        return losses.contrastive(said, shown, group, group, fixed['scale']) + pull

    change, state = _optimiser(recipe).update(jax.grad(loss)(params), state, params)
    return optax.apply_updates(params, change), state


def learned(recipe: Recipe, setting: Setting, by_person: bool) -> Network:
    """The network of a recipe, from the cache or learned now.

    Args:
        recipe: How it is learned.
        setting: Whose training photos it is learned from.
        by_person: Whether photos of one person stand in a set; else each photo is its own.
    """
    photos, clip = setting.training_photos, setting.model.clip
    groups = photos.labels if by_person else np.arange(len(photos.images))
    network = Network(recipe, clip, photos.images)
    digest = hashlib.sha256(photos.images.tobytes() + groups.astype(np.int64).tobytes())
    path = array_store.path_of(
        setting.cache,
        recipe.kind,
        dataclasses.asdict(recipe)
        | {
            'version': VERSION,
            'backbone': clip.sha256,
            'dtype': jnp.dtype(clip.model.dtype).name,
            'photos': digest.hexdigest(),
            'seed': setting.config.seed,
        },
    )
    kept = array_store.read(path)
    if kept is None:
        network.fit(photos.images, groups, setting.config.seed)
        array_store.write(path, folder.flatten(network.params))
    else:
        network.params = folder.unflatten(kept)
    return network


_encode = jax.jit(clip_pad.encode_query, static_argnums=0)


def say(clip: CLIPModel, texts: Sequence[str], words: np.ndarray) -> np.ndarray:
    """Embeds texts with pseudo-words by plain CLIP.

    Args:
        clip: The frozen CLIP.
        texts: B >= 1 texts with [TOK].
        words: float [B, 1, W].

    Returns:
        float32 [B, D] of length 1.
    """
    ids = np.asarray(clip.tokenize(texts))
    frozen = {k: v for k, v in clip.params.items() if k != 'visual'}
    found = []
    for start in range(0, len(ids), TEXTS):
        rows = np.minimum(np.arange(start, start + TEXTS), len(ids) - 1)
        found.append(np.asarray(_encode(clip.model, frozen, ids[rows], words[rows])))
    return np.concatenate(found)[: len(ids)]


@dataclasses.dataclass(frozen=True)
class Encoder:
    """Asks by pseudo-words: '[TOK] hugging someone'.

    Attributes:
        clip: The frozen CLIP.
        words: Learns tokens [P, 1, W].
    """

    clip: CLIPModel
    words: reference_photos.PerPerson

    def encode(self, method: Method, queries: Sequence[Query]) -> np.ndarray:
        """Embeds queries: float32 [Q, D] of length 1."""
        texts = [query_text(None, q.action, q.place, person_token=True) for q in queries]
        return say(self.clip, texts, self.words(queries))
