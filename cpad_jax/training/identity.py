"""Identity learning: the task of `config.task = 'identity'`; see `loop.Task`.

Only the text tower runs. The towers are frozen, so embeddings of photos come from the
feature cache; what is learned is the adapter, the default token and the low-rank update, and, once
faces have their tokens, the name adapter. Visual prompts, if wished, are learned too; then the
image tower runs on the target photos, and on no others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cpad_jax.features.statistics import face_statistics
from cpad_jax.features.store import IdentityFeatures
from cpad_jax.models import clip_pad, clip_pad_export, face_features, visual_prompts
from cpad_jax.models.clip import CLIP
from cpad_jax.models.name_adapter import name_features, word_ids
from cpad_jax.models.person_adapter import unit
from cpad_jax.models.weights import folder
from cpad_jax.text import training_phrases
from cpad_jax.training import batches as training_batches
from cpad_jax.training import losses, name_learning, target_photos
from cpad_jax.training.known_names import known_names

_BACKGROUND = 1000  # Photos that the model keeps for fine-tuning, of a person each.
_CHUNK = 256  # Texts or photos per call where many are embedded at once.


class IdentityLearning:
    """Learns who people are from cached features of their photos.

    Attributes:
        cpad_config: Sizes of what is learned.
        backbone_sha256: Of the frozen CLIP; checkpoints insist on it.
        frozen: The parameters of CLIP's text tower, and with visual prompts of all of it. They are
            an argument of the loss rather than a constant in the compiled step, which for large
            towers would not fit into it.
    """

    def __init__(
        self,
        config: Any,
        clip: Any,
        features: IdentityFeatures,
        photos: Sequence[Mapping[str, Any]] = (),
    ):
        """Prepares the task.

        Args:
            config: The configuration: `backbone`, `dtype`, `seed`, `features.face`, `model` and
                `train` are read.
            clip: The frozen `CLIPModel`.
            features: Of all training photos, by this CLIP.
            photos: Their records, in the same order; only visual prompts need them.

        Raises:
            UserError: The configuration does not fit the data or the CLIP.
        """
        self.config, self.features = config, features
        self.backbone_sha256 = clip.sha256
        self._clip = clip
        self.clip = CLIP(clip.config, dtype=jnp.dtype(config.dtype).type, remat=config.train.remat)
        model, train = config.model, config.train
        count = model.get(visual_prompts.NAME, 0)
        visual_prompts.check(count, clip.config)
        self.frozen = {name: p for name, p in clip.params.items() if count or name != 'visual'}
        self._photos = target_photos.TargetPhotos(photos, clip.config) if count else None
        table = np.asarray(clip.params['text']['token_embedding']['embedding'])
        self._word = table[word_ids(clip, ['person'])[0]]
        face_clip = face_features.other_clip(config.features.face)
        self.cpad_config = clip_pad.CPADConfig(
            face_feature=config.features.face,
            face_width=features.faces.shape[-1],
            num_tokens=model.num_tokens,
            adapter_width=model.adapter_width,
            adapter_layers=model.adapter_layers,
            rank=model.rank,
            token_norm=clip_pad.vocabulary_norm(clip.params, phrase_ids(clip)),
            name_width=model.name_width,
            visual_prompts=count,
            face_sha256=folder.file_sha256(face_clip / folder.WEIGHTS_FILE) if face_clip else '',
        )
        self.cpad = clip_pad.CPAD(self.cpad_config, clip.config)
        self._batches = training_batches.IdentityBatches(
            features,
            training_batches.BatchSizes(
                people=train.people_per_batch,
                images=train.images_per_person,
                references=train.max_references,
                forms=dict(train.forms),
            ),
            seed=config.seed,
            num_tokens=model.num_tokens,
            tokenizer=clip.tokenizer,
            composition_steps=composition_steps(clip),
            known_names=known_names(clip, features),
            photos=self._photos,
        )
        prompts = self._batches.prompts
        self._reads_photos = prompts.length_of([*training_phrases.PHOTOS, training_phrases.BASE])
        self._reads_unnamed = prompts.length_of(training_batches.composition_phrases(), named=False)

    def init_params(self, rng: jax.Array) -> Any:
        """Freshly drawn; the default token starts as the word 'person'."""
        faces = jnp.zeros((1, 1, self.cpad_config.face_width))
        params = jax.jit(self.cpad.init)(rng, faces, jnp.ones((1, 1)))['params']
        params['default_token'] = jnp.tile(self._word, (self.cpad_config.num_tokens, 1))
        centre, spread = face_statistics(self.features.faces)
        params['adapter'] |= {'centre': jnp.asarray(centre), 'spread': jnp.asarray(spread)}
        return params

    def label_params(self, params: Any) -> Any:
        """Groups of the same names as in the tree; 'frozen' is what was measured."""
        labels = {group: jax.tree.map(lambda _, g=group: g, params[group]) for group in params}
        labels['adapter'] |= {'centre': 'frozen', 'spread': 'frozen'}
        if not self.config.model.default_token:
            labels['default_token'] = 'frozen'
        return labels

    def batches(self, start_step: int) -> Iterator[dict[str, np.ndarray]]:
        """See `IdentityBatches.batch`."""
        return self._batches.iterate(start_step)

    def loss(
        self, params: Any, batch: Mapping[str, jax.Array], rng: jax.Array, frozen: Any = None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The weighted sum of all terms of `config.train.loss`.

        Args:
            params: What is learned.
            batch: See `IdentityBatches.batch`.
            rng: Not used: a batch holds all chance there is.
            frozen: CLIP's parameters; `self.frozen` by default.

        Returns:
            The loss, each term, and the share of queries whose nearest photo is of their person.
        """
        frozen = self.frozen if frozen is None else frozen
        features = jnp.concatenate([batch['features'], batch['taught_features']])
        present = jnp.concatenate([batch['weights'], batch['taught_weights']])
        tokens, low_rank = self.cpad.apply({'params': params}, features, present)  # [B + P, K, W]
        rows, person = len(batch['ids']), batch['composition_row']
        weights = self.config.train.loss

        def embed(
            ids: Sequence[jax.Array], row_tokens: Sequence[jax.Array], read: int
        ) -> jax.Array:
            return clip_pad.encode_query(
                self.clip,
                frozen,
                jnp.concatenate(ids)[:, :read],
                jnp.concatenate(row_tokens),
                low_rank,
            )

        # Three passes through the text tower, so that short texts are not padded to the longest.
        base_ids, moved_ids = batch['composition_ids'][:, 1], batch['composition_ids'][:, 0]
        short = embed([batch['ids'], base_ids], [tokens[:rows], tokens[person]], self._reads_photos)
        queries, base = short[:rows], short[rows:]
        # What photos alone make of a composition.
        taught = embed([batch['taught_ids']], [tokens[rows:]], self._reads_unnamed)
        ids, row_tokens = [moved_ids], [tokens[person]]
        if weights.get('name_distillation', 0.0):  # Plain CLIP's "NAME running", no [TOK].
            ids.append(batch['named_ids'])
            row_tokens.append(tokens[rows:])
        moved, plain = jnp.split(embed(ids, row_tokens, moved_ids.shape[1]), [len(moved_ids)])
        identity = batch['identity']
        image = self._targets(params, batch, frozen)
        scale = 1 / self.config.train.temperature
        direction, length = losses.composition(moved, base, batch['composition_step'])
        terms = {
            'identity': losses.contrastive(queries, image, identity, identity, scale),
            'composition': direction,
            'composition_length': length,
            'cross_form_consistency': losses.cross_form_consistency(moved, taught),
        }
        if len(plain):
            terms['name_distillation'] = losses.name_distillation(
                taught, plain, batch['named_known']
            )
        loss = sum(weights.get(name, 0.0) * term for name, term in terms.items())
        correct = identity[jnp.argmax(queries @ image.T, axis=-1)] == identity
        metrics = {f'loss_{name}': term for name, term in terms.items()}
        return loss, {**metrics, 'accuracy': correct.mean()}

    def _targets(self, params: Any, batch: Mapping[str, jax.Array], frozen: Any) -> jax.Array:
        """L2-normalised embeddings of the target photos: float32 [B, D]."""
        if self._photos is None:
            return unit(batch['image'])
        prompted = visual_prompts.into(frozen, params[visual_prompts.NAME])
        pixels = target_photos.pixels(batch['squares'], self.clip.config)
        return unit(self.clip.apply({'params': prompted}, pixels, method='encode_image'))

    def export(self, params: Any, directory: Path) -> None:
        """Learns the names, and writes the folder that `cpad_jax.load` reads."""
        memory = name_memory(self.cpad, params, self.features)
        names = [str(name) for name in self.features.names]
        if self.cpad_config.name_width:
            params = dict(params)
            params['name_adapter'] = name_learning.learn_names(
                clip_pad.name_adapter(self.cpad_config, self.clip.config),
                name_features(self._clip, names),
                memory,
                steps=self.config.train.name_steps,
                seed=self.config.seed,
            )
        saved = clip_pad_export.SavedCPAD(
            config=self.cpad_config,
            params=params,
            backbone=self.config.backbone,
            backbone_sha256=self.backbone_sha256,
            names=names,
            memory=memory if self.config.model.name_memory else None,
            background=self._background(params),
        )
        clip_pad_export.save_model(directory, saved)

    def _background(self, params: Any) -> np.ndarray:
        """Embeddings of some training photos, of as many people as there are: [M, D]."""
        rng = np.random.default_rng((self.config.seed, 10))
        order = rng.permutation(len(self.features.labels))
        _, first = np.unique(self.features.labels[order], return_index=True)
        chosen = rng.permutation(order[first])[:_BACKGROUND]
        if self._photos is None:
            return self.features.images[chosen].astype(np.float32)
        clip = self._clip.prompted(params[visual_prompts.NAME])
        parts = [chosen[start : start + _CHUNK] for start in range(0, len(chosen), _CHUNK)]
        return np.concatenate([
            clip.encode_image(clip.preprocess(self._photos(part)), normalize=True)
            for part in parts
        ])  # fmt: skip


