"""TFDS builder of VGGFace, from the lists of its authors and the pictures that the user has."""

from __future__ import annotations

from pathlib import Path

import tensorflow_datasets as tfds
from etils import epath

from cpad_jax.data import build, photo_builder, vggface
from cpad_jax.data.rejection_log import RejectionSink


class Builder(photo_builder.PhotoBuilder):
    """Photos of up to 2,622 people, as many as the user has."""

    name = 'vggface'
    # TFDS would look for README.md and CITATIONS.bib in a package, which this folder is not.
    pkg_dir_path = epath.Path(__file__).parent
    VERSION = tfds.core.Version(build.MANUAL[name].version)
    RELEASE_NOTES = {'1.0.0': 'First version.'}
    MANUAL_DOWNLOAD_INSTRUCTIONS = vggface.INSTRUCTIONS

    def tables(self, manual_dir: Path) -> dict[str, Path]:
        """The authors' lists."""
        return {'lists': vggface.find_release(manual_dir).lists}

    def _sources(self, manual_dir: Path, aside: RejectionSink) -> dict[str, vggface.Pictures]:
        release = vggface.find_release(manual_dir)
        people = vggface.read_people(release)
        self.set_people(people)
        return {'train': vggface.Pictures(release, people)}
