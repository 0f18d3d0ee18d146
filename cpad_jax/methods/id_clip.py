"""Id-CLIP: a translator from faces to [TOK] beside a frozen CLIP.

After Messina et al., "Towards Identity-Aware Cross-Modal Retrieval: a Dataset and a Baseline" (ECIR
2025): two matrices with a ReLU between them, learned by a symmetric InfoNCE between phrases such as
"An image with [TOK]" and pictures, at a fixed temperature. It is trained on the photos of identity
learning on first use, and is then kept among the features.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from cpad_jax import progress
from cpad_jax.features import array_store, embedding
from cpad_jax.features.statistics import face_statistics
from cpad_jax.features.store import IdentityFeatures
from cpad_jax.methods import pseudo_words
from cpad_jax.methods.context import EvalContext
from cpad_jax.models import clip_pad
from cpad_jax.models.person_adapter import padded, pool, unit
from cpad_jax.models.pretrained import CLIPModel
from cpad_jax.ranking import scorers
from cpad_jax.ranking.method import IMAGE, Method
from cpad_jax.ranking.query import Query
from cpad_jax.text.prompts import PERSON_TOKEN, query_text
from cpad_jax.training import losses

METHOD = Method('Id-CLIP', IMAGE)
PHRASES = ('An image with {}', 'A picture of {}', '{}')
# As in the paper.
EPOCHS, BATCH, LEARNING_RATE, TEMPERATURE = 10, 32, 5e-5, 0.07
# Ours: ten epochs of a large data set take too long for an evaluation.
MAX_STEPS = 15000
VERSION = 1  # Changed whenever the same photos would give another translator.

_SCANNED = 100  # Steps per call of the compiled program.


class Translator(nn.Module):
    """Turns faces into tokens: Linear(Df, W), ReLU, Linear(W, W), both without bias.

    Attributes:
        text_width: W.
    """

    text_width: int

    @nn.compact
    def __call__(self, faces: jax.Array) -> jax.Array:
        """Faces [B, Df], see `directions` → [B, 1, W]."""
        # The default initialisation of the paper's framework.
        draw = nn.initializers.variance_scaling(1 / 3, 'fan_in', 'uniform')
        dense = functools.partial(nn.Dense, self.text_width, use_bias=False, kernel_init=draw)
        return dense(name='out')(nn.relu(dense(name='hidden')(faces)))[:, None]


def directions(features: Any, weights: Any, centre: Any) -> jax.Array:
    """Sets of face features as the translator reads them.

    The paper's face features are ArcFace's, whose mean over people is near zero; CLIP's are centred
    first.

    Args:
        features: float [P, R, Df].
        weights: float [P, R], see `person_adapter.pool`.
        centre: float [Df], the mean of L2-normalised face features.

    Returns:
        float32 [P, Df], L2-normalised.
    """
    return unit(pool(features, weights) - centre)


def draw_batches(labels: np.ndarray, steps: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draws the photos of each step, every photo once per epoch.

    Args:
        labels: int [M], the person of each photo.
        steps: Number of batches.
        rng: NumPy random generator.

    Returns:
        `image`, the target photo, `face`, another photo of the same person (the same where there is
        no other), and `phrase`, a row of `PHRASES`: int [steps, B] each.
    """
    count = len(labels)
    size = min(BATCH, count)
    epochs = -(-steps // (count // size))
    images = [rng.permutation(count)[: count // size * size] for _ in range(epochs)]
    image = np.concatenate(images).reshape(-1, size)[:steps]
    order = np.argsort(labels, kind='stable')
    starts, counts = np.searchsorted(labels[order], labels), np.bincount(labels)[labels]
    place = np.argsort(order)  # Position of a photo among all photos, sorted by person.
    # A cyclic step of 1 … count − 1 along the person's photos.
    step = 1 + (rng.random(image.shape) * (counts[image] - 1)).astype(np.int64)
    face = order[starts[image] + (place[image] - starts[image] + step) % counts[image]]
    return {'image': image, 'face': face, 'phrase': rng.integers(len(PHRASES), size=image.shape)}


def learn(
    clip: CLIPModel, features: IdentityFeatures, *, steps: int, rate: float, seed: int
) -> dict[str, Any]:
    """Trains the translator on cached features.

    Args:
        clip: The frozen CLIP.
        features: Features of the training photos by this CLIP.
        steps: Number of steps, >= 1.
        rate: Constant learning rate of AdamW.
        seed: Seed of parameters and batches.

    Returns:
        `translator`, its parameters, and `centre` [Df], see `directions`.
    """
    translator = Translator(clip.config.text.width)
    centre, _ = face_statistics(features.faces)
    faces, images = jnp.asarray(features.faces), jnp.asarray(features.images)
    ids = jnp.asarray(clip.tokenize([phrase.format(PERSON_TOKEN) for phrase in PHRASES]))
    labels = jnp.asarray(features.labels)
    frozen = {name: tree for name, tree in clip.params.items() if name != 'visual'}
    optimiser = optax.adamw(rate, weight_decay=0.01)

    def loss(params: Any, batch: Mapping[str, jax.Array], frozen: Any) -> jax.Array:
        drawn = faces[batch['face']][:, None]
        inputs = directions(drawn, jnp.ones(drawn.shape[:2]), centre)
        tokens = jnp.asarray(translator.apply({'params': params}, inputs))
        texts = clip_pad.encode_query(clip.model, frozen, ids[batch['phrase']], tokens)
        people = labels[batch['image']]
        image = unit(images[batch['image']].astype(jnp.float32))
        return losses.contrastive(texts, image, people, people, 1 / TEMPERATURE)

    @jax.jit
    def advance(state: tuple, batches: Mapping[str, jax.Array], frozen: Any) -> tuple:
        def step(state: tuple, batch: Mapping[str, jax.Array]) -> tuple:
            params, moments = state
            value, grads = jax.value_and_grad(loss)(params, batch, frozen)
            updates, moments = optimiser.update(grads, moments, params)
            return (optax.apply_updates(params, updates), moments), value

        return jax.lax.scan(step, state, batches)

    params = translator.init(jax.random.key(seed), jnp.zeros((1, faces.shape[-1])))['params']
    state = params, optimiser.init(params)
    drawn = draw_batches(features.labels, steps, np.random.default_rng((seed, 11)))
    with progress.bar(total=steps, stage='learning Id-CLIP', unit='step') as bar:
        for start in range(0, steps, _SCANNED):
            batches = {name: rows[start : start + _SCANNED] for name, rows in drawn.items()}
            state, values = advance(state, batches, frozen)
            bar.set_postfix(loss=f'{float(values.mean()):.3g}', refresh=False)
            bar.update(len(batches['image']))
    return {'translator': state[0], 'centre': centre}


def learned(context: EvalContext) -> dict[str, Any]:
    """The result of `learn` for the training photos, from the cache or computed now."""
    clip, features, config = context.model.clip, context.training_photos, context.config
    count = len(features.labels)
    steps = min(MAX_STEPS, EPOCHS * max(1, count // BATCH))
    conditions = {
        **embedding.conditions(clip, config.dtype, count),
        'method': [VERSION, PHRASES, BATCH, LEARNING_RATE, TEMPERATURE, steps, config.seed],
        'data': context.trained.fingerprint,
        'face': config.features.face,
    }
    path = array_store.path_of(context.store.directory, 'id-clip', conditions)
    arrays = array_store.read(path)
    if arrays is None:
        result = learn(clip, features, steps=steps, rate=LEARNING_RATE, seed=config.seed)
        arrays = {name: np.asarray(layer['kernel']) for name, layer in result['translator'].items()}
        arrays['centre'] = result['centre']
        array_store.write(path, arrays)
    translator = {name: {'kernel': arrays[name]} for name in ('hidden', 'out')}
    return {'translator': translator, 'centre': arrays['centre']}


@dataclasses.dataclass(frozen=True)
class Encoder:
    """Encodes queries with the translator's token of their reference photos.

    Attributes:
        clip: The frozen CLIP.
        learned: The result of `learn`.
        photos: image_id → face feature [Df] of a reference photo.
    """

    clip: CLIPModel
    learned: Mapping[str, Any]
    photos: Mapping[str, np.ndarray]

    def encode(self, method: Method, queries: Sequence[Query]) -> np.ndarray:
        """Encodes queries: float32 [Q, D], L2-normalised."""
        texts = [query_text(None, q.action, q.place, person_token=True) for q in queries]
        tokens = self.tokens([q.references for q in queries])
        return pseudo_words.encode_texts(self.clip, texts, tokens)

    def tokens(self, photos: Sequence[Sequence[str]]) -> np.ndarray:
        """Reference photos (image ids) of each query → tokens float32 [Q, 1, W]."""
        faces = [[self.photos[image_id] for image_id in ids] for ids in photos]
        features, weights = padded(faces, len(self.learned['centre']))
        inputs = directions(features, weights, self.learned['centre'])
        translator = Translator(self.clip.config.text.width)
        return np.asarray(translator.apply({'params': self.learned['translator']}, inputs))


def make(context: EvalContext) -> scorers.Cosine:
    """The row."""
    encoder = Encoder(context.model.clip, learned(context), context.photos)
    return scorers.Cosine(METHOD, encoder, context.plain_gallery)
