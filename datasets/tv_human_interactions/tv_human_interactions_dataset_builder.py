"""TFDS builder of TV Human Interactions: handshakes, high fives, hugs and kisses in TV shows."""

from __future__ import annotations

from collections.abc import Iterator

import tensorflow_datasets as tfds
from etils import epath

from cpad_jax.data import build, clip_builder, clip_files, tv_human_interactions, tv_human_plans


class Builder(clip_builder.ClipBuilder):
    """Clips with who does what to whom."""

    name = 'tv_human_interactions'
    pkg_dir_path = epath.Path(__file__).parent
    VERSION = tfds.core.Version('1.0.0')
    RELEASE_NOTES = {'1.0.0': 'First version.'}
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(name='clips', description="All clips, in the authors' two sets.")
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = tv_human_interactions.INSTRUCTIONS
    ACTIONS = tv_human_interactions.ACTIONS

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        manual = self.manual_folder(dl_manager)
        plans = tv_human_plans.plan_clips(
            *tv_human_interactions.find(manual), self.annotation_table(manual), self.drop
        )
        clips = [clip for own in plans.values() for clip in own]
        people = clip_files.number_people(clips)
        build.write_people(self.data_set, build.unknown_people(people))
        return self.clip_generators(plans)
