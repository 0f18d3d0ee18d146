"""CLIP-PAD that goes on learning, from clips: the task of `config.task = 'clips'`.

Collaborative Experts learn from clips with compound captions, which identity learning never sees.
This is CLIP-PAD with the same supervision: the same clips, captions and people. Only the update of
the text tower is learned further; who somebody is, by photos as by name, stays what it was.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cpad_jax.data import readers
from cpad_jax.data.built_dataset import DatasetPaths
from cpad_jax.errors import UserError
from cpad_jax.models import cpad
from cpad_jax.models.personalised import PersonalisedCLIP
from cpad_jax.text.prompts import PERSON_TOKEN
from cpad_jax.training import clip_truth, feature_cache, losses, validation_curve
from cpad_jax.training.compound_batches import Clips, CompoundBatches, Questions
from cpad_jax.training.compound_captions import Captions, person_numbers
from cpad_jax.training.feature_cache import IdentityFeatures


class ClipLearning:
    """Learns from clips with compound captions about [TOK].

    Attributes:
        backbone_sha256: Of the CLIP that every feature comes from; checkpoints insist on it.
        frozen: The parameters of CLIP's text tower, and those of the CLIP-PAD that is started from.
        asks: The queries, and the clips that they are about: those to learn from, and those of
            other titles by which a checkpoint is chosen.
    """

    def __init__(
        self,
        config: Any,
        model: PersonalisedCLIP,
        photos: IdentityFeatures,
        captions: Captions,
        training: Clips,
        validation: Clips,
    ):
        """Prepares the task.

        Args:
            config: The configuration: `seed` and `train` are read.
            model: What identity learning has learned.
            photos: Of all training photos, by this model's face feature.
            captions: What may be said of [TOK].
            training: Clips of titles to learn from.
            validation: Clips of other titles.

        Raises:
            UserError: The model has no update to learn; or see `CompoundBatches`.
        """
        if model.low_rank is None:
            raise UserError(
                'config.start_from has a CLIP-PAD without an update of the text tower, which is '
                'what clips teach: learn one with config.model.rank of 1 or more'
            )
        self.config, self.backbone_sha256 = config, model.clip.sha256
        self.asks = CompoundBatches(config, photos, captions, training, validation)
        self._start = model
        self._ids = model.clip.tokenize(captions.texts, model.saved.config.num_tokens)
        self._cpad = cpad.CPAD(model.saved.config, model.clip.config)
        text = {name: p for name, p in model.clip.params.items() if name != 'visual'}
        self.frozen = {'clip': text, 'cpad': model.saved.params}
        self._embed = jax.jit(self._queries)

    def init_params(self, rng: jax.Array) -> Any:
        """The update as identity learning left it; nothing is drawn."""
        return {'low_rank': jax.tree.map(jnp.asarray, self._start.saved.params['low_rank'])}

    def label_params(self, params: Any) -> Any:
        """One group."""
        return jax.tree.map(lambda _: 'low_rank', params)

    def batches(self, start_step: int) -> Iterator[dict[str, np.ndarray]]:
        """See `batch`."""
        for questions in self.asks.of_steps(start_step):
            yield self.batch(self.asks.training, questions)

    def batch(self, clips: Clips, questions: Questions) -> dict[str, np.ndarray]:
        """B queries, and the B clips that they were asked about.

        Args:
            clips: Which clips.
            questions: Of `CompoundBatches.batch`.

        Returns:
            `ids` int [B, L], `photos` [B, R, Df] and `shown` [B, R] of the queries, `image` [B, D]
            of the clips, and `true` bool [B, B], queries by clips.
        """
        return {
            'ids': self._ids[questions.captions],
            'photos': questions.photos,
            'shown': questions.shown,
            'image': clips.seen[questions.clips],
            'true': questions.true,
        }

    def _queries(self, params: Any, batch: Mapping[str, jax.Array], frozen: Any) -> jax.Array:
        """Embeddings [B, D] of queries, of length 1."""
        tokens, _ = self._cpad.apply({'params': frozen['cpad']}, batch['photos'], batch['shown'])
        clip = self._start.clip.model
        return cpad.encode_query(clip, frozen['clip'], batch['ids'], tokens, params['low_rank'])

    def loss(
        self, params: Any, batch: Mapping[str, jax.Array], rng: jax.Array, frozen: Any = None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The contrastive loss, and how often the best clip of the batch answers the query."""
        queries = self._queries(params, batch, self.frozen if frozen is None else frozen)
        scores = jnp.matmul(queries, batch['image'].T, precision='highest')
        best = jnp.argmax(scores, axis=1)
        accuracy = jnp.take_along_axis(batch['true'], best[:, None], axis=1).mean()
        loss = losses.multi_positive(scores / self.config.train.temperature, batch['true'])
        return loss, {'accuracy': accuracy}

    def evaluator(self, workdir: Path) -> Callable[[int, Any], dict[str, float]]:
        """Retrieval of validation clips by compound queries, for `loop.run`.

        Args:
            workdir: Gets `curve.json`, one entry per evaluation.

        Returns:
            (step, params) → `map` and `hit@1` over all validation clips, asked by people's first
            photos.
        """
        clips, asked = self.asks.validation, self.asks.of_validation()
        ids, photos, shown = self._ids[asked.captions], asked.photos, asked.shown
        size = self.config.train.people_per_batch * self.config.train.clips_per_person

        def evaluate(step: int, params: Any) -> dict[str, float]:
            found = []
            for start in range(0, len(ids), size):
                rows = np.minimum(np.arange(start, start + size), len(ids) - 1)
                batch = {'ids': ids[rows], 'photos': photos[rows], 'shown': shown[rows]}
                found.append(np.asarray(self._embed(params, batch, self.frozen)))
            queries = np.concatenate(found)[: len(ids)]
            scores = validation_curve.retrieval(queries @ clips.seen.T, asked.true)
            validation_curve.add(workdir, step, scores)
            return scores

        return evaluate

    def export(self, params: Any, directory: Path) -> None:
        """Writes what `cpad_jax.load` reads: the model started from, with this update."""
        saved = self._start.saved
        cpad.save_model(directory, dataclasses.replace(saved, params={**saved.params, **params}))


