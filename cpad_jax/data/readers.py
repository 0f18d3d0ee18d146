"""Reads the data sets that TFDS wrote, record by record, without TensorFlow."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.example_parser import ExampleParserNp

from cpad_jax.data import built_dataset
from cpad_jax.data.built_dataset import DatasetPaths
from cpad_jax.data.records import ClipRecord, IdentityRecord
from cpad_jax.errors import UserError
from cpad_jax.media.images import decode_jpeg


class _Reader(Sequence[Any]):
    """One split: `len(reader)`, `reader[i]`; can be pickled into worker processes."""

    _feature: str  # What a data set of this kind has and the other has not.

    def __init__(
        self,
        directory: str | os.PathLike[str],
        split: str,
        decode: bool = False,
        fingerprint: str = '',
    ):
        """Opens a split.

        Args:
            directory: The version's folder, e.g. `DATA/synthetic_cast/clips/1.0.0`.
            split: Its name, e.g. 'train'.
            decode: Whether pictures come as uint8 [H, W, 3] RGB in place of JPEG bytes.
            fingerprint: Changes with the data; features are kept by it.

        Raises:
            UserError: There is no such data set, kind or split.
        """
        self.directory = Path(directory)
        self.split = split
        self.fingerprint = fingerprint
        self._decode = decode
        if not (self.directory / 'dataset_info.json').is_file():
            raise UserError(
                f'{self.directory}: there is no data set (no dataset_info.json); build it with '
                '`cpad-build-dataset NAME --data_dir DIR`'
            )
        built_dataset.check_digests(self.directory)
        with _whole(self.directory):
            builder = tfds.builder_from_directory(self.directory)
        if split not in builder.info.splits:
            raise UserError(
                f'{self.directory}: there is no split {split!r}, only '
                f'{", ".join(sorted(builder.info.splits))}'
            )
        features = builder.info.features
        if self._feature not in features:
            raise UserError(
                f'{self.directory}: this data set has no {self._feature!r}, so it is not of the '
                f'kind that {type(self).__name__} reads'
            )
        self.features = features
        with _whole(self.directory):
            self._metadata = dict(builder.info.metadata or {})
            # TFDS's own decoding of several pictures in a record needs TensorFlow and is slower.
            self._source = builder.as_data_source(
                split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
            )
            self._parser = ExampleParserNp(features.get_serialized_info())

    def __len__(self) -> int:
        return len(self._source)

    def _parsed(self, index: int) -> dict[str, Any]:
        if not -len(self) <= index < len(self):
            raise IndexError(f'{index} is not among the {len(self)} records of {self.directory}')
        with _whole(self.directory, f'record {index} of {self.split}: '):
            return dict(self._parser.parse_example(self._source[int(index) % len(self)]))

    def _picture(self, data: bytes) -> bytes | np.ndarray:
        return decode_jpeg(data) if self._decode else data


@contextlib.contextmanager
def _whole(directory: Path, where: str = '') -> Iterator[None]:
    """Says which data set is damaged, in place of whatever is raised about its files."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        reason = ' '.join(str(error).split())[:120]
        raise UserError(
            f'{directory}: this data set is damaged ({where}{reason}): delete that folder to build '
            'it again'
        ) from error


class IdentityReader(_Reader):
    """A split of photos of people."""

    _feature = 'image'

    def __getitem__(self, index: int) -> IdentityRecord:
        parsed = self._parsed(index)
        return IdentityRecord(
            image=self._picture(parsed['image']),
            image_id=parsed['image_id'].decode(),
            identity=int(parsed['identity']),
            name=parsed['name'].decode(),
            bbox=np.asarray(parsed['bbox'], np.float32),
            landmarks=np.asarray(parsed['landmarks'], np.float32),
            source=parsed['source'].decode(),
        )


class ClipReader(_Reader):
    """A split of clips."""

    _feature = 'frames'

    @property
    def actions(self) -> tuple[str, ...]:
        """Names of the actions that the records' numbers mean."""
        return tuple(self.features['actions'].feature.names)

    @property
    def places(self) -> tuple[str, ...]:
        """Names of the places that the records' numbers mean."""
        return tuple(self.features['place'].names)

    @property
    def relevance(self) -> str:
        """Whether it is known what each person does ('person'), or only what is done in a 'clip'.

        Where it is 'clip', people's actions are empty in the clips of which it is not known.
        """
        return self._metadata.get('relevance', 'person')

    @property
    def captions(self) -> list[dict[str, str]]:
        """Captions with '*' for somebody, each with its `person_id` and `clip_id`, if there are."""
        return self._metadata.get('captions', [])

    @property
    def categories(self) -> dict[str, str]:
        """person_id → what kind of thing it is, of a data set that is not only about people."""
        return self._metadata.get('categories', {})

    def __getitem__(self, index: int) -> ClipRecord:
        parsed = self._parsed(index)
        people = parsed['people']
        return ClipRecord(
            clip_id=parsed['clip_id'].decode(),
            source=parsed['source'].decode(),
            title=parsed['title'].decode(),
            frames=[self._picture(frame) for frame in parsed['frames']],
            times=np.asarray(parsed['times'], np.float32),
            actions=[int(action) for action in parsed['actions']],
            place=int(parsed['place']),
            people=[
                {
                    'person_id': people['person_id'][i].decode(),
                    'name': people['name'][i].decode(),
                    'identity': int(people['identity'][i]),
                    'actions': [int(action) for action in people['actions'][i]],
                    'target': int(people['target'][i]),
                    'tracks': {
                        'times': np.asarray(people['tracks']['times'][i], np.float32),
                        'boxes': np.asarray(people['tracks']['boxes'][i], np.float32).reshape(
                            -1, 4
                        ),
                    },
                }
                for i in range(len(people['person_id']))
            ],
        )


def open_photos(paths: DatasetPaths, split: str) -> IdentityReader:
    """Opens a split of a data set's photos: 'train' or 'references'.

    Raises:
        UserError: There is no such part or split, or it is damaged.
    """
    return IdentityReader(
        paths.part('identities'), split, fingerprint=f'{paths.fingerprint}/identities/{split}'
    )


def open_clips(paths: DatasetPaths, split: str = 'test') -> ClipReader:
    """Opens a split of a data set's clips; raises as `open_photos`."""
    return ClipReader(paths.part('clips'), split, fingerprint=f'{paths.fingerprint}/clips/{split}')
