"""What the TFDS builders of real clips have in common; only they import it, as it loads TFDS."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from cpad_jax import atomic
from cpad_jax.data import build, clip_files, features, records
from cpad_jax.data.clip_files import AnnotationTable, ClipPlan
from cpad_jax.errors import UserError
from cpad_jax.text.prompts import PLACES


class ClipBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Writes clips of videos that the user brings.

    Attributes:
        ACTIONS: What the numbers of actions mean.
    """

    ACTIONS: Sequence[str]

    def __init__(
        self,
        *,
        annotations: str | os.PathLike[str] | None = None,
        processes: int | None = None,
        **kwargs,
    ):
        """Chooses the annotation table.

        Args:
            annotations: The table of titles and people; without it `annotations.jsonl` in the
                folder of the archives, where there is one.
            processes: How many processes decode; None for one per CPU core.
            **kwargs: TFDS's own: `data_dir`, `config`, `file_format`, …
        """
        self._annotations = annotations
        self._processes = processes
        self.set_aside: list[tuple[str, str]] = []
        super().__init__(**kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=features.clip_features(self.ACTIONS, PLACES),
            # The order of the lists, so that a record's number means the same in every build.
            disable_shuffling=True,
            # What it truly is is known when the labels are read, and written then.
            metadata=tfds.core.MetadataDict(relevance='clip'),
        )

    def manual_folder(self, dl_manager: tfds.download.DownloadManager) -> Path:
        """The folder that the user gave, which is there."""
        try:
            return Path(dl_manager.manual_dir)
        except AssertionError as error:
            raise UserError(
                '--manual_dir: the folder is not there or empty; '
                f'{self.MANUAL_DOWNLOAD_INSTRUCTIONS}'
            ) from error

    def annotation_table(self, folder: Path) -> AnnotationTable:
        """The annotation table, which is empty where there is none."""
        beside = folder / 'annotations.jsonl'
        return AnnotationTable(self._annotations or (beside if beside.is_file() else None))

    def drop(self, where: str, why: str) -> None:
        """Takes note of something that does not come into the data set."""
        self.set_aside.append((where, why))

    def clip_generators(self, plans: Mapping[str, Sequence[ClipPlan]]) -> dict[str, Iterator]:
        """Generators of the splits that have clips."""
        everything = [clip for clips in plans.values() for clip in clips]
        self.info.metadata['relevance'] = clip_files.relevance(everything)
        return {split: self._generate_examples(clips) for split, clips in plans.items() if clips}

    @property
    def data_set(self) -> Path:
        """DIR/NAME, of DIR/NAME/CONFIG/VERSION."""
        return Path(self.data_dir).parents[1]

    def _generate_examples(self, plans: Sequence[ClipPlan]) -> Iterator[tuple[int, dict[str, Any]]]:
        keep = build.unfinished(self.data_set, self.builder_config.name)
        made = clip_files.clip_records(plans, self._processes, self.drop, keep)
        for number, record in enumerate(made):
            records.check_clip(record, len(self.ACTIONS), len(PLACES))
            yield number, record
        self.write_set_aside()

    def write_set_aside(self) -> None:
        """Lists what was dropped so far, a line each, beside the data set's configurations."""
        path = self.data_set / f'set_aside_{self.builder_config.name}.txt'
        text = ''.join(f'{where}: {why}\n' for where, why in self.set_aside)
        atomic.write_bytes(path, text.encode())
