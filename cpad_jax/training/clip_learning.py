"""Fine-tuning of CLIP-PAD on clips: the task of `config.task = 'finetune_on_clips'`.

Collaborative Experts learn from clips with compound captions, which identity learning does not use.
Here CLIP-PAD gets the same supervision: the same clips, captions and people. Only the low-rank
update of the text tower is trained further; tokens of photos and names stay as they are. A video
adapter then learns actions and places, of any person (`word_learning`).

The loss compares every query with all training clips. Within a batch, a person's other clips would
meet only a few clips of the same place, of which a gallery has hundreds, and queries would learn to
neglect the person.
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
from cpad_jax.features.store import FeatureStore, IdentityFeatures
from cpad_jax.models import clip_pad, clip_pad_export
from cpad_jax.models.clip_pad_api import PersonalizedCLIP
from cpad_jax.models.name_adapter import encode_texts
from cpad_jax.models.pretrained import CLIPModel
from cpad_jax.models.video_adapter import VideoAdapter
from cpad_jax.ranking import metrics
from cpad_jax.text.prompts import GENERIC_PERSON, PERSON_TOKEN
from cpad_jax.text.training_phrases import BASE
from cpad_jax.training import clip_labels, losses, validation_curve, word_learning
from cpad_jax.training.compound_batches import CompoundBatches, CompoundQueries, LabelledClips
from cpad_jax.training.compound_captions import CompoundCaptions, person_numbers

_FORGETTING_STRIDE = 4  # The loss of forgetting is taken of every fourth query's person.


class ClipLearning:
    """Fine-tuning on clips with compound captions about [TOK].

    Attributes:
        backbone_sha256: Of the CLIP that every feature comes from; checkpoints insist on it.
        frozen: The parameters of CLIP's text tower, those of the CLIP-PAD that is started from, and
            the clips to learn from, [N, D].
        sampler: Sampler of queries about training clips, and about those of other titles by which
            a checkpoint is chosen.
    """

    def __init__(
        self,
        config: Any,
        model: PersonalizedCLIP,
        photos: IdentityFeatures,
        captions: CompoundCaptions,
        generic_captions: CompoundCaptions,
        training: LabelledClips,
        validation: LabelledClips,
        plain: np.ndarray,
    ):
        """Prepares the task.

        Args:
            config: The configuration: `seed`, `model` and `train` are read.
            model: The CLIP-PAD to start from.
            photos: Features of all training photos, by this model's face feature.
            captions: Captions about [TOK].
            generic_captions: Captions about no particular person.
            training: Clips of titles to learn from.
            validation: Clips of other titles.
            plain: float32 [N, D], embeddings of the training clips by CLIP without visual prompts.

        Raises:
            UserError: The model has no update to learn; or see `CompoundBatches`.
        """
        if model.low_rank is None:
            raise UserError(
                'config.start_from has a CLIP-PAD without an update of the text tower, which is '
                'what clips teach: learn one with config.model.rank of 1 or more'
            )
        self.config, self.backbone_sha256 = config, model.clip.sha256
        self.sampler = CompoundBatches(config, photos, captions, training, validation)
        self._start, self._generic_captions, self._plain = model, generic_captions, plain
        self._ids = model.clip.tokenize(captions.texts, model.saved.config.num_tokens)
        photo = BASE.format(PERSON_TOKEN)
        self._photo_ids = model.clip.tokenize([photo], model.saved.config.num_tokens)
        self._cpad = clip_pad.CPAD(model.saved.config, model.clip.config)
        text = {name: p for name, p in model.clip.params.items() if name != 'visual'}
        self.frozen = {'clip': text, 'cpad': model.saved.params, 'clips': training.inputs}
        self._embed = jax.jit(self._encode_queries)

    def init_params(self, rng: jax.Array) -> Any:
        """The update as identity learning left it; nothing is drawn."""
        return {'low_rank': jax.tree.map(jnp.asarray, self._start.saved.params['low_rank'])}

    def label_params(self, params: Any) -> Any:
        """One group."""
        return jax.tree.map(lambda _: 'low_rank', params)

    def batches(self, start_step: int) -> Iterator[dict[str, np.ndarray]]:
        """See `batch`."""
        for queries in self.sampler.iterate(start_step, of_all=True):
            yield self.batch(queries)

    def batch(self, queries: CompoundQueries) -> dict[str, np.ndarray]:
        """B queries.

        Args:
            queries: From `CompoundBatches.batch`, with relevance over all N clips.

        Returns:
            `ids` int [B, L], `photos` [B, R, Df], `photo_weights` [B, R], and `relevant` bool
            [B, N].
        """
        return {
            'ids': self._ids[queries.captions],
            'photos': queries.photos,
            'photo_weights': queries.photo_weights,
            'relevant': queries.relevant,
        }

    def _encode_queries(
        self, params: Any, batch: Mapping[str, jax.Array], frozen: Any
    ) -> jax.Array:
        """L2-normalised embeddings [B, D] of queries."""
        tokens = self._tokens(batch, frozen)
        clip = self._start.clip.model
        return clip_pad.encode_query(clip, frozen['clip'], batch['ids'], tokens, params['low_rank'])

    def _tokens(self, batch: Mapping[str, jax.Array], frozen: Any) -> jax.Array:
        """Tokens [B, K, W] of the people of queries."""
        return self._cpad.apply(
            {'params': frozen['cpad']}, batch['photos'], batch['photo_weights']
        )[0]

    def _forgetting(self, params: Any, batch: Mapping[str, jax.Array], frozen: Any) -> jax.Array:
        """Distance of "a photo of [TOK]", by which faces are compared, from its start."""
        some = {name: batch[name][::_FORGETTING_STRIDE] for name in ('photos', 'photo_weights')}
        tokens = self._tokens(some, frozen)
        ids = jnp.broadcast_to(self._photo_ids, (len(tokens), self._photo_ids.shape[1]))
        now, before = (
            clip_pad.encode_query(self._start.clip.model, frozen['clip'], ids, tokens, update)
            for update in (params['low_rank'], frozen['cpad']['low_rank'])
        )
        return losses.cross_form_consistency(now, before)

    def loss(
        self, params: Any, batch: Mapping[str, jax.Array], rng: jax.Array, frozen: Any = None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The contrastive loss, and the share of queries whose best clip of all is relevant."""
        frozen = self.frozen if frozen is None else frozen
        queries = self._encode_queries(params, batch, frozen)
        scores = jnp.matmul(queries, frozen['clips'].T, precision='highest')  # [B, N]
        accuracy = metrics.accuracy(scores, batch['relevant'])
        train = self.config.train
        infonce = losses.infonce(scores / train.temperature, batch['relevant'])
        forgetting = self._forgetting(params, batch, frozen)
        scalars = {'accuracy': accuracy, 'infonce': infonce, 'forgotten': forgetting}
        return infonce + train.remember * forgetting, scalars

    def evaluator(self, workdir: Path) -> Callable[[int, Any], dict[str, float]]:
        """Retrieval of validation clips by compound queries, for `loop.run`.

        Args:
            workdir: Gets `curve.json`, one entry per evaluation.

        Returns:
            (step, params) → `map` and `hit@1` over all validation clips, with people's first
            photos.
        """
        clips, queries = self.sampler.validation, self.sampler.validation_queries()
        ids, photos, weights = self._ids[queries.captions], queries.photos, queries.photo_weights
        size = self.config.train.people_per_batch * self.config.train.clips_per_person

        def evaluate(step: int, params: Any) -> dict[str, float]:
            embedded = []
            for start in range(0, len(ids), size):
                rows = np.minimum(np.arange(start, start + size), len(ids) - 1)
                batch = {'ids': ids[rows], 'photos': photos[rows], 'photo_weights': weights[rows]}
                embedded.append(np.asarray(self._embed(params, batch, self.frozen)))
            scores = metrics.mean_retrieval(
                np.concatenate(embedded)[: len(ids)] @ clips.inputs.T, queries.relevant
            )
            validation_curve.add(workdir, step, scores)
            return scores

        return evaluate

    def export(self, params: Any, directory: Path) -> None:
        """Trains the video adapter, and writes the folder that `cpad_jax.load` reads."""
        saved, train = self._start.saved, self.config.train
        config = dataclasses.replace(saved.config, clip_width=self.config.model.clip_width)
        learned = {**saved.params, **params}
        learned.pop('clip_adapter', None)  # That of the initial model.
        if config.clip_width:
            learned['clip_adapter'] = self._train_video_adapter(config.clip_width, train.word_steps)
        clip_pad_export.save_model(
            directory, dataclasses.replace(saved, config=config, params=learned)
        )

    def _train_video_adapter(self, width: int, steps: int) -> Any:
        """Parameters of a video adapter trained on the actions and places of the clips."""
        return word_learning.learn_words(
            VideoAdapter(width), self._plain, self.sampler.training.labels, self._generic_captions,
            encode_texts(self._start.clip, self._generic_captions.texts),
            steps=steps, seed=self.config.seed,
        )  # fmt: skip


