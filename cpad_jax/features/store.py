"""Embeddings of photos and clips by the frozen image tower, computed once and kept in files.

A file's name is a hash of everything its content depends on: the data, the backbone's weights, the
face feature and the preprocessing. They lie in parts: a run that is killed, or a file that is
damaged, loses at most one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import grain
import jax
import jax.numpy as jnp
import numpy as np

from cpad_jax import progress
from cpad_jax.data import readers
from cpad_jax.data.built_dataset import DatasetPaths
from cpad_jax.errors import UserError
from cpad_jax.features import array_store
from cpad_jax.features.array_store import Arrays
from cpad_jax.media import faces as media_faces
from cpad_jax.media import images as media_images
from cpad_jax.models import face_features, sharding
from cpad_jax.models.clip import CLIP
from cpad_jax.models.config import CLIPConfig
from cpad_jax.models.person_adapter import FACE_MARGIN, unit
from cpad_jax.models.pretrained import preprocessing

# Changed whenever the same inputs would give other features.
VERSION = 2
PART = 1024  # Items per part, about.


@dataclasses.dataclass(frozen=True)
class IdentityFeatures:
    """Features of photos of people.

    Attributes:
        faces: float16 [M, Df], the face feature of each photo, of any length.
        images: float16 [M, D], the L2-normalised CLIP embedding of each whole photo.
        labels: int64 [M], the identity of each photo: a row of `names`.
        image_ids: str [M].
        names: str [N], the name of each identity that occurs.
        identities: int64 [N], its number in the dataset, ascending.
    """

    faces: np.ndarray
    images: np.ndarray
    labels: np.ndarray
    image_ids: np.ndarray
    names: np.ndarray
    identities: np.ndarray


@dataclasses.dataclass(frozen=True)
class ClipFeatures:
    """Features of clips.

    Attributes:
        clip_ids: str [N].
        embeddings: float32 [N, D], the L2-normalised mean of the L2-normalised frames.
        frames: float16 [N, T, D], the frames' embeddings; zeros beyond `counts`.
        counts: int64 [N], frames taken of each clip, 1 to T.
    """

    clip_ids: np.ndarray
    embeddings: np.ndarray
    frames: np.ndarray
    counts: np.ndarray


def folder(config: Any, workdir: str | Path) -> Path:
    """Where a run's features lie: `config.features.dir`, or `WORKDIR/features`."""
    return Path(config.features.dir) if config.features.dir else Path(workdir) / 'features'


