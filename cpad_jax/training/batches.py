"""Batches of identity learning: P people, n photos of each, a query about each photo's person.

A batch is a function of (seed, step) alone, so a run can be taken up at any step.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence

import grain
import numpy as np

from cpad_jax.errors import UserError
from cpad_jax.features.store import IdentityFeatures
from cpad_jax.text import training_phrases
from cpad_jax.text.prompts import PERSON_TOKEN
from cpad_jax.text.tokenizer import Tokenizer

# Numbers in `form`: whether the query of a row has the name, photos, or both.
FORMS = ('text', 'image', 'text_image')
TEXT, IMAGE, TEXT_IMAGE = range(3)


class Prompts:
    """Token ids of phrases about people.

    Attributes:
        length: L, the length that all rows are padded to.
    """

    def __init__(
        self, names: Sequence[str], phrases: Sequence[str], num_tokens: int, tokenizer: Tokenizer
    ):
        """Looks for the longest phrase.

        Args:
            names: Of all identities, [N]. One that a phrase has no room for loses its last words.
            phrases: With `{}` for who it is, such as 'a photo of {}'.
            num_tokens: K, how often [TOK]'s id stands for a person.
            tokenizer: Of the text tower.

        Raises:
            UserError: A phrase does not fit into what the text tower reads.
        """
        self._phrases, self._num_tokens, self._tokenizer = phrases, num_tokens, tokenizer
        self._longest = max(phrases, key=lambda phrase: self._count(phrase, PERSON_TOKEN))
        words = self._count(self._longest, PERSON_TOKEN)
        if words > tokenizer.context_length:
            raise UserError(
                f'config.model.num_tokens is {num_tokens}: the phrase '
                f'{self._longest.format(PERSON_TOKEN)!r} takes {words} tokens, more than the '
                f'{tokenizer.context_length} that the backbone reads'
            )
        self._who = [self._fitting(name) for name in names]
        self._longest_who = max(
            self._who, key=lambda who: self._count(self._longest, who), default=PERSON_TOKEN
        )
        self.length = self.length_of(phrases)

    def length_of(self, phrases: Sequence[str], named: bool = True) -> int:
        """The length that rows of some phrases need, at most `length`.

        Args:
            phrases: Some of those that there are.
            named: Whether they are about 'NAME [TOK]', or all about '[TOK]' alone.
        """
        who = self._longest_who if named else PERSON_TOKEN
        if not self._tokenizer.can_cut:
            return self._tokenizer.context_length
        return max(self._count(phrase, who) for phrase in phrases)

    def _count(self, phrase: str, who: str) -> int:
        return self._tokenizer.count(phrase.format(who), self._num_tokens)

    def _fitting(self, name: str) -> str:
        words = name.split()
        while words:
            who = ' '.join([*words, PERSON_TOKEN])
            if self._count(self._longest, who) <= self._tokenizer.context_length:
                return who
            words.pop()
        return PERSON_TOKEN

    def text(self, phrase: int, name: int | None) -> str:
        """Phrase number `phrase` about '[TOK]', or about 'NAME [TOK]'."""
        return self._phrases[phrase].format(PERSON_TOKEN if name is None else self._who[name])

    def named(self, phrase: int, name: int) -> str:
        """Phrase number `phrase` about 'NAME', as plain CLIP reads it."""
        who = self._who[name].removesuffix(PERSON_TOKEN).strip()
        return self._phrases[phrase].format(who or training_phrases.GENERIC_PERSON)

    def ids(self, texts: Sequence[str]) -> np.ndarray:
        """Token ids int32 [len(texts), L]."""
        return self._tokenizer.tokenize(texts, self._num_tokens)[:, : self.length]


def composition_phrases() -> list[str]:
    """Phrases with `{}` for who: something done, somewhere, or both."""
    doing, where = training_phrases.DOING, training_phrases.WHERE
    both = [f'{{}} {d} {w}' for d in doing for w in where]
    return [f'{{}} {d}' for d in doing] + [f'{{}} {w}' for w in where] + both


@dataclasses.dataclass(frozen=True)
class BatchSizes:
    """How a batch is made up.

    Attributes:
        people: P, identities per batch.
        images: n, target photos of each of them.
        references: R, reference photos of a query, at most.
        forms: Weight of each of `FORMS`, >= 0.
    """

    people: int
    images: int
    references: int
    forms: Mapping[str, float]


class IdentityBatches:
    """Draws batches from cached features.

    Attributes:
        prompts: The phrases as token ids.
    """

    def __init__(
        self,
        features: IdentityFeatures,
        sizes: BatchSizes,
        seed: int,
        num_tokens: int,
        tokenizer: Tokenizer,
        composition_steps: np.ndarray,
        known_names: np.ndarray,
        photos: Callable[[np.ndarray], np.ndarray] | None = None,
    ):
        """Prepares the draws.

        Args:
            features: Of all training photos.
            sizes: How a batch is made up.
            seed: Seed of all draws.
            num_tokens: K tokens per person.
            tokenizer: Of the text tower.
            composition_steps: float32 [len(composition_phrases()), D], the step of plain CLIP from
                'a photo of a person' to each phrase about 'a person'.
            known_names: bool [N], whose name plain CLIP knows.
            photos: Numbers of photos [B] → uint8 [B, S, S, 3], where a batch has to hold the photos
                themselves (`target_photos.TargetPhotos`).

        Raises:
            UserError: There are fewer people than a batch needs, or the forms make no sense.
        """
        self._features, self._sizes, self._seed = features, sizes, seed
        self._steps, self._known, self._photos = composition_steps, known_names, photos
        shares = np.array([float(sizes.forms.get(form, 0.0)) for form in FORMS])
        if set(sizes.forms) - set(FORMS) or (shares < 0).any() or not shares.sum():
            raise UserError(
                f'config.train.forms is {dict(sizes.forms)}: expected weights >= 0 for '
                f'{", ".join(FORMS)}, not all 0'
            )
        self._shares = shares / shares.sum()
        # The photos of identity i are order[starts[i] : starts[i + 1]].
        self._order = np.argsort(features.labels, kind='stable')
        counts = np.bincount(features.labels, minlength=len(features.names))
        self._starts = np.concatenate([[0], np.cumsum(counts)])
        # Who has one photo only can be learned by name, but not by another photo.
        least = 1 if shares[TEXT] else 2
        self._identities = np.flatnonzero(counts >= least)
        if len(self._identities) < sizes.people:
            raise UserError(
                f'{len(self._identities)} people have {least} or more training photos, fewer than '
                f'config.train.people_per_batch ({sizes.people})'
            )
        phrases = [*training_phrases.PHOTOS, training_phrases.BASE, *composition_phrases()]
        self.prompts = Prompts(features.names, phrases, num_tokens, tokenizer)
        self._base = len(training_phrases.PHOTOS)
        self._permutation = functools.lru_cache(maxsize=2)(self._draw_permutation)

    def _draw_permutation(self, epoch: int) -> np.ndarray:
        return np.random.default_rng((self._seed, 1, epoch)).permutation(self._identities)

    def people(self, step: int) -> np.ndarray:
        """The people of the batch of a step: int [P], each person once per epoch."""
        size = self._sizes.people
        epoch, place = divmod(step, len(self._identities) // size)
        return self._permutation(epoch)[place * size : (place + 1) * size]

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """The batch of a step, with B = P · n rows; row p · n + i is photo i of person p.

        Args:
            step: >= 0.

        Returns:
            `target` int64 [B] number of the target photo and `references` int64 [B, R] those of the
            query (−1 for none), `image` float32 [B, D] the target's embedding or, where there are
            `photos`, `squares` uint8 [B, S, S, 3] the target itself, `features` float32
            [B, R, Df] and `weights` float32 [B, R] of the references (0 for none), `ids` int32
            [B, L], `identity` int32 [B], `form` int32 [B]; and one composition per person:
            `composition_row` int32 [P] the row whose person it is about, `composition_ids` int32
            [P, 2, L] with and without what is done, `composition_step` float32 [P, D]. The same
            phrase about the same person, known from photos alone, for the others to agree with:
            `taught_ids` int32 [P, L], `taught_features` float32 [P, R, Df] and `taught_weights`
            float32 [P, R]. And about the name, for plain CLIP: `named_ids` int32 [P, L], and
            `named_known` float32 [P], 1 where it knows the name.
        """
        rng = np.random.default_rng((self._seed, 2, step))
        sizes, people = self._sizes, self.people(step)
        rows = sizes.people * sizes.images
        target = np.empty(rows, np.int64)
        references = np.full((rows, sizes.references), -1, np.int64)
        form = rng.choice(len(FORMS), rows, p=self._shares).astype(np.int32)
        photo = rng.integers(len(training_phrases.PHOTOS), size=rows)
        texts = []
        identity = np.repeat(people, sizes.images).astype(np.int32)
        for row, person in enumerate(identity):
            photos_of_person = self._order[self._starts[person] : self._starts[person + 1]]
            if row % sizes.images == 0:
                drawn = rng.permutation(photos_of_person)
            # Of a person with fewer than n photos some are targets twice.
            target[row] = drawn[row % sizes.images % len(photos_of_person)]
            if len(photos_of_person) < 2:
                form[row] = TEXT
            if form[row] != TEXT:
                others = photos_of_person[photos_of_person != target[row]]
                count = min(int(rng.integers(1, sizes.references + 1)), len(others))
                references[row, :count] = rng.choice(others, count, replace=False)
            name = None if form[row] == IMAGE else person
            texts.append(self.prompts.text(photo[row], name))
        features, weights = self._faces(references)
        return {
            'target': target,
            'references': references,
            **self._targets(target),
            'features': features,
            'weights': weights,
            'ids': self.prompts.ids(texts),
            'identity': identity,
            'form': form,
            **self._compositions(rng, identity, form),
        }  # fmt: skip

    def _targets(self, target: np.ndarray) -> dict[str, np.ndarray]:
        if self._photos:
            return {'squares': self._photos(target)}
        return {'image': self._features.images[target].astype(np.float32)}

    def _faces(self, photos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features float32 [..., R, Df] and weights float32 [..., R] of photos, −1 for none."""
        present = photos >= 0
        features = np.where(present[..., None], self._features.faces[photos], 0)
        return features.astype(np.float32), present.astype(np.float32)

    def _compositions(
        self, rng: np.random.Generator, identity: np.ndarray, form: np.ndarray
    ) -> dict[str, np.ndarray]:
        """One phrase per person, about one of the person's rows."""
        sizes = self._sizes
        row = np.arange(sizes.people) * sizes.images
        row += rng.integers(sizes.images, size=sizes.people)
        # Something done, a place, and both are equally likely, however many phrases of each.
        doing, where = len(training_phrases.DOING), len(training_phrases.WHERE)
        bounds = np.cumsum([0, doing, where, doing * where])
        kind = rng.integers(3, size=sizes.people)
        phrase = rng.integers(bounds[kind], bounds[kind + 1])  # [P]
        texts, taught, named = [], [], []
        photos = np.full((sizes.people, sizes.references), -1, np.int64)
        for place, r, p in zip(range(sizes.people), row, phrase, strict=True):
            name = None if form[r] == IMAGE else int(identity[r])
            moved = self._base + 1 + p
            texts += [self.prompts.text(moved, name), self.prompts.text(self._base, name)]
            taught.append(self.prompts.text(moved, None))
            named.append(self.prompts.named(moved, int(identity[r])))
            photos_of_person = self._order[
                self._starts[identity[r]] : self._starts[identity[r] + 1]
            ]
            drawn = rng.permutation(photos_of_person)[: sizes.references]
            photos[place, : len(drawn)] = drawn
        features, weights = self._faces(photos)
        return {
            'taught_ids': self.prompts.ids(taught),
            'taught_features': features,
            'taught_weights': weights,
            'named_ids': self.prompts.ids(named),
            'named_known': self._known[identity[row]].astype(np.float32),
            'composition_row': row.astype(np.int32),
            'composition_ids': self.prompts.ids(texts).reshape(sizes.people, 2, -1),
            'composition_step': self._steps[phrase].astype(np.float32),
        }

    def iterate(self, start_step: int) -> Iterator[dict[str, np.ndarray]]:
        """The batches of the steps `start_step`, `start_step + 1`, …, drawn ahead by Grain."""
        steps = grain.MapDataset.range(start_step, 2**40).map(self.batch)
        options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=4)
        return iter(steps.to_iter_dataset(options))
