"""TFDS builder of This-Is-My: segments of videos with named instances, and frames of these."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import tensorflow_datasets as tfds
from etils import epath

from cpad_jax.data import build, clip_builder, streamed, tfds_features, this_is_my, video_clips
from cpad_jax.data.rejection_log import RejectionSink
from cpad_jax.text.prompts import ALL_ACTIONS, PLACES


class Builder(streamed.StreamedBuilder):
    """Segments that are searched (`clips`), and photos that say what is meant (`identities`)."""

    name = build.THIS_IS_MY
    pkg_dir_path = epath.Path(__file__).parent
    VERSION = tfds.core.Version(build.MANUAL[name].version)
    RELEASE_NOTES = {'1.0.0': 'First version.'}
    MANUAL_DOWNLOAD_INSTRUCTIONS = this_is_my.INSTRUCTIONS
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(
            name='identities', description='Frames of the videos in which instances are named.'
        ),
        tfds.core.BuilderConfig(name='clips', description='Annotated segments of other videos.'),
    ]

    def __init__(self, *, processes: int | None = None, **kwargs):
        """Chooses how to decode.

        Args:
            processes: How many processes; None for one per CPU core.
            **kwargs: TFDS's own: `data_dir`, `config`, `file_format`, …
        """
        self._processes = processes
        super().__init__(**kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        if self.builder_config.name == 'clips':
            return self.info_of(tfds_features.clip_features(ALL_ACTIONS, PLACES))
        return self.info_of(tfds_features.identity_features())

    def tables(self, manual_dir: Path) -> dict[str, Path]:
        """The three lists."""
        return this_is_my.find(manual_dir)

    def _sources(self, manual_dir: Path, aside: RejectionSink) -> Mapping[str, streamed.Source]:
        made = this_is_my.plan(manual_dir, aside)
        people = [(instance.person_id, instance.name) for instance in made.instances]
        self._write_people(clip_builder.entries(people, [False] * len(people)))
        if self.builder_config.name == 'identities':
            self.info.features['identity'].names = [person_id for person_id, _ in people]
            return {'references': this_is_my.Photos(made, self._processes)}
        self.info.metadata['relevance'] = video_clips.relevance(made.clips)
        self.info.metadata['captions'] = list(made.captions)
        self.info.metadata['categories'] = made.categories
        keep = build.unfinished(Path(self.data_dir).parents[1], self.builder_config.name)
        clips = video_clips.Clips(made.clips, len(ALL_ACTIONS), len(PLACES), self._processes, keep)
        return {'test': clips}
