"""Batches of compound queries about clips, for methods that learn from clips."""

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
    """Clips to learn from, or to select checkpoints by.

    Attributes:
        inputs: Input of the method, N rows.
        labels: Labels of the N clips.
        sampler: Sampler of (clip, person) for people who have photos.
    """

    def __init__(self, inputs: Any, labels: ClipLabels, known: int):
        """Takes N clips; people with a number below `known` have photos."""
        self.inputs, self.labels = inputs, labels
        self.sampler = ClipPersonSampler(labels, known)

    def __len__(self) -> int:
        return len(self.labels.place)


@dataclasses.dataclass(frozen=True)
class CompoundQueries:
    """Q compound queries.

    Attributes:
        clips: int [Q], the clip that each query was drawn from.
        captions: int [Q], as `CompoundCaptions.draw` numbers them.
        photos: float32 [Q, R, Df], face features of the person of each query.
        photo_weights: float32 [Q, R], 1 for photos that are there, 0 for padding.
        relevant: bool [Q, N], which clips are relevant to each query.
    """

    clips: np.ndarray
    captions: np.ndarray
    photos: np.ndarray
    photo_weights: np.ndarray
    relevant: np.ndarray


class CompoundBatches:
    """Draws compound queries about clips.

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
            photos: Features of all training photos.
            captions: Captions to draw from.
            training: Clips of titles to learn from.
            validation: Clips of other titles.

        Raises:
            UserError: No person in the clips has training photos.
        """
        for clips, name in ((training, 'training'), (validation, 'validation')):
            if not len(clips.sampler):
                raise UserError(
                    f'no person in the {name} clips is among the people of config.data: the worlds '
                    'must have the same seen_people'
                )
        self.training, self.validation = training, validation
        self._seed, self._train, self._captions = config.seed, config.train, captions
        self._references = ReferenceSampler(photos, config.train.max_references)

    def iterate(self, start_step: int, of_all: bool = False) -> Iterator[CompoundQueries]:
        """Queries about training clips of the steps `start_step`, …; see `batch`."""
        step = start_step
        while True:
            rng = np.random.default_rng((self._seed, 4, step))
            yield self.batch(self.training, rng, of_all)
            step += 1

    def batch(
        self, clips: LabelledClips, rng: np.random.Generator, of_all: bool = False
    ) -> CompoundQueries:
        """B queries; `relevant` is [B, B], over their clips, or [B, N], over all clips."""
        train = self._train
        rows, people = clips.sampler.draw(train.people_per_batch, train.clips_per_person, rng)
        gallery = slice(None) if of_all else rows
        return self._sample(clips, rows, people, train.get('no_person', 0.0), gallery, rng, rng)

    def validation_queries(self) -> CompoundQueries:
        """Queries about all validation clips, by people's first photos; the same in every call."""
        clips, rng = self.validation, np.random.default_rng((self._seed, 6))
        clips_per_person = -(-_VALIDATION_QUERIES // len(clips.sampler))
        rows, people = clips.sampler.draw(len(clips.sampler), clips_per_person, rng)
        return self._sample(clips, rows, people, 0.0, slice(None), rng, None)

    def _sample(
        self,
        clips: LabelledClips,
        rows: np.ndarray,
        people: np.ndarray,
        no_person_share: float,
        gallery: Any,
        rng: np.random.Generator,
        photos_rng: np.random.Generator | None,
    ) -> CompoundQueries:
        query = sample_query(clips.labels, rows, people, no_person_share, rng)
        captions = self._captions.draw(query.action, query.place, rng)
        photos, photo_weights = self._references.draw(query.person, photos_rng)
        relevant = clips.labels[gallery].relevant(query.person, query.action, query.place)
        return CompoundQueries(rows, captions, photos, photo_weights, relevant)