def at_once(pictures: int, each: int) -> int:
    """Items per batch where so many pictures are embedded at once, and an item has `each`."""
    return max(1, pictures // each)


def identity_features(
    source: Sequence[Mapping[str, Any]],
    fingerprint: str,
    clip: Any,
    directory: str | Path,
    *,
    face_feature: str = 'clip',
    batch_size: int = 64,
    dtype: str = 'float32',
    stage: str = 'embedding photos',
) -> IdentityFeatures:
    """Features of photos of people, from the cache or computed.

    Args:
        source: Records of the `identities` schema by number: `image` (JPEG), `image_id`,
            `identity`, `name`, `bbox` [4] (ymin xmin ymax xmax in fractions of the picture; −1
            where the photo is a face crop already).
        fingerprint: Changes with the data: dataset, version, split and hash.
        clip: A `CLIPModel`.
        directory: Where the files lie, created if need be.
        face_feature: Who reads the faces, as `face_features.tower` takes it.
        batch_size: Photos per batch, a multiple of the number of devices.
        dtype: Compute dtype, 'float32' or 'bfloat16'.
        stage: Name on the progress bar.

    Returns:
        The features, in the order of `source`.

    Raises:
        UserError: The face feature is unknown, or a picture is damaged.
    """
    tower = face_features.tower(face_feature, clip)
    if tower is not None and tower is not clip:
        by_both = [
            identity_features(
                source, fingerprint, each, directory,
                batch_size=batch_size, dtype=dtype, stage=f'{stage} by {each.config.name}',
            )
            for each in (clip, tower)
        ]  # fmt: skip
        return dataclasses.replace(by_both[0], faces=by_both[1].faces)
    by_clip = tower is not None

    def prepare(record: Mapping[str, Any]) -> tuple[np.ndarray, Arrays]:
        image = media_images.decode_jpeg(record['image'])
        fields = {
            'image_id': np.array(str(record['image_id'])),
            'identity': np.int64(record['identity']),
            'name': np.array(str(record['name'])),
        }
        pictures = [image]
        if by_clip:
            pictures.append(face_crop(image, record['bbox'], clip.config.image_size))
        else:
            fields['faces'] = face_features.colour_histogram(
                image, pixel_box(image, record['bbox'])
            )
        pixels = media_images.preprocess(
            pictures, clip.config.image_size, **preprocessing(clip.config)
        )
        return pixels, fields

    def finish(embedded: jax.Array) -> dict[str, jax.Array]:
        features = {'images': unit(embedded[:, 0])}
        return features | {'faces': embedded[:, 1]} if by_clip else features

    arrays = cached(
        Path(directory),
        'identities',
        {'data': fingerprint, 'face': face_feature, 'margin': FACE_MARGIN}
        | conditions(clip, dtype, len(source)),
        source,
        prepare,
        encoder(clip, dtype, finish),
        batch_size,
        stage,
        'photo',
    )
    numbers = arrays['identity']
    identities, first, labels = np.unique(numbers, return_index=True, return_inverse=True)
    return IdentityFeatures(
        faces=arrays['faces'].astype(np.float16),
        images=arrays['images'].astype(np.float16),
        labels=labels,
        image_ids=arrays['image_id'],
        names=arrays['name'][first],
        identities=identities,
    )


def photo_features(
    config: Any, paths: DatasetPaths, reader: readers.IdentityReader, clip: Any, directory: Path
) -> IdentityFeatures:
    """Features of a split of a data set's photos, as a run wants them; see `identity_features`.

    Args:
        config: The configuration; `features` and `dtype` are read.
        paths: Of the data set.
        reader: One of its splits.
        clip: A `CLIPModel`.
        directory: Where the files lie.
    """
    return identity_features(
        reader, f'{paths.fingerprint}/identities/{reader.split}', clip, directory,
        face_feature=config.features.face,
        batch_size=at_once(config.features.batch_size, 2),  # The photo and its face.
        dtype=config.dtype, stage=f'embedding photos ({reader.split})',
    )  # fmt: skip


def clip_features(
    source: Sequence[Mapping[str, Any]],
    fingerprint: str,
    clip: Any,
    directory: str | Path,
    *,
    frames_per_clip: int = 4,
    batch_size: int = 16,
    dtype: str = 'float32',
    stage: str = 'embedding clips',
) -> ClipFeatures:
    """Features of clips, from the cache or computed.

    Args:
        source: Records of the `clips` schema by number; `clip_id` and `frames` (a list of one or
            more JPEGs) are read.
        fingerprint: Changes with the data.
        clip: A `CLIPModel`.
        directory: Where the files lie.
        frames_per_clip: T, how many frames are taken, evenly spread; of a clip with fewer, all.
        batch_size: Clips per batch, a multiple of the number of devices.
        dtype: 'float32' or 'bfloat16'.
        stage: Name on the progress bar.

    Returns:
        The features, in the order of `source`.

    Raises:
        UserError: A clip has no frames, or a picture is damaged.
    """
    size = clip.config.image_size

    def prepare(record: Mapping[str, Any]) -> tuple[np.ndarray, Arrays]:
        data = record['frames']
        if not len(data):
            raise UserError(f'clip {record["clip_id"]} has no frames; build the dataset again')
        chosen = spread_evenly(len(data), frames_per_clip)
        frames = np.stack([media_images.decode_jpeg(data[i]) for i in chosen])
        pixels = np.zeros((frames_per_clip, size, size, 3), np.float32)
        pixels[: len(chosen)] = frame_pixels(frames, clip.config)
        return pixels, {
            'clip_id': np.array(str(record['clip_id'])),
            'count': np.int64(len(chosen)),
        }

    arrays = cached(
        Path(directory),
        'clips',
        {'data': fingerprint, 'frames': frames_per_clip} | conditions(clip, dtype, len(source)),
        source,
        prepare,
        encoder(clip, dtype, lambda embedded: {'frames': unit(embedded)}),
        batch_size,
        stage,
        'clip',
    )
    counts = arrays['count']
    present = np.arange(frames_per_clip)[None, :] < counts[:, None]  # [N, T]
    frames = np.where(present[..., None], arrays['frames'], 0)
    return ClipFeatures(
        clip_ids=arrays['clip_id'],
        embeddings=mean_direction(frames),
        frames=frames.astype(np.float16),
        counts=counts,
    )


def mean_direction(frames: np.ndarray) -> np.ndarray:
    """[..., T, D] → float32 [..., D]: the L2-normalised mean over T."""
    total = frames.astype(np.float32).sum(axis=-2)
    return total / np.linalg.norm(total, axis=-1, keepdims=True)


def spread_evenly(length: int, count: int) -> np.ndarray:
    """The middles of equal segments of `length` >= 1: int64 [min(length, count)], ascending."""
    count = min(length, count)
    return ((np.arange(count) + 0.5) * length / count).astype(np.int64)


def face_crop(image: np.ndarray, bbox: Sequence[float], size: int) -> np.ndarray:
    """The face in a photo.

    Args:
        image: uint8 [H, W, 3].
        bbox: float [4], ymin xmin ymax xmax in fractions of the picture; −1 where the photo is a
            face crop already.
        size: S.

    Returns:
        uint8 [S, S, 3], or the whole photo where there is no box.
    """
    box = pixel_box(image, bbox)
    if box is None:
        return image
    return media_faces.crop_face(image, box, enlarge=FACE_MARGIN, size=size)


def pixel_box(image: np.ndarray, bbox: Sequence[float]) -> np.ndarray | None:
    """A box in fractions of a picture as pixels, float32 [4]; None where there is none (−1)."""
    bbox = np.asarray(bbox, np.float32)
    if (bbox < 0).all():
        return None
    height, width = image.shape[:2]
    return bbox * np.array([height, width, height, width], np.float32)


def frame_pixels(frames: np.ndarray, config: CLIPConfig) -> np.ndarray:
    """Frames of a video, uint8 [T, H, W, 3], as the image tower takes them: [T, S, S, 3]."""
    return media_images.preprocess_frames(frames, config.image_size, **preprocessing(config))


def conditions(clip: Any, dtype: str, count: int) -> dict[str, Any]:
    """What every feature of `count` items by a `CLIPModel` depends on."""
    return {
        'version': VERSION,
        'backbone': clip.sha256,
        'dtype': dtype,
        'size': clip.config.image_size,
        **preprocessing(clip.config),
        'count': count,
    }


def encoder(
    clip: Any, dtype: str, finish: Callable[[jax.Array], dict[str, jax.Array]]
) -> Callable[[np.ndarray], dict[str, jax.Array]]:
    """A function from pixels [B, n, S, S, 3] to what `finish` makes of embeddings [B, n, D]."""
    model = CLIP(clip.config, dtype=jnp.dtype(dtype).type)
    mesh = sharding.make_mesh()
    params = jax.device_put(clip.params, sharding.parameter_shardings(clip.params, mesh))

    @jax.jit
    def encode(params: Any, pixels: jax.Array) -> dict[str, jax.Array]:
        flat = pixels.reshape(-1, *pixels.shape[2:])  # [B · n, S, S, 3]
        embedded = model.apply({'params': params}, flat, method='encode_image')
        return finish(embedded.reshape(*pixels.shape[:2], -1))

    return lambda pixels: encode(params, sharding.put_batch({'pixels': pixels}, mesh)['pixels'])


def cached(
    directory: Path,
    kind: str,
    conditions: Mapping[str, Any],
    source: Sequence[Mapping[str, Any]],
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
                    parts[start] = _concatenate(done)
                    array_store.write(files[start], parts[start])
                    done = []
    return _concatenate(list(parts.values()))


def _part_size(path: Path, batch_size: int) -> int:
    """Items per part: as in the parts that are there, or whole batches."""
    parts = path.parent.glob(f'{path.stem}.part-*-*.npz')
    there = [int(size) for part in parts if (size := part.stem.split('-')[-1]).isdecimal()]
    return max(sorted({*there} - {0}), key=there.count, default=-(-PART // batch_size) * batch_size)


def _prepare_ahead(
    source: Sequence[Mapping[str, Any]],
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
        for place, (item, _) in zip(pixels, items, strict=False):
            place[:] = item
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
