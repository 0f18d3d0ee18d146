"""TFDS builder of TV Human Interactions: handshakes, high fives, hugs and kisses in TV shows."""

from __future__ import annotations

from pathlib import Path

import tensorflow_datasets as tfds
from etils import epath

from cpad_jax.data import build, clip_builder, clip_files, tv_human_interactions, tv_human_plans
from cpad_jax.data.set_aside import Aside


class Builder(clip_builder.ClipBuilder):
    """Clips with who does what to whom."""

    name = 'tv_human_interactions'
    pkg_dir_path = epath.Path(__file__).parent
    VERSION = tfds.core.Version(build.MANUAL[name].version)
    RELEASE_NOTES = {'1.0.0': 'First version.'}
    MANUAL_DOWNLOAD_INSTRUCTIONS = tv_human_interactions.INSTRUCTIONS
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(name='clips', description="All clips, in the authors' two sets.")
    ]
    ACTIONS = tv_human_interactions.ACTIONS

    def _sources(self, manual_dir: Path, aside: Aside) -> dict[str, clip_files.Clips]:
        folders = tv_human_interactions.find(manual_dir)
        plans = tv_human_plans.plan_clips(*folders, self.annotation_table(manual_dir), aside)
        people = clip_files.number_people([clip for own in plans.values() for clip in own])
        self._write_people(clip_builder.entries(people, [False] * len(people)))
        return self.clip_sources(plans)
