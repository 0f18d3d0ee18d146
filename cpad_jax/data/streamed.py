"""The TFDS builder that large data sets share: records go straight into files, in their order.

TFDS's own writer gathers up to 1 GB of records in memory before it writes any. Without shuffling it
then sorts by the key's place among 2 ** 128, where whole numbers all lie at the beginning: every
record comes back into memory at once. With shuffling it writes everything twice. Readers here draw
records at random anyway, so the order of the source serves as well; and on a cluster, where nobody
holds all of it, TFDS's writer for Apache Beam is used as it is.
"""

from __future__ import annotations

import abc
import hashlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from cpad_jax import atomic
from cpad_jax.data.build import PEOPLE, PersonEntry
from cpad_jax.data.set_aside import SetAside
from cpad_jax.errors import UserError

# Files of a quarter of a gigabyte: 200 of them hold VGGFace2.
SHARD_BYTES = 256 << 20


class StreamedBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A builder of records from files that the user has; a data set says what is in `_examples`.

    What was set aside, and the table of people, go into the version's folder beside the records.
    """

    @abc.abstractmethod
    def _examples(
        self, manual_dir: Path, aside: SetAside
    ) -> Mapping[str, Iterator[Mapping[str, Any]]]:
        """The records of every split, made as they are asked for, one split after the other.

        Sets names of labels and calls `_write_people` before it returns, where there are any.
        """

    def _beam_examples(self, manual_dir: Path, folder: Path) -> Mapping[str, Any]:
        """The same records as Beam transforms that give (key, record).

        Args:
            manual_dir: The user's files.
            folder: Where the data set is being written.
        """
        raise UserError(f'{self.name} is not built with Apache Beam: leave the Beam options out')

    def _write_people(self, people: list[PersonEntry]) -> None:
        atomic.write_json(Path(self.data_dir) / PEOPLE, people)

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> Mapping[str, Any]:
        """For Beam only; without it `_download_and_prepare` does not come here."""
        return self._beam_examples(Path(dl_manager.manual_dir), Path(self.data_dir))

    def _generate_examples(self) -> Iterator[Any]:
        raise NotImplementedError('records come from _examples')

    def _download_and_prepare(
        self, dl_manager: tfds.download.DownloadManager, download_config: Any
    ) -> None:
        if download_config.beam_runner or download_config.beam_options:
            # Who wrote which record is not known here, so each such build counts as other data.
            self.info.metadata['content'] = uuid.uuid4().hex
            super()._download_and_prepare(dl_manager, download_config)
            return
        folder = Path(self.data_dir)
        digest = hashlib.sha256()
        splits = []
        with SetAside(folder) as aside:
            for split, examples in self._examples(Path(dl_manager.manual_dir), aside).items():
                splits.append(self._write_split(split, iter(examples), digest.update))
        self.info.metadata['content'] = digest.hexdigest()
        self.info.set_splits(tfds.core.splits.SplitDict(splits))

    def _write_split(
        self, split: str, examples: Iterator[Mapping[str, Any]], seen: Callable[[bytes], None]
    ) -> tfds.core.SplitInfo:
        template = self._get_filename_template(split_name=split)
        adapter = tfds.core.file_adapters.ADAPTER_FOR_FORMAT[self.info.file_format]
        shards: list[tuple[Path, int]] = []
        size = 0
        pending = next(examples, None)
        while pending is not None:
            path = Path(self.data_dir) / f'unnamed-{split}-{len(shards):05d}'
            written = _Shard(self.info.features, pending, examples, seen)
            adapter.write_examples(path, written)
            shards.append((path, written.count))
            size += written.size
            pending = written.left
        if not shards:
            raise UserError(
                f'{self.name}: no record for the split {split!r} was found in what is there; '
                'is this the right --manual_dir?'
            )
        for number, (path, _) in enumerate(shards):
            # Only now is it known how many there are, which each file's name says.
            path.rename(template.sharded_filepath(shard_index=number, num_shards=len(shards)))
        return tfds.core.SplitInfo(
            name=split,
            shard_lengths=[count for _, count in shards],
            num_bytes=size,
            filename_template=template,
        )


class _Shard:
    """Serialised records for one file: iterates until the file is large enough."""

    def __init__(
        self,
        features: tfds.features.FeaturesDict,
        first: Mapping[str, Any],
        examples: Iterator[Mapping[str, Any]],
        seen: Callable[[bytes], None],
    ):
        self._features, self._examples, self._seen = features, examples, seen
        self.left: Mapping[str, Any] | None = first
        self.count = self.size = 0

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        while self.left is not None and self.size < SHARD_BYTES:
            data = self._features.serialize_example(self.left)
            self._seen(data)
            yield self.count, data
            self.count += 1
            self.size += len(data)
            self.left = next(self._examples, None)
