"""TFDS builder of VGGFace2, from the user's own copy."""

from __future__ import annotations

import sys
from pathlib import Path

import tensorflow_datasets as tfds
from etils import epath

from cpad_jax.data import build, photo_builder, vggface2
from cpad_jax.data.rejection_log import RejectionSink


class Builder(photo_builder.PhotoBuilder):
    """Photos of 9,131 people; the people of the two splits are different ones."""

    name = 'vggface2'
    # TFDS would look for README.md and CITATIONS.bib in a package, which this folder is not.
    pkg_dir_path = epath.Path(__file__).parent
    VERSION = tfds.core.Version(build.MANUAL[name].version)
    RELEASE_NOTES = {'1.0.0': 'First version.'}
    MANUAL_DOWNLOAD_INSTRUCTIONS = vggface2.INSTRUCTIONS

    def tables(self, manual_dir: Path) -> dict[str, Path]:
        """All of the authors' tables that are there."""
        release = vggface2.find_release(manual_dir)
        kinds = (release.lists, release.boxes, release.landmarks)
        paths = (release.meta, *(path for kind in kinds for path in kind.values()))
        return {path.name: path for path in paths}

    def _sources(self, manual_dir: Path, aside: RejectionSink) -> dict[str, vggface2.Split]:
        release = vggface2.find_release(manual_dir)
        people = vggface2.read_people(release.meta, aside)
        self.set_people(people)
        if missing := release.missing():
            print(
                f'{self.name}: not found, and built without: {", ".join(missing)}', file=sys.stderr
            )
        return {
            split: vggface2.Split(release, split, people, aside)
            for split in vggface2.SPLITS
            if split in release.pictures
        }
