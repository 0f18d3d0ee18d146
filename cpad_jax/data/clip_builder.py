"""What the TFDS builders of real clips have in common; only they import it, as it loads TFDS."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import tensorflow_datasets as tfds

from cpad_jax.data import build, streamed, tfds_features, video_clips
from cpad_jax.data.built_dataset import PersonEntry
from cpad_jax.data.rejection_log import RejectionSink
from cpad_jax.data.video_clips import AnnotationTable, ClipPlan, Clips
from cpad_jax.errors import UserError
from cpad_jax.text.prompts import PLACES


class ClipBuilder(streamed.StreamedBuilder, skip_registration=True):
    """Writes clips of videos that the user brings.

    Attributes:
        ACTIONS: What the numbers of actions mean.
    """

    ACTIONS: Sequence[str]

    def __init__(
        self,
        *,
        annotations: str | os.PathLike[str] | None = None,
        processes: int | None = None,
        **kwargs,
    ):
        """Chooses the annotation table.

        Args:
            annotations: The table of titles and people; without it `annotations.jsonl` in the
                user's folder, where there is one.
            processes: How many processes decode; None for one per CPU core.
            **kwargs: TFDS's own: `data_dir`, `config`, `file_format`, …
        """
        self._annotations = annotations
        self._processes = processes
        super().__init__(**kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        return self.info_of(tfds_features.clip_features(self.ACTIONS, PLACES))

    @property
    def data_set(self) -> Path:
        """DIR/NAME, of DIR/NAME/PART/VERSION."""
        return Path(self.data_dir).parents[1]

    def tables(self, manual_dir: Path) -> dict[str, Path]:
        """The annotation table, where there is one.

        Raises:
            UserError: The one that was chosen is not there.
        """
        return chosen('annotations', self._annotations, manual_dir / 'annotations.jsonl')

    def annotation_table(self, manual_dir: Path) -> AnnotationTable:
        """The annotation table, which is empty where there is none."""
        return AnnotationTable(self.tables(manual_dir).get('annotations'))

    def annotated_sources(
        self,
        plans: Mapping[str, Sequence[ClipPlan]],
        table: AnnotationTable,
        aside: RejectionSink,
        elsewhere: Collection[str] = (),
    ) -> dict[str, Clips]:
        """The splits that have clips, whose people become those of the data set.

        Args:
            plans: Split → clips.
            table: Rows about other clips are set aside.
            aside: Receives them.
            elsewhere: Clips of another part, which the table may be about as well.
        """
        clips = [clip for own in plans.values() for clip in own]
        table.set_aside_others({clip.clip_id for clip in clips}.union(elsewhere), aside)
        people = video_clips.number_people(clips)
        self._write_people(entries(people, [False] * len(people)))
        return self.clip_sources(plans)

    def clip_sources(self, plans: Mapping[str, Sequence[ClipPlan]]) -> dict[str, Clips]:
        """The splits that have clips."""
        everything = [clip for clips in plans.values() for clip in clips]
        self.info.metadata['relevance'] = video_clips.relevance(everything)
        keep = build.unfinished(self.data_set, self.builder_config.name)
        return {
            split: Clips(clips, len(self.ACTIONS), len(PLACES), self._processes, keep)
            for split, clips in plans.items()
            if clips
        }


def chosen(option: str, path: str | os.PathLike[str] | None, beside: Path) -> dict[str, Path]:
    """A file that the user may choose.

    Args:
        option: What it is called on the command line.
        path: What was chosen, or None.
        beside: What is used otherwise, where it is there.

    Returns:
        The option → its file; empty where there is none.

    Raises:
        UserError: What was chosen is not there.
    """
    if path is None:
        return {option: beside} if beside.is_file() else {}
    if not Path(path).is_file():
        raise UserError(
            f'--{option} {path}: there is no such file; give the right path, or leave the option '
            f'out to use {beside}, where that is there'
        )
    return {option: Path(path)}


def entries(people: Sequence[tuple[str, str]], seen: Sequence[bool]) -> list[PersonEntry]:
    """A table of people of whom (person_id, name), and whether there are training photos, is known.

    Args:
        people: In the order of `identity`.
        seen: For each of them.
    """
    return [
        {'person_id': person_id, 'name': name, 'gender': '', 'seen': known, 'identity': number}
        for number, ((person_id, name), known) in enumerate(zip(people, seen, strict=True))
    ]
