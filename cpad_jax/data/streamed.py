"""The TFDS builder that large data sets share: records go straight into files, in their order.

TFDS's own writer gathers up to 1 GB of records in memory before it writes any. Without shuffling it
then sorts by the key's place among 2 ** 128, where whole numbers all lie at the beginning: every
record comes back into memory at once. With shuffling it writes everything twice. Readers here draw
records at random anyway, so the order of the source serves as well; and on a cluster, where no
process holds all of it, TFDS's writer for Apache Beam is used as it is.
"""

from __future__ import annotations

import abc
import functools
import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import tensorflow_datasets as tfds

from cpad_jax import atomic, progress
from cpad_jax.data import provenance
from cpad_jax.data.built_dataset import PEOPLE, PersonEntry, read_people
from cpad_jax.data.rejection_log import RejectionList, RejectionLog, RejectionSink
from cpad_jax.errors import UserError

# Files of a quarter of a gigabyte: 200 of them hold VGGFace2.
SHARD_BYTES = 256 << 20

_LEARNED = 'train'  # The split of photos to learn from.

Record = Mapping[str, Any]
# Reads one part of a split on any machine: (key, record) in the order of keys.
PartReader = Callable[[Any, RejectionSink], Iterable[tuple[int, Record]]]


class Source(Protocol):
    """A split in the user's files."""

    def __len__(self) -> int:
        """How many records there should be; 0 where nothing says."""

    def records(self, aside: RejectionSink) -> Iterator[Record]:
        """All records, made lazily."""


class PartedSource(Source, Protocol):
    """A split that many machines can read."""

    def parts(self) -> list[Any]:
        """What can be read apart, e.g. folders."""

    def part_reader(self) -> PartReader:
        """Reads a part; travels to other machines, which see the same files."""


class StreamedBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A builder of records from files that the user has; `_sources` says what is in them.

    What it was made from, what was set aside, and the table of people, go into the version's folder
    beside the records.
    """

    @abc.abstractmethod
    def tables(self, manual_dir: Path) -> dict[str, Path]:
        """The small files, or folders of them, that say what is in the data set, by their names.

        Raises:
            UserError: Something is missing that is needed to build it.
        """

    @abc.abstractmethod
    def _sources(self, manual_dir: Path, aside: RejectionSink) -> Mapping[str, Source]:
        """The splits. Sets the names of labels and calls `_write_people`, where there are any."""

    def info_of(self, fields: tfds.features.FeaturesDict) -> tfds.core.DatasetInfo:
        """TFDS's description of a data set whose records have these fields and keep their order."""
        return self.dataset_info_from_configs(
            features=fields, disable_shuffling=True, metadata=tfds.core.MetadataDict()
        )

    def _write_people(self, people: list[PersonEntry]) -> None:
        atomic.write_json(Path(self.data_dir) / PEOPLE, people)

    def _mark_seen(self) -> None:
        """Says `seen` of those in the table of people of whom a photo to learn from was written."""
        people = read_people(Path(self.data_dir) / PEOPLE)
        for person in people:
            person['seen'] = person['identity'] in self._learned
        self._write_people(people)

    def _download_and_prepare(
        self, dl_manager: tfds.download.DownloadManager, download_config: Any
    ) -> None:
        manual_dir = Path(dl_manager.manual_dir)
        self._learned: set[int] = set()
        provenance.write(Path(self.data_dir), provenance.describe(self.tables(manual_dir)))
        with RejectionLog(self.data_dir) as aside:
            self._open_sources = self._sources(manual_dir, aside)
            if download_config.beam_runner or download_config.beam_options:
                super()._download_and_prepare(dl_manager, download_config)
                self._gather_entries(aside)
                # No process saw all records, so every such build counts as other data.
                content = uuid.uuid4().hex
            else:
                digest = hashlib.blake2b(digest_size=32)
                splits = []
                for split, source in self._open_sources.items():
                    digest.update(split.encode())
                    examples = self._counted(split, source, aside)
                    splits.append(self._write_split(split, examples, digest.update))
                self.info.set_splits(tfds.core.splits.SplitDict(splits))
                content = digest.hexdigest()
        if self.builder_config.name == 'identities':
            self._mark_seen()
        self.info.metadata['content'] = content

    def _counted(self, split: str, source: Source, aside: RejectionSink) -> Iterator[Record]:
        stage = f'{self.name}, {split}'
        unit = 'photo' if self.builder_config.name == 'identities' else 'clip'
        with progress.bar(total=len(source) or None, stage=stage, unit=unit) as bar:
            for record in source.records(aside):
                if split == _LEARNED:
                    self._learned.add(int(record.get('identity', -1)))
                yield record
                bar.update()
            # What was set aside on the way is done as well.
            bar.update(max(0, len(source) - bar.n))

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        """The splits as Beam transforms; TFDS's own writer needs them."""
        del dl_manager  # Its files were opened before.
        return {
            split: _read_in_beam(source, Path(self.data_dir), split)
            for split, source in self._open_sources.items()
        }

    def _generate_examples(self) -> Iterator[Any]:
        raise NotImplementedError('records come from _sources')

    def _gather_entries(self, aside: RejectionSink) -> None:
        for split in self._open_sources:
            path = Path(self.data_dir) / f'aside-{split}.json'
            for entry in json.loads(path.read_text(encoding='utf-8')):
                aside.add(*entry)
            path.unlink()
            path = Path(self.data_dir) / f'people-{split}.json'
            if split == _LEARNED:
                self._learned.update(json.loads(path.read_text(encoding='utf-8')))
            path.unlink()

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


def _read_in_beam(source: PartedSource, folder: Path, split: str) -> Any:
    """A transform that reads a split on many machines, and writes down whom and what not."""
    import apache_beam as beam

    @beam.ptransform_fn
    def read(pipeline):
        read_part = functools.partial(_read_part, source.part_reader())
        found = (
            pipeline
            | beam.Create(source.parts())
            | beam.Reshuffle()
            | beam.FlatMap(read_part).with_outputs('aside', 'people', main='records')
        )
        people = found.people | 'DistinctPeople' >> beam.Distinct()
        for name, values in (('aside', found.aside), ('people', people)):
            write = functools.partial(atomic.write_json, folder / f'{name}-{split}.json')
            _ = (
                values
                | f'Gather_{name}' >> beam.combiners.ToList()
                | f'Write_{name}' >> beam.Map(write)
            )
        return found.records

    return read()


def _read_part(read: PartReader, part: Any) -> Iterator[Any]:
    import apache_beam as beam

    aside = RejectionList()
    for key, record in read(part, aside):
        yield beam.pvalue.TaggedOutput('people', int(record['identity']))
        yield key, record
    for entry in aside.entries:
        yield beam.pvalue.TaggedOutput('aside', entry)
