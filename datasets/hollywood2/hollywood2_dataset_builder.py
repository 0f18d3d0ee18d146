"""TFDS builder of Hollywood2: clips of 69 films with 12 actions, or in 10 places."""

from __future__ import annotations

from collections.abc import Iterator

import tensorflow_datasets as tfds
from etils import epath

from cpad_jax.data import build, clip_builder, clip_files, hollywood2


class Builder(clip_builder.ClipBuilder):
    """Clips of what people do (`actions`) and of where they are (`scenes`)."""

    name = 'hollywood2'
    pkg_dir_path = epath.Path(__file__).parent
    VERSION = tfds.core.Version('1.0.0')
    RELEASE_NOTES = {'1.0.0': 'First version.'}
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(
            name='actions', description='What is done: train, test, and autotrain from scripts.'
        ),
        tfds.core.BuilderConfig(
            name='scenes', description='Where it is: test, and autotrain from scripts.'
        ),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = hollywood2.INSTRUCTIONS
    ACTIONS = hollywood2.ACTIONS

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        manual = self.manual_folder(dl_manager)
        table = self.annotation_table(manual)
        part = self.builder_config.name
        plans = hollywood2.plan_clips(hollywood2.find(manual), part, table, self.drop)
        clips = [clip for own in plans.values() for clip in own]
        # The whole table's people, so that their numbers are the same in both configurations.
        people = clip_files.number_people(clips, table.people())
        build.write_people(self.data_set, build.unknown_people(people))
        return self.clip_generators(plans)
