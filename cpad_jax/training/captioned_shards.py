"""Captioned pictures on disk, as pre-training reads them: `shard-NNNNN.*` of one folder."""

from __future__ import annotations

import tokenize
from pathlib import Path

import numpy as np

from cpad_jax import progress, strict_json
from cpad_jax.errors import UserError
from cpad_jax.synthetic import attributes
from cpad_jax.text import tokenizer

_F = len(attributes.FIELDS)


class Shards:
    """Images, their captions, and the truth about both.

    The images stay on disk and are mapped into memory; the captions are tokenised once.

    Attributes:
        num_images: M.
        texts: All different captions, [U].
        ids: Their token ids, int32 [U, L].
        captions: Per image the rows of `ids` that describe it, int32 [M, C].
        claims: Attributes that each caption states, int32 [M, C, S, F]; see `caption_matches`.
        facts: Attributes of the people in each image, int32 [M, P, F]; see `synthetic.attributes`.
    """

    def __init__(self, paths: list[Path], context_length: int):
        """Opens shards.

        Args:
            paths: The `.images.npy` files, uint8 [n, S, S, 3], each with its `.jsonl` of one list
                of captions per image, its `.claims.npy` and its `.facts.npy`; see
                `caption_shards.write_shard`.
            context_length: Longest number of tokens.

        Raises:
            UserError: A file is missing or is not of this form.
        """
        self._images = [_open(path, np.uint8, (None, None, None, 3)) for path in paths]
        self._starts = np.cumsum([0] + [len(images) for images in self._images])
        self.num_images = int(self._starts[-1])
        facts, claims, index = [], [], {}
        rows: list[list[int]] = []
        for path, images in zip(paths, self._images, strict=True):
            shard_claims = _open(_beside(path, '.claims.npy'), np.int32,
                        (len(images), None, attributes.MAX_SUBJECTS, _F))  # fmt: skip
            for captions in _read_captions(_beside(path, '.jsonl'), *shard_claims.shape[:2]):
                rows.append([index.setdefault(caption, len(index)) for caption in captions])
            claims.append(shard_claims)
            facts.append(_open(_beside(path, '.facts.npy'), np.int32,
                               (len(images), attributes.MAX_PEOPLE, _F)))  # fmt: skip
        if len({shard_claims.shape[1] for shard_claims in claims}) > 1:
            raise UserError(f'{paths[0].parent}: not all shards have equally many captions')
        self.facts, self.claims = np.concatenate(facts), np.concatenate(claims)
        self.texts = list(index)
        self.captions = np.array(rows, np.int32)
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


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name.removesuffix('.images.npy') + ending)


def _open(path: Path, dtype: type, shape: tuple[int | None, ...]) -> np.ndarray:
    """An array on disk, checked; None stands for any size of a dimension."""
    try:
        array = np.load(path, mmap_mode='r')
    # NumPy reads the header as Python, which raises what it likes.
    except (OSError, ValueError, EOFError, SyntaxError, TypeError, KeyError, tokenize.TokenError,
            MemoryError, OverflowError, RecursionError) as error:  # fmt: skip
        why = ' '.join(str(error).split())[:120]
        raise UserError(f'{path} cannot be read as a NumPy array ({why}): draw it again') from error
    fits = array.ndim == len(shape) and all(
        size == wanted if wanted is not None else size > 0
        for size, wanted in zip(array.shape, shape, strict=True)
    )
    if array.dtype != dtype or not fits:
        expected = ', '.join('n' if size is None else str(size) for size in shape)
        raise UserError(
            f'{path} is {array.dtype}{list(array.shape)}, expected {np.dtype(dtype)} [{expected}]: '
            'draw the shards again'
        )
    return array


def _read_captions(path: Path, count: int, each: int) -> list[list[str]]:
    """`each` captions for each of `count` images, checked."""
    if not path.is_file():
        raise UserError(f'no {path}: each shard of images needs its captions beside it')
    lists = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            captions = strict_json.parse(line)
        except ValueError as error:
            raise UserError(f'{path}:{number} is not JSON ({error})') from error
        good = isinstance(captions, list) and all(isinstance(c, str) for c in captions)
        if not good or len(captions) != each:
            raise UserError(f'{path}:{number} must be a list of {each} captions')
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
