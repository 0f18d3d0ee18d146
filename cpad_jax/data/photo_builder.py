"""What the TFDS builders of people's photos have in common; only they import it: it loads TFDS."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow_datasets as tfds

from cpad_jax.data import streamed, tfds_features
from cpad_jax.data.built_dataset import PersonEntry


class PhotoBuilder(streamed.StreamedBuilder, skip_registration=True):
    """Writes photos of people that the user brings."""

    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(
            name='identities', description='Photos of people, with the faces marked.'
        )
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        return self.info_of(tfds_features.identity_features())

    def set_people(self, people: Sequence[PersonEntry]) -> None:
        """Names the identities and writes the table of people, in the order of `identity`."""
        self.info.features['identity'].names = [person['person_id'] for person in people]
        self._write_people(list(people))
