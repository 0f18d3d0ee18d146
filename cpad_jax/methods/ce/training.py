"""Training of Collaborative Experts: the task of `config.task = 'ce'`; see `loop.Task`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cpad_jax.data import readers
from cpad_jax.data.built_dataset import DatasetPaths
from cpad_jax.errors import UserError
from cpad_jax.features.statistics import face_statistics
from cpad_jax.features.store import FeatureStore, IdentityFeatures
from cpad_jax.methods.ce import export as ce_export
from cpad_jax.methods.ce import model
from cpad_jax.methods.ce.features import clip_experts
from cpad_jax.models import face_features
from cpad_jax.ranking import metrics
from cpad_jax.training import clip_labels, losses, validation_curve
from cpad_jax.training.compound_batches import CompoundBatches, CompoundQueries, LabelledClips
from cpad_jax.training.compound_captions import EmbeddedCaptions, person_numbers

_CALIBRATION = 8  # Batches for the statistics of batch normalisation.
_COMPARED = 4  # Batches for the losses of the validation curve.


class CollaborativeExperts:
    """Learns from clips with compound captions.

    Attributes:
        backbone_sha256: Hash of the CLIP of all features; checkpoints require the same.
        sampler: Sampler of queries about training clips, and about those of other titles by which
            a checkpoint is chosen.
    """

    def __init__(
        self,
        config: Any,
        clip: Any,
        photos: IdentityFeatures,
        captions: EmbeddedCaptions,
        training: LabelledClips,
        validation: LabelledClips,
    ):
        """Prepares the task.

        Args:
            config: The configuration: `backbone`, `seed`, `features`, `model` and `train`.
            clip: The CLIP of the features.
            photos: Features of all training photos.
            captions: Captions to draw from.
            training: Clips of titles to learn from.
            validation: Clips of other titles.

        Raises:
            UserError: See `CompoundBatches`.
        """
        self.config, self.backbone_sha256 = config, clip.sha256
        self._captions = captions
        self.sampler = CompoundBatches(config, photos, captions, training, validation)
        self._faces = photos.faces
        self.ce_config = model.CEConfig(
            clip_width=training.inputs.features['frames'].shape[-1],
            face_width=photos.faces.shape[-1],
            word_width=captions.words.shape[-1],
            **config.model,
        )
        self.model = model.CE(self.ce_config)
        self._stats = jax.eval_shape(
            functools.partial(model.init, self.ce_config), jax.random.key(0)
        )
        self._apply = jax.jit(self._scores, static_argnames='train')

    def init_params(self, rng: jax.Array) -> Any:
        """Initial parameters; centres and spreads are measured on the training clips."""
        params = dict(model.init(self.ce_config, rng)['params'])
        for name, features in self.sampler.training.inputs.features.items():
            present = self.sampler.training.inputs.present[:, model.EXPERTS.index(name)]
            features = features[present] if present.any() else self._faces
            centre, spread = face_statistics(features)
            params |= {f'centre_{name}': jnp.asarray(centre), f'spread_{name}': jnp.asarray(spread)}
        return params

    def label_params(self, params: Any) -> Any:
        """One group; measured constants are 'frozen'."""
        return {
            name: jax.tree.map(
                lambda _, n=name: 'frozen' if n.startswith(('centre_', 'spread_')) else 'ce', tree
            )
            for name, tree in params.items()
        }

    def batches(self, start_step: int) -> Iterator[dict[str, np.ndarray]]:
        """See `batch`."""
        for queries in self.sampler.iterate(start_step):
            yield self.batch(self.sampler.training, queries)

    def batch(self, clips: LabelledClips, queries: CompoundQueries) -> dict[str, np.ndarray]:
        """B queries, and the B clips that they were drawn from.

        Args:
            clips: The clips.
            queries: From `CompoundBatches.batch`.

        Returns:
            `words` [B, L, E], `word_mask` [B, L], `photos` [B, R, Df] and `photo_weights` [B, R] of
            the queries, each expert's features [B, width] and `present` [B, X] of the clips, and
            `relevant` bool [B, B], queries by clips.
        """
        which, captions = queries.clips, queries.captions
        return {
            'words': self._captions.words[captions],
            'word_mask': self._captions.word_mask[captions],
            'photos': queries.photos,
            'photo_weights': queries.photo_weights,
            'present': clips.inputs.present[which],
            'relevant': queries.relevant,
            **{name: array[which] for name, array in clips.inputs.features.items()},
        }

    def _drawn(self, clips: LabelledClips, stream: int, number: int) -> dict[str, np.ndarray]:
        """A batch for measurements, from a random stream of its own."""
        rng = np.random.default_rng((self.config.seed, stream, number))
        return self.batch(clips, self.sampler.batch(clips, rng))

    def _scores(self, variables: Any, batch: Mapping[str, jax.Array], train: bool) -> Any:
        if not train:
            return self.model.apply(variables, batch), variables['batch_stats']
        scores, updated = self.model.apply(variables, batch, train=True, mutable=['batch_stats'])
        return scores, updated['batch_stats']

    def loss(
        self, params: Any, batch: Mapping[str, jax.Array], rng: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The margin loss, and the share of queries whose best clip of the batch is relevant."""
        empty = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), self._stats['batch_stats'])
        scores, _ = self._scores({'params': params, 'batch_stats': empty}, batch, train=True)
        scalars = {'accuracy': metrics.accuracy(scores, batch['relevant'])}
        margin = self.config.train.margin
        return losses.max_margin(scores, batch['relevant'], margin), scalars

    def calibrated(self, params: Any) -> Any:
        """The variables for use after training.

        Batch normalisation gets the mean of the statistics of some batches of training clips under
        these parameters (Wu and Johnson 2021): a checkpoint needs no running averages.
        """
        empty = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), self._stats['batch_stats'])
        statistics = []
        for number in range(_CALIBRATION):
            batch = self._drawn(self.sampler.training, 5, number)
            variables = {'params': params, 'batch_stats': empty}
            statistics.append(self._apply(variables, batch, train=True)[1])
        mean = jax.tree.map(lambda *parts: sum(parts) / len(parts), *statistics)
        return {'params': params, 'batch_stats': mean}

    def evaluator(self, workdir: Path) -> Callable[[int, Any], dict[str, float]]:
        """Retrieval of validation clips by compound queries, for `loop.run`.

        Args:
            workdir: Gets `curve.json`, one entry per evaluation.

        Returns:
            (step, params) → `map`, `hit@1` over all validation clips by people's first photos, and
            the losses `loss` (of validation) and `training_loss`.
        """
        clips, queries = self.sampler.validation, self.sampler.validation_queries()
        words, word_mask = (
            array[queries.captions] for array in (self._captions.words, self._captions.word_mask)
        )

        def loss(variables: Any, clips: LabelledClips) -> float:
            values = []
            for number in range(_COMPARED):
                batch = self._drawn(clips, 7, number)
                scores, _ = self._apply(variables, batch, train=False)
                margin = self.config.train.margin
                relevant = jnp.asarray(batch['relevant'])
                values.append(losses.max_margin(scores, relevant, margin))
            return float(np.mean(values))

        def evaluate(step: int, params: Any) -> dict[str, float]:
            variables = self.calibrated(params)
            encoder = model.Encoder(self.ce_config, variables)
            vectors, weights = encoder.queries(
                words, word_mask, queries.photos, queries.photo_weights
            )
            embedded = encoder.clips(clips.inputs.features, clips.inputs.present)
            scores = model.similarity(vectors, weights, embedded, clips.inputs.present)
            values = {
                **metrics.mean_retrieval(scores, queries.relevant),
                'loss': loss(variables, clips),
                'training_loss': loss(variables, self.sampler.training),
            }
            validation_curve.add(workdir, step, values)
            return values

        return evaluate

    def export(self, params: Any, directory: Path) -> None:
        """Writes the folder that `export.load_model` reads."""
        ce_export.save_model(
            directory,
            ce_export.SavedCE(
                config=self.ce_config,
                variables=self.calibrated(params),
                backbone=self.config.backbone,
                backbone_sha256=self.backbone_sha256,
                frames_per_clip=self.config.features.frames_per_clip,
                faces_per_clip=self.config.features.faces_per_clip,
            ),
        )


