"""Batches of compound queries about clips: what methods that learn from clips are asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from cpad_jax.errors import UserError
from cpad_jax.features.store import IdentityFeatures
from cpad_jax.training.clip_labels import ClipLabels
from cpad_jax.training.compound_captions import (
    ClipPersonSampler,
    CompoundCaptions,
    ReferenceSampler,
    sample_query,
)

_VALIDATION_QUERIES = 1024


class LabelledClips:
    """Clips to learn from, or to select by.

    Attributes:
        seen: What the method is given of them.
        shown: What is true of them.
        pairs: Of them and the people who can be asked for.
    """

    def __init__(self, seen: Any, shown: ClipLabels, known: int):
        """Takes N clips; people with a number below `known` have photos."""
        self.seen, self.shown, self.pairs = seen, shown, ClipPersonSampler(shown, known)

    def __len__(self) -> int:
        return len(self.shown.place)


@dataclasses.dataclass(frozen=True)
class CompoundQueries:
    """Q compound queries.

    Attributes:
        clips: int [Q], the clip that each was asked about.
        captions: int [Q], as `Captions.draw` numbers them.
        photos: float32 [Q, R, Df], face features of the person asked for.
        shown: float32 [Q, R], 1 for photos that are there, otherwise 0.
        true: bool [Q, N], which of the clips that were asked answer.
    """

    clips: np.ndarray
    captions: np.ndarray
    photos: np.ndarray
    shown: np.ndarray
    true: np.ndarray


class CompoundBatches:
    """Asks about clips.

    Attributes:
        training: Clips to learn from.
        validation: Clips of other titles.
    """

    def __init__(
        self,
        config: Any,
        photos: IdentityFeatures,
        captions: CompoundCaptions,
        training: LabelledClips,
        validation: LabelledClips,
    ):
        """Prepares.

        Args:
            config: The configuration: `seed` and `train` are read.
            photos: Of all training photos.
            captions: What may be said.
            training: Clips of titles to learn from.
            validation: Clips of other titles.

        Raises:
            UserError: Nobody in the clips has training photos.
        """
        for clips, name in ((training, 'training'), (validation, 'validation')):
            if not len(clips.pairs):
                raise UserError(
                    f'nobody in the {name} clips is among the people of config.data: the worlds '
                    'must have the same seen_people'
                )
        self.training, self.validation = training, validation
        self._seed, self._train, self._captions = config.seed, config.train, captions
        self._photos = ReferenceSampler(photos, config.train.max_references)

    def of_steps(self, start_step: int, of_all: bool = False) -> Iterator[CompoundQueries]:
        """About training clips, of the steps `start_step`, `start_step + 1`, …; see `batch`."""
        step = start_step
        while True:
            rng = np.random.default_rng((self._seed, 4, step))
            yield self.batch(self.training, rng, of_all)
            step += 1

    def batch(
        self, clips: LabelledClips, rng: np.random.Generator, of_all: bool = False
    ) -> CompoundQueries:
        """B queries, each about a clip; `true` is [B, B], of these clips, or of all: [B, N]."""
        train = self._train
        which, who = clips.pairs.draw(train.people_per_batch, train.clips_per_person, rng)
        among = slice(None) if of_all else which
        return self._ask(clips, which, who, train.get('nobody', 0.0), among, rng, rng)

    def of_validation(self) -> CompoundQueries:
        """About all validation clips, each time the same, by people's first photos."""
        clips, rng = self.validation, np.random.default_rng((self._seed, 6))
        each = -(-_VALIDATION_QUERIES // len(clips.pairs))
        which, who = clips.pairs.draw(len(clips.pairs), each, rng)
        return self._ask(clips, which, who, 0.0, slice(None), rng, None)

    def _ask(
        self,
        clips: LabelledClips,
        which: np.ndarray,
        who: np.ndarray,
        nobody: float,
        among: Any,
        rng: np.random.Generator,
        photos_rng: np.random.Generator | None,
    ) -> CompoundQueries:
        asked = sample_query(clips.shown, which, who, nobody, rng)
        captions = self._captions.draw(asked.action, asked.place, rng)
        photos, shown = self._photos.draw(asked.person, photos_rng)
        true = clips.shown[among].answer(asked.person, asked.action, asked.place)
        return CompoundQueries(which, captions, photos, shown, true)
