"""Pre-training of a small CLIP on rendered images with several captions each.

Every caption of a batch is held against every image of it, and counts as a positive of all that it
matches: in drawn worlds many captions of one image are true of others too, which must not be
negatives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cpad_jax.errors import UserError
from cpad_jax.models import clip, pretrained, zoo
from cpad_jax.models.weights import folder, open_clip
from cpad_jax.ranking import metrics
from cpad_jax.synthetic import attributes
from cpad_jax.training import losses
from cpad_jax.training.captioned_shards import Shards

MAX_LOGIT_SCALE = math.log(100.0)
SHIFT = 4  # Pixels by which an image is moved at most, each way.
BRIGHTNESS = 0.2  # Largest relative change of brightness.
CAPTIONS = 2  # Drawn per image and step.


def batch_indices(num_images: int, batch_size: int, seed: int, step: int) -> np.ndarray:
    """Which images step `step` sees: int64 [B], each image at most once per epoch."""
    per_epoch = num_images // batch_size
    epoch, place = divmod(step, per_epoch)
    order = np.random.default_rng((seed, 1, epoch)).permutation(num_images)
    return order[place * batch_size : (place + 1) * batch_size]


def alike_indices(facts: np.ndarray, batch_size: int, rng: np.random.Generator) -> np.ndarray:
    """Draws images that differ in small details only: int64 [B], all different.

    Among images drawn at random the place and the action give many a caption away, and looks are
    hardly needed. So a batch is drawn from one place, from one action in one place, or from the
    portraits, each as often as the others.

    Args:
        facts: int32 [M, P, F], what is true of each image.
        batch_size: B.
        rng: NumPy random generator.

    Returns:
        Numbers of images; of a group smaller than B, the place's others fill up.
    """
    place, doing = (facts[:, 0, attributes.FIELDS.index(field)] for field in ('place', 'doing'))
    kind = rng.integers(3)
    portraits = np.flatnonzero(place == attributes.ABSENT)
    if kind == 2 and len(portraits) >= batch_size:
        return rng.choice(portraits, batch_size, replace=False)
    model = rng.choice(np.flatnonzero(place != attributes.ABSENT))
    same = np.flatnonzero(place == place[model])
    if kind == 1:
        acting = np.flatnonzero((place == place[model]) & (doing == doing[model]))
        same = acting if len(acting) >= batch_size else same
    if len(same) < batch_size:
        same = np.arange(len(facts))
    return rng.choice(same, batch_size, replace=False)


def draw_captions(
    shards: Shards, indices: np.ndarray, rng: np.random.Generator, plain: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """`CAPTIONS` different captions per image, or its plain one.

    Args:
        shards: Where the captions are.
        indices: int [B], which images.
        rng: NumPy random generator.
        plain: Whether to take the last caption of each, which has the fewest claims.

    Returns:
        Token ids int32 [T, L] and claims int32 [T, S, F], T = B · `CAPTIONS`, or B where plain.
    """
    each = shards.captions.shape[1]
    if plain:
        which = np.full((len(indices), 1), each - 1)
    else:
        which = rng.permuted(np.tile(np.arange(each), (len(indices), 1)), axis=1)[:, :CAPTIONS]
    captions = shards.captions[indices[:, None], which]  # [B, captions of each]
    claims = shards.claims[indices[:, None], which]
    return shards.ids[captions.ravel()], claims.reshape(-1, *claims.shape[2:])


def augment(images: jax.Array, rng: jax.Array) -> jax.Array:
    """Random shift, mirror and brightness. No caption mentions left or right.

    Args:
        images: uint8 or float [B, S, S, 3] in 0 … 255.
        rng: Key.

    Returns:
        float32 [B, S, S, 3] in 0 … 255; an image moved by up to ±`SHIFT` pixels repeats its edge.
    """
    batch, size = images.shape[:2]
    shift_rng, mirror_rng, light_rng = jax.random.split(rng, 3)
    shifts = jax.random.randint(shift_rng, (batch, 2), -SHIFT, SHIFT + 1)
    mirrored = jax.random.bernoulli(mirror_rng, 0.5, (batch, 1))
    light = jax.random.uniform(
        light_rng, (batch, 1, 1, 1), minval=1 - BRIGHTNESS, maxval=1 + BRIGHTNESS
    )
    place = jnp.arange(size)
    rows = jnp.clip(place + shifts[:, :1], 0, size - 1)  # [B, S]
    columns = jnp.clip(place + shifts[:, 1:], 0, size - 1)
    columns = jnp.where(mirrored, columns[:, ::-1], columns)
    images = jnp.take_along_axis(images, rows[:, :, None, None], axis=1)
    images = jnp.take_along_axis(images, columns[:, None, :, None], axis=2)
    return jnp.clip(images.astype(jnp.float32) * light, 0, 255)


class Pretraining:
    """The task of `config.task = 'pretrain_clip'`; see `loop.Task`."""

    def __init__(self, config: Any, shards: Shards):
        """Prepares the task.

        Args:
            config: The configuration: `backbone`, `dtype`, `seed`, `train.batch_size` and
                `train.remat`.
            shards: What to learn from.

        Raises:
            UserError: There are fewer images than one batch.
        """
        self.config = config
        self.clip_config = zoo.get(config.backbone)
        self.model = clip.CLIP(
            self.clip_config, dtype=jnp.dtype(config.dtype).type, remat=config.train.remat
        )
        self.shards = shards
        self.batch_size = config.train.batch_size
        if shards.num_images < self.batch_size:
            raise UserError(
                f'{shards.num_images} images are fewer than config.train.batch_size '
                f'({self.batch_size})'
            )

    def init_params(self, rng: jax.Array) -> Any:
        """Freshly drawn towers, or those of `config.train.init_from`.

        The token embedding is drawn as exports expect, which leave out what never changed. Towers
        to go on from may have seen pictures of another size: their positions are resized.

        Raises:
            UserError: They have other sizes.
        """
        if self.config.train.init_from:
            return self._start(pretrained.load_clip(self.config.train.init_from))
        size = self.clip_config.image_size
        pixels = jnp.zeros((1, size, size, 3), jnp.float32)
        ids = jnp.zeros((1, self.clip_config.text.context_length), jnp.int32)
        return jax.jit(self.model.init)(rng, pixels, ids)['params']

    def _start(self, start: pretrained.CLIPModel) -> Any:
        params, positions = folder.flatten(start.params), 'visual/positional_embedding'
        if positions in params:
            old = np.asarray(params[positions])
            params[positions] = open_clip.resize_positions(old, self.clip_config.vision.grid)
        shapes = {name: np.shape(array) for name, array in params.items()}
        expected = folder.parameter_shapes(self.clip_config)
        folder.check_shapes(shapes, expected, self.config.train.init_from, self.clip_config.name)
        return folder.unflatten(params)

    def batches(self, start_step: int) -> Iterator[dict[str, np.ndarray]]:
        """Dicts of `images` uint8 [B, S, S, 3] and their `facts` int32 [B, P, F].

        With them go captions of these images: `ids` int32 [T, L] and `claims` int32 [T, S, F].
        The first `config.train.plain_steps` take plain captions only: fresh towers that have
        to tell looks, names, actions and places apart all at once do not get off the ground.
        """
        step = start_step
        while True:
            rng = np.random.default_rng((self.config.seed, 2, step))
            plain = step < self.config.train.plain_steps
            if not plain and rng.random() < self.config.train.alike:
                indices = alike_indices(self.shards.facts, self.batch_size, rng)
            else:
                indices = batch_indices(
                    self.shards.num_images, self.batch_size, self.config.seed, step
                )
            ids, claims = draw_captions(self.shards, indices, rng, plain)
            yield {
                'images': self.shards.images(indices),
                'facts': self.shards.facts[indices],
                'ids': ids,
                'claims': claims,
            }
            step += 1

    def loss(
        self, params: Any, batch: Mapping[str, jax.Array], rng: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Every image of the batch with every caption: is it true?"""
        image = self._encode(params, self._pixels(augment(batch['images'], rng)), 'encode_image')
        text = self._encode(params, batch['ids'], 'encode_text')
        cosines = jnp.matmul(text, image.T, precision='highest')  # [T, B]
        scale = jnp.exp(params['logit_scale'])
        true = attributes.caption_matches(batch['claims'], batch['facts'])
        return losses.multi_positive(scale * cosines, true), {
            'precision@1': metrics.accuracy(cosines, true),
            'logit_scale': scale,
        }

    def constrain(self, params: Any) -> Any:
        """Keeps the logit scale at 100 or below, as CLIP does."""
        return {**params, 'logit_scale': jnp.minimum(params['logit_scale'], MAX_LOGIT_SCALE)}

    def label_params(self, params: Any) -> Any:
        """One group for everything."""
        return jax.tree.map(lambda _: 'towers', params)

    def export(self, params: Any, directory: Path) -> None:
        """Writes the folder that `cpad_jax.load_clip` reads."""
        folder.save_clip(
            directory, self.clip_config, params, dtype='float16', compact_vocabulary=True
        )

    def _pixels(self, images: jax.Array) -> jax.Array:
        """Images in 0 … 255 as the tower takes them; they are drawn at its size."""
        mean, std = jnp.array(self.clip_config.mean), jnp.array(self.clip_config.std)
        return (images / 255 - mean) / std

    def _encode(self, params: Any, inputs: jax.Array, method: str) -> jax.Array:
        """Unit embeddings [B, D] in float32."""
        embedded = self.model.apply({'params': params}, inputs, method=method)
        embedded = embedded.astype(jnp.float32)
        return embedded / jnp.linalg.norm(embedded, axis=-1, keepdims=True)

    def evaluator(
        self, held_out: Shards, captions: int = 512
    ) -> Callable[[int, Any], dict[str, float]]:
        """Zero-shot retrieval of held-out images by captions, for `loop.run`.

        Args:
            held_out: Images that are not learned from.
            captions: How many of their captions serve as queries.

        Returns:
            (step, params) → `precision@1`, how often the caption is true of the best image, and
            `map`, the mean average precision over all held-out images.
        """
        encode = jax.jit(self._encode, static_argnames='method')

        def embed(params: Any, inputs: np.ndarray, method: str) -> np.ndarray:
            return np.concatenate([
                encode(params, inputs[i : i + self.batch_size], method=method)
                for i in range(0, len(inputs), self.batch_size)
            ])  # fmt: skip

        def evaluate(step: int, params: Any) -> dict[str, float]:
            rng = np.random.default_rng((self.config.seed, 3))  # The same draw every time.
            rows = rng.integers(held_out.num_images, size=-(-captions // CAPTIONS))
            ids, claims = draw_captions(held_out, rows, rng)
            every = np.arange(held_out.num_images)
            pixels = self._pixels(held_out.images(every).astype(np.float32))
            image, text = embed(params, pixels, 'encode_image'), embed(params, ids, 'encode_text')
            true = np.asarray(attributes.caption_matches(claims, held_out.facts))
            means = metrics.mean_retrieval(text @ image.T, true)
            return {'precision@1': means['hit@1'], 'map': means['map']}

        return evaluate