def phrase_ids(clip: Any) -> np.ndarray:
    """Ids of the words that training uses, int64 [n]: a small CLIP has learned few others."""
    phrases = [*training_phrases.PHOTOS, *training_batches.composition_phrases()]
    return word_ids(clip, [phrase.format('') for phrase in phrases])


def composition_steps(clip: Any) -> np.ndarray:
    """The step of plain CLIP from 'a photo of a person' to each phrase about 'a person'.

    Args:
        clip: A `CLIPModel`.

    Returns:
        float32 [number of composition phrases, D], differences of L2-normalised embeddings.
    """
    phrases = [training_phrases.BASE, *training_batches.composition_phrases()]
    texts = [phrase.format(training_phrases.GENERIC_PERSON) for phrase in phrases]
    embedded = clip.encode_text(clip.tokenize(texts), normalize=True)
    return embedded[1:] - embedded[:1]


def name_memory(model: clip_pad.CPAD, params: Any, features: IdentityFeatures) -> np.ndarray:
    """The mean face token of every identity.

    Args:
        model: What was learned.
        params: Its parameters.
        features: Of all training photos.

    Returns:
        float32 [N, K, W]: the mean over an identity's photos, brought back to a token's length.
    """
    apply = jax.jit(lambda params, faces, weights: model.apply({'params': params}, faces, weights))
    total = 0.0
    count = len(features.faces)
    for start in range(0, count, _CHUNK):
        part = np.arange(start, start + _CHUNK)
        faces = features.faces[np.minimum(part, count - 1)].astype(np.float32)
        tokens, _ = apply(params, faces[:, None], np.ones((_CHUNK, 1), np.float32))
        tokens = np.asarray(tokens)[: count - start]
        if start == 0:
            total = np.zeros((len(features.names), *tokens.shape[1:]), np.float64)
        np.add.at(total, features.labels[start : start + _CHUNK], tokens)
    length = np.exp(np.asarray(params['adapter']['log_scale']))
    mean = total / np.maximum(np.linalg.norm(total, axis=-1, keepdims=True), 1e-12)
    return (length * mean).astype(np.float32)
