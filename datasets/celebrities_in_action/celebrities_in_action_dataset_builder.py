"""TFDS builder of Celebrities in Action: who does what where, and the faces of those people."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow_datasets as tfds
from etils import epath

from cpad_jax.data import (
    build,
    celebrities_in_action,
    clip_builder,
    features,
    hollywood2,
    records,
    tv_human_interactions,
)


class Builder(clip_builder.ClipBuilder):
    """Clips of films and shows (`clips`), and faces cut out of them (`identities`)."""

    name = build.CELEBRITIES_IN_ACTION
    pkg_dir_path = epath.Path(__file__).parent
    VERSION = tfds.core.Version(build.CELEBRITIES_IN_ACTION_VERSION)
    RELEASE_NOTES = {'1.0.0': 'First version.'}
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(
            name='identities', description='Faces: to learn from, and to ask with.'
        ),
        tfds.core.BuilderConfig(
            name='clips', description='Clips of which it is known who is in them.'
        ),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = celebrities_in_action.INSTRUCTIONS
    ACTIONS = celebrities_in_action.ACTIONS

    def __init__(self, *, splits: str | os.PathLike[str] | None = None, **kwargs):
        """Chooses the splits.

        Args:
            splits: A JSON file with the split of each title; without it `splits.json` in the folder
                of the archives, where there is one, or a draw by the title's name.
            **kwargs: As `ClipBuilder`.
        """
        self._splits = splits
        super().__init__(**kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        if self.builder_config.name == 'clips':
            return super()._info()
        return self.dataset_info_from_configs(
            features=features.identity_features(), disable_shuffling=True
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        manual = self.manual_folder(dl_manager)
        beside = manual / 'splits.json'
        splits = self._splits or (beside if beside.is_file() else None)
        made = celebrities_in_action.plan(
            hollywood2.find(manual, required=False),
            tv_human_interactions.find(manual, required=False),
            self.annotation_table(manual),
            celebrities_in_action.read_splits(splits) if splits else None,
            self.drop,
        )
        build.claim_celebrities(self.data_set, made)
        if self.builder_config.name == 'clips':
            return self.clip_generators(made.clips)
        return {split: self._photos(photos) for split, photos in made.photos.items() if photos}

    def _photos(
        self, photos: Sequence[celebrities_in_action.FacePlan]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        cut = celebrities_in_action.photo_records(photos, self._processes, self.drop)
        for number, record in enumerate(cut):
            records.check_identity(record)
            yield number, record
        self.write_set_aside()
