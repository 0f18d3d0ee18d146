"""CLIP-PAD for users: people from names and photos, queries about them, embeddings of clips."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cpad_jax.errors import UserError
from cpad_jax.models import clip_pad, clip_pad_export, visual_prompts
from cpad_jax.models import face_features as models_face_features
from cpad_jax.models.name_adapter import name_and_face, name_features
from cpad_jax.models.person import Person
from cpad_jax.models.person_adapter import unit
from cpad_jax.models.pretrained import CLIPModel, load_clip
from cpad_jax.models.tracing import is_traced, refuse_traced
from cpad_jax.models.transformer import LowRank
from cpad_jax.models.video_adapter import adapt_clips
from cpad_jax.text import person_names
from cpad_jax.text.prompts import PERSON_TOKEN, check_person_tokens, check_spelling, without_name

EXPORT = 'model'  # Where a workdir keeps its export.

# Queries and people are padded to one of these, so that few programs are compiled.
_BATCH_SIZES = (1, 8, 64)


class PersonalizedCLIP:
    """A CLIP conditioned on people by their names and photos.

    Attributes:
        clip: The frozen CLIP, which reads texts and faces.
        image_clip: Embeds the clips and photos that are searched: `clip`, with the visual prompts
            if training learned some.
        names: Whose names were learned in training, sorted.
        face_feature: What the adapter reads, as `face_features.tower` takes it.
    """

    def __init__(self, clip: CLIPModel, saved: clip_pad_export.SavedCPAD):
        """Puts the two together; see `load`."""
        self.clip = clip
        self.saved = saved
        prompts = saved.params.get(visual_prompts.NAME)
        self.image_clip = clip if prompts is None else clip.prompted(prompts)
        self.names = sorted(saved.names)
        self.face_feature = saved.config.face_feature
        self._names = person_names.NameIndex(saved.names)
        self._model = clip_pad.CPAD(saved.config, clip.config)
        self._params = jax.device_put(saved.params)
        self._tokens = jax.jit(lambda p, f, w: self._model.apply({'params': p}, f, w)[0])
        self._tokens_of_names: dict[int, np.ndarray] = {}
        if saved.config.name_width:
            self._name_adapter = clip_pad.name_adapter(saved.config, clip.config)
        self._encode = jax.jit(functools.partial(clip_pad.encode_query, clip.model))

    def __repr__(self) -> str:
        learned = sum(leaf.size for leaf in jax.tree.leaves(self._params))
        return (
            f'PersonalizedCLIP({self.clip!r}, names={len(self.names)}, '
            f'tokens_per_person={self.saved.config.num_tokens}, learned_parameters={learned:_})'
        )

    def person(
        self,
        name: str | None = None,
        images: face_features.Photo | Sequence[face_features.Photo] | None = None,
        detector: Any = None,
        cropped: bool = False,
        memory: bool = False,
    ) -> Person:
        """Makes a person from a name learned in training, photos, or both.

        With photos, any name may be given; one of `names` helps, here and before [TOK] in the
        query. Without photos, the name must be one of `names`.

        Args:
            name: As in 'Michael Richards'; capitals, accents and the like make no difference.
            images: Photos of this person alone: paths, or uint8 arrays [H, W, 3] RGB.
            detector: A `media.faces.FaceDetector` or the path of its YuNet model; by default the
                path in the environment variable `CPAD_FACE_DETECTOR`, or what was fetched before.
            cropped: The photos are face crops already, so that no detector is needed.
            memory: Without photos, use the mean face token that training kept of this person in
                place of the default token.

        Returns:
            The person.

        Raises:
            UserError: The name is unknown, a photo cannot be read or shows no face or several, or
                there is no face detector.
        """
        if isinstance(images, (str, os.PathLike)) or (
            isinstance(images, np.ndarray) and images.ndim == 3
        ):
            images = [images]
        if images is not None:
            if not len(images):
                raise UserError('an empty list of photos was given: give one photo or more')
            features = self.face_features(images, detector, cropped)
            tokens = self.tokens(features[None], np.ones((1, len(features)), np.float32))
            number = None if name is None else self._names.find(name)
            if number is None:
                return Person(name, tokens[0], 'image', len(images))
            name = self.saved.names[number]
            tokens = self.with_names([name], tokens)
            return Person(
                name, tokens[0], 'text+image', len(images), name_in_token=self.knows(name)
            )
        if name is None:
            raise UserError('a person needs a name, photos, or both: person(name=…, images=…)')
        number = self._names.find(name)
        if number is None:
            raise UserError(self._unknown(name))
        if memory:
            if self.saved.memory is None:
                raise UserError(
                    'this model has no name memory: train with config.model.name_memory=True, '
                    'or leave memory out'
                )
            return Person(self.saved.names[number], self.saved.memory[number], 'memory')
        name = self.saved.names[number]
        return Person(name, self.name_tokens([name])[0], 'text', name_in_token=self.knows(name))

    def _unknown(self, name: str) -> str:
        hint = f' (near: {", ".join(near)})' if (near := self._names.near(name)) else ''
        return (
            f'{name[:80]!r} is none of the {len(self.names)} names this model knows{hint}: '
            'check the spelling, or give photos: person(images=[…])'
        )

    @functools.cached_property
    def sha256(self) -> str:
        """Of what training learned: 64 hexadecimal digits that differ for another model."""
        return clip_pad.fingerprint(self.saved.params)

    @functools.cached_property
    def face_clip(self) -> CLIPModel | None:
        """The CLIP that reads faces; None where a histogram is read."""
        tower = models_face_features.tower(self.face_feature, self.clip)
        wanted = self.saved.config.face_sha256
        if tower not in (None, self.clip) and tower.sha256 != wanted:
            raise UserError(
                f'the CLIP {self.face_feature} has sha256 {tower.sha256[:12]}…, and this model was '
                f'trained with faces read by {wanted[:12]}…: put that one there, or train again'
            )
        return tower

    @property
    def low_rank(self) -> LowRank | None:
        """The update of the text tower where a [TOK] stands, or None."""
        return self._params.get('low_rank')

    @property
    def default_token(self) -> np.ndarray:
        """What stands in for [TOK] where there is no photo: float32 [K, W]."""
        return np.asarray(self.saved.params['default_token'])

    def face_features(
        self, images: Sequence[face_features.Photo], detector: Any = None, cropped: bool = False
    ) -> np.ndarray:
        """Face features of photos that show one person each: float32 [R, Df]; see `person`."""
        return models_face_features.of_photos(images, self.face_clip, detector, cropped)

    def tokens(self, features: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Tokens of many people at once.

        Args:
            features: float [P, R, Df], face features.
            weights: float [P, R] >= 0, 0 for a photo that is not there; a person with none gets
                the default token.

        Returns:
            float32 [P, K, W]; traced inside `jax.jit`.
        """
        if is_traced(features, weights):
            return self._tokens(self._params, features, weights)
        parts = []
        for start, stop, size in _padded_batches(len(features)):
            rows = np.minimum(np.arange(start, start + size), stop - 1)
            tokens = self._tokens(
                self._params, features[rows].astype(np.float32), weights[rows].astype(np.float32)
            )
            parts.append(np.asarray(tokens)[: stop - start])
        shape = (0, self.saved.config.num_tokens, self.clip.config.text.width)
        return np.concatenate([np.zeros(shape, np.float32), *parts])

    def knows(self, name: str) -> bool:
        """Whether the name adapter has learned a name; see `person_names` for its spelling."""
        return bool(self.saved.config.name_width) and name in self._names

    def name_tokens(self, names: Sequence[str]) -> np.ndarray:
        """Tokens of people by their names.

        Args:
            names: P names.

        Returns:
            float32 [P, K, W]; the default token for a name that was not learned.
        """
        tokens = np.tile(self.default_token, (len(names), 1, 1))
        known = [row for row, name in enumerate(names) if self.knows(name)]
        if known:
            numbers = [self._names.find(names[row]) for row in known]
            self._read_names(sorted(set(numbers) - set(self._tokens_of_names)))
            tokens[known] = [self._tokens_of_names[number] for number in numbers]
        return tokens

    def _read_names(self, numbers: Sequence[int]) -> None:
        """Keeps the tokens of learned names: many queries are about one person."""
        if numbers:
            features = name_features(self.clip, [self.saved.names[n] for n in numbers])
            params = {'params': self._params['name_adapter']}
            made = np.asarray(self._name_adapter.apply(params, features))
            self._tokens_of_names.update(zip(numbers, made, strict=True))

    def with_names(self, names: Sequence[str], tokens: np.ndarray) -> np.ndarray:
        """Tokens of photos, with what the names of the same people say.

        Args:
            names: P names.
            tokens: float [P, K, W], of their photos.

        Returns:
            float32 [P, K, W]; unchanged for a name that was not learned.
        """
        known = np.array([self.knows(name) for name in names])
        both = np.asarray(name_and_face(self.name_tokens(names), tokens))
        return np.where(known[:, None, None], both, tokens)

    def encode_query(
        self, text: str, person: Person | Sequence[Person] | None = None
    ) -> np.ndarray:
        """Embeds a query.

        A learned name before [TOK] is left out of the text: its token says more than its words.

        Args:
            text: For instance 'Michael Richards [TOK] entering the room', '[TOK] eating' or
                '[TOK] hugging [TOK]'; without [TOK] this is plain CLIP.
            person: Who stands behind [TOK]; of several people the first one behind the first
                [TOK], the next behind the next; who is meant twice is given twice.

        Returns:
            float32 [D], L2-normalised.

        Raises:
            UserError: Not one [TOK] for each person, something that is nearly a [TOK], somebody
                known by name alone whom the text does not name, or too much text.
        """
        people = [person] if isinstance(person, Person) else person
        listed = people is None or isinstance(people, Sequence)
        if (
            not isinstance(text, str)
            or not listed
            or not all(isinstance(one, Person) for one in people or ())
        ):
            raise UserError(
                f'encode_query takes one text and what model.person(…) returns, or a list of that, '
                f'not {type(text).__name__} and {type(person).__name__}'
            )
        check_person_tokens(text, len(people or ()))
        if not people:
            tokens = np.zeros((1, *self.default_token.shape), np.float32)
            return self.encode_queries([text], tokens)[0]
        refuse_traced(
            'encode_query', [one.tokens for one in people], 'use encode_queries(texts, tokens)'
        )
        for one in people:
            text = self._worded(text, one)
        update = functools.reduce(clip_pad.with_update, [one.update for one in people])
        return self.encode_queries([text], np.stack([[one.tokens for one in people]]), update)[0]

    def _worded(self, text: str, person: Person) -> str:
        """The text as the text tower reads it about a person; see `encode_query`."""
        if PERSON_TOKEN not in text:
            raise UserError(
                f'the query {text[:80]!r} has no {PERSON_TOKEN} for the person that was given: '
                f'write e.g. {" ".join(filter(None, [person.name, PERSON_TOKEN]))!r} where the '
                'person is meant, or leave the person out'
            )
        if person.name_in_token:
            return without_name(text, person.name)
        if person.form == 'text' and not person_names.contains(text, person.name):
            raise UserError(
                f'the query {text[:60]!r} does not name {person.name}, of whom no photo is here: '
                f"write '{person.name} {PERSON_TOKEN}' where the person is meant, give photos, or "
                'take what training kept, person(name, memory=True)'
            )
        return text

    def encode_queries(
        self, texts: Sequence[str], tokens: np.ndarray, update: LowRank | None = None
    ) -> np.ndarray:
        """Embeds many queries, each about one or more people.

        Args:
            texts: B queries. One without [TOK] is plain CLIP, and its row of `tokens` ignored.
            tokens: float [B, K, W], as `Person.tokens` or `tokens(…)` gives them, or
                [B, P, K, W] for queries about P people each, in the order of their [TOK]s.
            update: `Person.update`, which then holds for every query with a [TOK].

        Returns:
            float32 [B, D], L2-normalised; inside `jax.jit` or `jax.grad`, where `tokens` are
            traced, a traced array.

        Warns:
            UserWarning: The end of a text is cut off, as CLIP does, since it reads so many tokens.

        Raises:
            UserError: A text is so long that its [TOK] is cut off, or has what is nearly a [TOK].
        """
        for text in texts:
            check_spelling(text)
        num_person_tokens = self.saved.config.num_tokens
        reads = self.clip.tokenizer.context_length
        ids = self.clip.tokenize(texts, num_person_tokens)
        wanted = [text.count(PERSON_TOKEN) * num_person_tokens for text in texts]
        counts = (ids == self.clip.config.text.person_token).sum(axis=-1)
        for text, want, has in zip(texts, wanted, counts, strict=True):
            if has != want:
                raise UserError(
                    f'the query {text[:80]!r} is too long: its {PERSON_TOKEN} lies beyond the '
                    f'{reads} tokens that this CLIP reads; shorten it'
                )
            if (count := self.clip.tokenizer.count(text, num_person_tokens)) > reads:
                warnings.warn(
                    f'the query {text[:80]!r} takes {count} tokens, of which this CLIP reads '
                    f'{reads}: its end is not seen',
                    stacklevel=2,
                )
        low_rank = clip_pad.with_update(self.low_rank, update)
        if is_traced(tokens, update):
            return self._encode(self.clip.params, ids, tokens, low_rank)
        embedded = np.zeros((len(ids), self.clip.config.embed_dim), np.float32)
        # Apart, so that a query without a person runs through the very program of plain CLIP.
        plain = counts == 0
        if plain.any():
            embedded[plain] = self.clip.encode_text(ids[plain], normalize=True)
        about = np.flatnonzero(~plain)
        for start, stop, size in _padded_batches(len(about)):
            rows = about[np.minimum(np.arange(start, start + size), stop - 1)]
            embedded[about[start:stop]] = np.asarray(
                self._encode(
                    self.clip.params,
                    ids[rows],
                    jnp.asarray(tokens, jnp.float32)[rows],
                    low_rank,
                )
            )[: stop - start]
        return embedded

    def adapt_clips(self, clips: np.ndarray) -> np.ndarray:
        """Embeddings of clips for queries without a person.

        Args:
            clips: float32 [N, D], L2-normalised embeddings by `clip`.

        Returns:
            float32 [N, D], L2-normalised; `clips` themselves, unless there is a video adapter.
        """
        width = self.saved.config.clip_width
        return adapt_clips(width, self._params['clip_adapter'], clips) if width else clips

    def encode_clip(self, frames: np.ndarray) -> np.ndarray:
        """Embeds a clip: the mean of its frames' directions.

        Args:
            frames: uint8 [T, H, W, 3] RGB, T >= 1.

        Returns:
            float32 [D], L2-normalised.

        Raises:
            UserError: There are no frames, or this is no such array.
        """
        refuse_traced(
            'encode_clip', frames,
            'call image_clip.preprocess_frames(frames) before, and inside '
            'image_clip.encode_image(pixels, normalize=True).mean(axis=0), L2-normalised',
        )  # fmt: skip
        frames = np.asarray(frames)
        if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not len(frames):
            raise UserError(
                f'a clip must be uint8 [T, H, W, 3] with one frame or more, not {frames.dtype} '
                f'{list(frames.shape)}'
            )
        pixels = self.image_clip.preprocess_frames(frames)
        mean = self.image_clip.encode_image(pixels, normalize=True).mean(axis=0)
        return np.asarray(unit(mean))


