"""Embeds a source with the frozen image tower once, and keeps the result in files.

A file's name is a hash of everything its content depends on: the data, the backbone's weights, the
face feature and the preprocessing. The result lies in parts: a run that is killed, or a file that
is damaged, loses at most one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import grain
import jax
import jax.numpy as jnp
import numpy as np

from cpad_jax import progress
from cpad_jax.errors import UserError
from cpad_jax.features import array_store
from cpad_jax.features.array_store import Arrays
from cpad_jax.models import sharding
from cpad_jax.models.clip import CLIP
from cpad_jax.models.pretrained import CLIPModel, preprocessing

# Changed whenever the same inputs would give other features.
VERSION = 2
PART = 1024  # Items per part, about.


class Source(Protocol):
    """Records by number, of a schema of `data.records`.

    Attributes:
        fingerprint: Changes with the data: dataset, version, split and hash.
    """

    @property
    def fingerprint(self) -> str:
        """See the class."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> Mapping[str, Any]: ...


def conditions(clip: CLIPModel, dtype: str, count: int) -> dict[str, Any]:
    """What every feature of `count` items depends on."""
    return {
        'version': VERSION,
        'backbone': clip.sha256,
        'dtype': dtype,
        'size': clip.config.image_size,
        **preprocessing(clip.config),
        'count': count,
    }


def encoder(
    clip: CLIPModel, dtype: str, finish: Callable[[jax.Array], dict[str, jax.Array]]
) -> Callable[[np.ndarray], dict[str, jax.Array]]:
    """A function from pixels [B, n, S, S, 3] to what `finish` makes of embeddings [B, n, D]."""
    model = CLIP(clip.config, dtype=jnp.dtype(dtype).type)
    mesh = sharding.make_mesh()
    params = jax.device_put(clip.params, sharding.parameter_shardings(clip.params, mesh))

    @jax.jit
    def encode(params: Any, pixels: jax.Array) -> dict[str, jax.Array]:
        flat = pixels.reshape(-1, *pixels.shape[2:])  # [B · n, S, S, 3]
        embedded = jnp.asarray(model.apply({'params': params}, flat, method='encode_image'))
        return finish(embedded.reshape(*pixels.shape[:2], -1))

    return lambda pixels: encode(params, sharding.put_batch({'pixels': pixels}, mesh)['pixels'])


def cached(
    directory: Path,
    kind: str,
    conditions: Mapping[str, Any],
    source: Source,
    prepare: Callable[[Mapping[str, Any]], tuple[np.ndarray, Arrays]],
    encode: Callable[[np.ndarray], dict[str, jax.Array]],
    batch_size: int,
    stage: str,
    unit_name: str,
) -> Arrays:
    """The arrays of a whole source, from its parts and what they lack.

    Args:
        directory: Where the files lie.
        kind: What the features are of; the file's name begins with it.
        conditions: Everything that the features depend on.
        source: Records by number.
        prepare: Record → pixels [n, S, S, 3], and fields that are kept as they are.
        encode: Pixels [B, n, S, S, 3] → arrays [B, …]; see `encoder`.
        batch_size: B, a multiple of the number of devices.
        stage: Name on the progress bar.
        unit_name: What a record is called there.

    Returns:
        What `encode` and `prepare` gave, [N, …] in the order of `source`.

    Raises:
        UserError: There are no records.
    """
    if not len(source):
        raise UserError(f'{stage}: there are no {unit_name}s; build the dataset again')
    path = array_store.path_of(directory, kind, conditions)
    if path.is_file() and (whole := array_store.read(path)) is not None:
        return whole  # By a version that kept one file.
    size = _part_size(path, batch_size)
    files = {
        start: path.with_name(f'{path.stem}.part-{start:08d}-{size}.npz')
        for start in range(0, len(source), size)
    }
    parts = {start: array_store.read(file) for start, file in files.items()}
    batches = [
        range(begin, min(begin + batch_size, start + size, len(source)))
        for start, part in parts.items()
        if part is None
        for begin in range(start, min(start + size, len(source)), batch_size)
    ]
    if todo := [number for batch in batches for number in batch]:
        with progress.bar(total=len(source), stage=stage, unit=unit_name) as bar:
            bar.update(len(source) - len(todo))
            bar.initial = bar.n  # The rate counts this run's work only.
            prepared = _prepare_ahead(source, todo, prepare)
            done: list[Arrays] = []
            for batch, arrays in _encode_behind(batches, prepared, encode, batch_size):
                done.append(arrays)
                bar.update(len(batch))
                start = batch[0] // size * size
                if batch[-1] + 1 == min(start + size, len(source)):
                    parts[start] = part = _concatenate(done)
                    array_store.write(files[start], part)
                    done = []
    return _concatenate([part for part in parts.values() if part is not None])


def _part_size(path: Path, batch_size: int) -> int:
    """Items per part: as in the parts that are there, or whole batches."""
    parts = path.parent.glob(f'{path.stem}.part-*-*.npz')
    there = [int(size) for part in parts if (size := part.stem.split('-')[-1]).isdecimal()]
    return max(sorted({*there} - {0}), key=there.count, default=-(-PART // batch_size) * batch_size)


def _prepare_ahead(
    source: Source,
    numbers: Sequence[int],
    prepare: Callable[[Mapping[str, Any]], tuple[np.ndarray, Arrays]],
) -> Iterator[tuple[np.ndarray, Arrays]]:
    """Reads, decodes and scales in Grain's threads while the device computes."""
    if not numbers:
        return iter(())
    dataset = grain.MapDataset.source(numbers).map(lambda number: prepare(source[int(number)]))
    options = grain.ReadOptions(num_threads=4, prefetch_buffer_size=128)
    return iter(dataset.to_iter_dataset(options))


def _encode_behind(
    batches: Sequence[range],
    prepared: Iterator[tuple[np.ndarray, Arrays]],
    encode: Callable[[np.ndarray], dict[str, jax.Array]],
    batch_size: int,
) -> Iterator[tuple[range, Arrays]]:
    """Encodes batch by batch; a result is fetched only once the next batch is under way."""
    pending: tuple[range, dict[str, jax.Array], Arrays] | None = None
    for batch in batches:
        items = [next(prepared) for _ in batch]
        # The last batch is filled up, so that one program serves all.
        pixels = np.zeros((batch_size, *items[0][0].shape), np.float32)
        for number, (item, _) in enumerate(items):
            pixels[number] = item
        fields = {name: np.stack([f[name] for _, f in items]) for name in items[0][1]}
        running = (batch, encode(pixels), fields)
        if pending:
            yield _fetch(*pending)
        pending = running
    if pending:
        yield _fetch(*pending)


def _fetch(batch: range, encoded: dict[str, jax.Array], fields: Arrays) -> tuple[range, Arrays]:
    arrays = {name: np.asarray(value)[: len(batch)] for name, value in encoded.items()}
    return batch, {**arrays, **fields}


def _concatenate(arrays: Sequence[Arrays]) -> Arrays:
    return {name: np.concatenate([part[name] for part in arrays]) for name in arrays[0]}