def prepare(
    config: Any, workdir: Path, clip: Any, people: DatasetPaths, clips: Mapping[str, DatasetPaths]
) -> CollaborativeExperts:
    """The task of a configuration, with features from the cache or computed.

    Args:
        config: The configuration.
        workdir: The run's folder.
        clip: The CLIP of `config.backbone`.
        people: The data set of the training photos.
        clips: 'training' and 'validation' → the data sets of clips.

    Raises:
        UserError: The configuration does not fit the data.
    """
    if config.features.face != face_features.CLIP:
        raise UserError(
            f'config.features.face is {config.features.face!r}, expected {face_features.CLIP!r}: '
            'faces along tracks are embedded by CLIP, and photos have to be as well'
        )
    store = FeatureStore.of_run(config, workdir, clip)
    photos = store.photos(readers.open_photos(people, 'train'), 'embedding photos (train)')
    known = person_numbers(people.read_people(), photos)
    labelled, names = {}, ((), ())
    for split, paths in clips.items():
        reader = readers.open_clips(paths)
        experts = clip_experts(store, reader, config.features.faces_per_clip)
        names = reader.actions, reader.places
        labelled[split] = LabelledClips(
            experts,
            clip_labels.label_clips(reader, known, len(reader.actions), reader.relevance),
            len(photos.names),
        )
    captions = EmbeddedCaptions(clip, *names)
    return CollaborativeExperts(
        config, clip, photos, captions, labelled['training'], labelled['validation']
    )
