"""TFDS builder of VGGFace, from the lists of its authors and the pictures that the user has."""

from __future__ import annotations

from pathlib import Path

import tensorflow_datasets as tfds
from etils import epath

from cpad_jax.data import build, features, streamed, vggface
from cpad_jax.data.set_aside import Aside


class Builder(streamed.StreamedBuilder):
    """Photos of up to 2,622 people, as many as the user has."""

    name = 'vggface'
    # TFDS would look for README.md and CITATIONS.bib in a package, which this folder is not.
    pkg_dir_path = epath.Path(__file__).parent
    VERSION = tfds.core.Version(build.MANUAL[name].version)
    RELEASE_NOTES = {'1.0.0': 'First version.'}
    MANUAL_DOWNLOAD_INSTRUCTIONS = vggface.INSTRUCTIONS
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(
            name='identities', description='Photos of people, with the faces marked.'
        )
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=features.identity_features(),
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(),
        )

    def _sources(self, manual_dir: Path, aside: Aside) -> dict[str, vggface.Pictures]:
        release = vggface.find_release(manual_dir)
        people = vggface.read_people(release)
        self.info.features['identity'].names = [person['person_id'] for person in people]
        self._write_people(people)
        return {'train': vggface.Pictures(release, people)}
