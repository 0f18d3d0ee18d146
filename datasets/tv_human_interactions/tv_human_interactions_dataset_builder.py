"""TFDS builder of TV Human Interactions: handshakes, high fives, hugs and kisses in TV shows."""

from __future__ import annotations

from pathlib import Path

import tensorflow_datasets as tfds
from etils import epath

from cpad_jax.data import build, clip_builder, tv_human_interactions, tv_human_plans, video_clips
from cpad_jax.data.rejection_log import RejectionSink


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

    def tables(self, manual_dir: Path) -> dict[str, Path]:
        """The authors' annotations, and the annotation table."""
        videos, annotations = tv_human_interactions.find(manual_dir)
        tv_human_interactions.check(videos, annotations)
        return {annotations.name: annotations} | super().tables(manual_dir)

    def _sources(self, manual_dir: Path, aside: RejectionSink) -> dict[str, video_clips.Clips]:
        table, folders = self.annotation_table(manual_dir), tv_human_interactions.find(manual_dir)
        plans = tv_human_plans.plan_clips(*folders, table, aside)
        return self.annotated_sources(plans, table, aside)
