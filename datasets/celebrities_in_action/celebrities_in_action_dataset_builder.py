"""TFDS builder of Celebrities in Action: who does what where, and the faces of those people."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import tensorflow_datasets as tfds
from etils import epath

from cpad_jax import strict_json
from cpad_jax.data import (
    build,
    celebrities_in_action,
    clip_builder,
    hollywood2,
    streamed,
    tfds_features,
    tv_human_interactions,
)
from cpad_jax.data.built_dataset import PEOPLE, check_digests, read_people
from cpad_jax.data.rejection_log import RejectionSink
from cpad_jax.errors import UserError


class Builder(clip_builder.ClipBuilder):
    """Clips of films and shows (`clips`), and faces cut out of them (`identities`)."""

    name = build.CELEBRITIES_IN_ACTION
    pkg_dir_path = epath.Path(__file__).parent
    VERSION = tfds.core.Version(build.MANUAL[name].version)
    RELEASE_NOTES = {'1.0.0': 'First version.'}
    MANUAL_DOWNLOAD_INSTRUCTIONS = celebrities_in_action.INSTRUCTIONS
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(
            name='identities', description='Faces: to learn from, and to ask with.'
        ),
        tfds.core.BuilderConfig(
            name='clips', description='Clips of which the table says who is in them, if anybody.'
        ),
    ]
    ACTIONS = celebrities_in_action.ACTIONS

    def __init__(self, *, splits: str | os.PathLike[str] | None = None, **kwargs):
        """Chooses the splits.

        Args:
            splits: A JSON file with the split of each title; without it `splits.json` in the user's
                folder, where there is one, or a draw by the title's name.
            **kwargs: As `ClipBuilder`.
        """
        self._splits = splits
        super().__init__(**kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        if self.builder_config.name == 'clips':
            return super()._info()
        return self.info_of(tfds_features.identity_features())

    def tables(self, manual_dir: Path) -> dict[str, Path]:
        """The sources' lists and annotations, the annotation table, and the splits."""
        tables = celebrities_in_action.source_tables(manual_dir) | super().tables(manual_dir)
        if 'annotations' not in tables:
            told = celebrities_in_action.TABLE_INSTRUCTIONS
            raise UserError(
                f'{manual_dir / "annotations.jsonl"}: there is no annotation table; name another '
                f'one with --annotations, or {told}'
            )
        return tables | clip_builder.chosen('splits', self._splits, manual_dir / 'splits.json')

    def _sources(self, manual_dir: Path, aside: RejectionSink) -> Mapping[str, streamed.Source]:
        splits = self.tables(manual_dir).get('splits')
        made = celebrities_in_action.plan(
            hollywood2.find(manual_dir, required=False),
            tv_human_interactions.find(manual_dir, required=False),
            self.annotation_table(manual_dir),
            celebrities_in_action.read_splits(splits) if splits else None,
            aside,
        )
        self._refuse_other_sources(made.fingerprint)
        if not splits and not made.clips['test'] and not self._others():
            print(
                'warning: all titles were drawn for train or '
                'validation, so that `test` is empty and nothing can be evaluated: choose with '
                '--splits FILE, such as {"casablanca": "test"}',
                file=sys.stderr,
            )
        self.info.metadata['sources'] = made.fingerprint
        seen = made.is_seen()
        if self.builder_config.name == 'clips':
            # What is planned may not have come.
            learned = self._learned_from()
            seen = [person_id in learned for person_id, _ in made.people]
        self._write_people(clip_builder.entries(made.people, seen))
        if self.builder_config.name == 'clips':
            return self.clip_sources(made.clips)
        self.info.features['identity'].names = [person_id for person_id, _ in made.people]
        return {
            split: celebrities_in_action.Faces(photos, self._processes)
            for split, photos in made.photos.items()
            if photos
        }

    def _learned_from(self) -> set[str]:
        """Of whom photos to learn from were written, where that part is built already."""
        people = self.data_set / 'identities' / str(self.VERSION) / PEOPLE
        if not people.is_file():
            return set()
        return {person['person_id'] for person in read_people(people) if person['seen']}

    def _others(self) -> list[Path]:
        """The metadata of the parts that were built before this one."""
        return sorted(self.data_set.glob(f'*/{self.VERSION}/metadata.json'))

    def _refuse_other_sources(self, fingerprint: str) -> None:
        """Raises a `UserError` where the other part was built of something else."""
        for path in self._others():
            check_digests(path.parent)
            try:
                sources = strict_json.read(path)['sources']
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise UserError(
                    f'{path} is damaged ({error}): delete {path.parent} to build that again'
                ) from error
            if sources != fingerprint:
                raise UserError(
                    f'{path.parent}: this was built of other clips, another annotation table or '
                    'other splits; delete it, or give another folder for the data'
                )