def prepare(
    config: Any,
    workdir: Path,
    model: PersonalisedCLIP,
    people: DatasetPaths,
    clips: Mapping[str, DatasetPaths],
) -> ClipLearning:
    """The task of a configuration, with features from the cache or computed.

    Args:
        config: The configuration.
        workdir: The run's folder.
        model: What identity learning has learned.
        people: The data set whose training photos say who people are.
        clips: 'training' and 'validation' → the data sets of clips.

    Raises:
        UserError: The configuration does not fit the data or the model.
    """
    if config.features.face != model.face_feature:
        raise UserError(
            f'config.features.face is {config.features.face!r}, and {config.start_from} has '
            f'learned faces by {model.face_feature!r}: set it to that'
        )
    directory, size = feature_cache.folder(config, workdir), config.features.batch_size
    photos = feature_cache.identity_features(
        readers.IdentityReader(people.part('identities'), 'train'),
        f'{people.fingerprint}/identities/train', model.clip, directory,
        face_feature=config.features.face, batch_size=size // 2, dtype=config.dtype,
    )  # fmt: skip
    known = person_numbers(people.read_people(), photos)
    found, captions = {}, None
    for split, paths in clips.items():
        reader = readers.ClipReader(paths.part('clips'), 'test')
        frames = config.features.frames_per_clip
        embedded = feature_cache.clip_features(
            reader, f'{paths.fingerprint}/clips/test', model.image_clip, directory,
            frames_per_clip=frames, batch_size=max(1, size // frames), dtype=config.dtype,
        ).embeddings  # fmt: skip
        shown = clip_truth.shown(reader, known, len(reader.actions))
        found[split] = Clips(embedded, shown, len(photos.names))
        captions = Captions(reader.actions, reader.places, PERSON_TOKEN)
    return ClipLearning(config, model, photos, captions, found['training'], found['validation'])
