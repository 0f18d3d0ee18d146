"""Id-CLIP: a translator from faces to [TOK] and nothing else, beside a CLIP that stays as it is.

After Messina et al., "Towards Identity-Aware Cross-Modal Retrieval: a Dataset and a Baseline" (ECIR
2025): two matrices with a ReLU between them, learned by a symmetric InfoNCE between phrases such as
"An image with [TOK]" and pictures, at a fixed temperature. It learns from the photos that identity
learning saw, when it is first asked for, and is then kept among the features.
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
from cpad_jax.features import array_store, store
from cpad_jax.features.statistics import face_statistics
from cpad_jax.features.store import IdentityFeatures
from cpad_jax.methods import pseudo_words
from cpad_jax.methods.context import Setting
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

_TOGETHER = 100  # Steps per call of the compiled program.


class Translator(nn.Module):
    """Turns faces into tokens: Linear(Df, W), ReLU, Linear(W, W), both without bias.

    Attributes:
        text_width: W.
    """

    text_width: int

    @nn.compact
    def __call__(self, faces: jax.Array) -> jax.Array:
        """Faces [B, Df], see `directions` → [B, 1, W]."""
        # The paper's framework draws so where nothing else is said.
        draw = nn.initializers.variance_scaling(1 / 3, 'fan_in', 'uniform')
        dense = functools.partial(nn.Dense, self.text_width, use_bias=False, kernel_init=draw)
        return dense(name='out')(nn.relu(dense(name='hidden')(faces)))[:, None]


def directions(features: Any, weights: Any, centre: Any) -> jax.Array:
    """Sets of face features as the translator reads them.

    The paper's face features are ArcFace's, whose mean over people is near zero; CLIP's are brought
    there first.

    Args:
        features: float [P, R, Df].
        weights: float [P, R], see `person_adapter.pool`.
        centre: float [Df], the mean of face features of length 1.

    Returns:
        float32 [P, Df] of length 1.
    """
    return unit(pool(features, weights) - centre)


def draw_batches(labels: np.ndarray, steps: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Which photos each step looks at, every photo once per epoch.

    Args:
        labels: int [M], who the photos show.
        steps: How many batches.
        rng: Source of chance.

    Returns:
        `image`, the photo to be found, `face`, another one of the same person (the same where there
        is no other), and `phrase`, a row of `PHRASES`: int [steps, B] each.
    """
    count = len(labels)
    size = min(BATCH, count)
    epochs = -(-steps // (count // size))
    images = [rng.permutation(count)[: count // size * size] for _ in range(epochs)]
    image = np.concatenate(images).reshape(-1, size)[:steps]
    order = np.argsort(labels, kind='stable')
    starts, own = np.searchsorted(labels[order], labels), np.bincount(labels)[labels]
    place = np.argsort(order)  # Where a photo stands among those of everybody, by person.
    # A step of 1 … own − 1 along the person's photos, back to the first behind the last.
    step = 1 + (rng.random(image.shape) * (own[image] - 1)).astype(np.int64)
    face = order[starts[image] + (place[image] - starts[image] + step) % own[image]]
    return {'image': image, 'face': face, 'phrase': rng.integers(len(PHRASES), size=image.shape)}


def learn(
    clip: CLIPModel, features: IdentityFeatures, *, steps: int, rate: float, seed: int
) -> dict[str, Any]:
    """Learns the translator from cached features.

    Args:
        clip: The frozen CLIP.
        features: Of the training photos, by this CLIP.
        steps: How many, >= 1.
        rate: AdamW's learning rate, the same throughout.
        seed: Of weights and batches.

    Returns:
        `translator`, its parameters, and `centre` [Df], see `directions`.
    """
    translator = Translator(clip.config.text.width)
    centre, _ = face_statistics(features.faces)
    faces, images = jnp.asarray(features.faces), jnp.asarray(features.images)
    ids = jnp.asarray(clip.tokenize([phrase.format(PERSON_TOKEN) for phrase in PHRASES]))
    labels = jnp.asarray(features.labels)
    frozen = {name: own for name, own in clip.params.items() if name != 'visual'}
    optimiser = optax.adamw(rate, weight_decay=0.01)

    def loss(params: Any, batch: Mapping[str, jax.Array], frozen: Any) -> jax.Array:
        shown = directions(faces[batch['face']][:, None], jnp.ones((len(batch['face']), 1)), centre)
        tokens = translator.apply({'params': params}, shown)
        said = clip_pad.encode_query(clip.model, frozen, ids[batch['phrase']], tokens)
        whose = labels[batch['image']]
        image = unit(images[batch['image']].astype(jnp.float32))
        return losses.contrastive(said, image, whose, whose, 1 / TEMPERATURE)

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
        for start in range(0, steps, _TOGETHER):
            some = {name: rows[start : start + _TOGETHER] for name, rows in drawn.items()}
            state, values = advance(state, some, frozen)
            bar.set_postfix(loss=f'{float(values.mean()):.3g}', refresh=False)
            bar.update(len(some['image']))
    return {'translator': state[0], 'centre': centre}


def learned(setting: Setting) -> dict[str, Any]:
    """What `learn` makes of the training photos, from the cache or now."""
    clip, features, config = setting.model.clip, setting.training_photos, setting.config
    count = len(features.labels)
    steps = min(MAX_STEPS, EPOCHS * max(1, count // BATCH))
    conditions = {
        **store.conditions(clip, config.dtype, count),
        'method': [VERSION, PHRASES, BATCH, LEARNING_RATE, TEMPERATURE, steps, config.seed],
        'data': setting.trained.fingerprint,
        'face': config.features.face,
    }
    path = array_store.path_of(setting.cache, 'id-clip', conditions)
    kept = array_store.read(path)
    if kept is None:
        found = learn(clip, features, steps=steps, rate=LEARNING_RATE, seed=config.seed)
        kept = {name: np.asarray(own['kernel']) for name, own in found['translator'].items()}
        kept['centre'] = found['centre']
        array_store.write(path, kept)
    translator = {name: {'kernel': kept[name]} for name in ('hidden', 'out')}
    return {'translator': translator, 'centre': kept['centre']}


@dataclasses.dataclass(frozen=True)
class Encoder:
    """Asks by the token that the translator makes of a query's reference photos.

    Attributes:
        clip: The frozen CLIP.
        learned: As `learn` returns it.
        photos: image_id → face feature [Df] of a reference photo.
    """

    clip: CLIPModel
    learned: Mapping[str, Any]
    photos: Mapping[str, np.ndarray]

    def encode(self, method: Method, queries: Sequence[Query]) -> np.ndarray:
        """Embeds queries: float32 [Q, D] of length 1."""
        texts = [query_text(None, q.action, q.place, person_token=True) for q in queries]
        return pseudo_words.say(self.clip, texts, self.tokens([q.references for q in queries]))

    def tokens(self, photos: Sequence[Sequence[str]]) -> np.ndarray:
        """Reference photos (image ids) of each query → tokens float32 [Q, 1, W]."""
        shown = [[self.photos[image_id] for image_id in own] for own in photos]
        features, weights = padded(shown, len(self.learned['centre']))
        faces = directions(features, weights, self.learned['centre'])
        translator = Translator(self.clip.config.text.width)
        return np.asarray(translator.apply({'params': self.learned['translator']}, faces))


def make(setting: Setting) -> scorers.Cosine:
    """The row."""
    encoder = Encoder(setting.model.clip, learned(setting), setting.photos)
    return scorers.Cosine(METHOD, encoder, setting.plain_gallery)
