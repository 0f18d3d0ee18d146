"""TFDS builder of synthetic_cast: a drawn world of movies and shows and the people in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from etils import epath

from cpad_jax.data import filming, records, synthetic_cast, tfds_features
from cpad_jax.synthetic.world import World, WorldSpec
from cpad_jax.text.prompts import ACTIONS, PLACES


@dataclasses.dataclass
class SyntheticCastConfig(tfds.core.BuilderConfig):
    """One of the two kinds of record.

    Attributes:
        splits: Names of the splits.
    """

    splits: tuple[str, ...] = ()


class Builder(tfds.core.GeneratorBasedBuilder):
    """Photos of people (`identities`) and clips with people in them (`clips`)."""

    name = synthetic_cast.SYNTHETIC_CAST
    # TFDS would look for README.md and CITATIONS.bib in a package, which this folder is not.
    pkg_dir_path = epath.Path(__file__).parent
    VERSION = tfds.core.Version(synthetic_cast.SYNTHETIC_CAST_VERSION)
    RELEASE_NOTES = {'1.0.0': 'First version.'}
    BUILDER_CONFIGS = [
        SyntheticCastConfig(
            name='identities',
            description='Photos of people: of the seen to learn from, of the cast to ask with.',
            splits=('train', 'references'),
        ),
        SyntheticCastConfig(
            name='clips',
            description='Clips of movies and shows, with what everybody in them does.',
            splits=('test',),
        ),
    ]

    def __init__(self, *, spec: WorldSpec | None = None, processes: int | None = None, **kwargs):
        """Chooses the world.

        Args:
            spec: The world; without it, that of the quickstart.
            processes: How many processes film it; None for one per CPU core.
            **kwargs: TFDS's own: `data_dir`, `config`, `file_format`, …
        """
        # Before TFDS's own, which asks for the features.
        self._spec = spec or WorldSpec()
        self._processes = processes
        super().__init__(**kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        if self.builder_config.name == 'clips':
            kind = tfds_features.clip_features(ACTIONS, PLACES)
        else:
            kind = tfds_features.identity_features([p.person_id for p in World(self._spec).people])
        return self.dataset_info_from_configs(
            features=kind,
            # The world's own order, so that a record's number means the same in every build.
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(world=self._spec.fingerprint()),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        del dl_manager  # Nothing is downloaded.
        # DIR/synthetic_cast, of DIR/synthetic_cast/clips/1.0.0.
        folder = Path(self.data_dir).parents[1]
        synthetic_cast.claim_world(folder, self._spec)
        return {
            split: self._generate_examples(folder, split) for split in self.builder_config.splits
        }

    def _generate_examples(self, folder: Path, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        made = filming.film(self._spec, folder / 'videos', split, self._processes)
        for number, record in enumerate(made):
            if self.builder_config.name == 'clips':
                records.check_clip(record, len(ACTIONS), len(PLACES))
            else:
                records.check_identity(record)
            yield number, record
