"""Pre-training of a small CLIP on rendered images with several captions each.

Loss: the symmetric InfoNCE of CLIP (Radford et al. 2021), where every caption that says the same as
one of an image's own counts as its positive: drawn worlds repeat themselves, and to push an image
away from its own words would teach nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cpad_jax import progress
from cpad_jax.errors import UserError
from cpad_jax.models import clip, weights, zoo
from cpad_jax.text import tokenizer
from cpad_jax.training import losses

MAX_LOGIT_SCALE = math.log(100.0)
SHIFT = 4  # Pixels by which an image is moved at most, each way.
BRIGHTNESS = 0.2  # Largest relative change of brightness.


class Shards:
    """Images and their captions from `shard-NNNNN.images.npy` and `shard-NNNNN.jsonl`.

    The images stay on disk and are mapped into memory; the captions are tokenised once.

    Attributes:
        num_images: M.
        texts: All different captions, [U].
        ids: Their token ids, int32 [U, L].
        captions: Per image the rows of `ids` that describe it, int32 [M, C], −1 beyond its last.
        counts: Captions per image, int32 [M], >= 1.
        groups: What each image shows, int32 [M, 2]: place and action, −1 for a portrait.
    """

    def __init__(self, paths: list[Path], context_length: int):
        """Opens shards.

        Args:
            paths: The `.images.npy` files, uint8 [n, S, S, 3], each with its `.jsonl` of one list
                of captions per image and its `.groups.npy`.
            context_length: Longest number of tokens.

        Raises:
            UserError: A file is missing or is not of this form.
        """
        self._images = [_open_images(path) for path in paths]
        self._starts = np.cumsum([0] + [len(images) for images in self._images])
        self.num_images = int(self._starts[-1])
        self.groups = np.concatenate(
            [_read_groups(path, len(i)) for path, i in zip(paths, self._images, strict=True)]
        )
        index: dict[str, int] = {}
        rows: list[list[int]] = []
        for path, images in zip(paths, self._images, strict=True):
            for captions in _read_captions(path, len(images)):
                rows.append([index.setdefault(caption, len(index)) for caption in captions])
        self.texts = list(index)
        self.counts = np.array([len(row) for row in rows], np.int32)
        self.captions = np.full((len(rows), self.counts.max()), -1, np.int32)
        for row, numbers in zip(self.captions, rows, strict=True):
            row[: len(numbers)] = numbers
        self.ids = _tokenize(self.texts, context_length)

    def images(self, indices: np.ndarray) -> np.ndarray:
        """The images at `indices` [B], as uint8 [B, S, S, 3]."""
        shards = np.searchsorted(self._starts, indices, side='right') - 1
        return np.stack(
            [
                self._images[shard][index - self._starts[shard]]
                for shard, index in zip(shards, indices, strict=True)
            ]
        )


def _open_images(path: Path) -> np.ndarray:
    try:
        images = np.load(path, mmap_mode='r')
    except (OSError, ValueError) as error:
        raise UserError(f'{path} cannot be read as a NumPy array ({error})') from error
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3 or not len(images):
        raise UserError(
            f'{path} is {images.dtype}{list(images.shape)}, expected uint8 [n, S, S, 3] with n > 0'
        )
    return images


def _read_groups(path: Path, count: int) -> np.ndarray:
    """What each image of a shard shows, int32 [count, 2], checked."""
    path = path.with_name(path.name.removesuffix('.images.npy') + '.groups.npy')
    try:
        groups = np.load(path)
    except (OSError, ValueError) as error:
        raise UserError(f'{path} cannot be read as a NumPy array ({error})') from error
    if groups.dtype != np.int32 or groups.shape != (count, 2):
        raise UserError(
            f'{path} is {groups.dtype}{list(groups.shape)}, expected int32 [{count}, 2]'
        )
    return groups


def _read_captions(path: Path, count: int) -> list[list[str]]:
    """One list of captions per image, checked."""
    path = path.with_name(path.name.removesuffix('.images.npy') + '.jsonl')
    if not path.is_file():
        raise UserError(f'no {path}: each shard of images needs its captions beside it')
    lists = []
    for number, line in enumerate(path.read_text(encoding='utf-8').splitlines(), start=1):
        try:
            captions = json.loads(line)
        except ValueError as error:
            raise UserError(f'{path}:{number} is not JSON ({error})') from error
        good = isinstance(captions, list) and captions and all(isinstance(c, str) for c in captions)
        if not good:
            raise UserError(f'{path}:{number} must be a list of one or more captions')
        lists.append(captions)
    if len(lists) != count:
        raise UserError(f'{path} has {len(lists)} lines for {count} images')
    return lists


def _tokenize(texts: list[str], context_length: int) -> np.ndarray:
    """Token ids [U, L] of all texts, padded only to the longest of them."""
    chunk = 4096
    ids = np.zeros((len(texts), context_length), np.int32)
    with progress.bar(total=len(texts), stage='tokenising captions', unit='caption') as bar:
        for start in range(0, len(texts), chunk):
            part = texts[start : start + chunk]
            ids[start : start + len(part)] = tokenizer.tokenize(part, context_length)
            bar.update(len(part))
    longest = int((ids != 0).sum(axis=1).max())
    return ids[:, : next(n for n in (*tokenizer.LENGTHS, context_length) if n >= longest)]


def open_shards(directory: str | Path, context_length: int, held_out: int) -> tuple[Shards, Shards]:
    """The shards to learn from, and the held-out ones.

    Args:
        directory: Folder of shards.
        context_length: Longest number of tokens.
        held_out: How many of the last shards (by name) are never learned from, >= 1.

    Returns:
        (training, held out).

    Raises:
        UserError: The folder has too few shards.
    """
    paths = sorted(Path(directory).glob('shard-*.images.npy'))
    if len(paths) <= held_out:
        raise UserError(
            f'{directory} has {len(paths)} shards (shard-NNNNN.images.npy), expected more than the '
            f'{held_out} held-out ones: draw more, or set config.data.dir'
        )
    training = Shards(paths[: len(paths) - held_out], context_length)
    return training, Shards(paths[len(paths) - held_out :], context_length)


def batch_indices(num_images: int, batch_size: int, seed: int, step: int) -> np.ndarray:
    """Which images step `step` sees: int64 [B], each image at most once per epoch."""
    per_epoch = num_images // batch_size
    epoch, place = divmod(step, per_epoch)
    order = np.random.default_rng((seed, 1, epoch)).permutation(num_images)
    return order[place * batch_size : (place + 1) * batch_size]


def alike_indices(groups: np.ndarray, batch_size: int, rng: np.random.Generator) -> np.ndarray:
    """Images that only a close look tells apart: int64 [B], all different.

    Among images drawn at random the place and the action give nearly every caption away, and looks
    are never needed. So a batch is drawn from one place, from one action in one place, or from the
    portraits, each as often as the others.

    Args:
        groups: int32 [M, 2], place and action of each image, −1 for portraits.
        batch_size: B.
        rng: Source of chance.

    Returns:
        Numbers of images; of a group smaller than B, the place's others fill up.
    """
    kind = rng.integers(3)
    portraits = np.flatnonzero(groups[:, 0] < 0)
    if kind == 2 and len(portraits) >= batch_size:
        return rng.choice(portraits, batch_size, replace=False)
    scenes = np.flatnonzero(groups[:, 0] >= 0)
    place, action = groups[rng.choice(scenes)]
    same = np.flatnonzero(groups[:, 0] == place)
    if kind == 1:
        doing = np.flatnonzero((groups[:, 0] == place) & (groups[:, 1] == action))
        same = doing if len(doing) >= batch_size else same
    if len(same) < batch_size:
        same = np.arange(len(groups))
    return rng.choice(same, batch_size, replace=False)


def draw_captions(
    shards: Shards, indices: np.ndarray, rng: np.random.Generator, but_last: bool = False
) -> np.ndarray:
    """Two different captions per image (twice its only one): rows of `shards.ids`, int32 [B, 2].

    Args:
        shards: Where the captions are.
        indices: int [B], which images.
        rng: Source of chance.
        but_last: Leaves out each image's last caption, which says nothing about looks.
    """
    counts = np.maximum(shards.counts[indices] - int(but_last), 1)
    first = rng.integers(0, counts)
    # A step of 1 … count−1 around the list never comes back to where it started.
    second = (first + rng.integers(1, np.maximum(counts, 2))) % counts
    return np.stack(
        [shards.captions[indices, first], shards.captions[indices, second]], axis=1
    ).astype(np.int32)


def augment(images: jax.Array, rng: jax.Array) -> jax.Array:
    """Random shift, mirror and brightness. No caption says left or right.

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
    """The task of `config.task = 'clip'`; see `loop.Task`."""

    def __init__(self, config: Any, shards: Shards):
        """Prepares the task.

        Args:
            config: The configuration: `backbone`, `dtype`, `seed`, `train.batch_size`.
            shards: What to learn from.

        Raises:
            UserError: There are fewer images than one batch.
        """
        self.config = config
        self.clip_config = zoo.get(config.backbone)
        self.model = clip.CLIP(self.clip_config, dtype=jnp.dtype(config.dtype).type)
        self.shards = shards
        self.batch_size = config.train.batch_size
        if shards.num_images < self.batch_size:
            raise UserError(
                f'{shards.num_images} images are fewer than config.train.batch_size '
                f'({self.batch_size})'
            )

    def init_params(self, rng: jax.Array) -> Any:
        """Freshly drawn towers, or those of `config.init`.

        The token embedding is drawn as exports expect, which leave out what never changed.
        """
        if self.config.init:
            there, params = weights.load_clip_variables(self.config.init)
            if there != self.clip_config:
                raise UserError(
                    f'config.init, {self.config.init}, is {there.name}, not {self.config.backbone}'
                )
            return params
        size = self.clip_config.image_size
        pixels = jnp.zeros((1, size, size, 3), jnp.float32)
        ids = jnp.zeros((1, self.clip_config.context_length), jnp.int32)
        return jax.jit(self.model.init)(rng, pixels, ids)['params']

    def batches(self, start_step: int) -> Iterator[dict[str, np.ndarray]]:
        """Dicts of `images` uint8 [B, S, S, 3], `ids` [B, 2, L], `texts` [B, 2], `captions` [B, C].

        `texts` numbers the two captions drawn for each image, `captions` all captions of it.
        """
        step = start_step
        while True:
            rng = np.random.default_rng((self.config.seed, 2, step))
            alike = rng.random() < self.config.train.alike
            if alike:
                indices = alike_indices(self.shards.groups, self.batch_size, rng)
            else:
                indices = batch_indices(
                    self.shards.num_images, self.batch_size, self.config.seed, step
                )
            texts = draw_captions(self.shards, indices, rng, but_last=alike)
            yield {
                'images': self.shards.images(indices),
                'ids': self.shards.ids[texts],
                'texts': texts,
                'captions': self.shards.captions[indices],
            }
            step += 1

    def loss(
        self, params: Any, batch: Mapping[str, jax.Array], rng: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The mean of two contrastive terms, one per caption, that share the image embeddings."""
        pixels = self._pixels(augment(batch['images'], rng))
        ids = batch['ids']  # [B, 2, L]
        image = self._encode(params, pixels, 'encode_image')
        text = self._encode(params, ids.reshape(-1, ids.shape[-1]), 'encode_text')
        text = text.reshape(*ids.shape[:2], -1)  # [B, 2, D]
        scale = jnp.exp(params['logit_scale'])
        terms, accuracies = [], []
        for draw in range(2):
            logits = scale * jnp.matmul(image, text[:, draw].T, precision='highest')
            known = batch['captions'][:, None, :]  # [B, 1, C]
            positive = (known == batch['texts'][None, :, draw, None]).any(-1)  # [B, B]
            terms.append(losses.multi_positive(logits, positive))
            best = jnp.argmax(logits, axis=1)
            accuracies.append(jnp.take_along_axis(positive, best[:, None], axis=1).mean())
        return jnp.mean(jnp.stack(terms)), {
            'accuracy': jnp.mean(jnp.stack(accuracies)),
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
        weights.save_clip(
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
        self, held_out: Shards, limit: int = 2048
    ) -> Callable[[int, Any], dict[str, float]]:
        """Zero-shot retrieval on held-out images, for `loop.run`.

        Args:
            held_out: Images that are not learned from.
            limit: At most this many are scored; those that do not fill a batch are left out.

        Returns:
            (step, params) → `retrieval@1`: how often the best of a batch's captions (one per image)
            is one of the image's own. Chance is about one in a batch.

        Raises:
            UserError: Fewer images than one batch.
        """
        if held_out.num_images < self.batch_size:
            raise UserError(
                f'{held_out.num_images} held-out images are fewer than config.train.batch_size '
                f'({self.batch_size})'
            )

        @jax.jit
        def correct(params: Any, images: Any, ids: Any, texts: Any, captions: Any) -> jax.Array:
            image = self._encode(params, self._pixels(images.astype(jnp.float32)), 'encode_image')
            text = self._encode(params, ids, 'encode_text')
            best = texts[jnp.argmax(image @ text.T, axis=1)]  # [B]
            return (captions == best[:, None]).any(-1).mean()

        def evaluate(step: int, params: Any) -> dict[str, float]:
            rng = np.random.default_rng((self.config.seed, 3))  # The same draw every time.
            scores = []
            order = rng.permutation(held_out.num_images)[:limit]
            for start in range(0, len(order) - self.batch_size + 1, self.batch_size):
                indices = order[start : start + self.batch_size]
                texts = draw_captions(held_out, indices, rng)[:, 0]
                ids = held_out.ids[texts]
                captions = held_out.captions[indices]
                scores.append(correct(params, held_out.images(indices), ids, texts, captions))
            return {'retrieval@1': float(np.mean(scores))}

        return evaluate
