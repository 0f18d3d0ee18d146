"""Fine-tuning on one person: the token, and if wished a rank-one update, from a few photos.

The adapter's guess is moved until what the text tower makes of "a photo of [TOK]" is near the
person's photos and away from other people. Two things hold it back: "[TOK] running" must stay as
far from "a photo of [TOK]", and in the same direction, as the guess had it; and the token is pulled
back to the guess. The searched clips are never looked at, and the model is not changed.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from cpad_jax.errors import UserError
from cpad_jax.media.images import read_image
from cpad_jax.models import clip_pad
from cpad_jax.models.clip import CLIP
from cpad_jax.models.clip_pad_api import PersonalizedCLIP
from cpad_jax.models.face_features import Photo
from cpad_jax.models.person import FINE_TUNED, Person
from cpad_jax.models.person_adapter import unit
from cpad_jax.text import training_phrases
from cpad_jax.text.prompts import PERSON_TOKEN
from cpad_jax.training import losses as training_losses

# Phrases of every step. Composition steps start from the first one of the photos.
PHOTOS = (training_phrases.BASE, '{}', 'this is {}')
DOING = ('{} eating food', '{} running fast', '{} in the street', "{} in somebody's kitchen")

NUM_OTHERS = 1000  # Other people, as negatives.
TEMPERATURE = 0.07  # As in identity learning.
COMPOSITION = 1.0  # Weight of the steps' direction,
COMPOSITION_LENGTH = 0.1  # and of their length.
PULL = 8.0  # Weight of the way from the guess, squared, in lengths of the guess.
UPDATE_PULL = 1.0  # Weight of the rank-one update, squared.
RATE = 0.03  # Adam's step, as a share of the guess's length.

MAX_STEPS = 40  # So that a large text tower takes seconds; it mostly ends sooner,
PATIENCE = 5  # when so many steps in a row
GAIN = 2e-3  # have not made the loss smaller by this share.


@dataclasses.dataclass(frozen=True)
class FineTuning:
    """What came out.

    Attributes:
        person: The fine-tuned person, for queries; the form is 'fine-tuned'.
        losses: The loss at the guess and after each step that was done, [steps + 1].
    """

    person: Person
    losses: list[float]


_optimiser = optax.adam(RATE)


def _loss(learned: Any, fixed: Any, clip: CLIP) -> jax.Array:
    """What is minimised; `learned` moves from zero, in units that are alike."""
    guess, scale, ids = fixed['guess'], fixed['scale'], fixed['ids']
    tokens = jnp.broadcast_to(guess + scale * learned['token'], (len(ids), *guess.shape))
    update = _in_tower(learned.get('update'))
    low_rank = clip_pad.with_update(fixed['low_rank'], update)
    embedded = clip_pad.encode_query(clip, fixed['frozen'], ids, tokens, low_rank)
    photos, others = fixed['photos'], fixed['others']
    queries = embedded[: len(PHOTOS)]
    right = queries @ photos.T / TEMPERATURE  # [phrases, n]
    wrong = jnp.where(fixed['apart'], queries @ others.T / TEMPERATURE, -jnp.inf)
    total = jax.nn.logsumexp(jnp.concatenate([right, wrong], axis=1), axis=1, keepdims=True)
    loss = jnp.mean(total - right)
    steps = embedded[len(PHOTOS) :]
    direction, length = training_losses.composition(
        steps, jnp.broadcast_to(queries[:1], steps.shape), fixed['steps']
    )
    loss += COMPOSITION * direction + COMPOSITION_LENGTH * length
    moved = scale * learned['token']
    loss += fixed['pull'] * jnp.sum(moved**2) / jnp.sum(guess**2)
    for layer in (layer for block in (update or {}).values() for layer in block.values()):
        loss += UPDATE_PULL * jnp.sum(layer['a'] ** 2) * jnp.sum(layer['b'] ** 2)
    return loss


# Of the module, so that it is compiled once for all people and not once for each.
@functools.partial(jax.jit, static_argnames='clip')
def _step(learned: Any, state: Any, fixed: Any, clip: CLIP) -> tuple[Any, Any, jax.Array]:
    """One step of Adam, and the loss before it."""
    loss, gradient = jax.value_and_grad(_loss)(learned, fixed, clip)
    change, state = _optimiser.update(gradient, state, learned)
    return optax.apply_updates(learned, change), state, loss


class FineTuner:
    """Fine-tunes a model on people, one after the other; what they share is made once.

    Args:
        model: Is not changed.
        background: float [M, D], embeddings of photos of other people; by default those that the
            model keeps from training. The one that is most like the person is left out each time.
        seed: Of the draw of other people, and of the start of the rank-one update.

    Raises:
        UserError: There is no background.
    """

    def __init__(
        self, model: PersonalizedCLIP, background: np.ndarray | None = None, seed: int = 0
    ):
        self.model, self._seed = model, seed
        saved = model.saved
        background = saved.background if background is None else background
        if background is None or len(background) < 2:
            raise UserError(
                'this model keeps no photos of other people to tell a person apart from: train it '
                'again, or give embeddings of some, background=model.image_clip.encode_image(…)'
            )
        chosen = np.random.default_rng((seed, 9)).permutation(len(background))[:NUM_OTHERS]
        self._others = np.asarray(unit(np.asarray(background, np.float32)[chosen]))
        self._texts = [phrase.format(PERSON_TOKEN) for phrase in PHOTOS + DOING]
        self._ids = jnp.asarray(model.clip.tokenize(self._texts, saved.config.num_tokens))
        self._frozen = {k: v for k, v in model.clip.params.items() if k != 'visual'}

    def fit(
        self, guess: np.ndarray, photos: np.ndarray, name: str | None = None, rank_one: bool = False
    ) -> FineTuning:
        """Moves a token, from embeddings alone.

        Args:
            guess: float [K, W], where it starts.
            photos: float [n, D], embeddings of n >= 1 photos or frames of the person.
            name: The person's name, if known.
            rank_one: Whether a rank-one update of the text tower is learned, too.

        Returns:
            The person, and the losses on the way.
        """
        guess = jnp.asarray(guess, jnp.float32)
        unit_photos = np.asarray(unit(np.asarray(photos, np.float32)))
        apart = np.ones(len(self._others), bool)
        # Whoever is most like the photos may be the person.
        apart[np.argmax(self._others @ unit_photos.mean(axis=0))] = False
        tokens = np.broadcast_to(guess, (len(self._texts), *guess.shape))
        embedded = self.model.encode_queries(self._texts, tokens)
        fixed = {
            'guess': guess,
            'scale': jnp.linalg.norm(guess) / guess.size**0.5,
            'photos': jnp.asarray(unit_photos),
            'others': jnp.asarray(self._others),
            'apart': jnp.asarray(apart),
            'steps': jnp.asarray(embedded[len(PHOTOS) :] - embedded[:1]),
            'frozen': self._frozen,
            'low_rank': self.model.low_rank,
            'ids': self._ids,
            'pull': jnp.float32(PULL),
        }
        # Near zero in units of one, so that Adam moves all of it alike.
        learned: dict[str, Any] = {'token': jnp.zeros_like(guess)}
        if rank_one:
            width = guess.shape[-1]
            draw = jax.random.normal(jax.random.key(self._seed), (width, 1))
            block = f'resblocks.{self.model.clip.config.text.layers - 1}'
            # As POLAR does: the values that the last block reads.
            learned['update'] = {block: {'value': {'a': draw, 'b': jnp.zeros((1, width))}}}
        state = _optimiser.init(learned)
        best, lowest, mark, wait, losses = learned, np.inf, np.inf, 0, []
        for _ in range(MAX_STEPS):
            following, state, loss = _step(learned, state, fixed, self.model.clip.model)
            losses.append(float(loss))
            if losses[-1] < lowest:
                best, lowest = learned, losses[-1]
            wait += 1
            if lowest < mark * (1 - GAIN):
                mark, wait = lowest, 0
            if wait >= PATIENCE:
                break
            learned = following
        token = np.asarray(guess + fixed['scale'] * best['token'])
        update = jax.tree.map(np.asarray, _in_tower(best.get('update')))
        return FineTuning(Person(name, token, FINE_TUNED, len(photos), update=update), losses)


def _in_tower(update: Any) -> Any:
    """The rank-one update as the tower takes it: `a` of about length 1, as `b` of ones has."""
    return jax.tree.map(lambda x: x * max(x.shape) ** -0.5, update)


def fine_tune(
    model: PersonalizedCLIP,
    person: Person,
    photos: Sequence[Photo] = (),
    clips: Sequence[np.ndarray] = (),
    rank_one: bool = False,
    background: np.ndarray | None = None,
    seed: int = 0,
) -> Person:
    """Fine-tunes on one person, by photos or clips that show them.

    Args:
        model: Is not changed.
        person: The guess whose tokens it starts from, `model.person(name=…, images=…)`.
        photos: Whole photos of this person, paths or uint8 arrays [H, W, 3] RGB.
        clips: Clips of this person, as `model.encode_clip` takes them.
        rank_one: Whether a rank-one update of the text tower is learned beside the token.
        background: See `FineTuner`.
        seed: See `FineTuner`.

    Returns:
        The same person, of the form 'fine-tuned'. `models.person_store.PersonStore` stores it.

    Raises:
        UserError: There is neither photo nor clip, one cannot be read, or there are no photos of
            other people.
    """
    if not len(photos) and not len(clips):
        raise UserError('fine-tuning needs photos or clips of the person: photos=[…] or clips=[…]')
    embedded = [model.encode_clip(frames)[None] for frames in clips]
    if len(photos):
        pictures = [p if isinstance(p, np.ndarray) else read_image(p) for p in photos]
        embedded.append(model.image_clip.encode_image(model.image_clip.preprocess(pictures)))
    tuner = FineTuner(model, background, seed)
    tuned = tuner.fit(person.tokens, np.concatenate(embedded), person.name, rank_one).person
    return dataclasses.replace(tuned, name_in_token=person.name_in_token)
