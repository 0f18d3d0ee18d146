"""TFDS builder of Hollywood2: clips of 69 films with 12 actions, or in 10 places."""

from __future__ import annotations

from pathlib import Path

import tensorflow_datasets as tfds
from etils import epath

from cpad_jax.data import build, clip_builder, hollywood2, video_clips
from cpad_jax.data.rejection_log import RejectionSink


class Builder(clip_builder.ClipBuilder):
    """Clips of what people do (`actions`) and of where they are (`scenes`)."""

    name = 'hollywood2'
    pkg_dir_path = epath.Path(__file__).parent
    VERSION = tfds.core.Version(build.MANUAL[name].version)
    RELEASE_NOTES = {'1.0.0': 'First version.'}
    MANUAL_DOWNLOAD_INSTRUCTIONS = hollywood2.INSTRUCTIONS
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(
            name='actions', description='What is done: train, test, and autotrain from scripts.'
        ),
        tfds.core.BuilderConfig(
            name='scenes', description='Where it is: test, and autotrain from scripts.'
        ),
    ]
    ACTIONS = hollywood2.ACTIONS

    def tables(self, manual_dir: Path) -> dict[str, Path]:
        """The part's lists, and the annotation table."""
        lists = hollywood2.check_part(hollywood2.find(manual_dir), self.builder_config.name)
        return {lists.name: lists} | super().tables(manual_dir)

    def _sources(self, manual_dir: Path, aside: RejectionSink) -> dict[str, video_clips.Clips]:
        table, folder = self.annotation_table(manual_dir), hollywood2.find(manual_dir)
        plans = hollywood2.plan_clips(folder, self.builder_config.name, table, aside)
        # One table may be about both parts.
        both = [clip_id for part in hollywood2.PARTS for clip_id in hollywood2.videos(folder, part)]
        return self.annotated_sources(plans, table, aside, elsewhere=both)