def _padded_batches(count: int) -> list[tuple[int, int, int]]:
    """(start, stop, padded size) of the batches of `count` rows."""
    largest = _BATCH_SIZES[-1]
    batches = []
    for start in range(0, count, largest):
        stop = min(start + largest, count)
        batches.append((start, stop, next(n for n in _BATCH_SIZES if n >= stop - start)))
    return batches


def load(
    path: str | os.PathLike[str],
    clip: CLIPModel | str | os.PathLike[str] | None = None,
    dtype: str = 'float32',
) -> PersonalizedCLIP:
    """Loads a CLIP-PAD.

    Args:
        path: The workdir of a training, or an export (a folder with `config.json` and
            `weights.safetensors`).
        clip: The CLIP that it was trained on, or its folder; by default from where training had it.
        dtype: Compute dtype, where `clip` is not loaded yet.

    Returns:
        The model.

    Raises:
        UserError: There is none, it is damaged, or `clip` is not the CLIP it was trained on.
    """
    path = Path(path)
    if not path.is_dir():
        raise UserError(
            f'there is no folder {path}: name the workdir of a training, or an exported model'
        )
    if (path / 'checkpoints').is_dir() or (path / EXPORT / clip_pad_export.CONFIG_FILE).is_file():
        path = path / EXPORT
    if clip is None:
        clip = clip_pad_export.read_backbone(path)
    if not isinstance(clip, CLIPModel):
        clip = load_clip(clip, dtype)
    return PersonalizedCLIP(clip, clip_pad_export.load_model(path, clip.config, clip.sha256))