def prepare(
    config: Any,
    workdir: Path,
    model: PersonalizedCLIP,
    people: DatasetPaths,
    clips: Mapping[str, DatasetPaths],
) -> ClipLearning:
    """The task of a configuration, with features from the cache or computed.

    Args:
        config: The configuration.
        workdir: The run's folder.
        model: The CLIP-PAD to start from.
        people: The data set of the training photos.
        clips: 'training' and 'validation' → the data sets of clips.

    Raises:
        UserError: The configuration does not fit the data or the model.
    """
    if config.features.face != model.face_feature:
        raise UserError(
            f'config.features.face is {config.features.face!r}, and {config.start_from} has '
            f'learned faces by {model.face_feature!r}: set it to that'
        )
    store = FeatureStore.of_run(config, workdir, model.clip)
    photos = store.photos(readers.open_photos(people, 'train'), 'embedding photos (train)')
    known = person_numbers(people.read_people(), photos)
    opened = {split: readers.open_clips(paths) for split, paths in clips.items()}

    def embed(split: str, by: CLIPModel) -> np.ndarray:
        return dataclasses.replace(store, clip=by).clips(opened[split]).embeddings

    def labelled(split: str) -> LabelledClips:
        reader = opened[split]
        labels = clip_labels.label_clips(reader, known, len(reader.actions), reader.relevance)
        return LabelledClips(embed(split, model.image_clip), labels, len(photos.names))

    names = opened['training']
    captions = [
        CompoundCaptions(names.actions, names.places, who) for who in (PERSON_TOKEN, GENERIC_PERSON)
    ]
    plain = embed('training', model.clip)
    return ClipLearning(
        config, model, photos, *captions, labelled('training'), labelled('validation'), plain
    )
