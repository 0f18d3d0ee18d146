"""From text to CLIP's token ids, and the [TOK] that stands for a person.

The ids are open_clip's exactly. A [TOK] gets an id above the vocabulary; its embedding comes from
the person adapter. Models whose tokenizer is a file beside the weights: `file_tokenizer.py`.
"""

from __future__ import annotations

import dataclasses
import functools
import string
from collections.abc import Iterable, Sequence
from typing import ClassVar, Protocol

import ftfy
import instant_clip_tokenizer
import numpy as np

from cpad_jax.errors import UserError
from cpad_jax.text.encodings import without_entities
from cpad_jax.text.prompts import MOST_CHARACTERS, PERSON_TOKEN

SOT = 49406
EOT = 49407
TOK = 49408  # Above the end token: pool at `ids == EOT`, never at the largest id.
LENGTHS = (8, 16, 24, 32, 48, 77)  # Padded lengths, few so that few programs are compiled.

_NO_PUNCTUATION = str.maketrans('_', ' ', string.punctuation.replace('_', ''))


class Tokenizer(Protocol):
    """The interface of tokenizers, be it CLIP's own or one from a file."""

    @property
    def context_length(self) -> int:
        """Longest row."""

    @property
    def person_id(self) -> int:
        """The id of [TOK]; every other id lies below it."""

    @property
    def can_cut(self) -> bool:
        """Whether rows may be padded less than in full: attention is causal and sees no pads."""

    def count(self, text: str, num_person_tokens: int = 1) -> int:
        """How many tokens a text takes, start and end included, before it is cut to a row."""

    def tokenize(
        self, texts: str | Sequence[str], num_person_tokens: int = 1, cut: bool = False
    ) -> np.ndarray:
        """Tokenises texts.

        Args:
            texts: One text or several. A literal `[TOK]` stands for a person; the text around it
                gets the ids that it would have by itself.
            num_person_tokens: How many times `person_id` is repeated for each `[TOK]`.
            cut: Pads only to the smallest of `LENGTHS` that holds the longest row.

        Returns:
            int32 [B, L].

        Raises:
            ValueError: `cut` is set, and `can_cut` is false.
        """


@dataclasses.dataclass(frozen=True)
class ClipTokenizer:
    """CLIP's own tokenizer (see `tokenize`), as a `Tokenizer`.

    Attributes:
        context_length: Longest row.
        can_cut: Whether attention is causal, so that cutting pads off changes no embedding.
    """

    context_length: int = 77
    can_cut: bool = True
    person_id: ClassVar[int] = TOK

    def count(self, text: str, num_person_tokens: int = 1) -> int:
        """As `Tokenizer.count`."""
        return 2 + len(_encode(text, num_person_tokens))

    def tokenize(
        self, texts: str | Sequence[str], num_person_tokens: int = 1, cut: bool = False
    ) -> np.ndarray:
        """As `Tokenizer.tokenize`: int32 [B, L]."""
        check_cut(self, cut)
        return tokenize(texts, self.context_length, num_person_tokens, cut)


def check_cut(tokenizer: Tokenizer, cut: bool) -> None:
    """Raises a ValueError where pads are to be cut off that the model's attention sees."""
    if cut and not tokenizer.can_cut:
        raise ValueError(
            'cut=True shortens the padding, which this model sees, as its attention is not causal; '
            'leave cut out'
        )


def clean_text(text: str, clean: str) -> str:
    """What open_clip does to a text before it looks for tokens.

    Args:
        text: Any text.
        clean: 'whitespace' mends broken encodings and HTML entities and brings every run of
            white space to one space; 'lower' makes lower case besides; 'canonicalize' also takes
            ASCII punctuation away, for SigLIP.

    Returns:
        The text for the tokenizer.

    Raises:
        ValueError: There is no such `clean`.
    """
    text = without_entities(without_entities(ftfy.fix_text(text)))
    if clean == 'canonicalize':
        text = text.translate(_NO_PUNCTUATION).lower()
    elif clean not in ('lower', 'whitespace'):
        raise ValueError(f"clean must be 'whitespace', 'lower' or 'canonicalize', got {clean!r}")
    text = ' '.join(text.split())
    return text.lower() if clean == 'lower' else text


def listed(texts: str | Iterable[str]) -> Iterable[str]:
    """Several texts, be it one; what is neither is refused by `split_at_persons`."""
    return [texts] if isinstance(texts, str) or not isinstance(texts, Iterable) else texts


def split_at_persons(text: str) -> list[str]:
    """The parts of a text before, between and after its [TOK]s; some may be empty.

    Raises:
        UserError: This is no text, or one of more than `MOST_CHARACTERS`.
    """
    if not isinstance(text, str):
        raise UserError(f'expected a text, or a list of texts, got {type(text).__name__}')
    if len(text) > MOST_CHARACTERS:
        raise UserError(
            f'a text of {len(text)} characters is too long, it begins {text[:40]!r}: give at most '
            f'{MOST_CHARACTERS}, of which a CLIP reads some hundred'
        )
    return text.split(PERSON_TOKEN)


def pad_rows(
    rows: Sequence[Sequence[int]], context_length: int, pad_id: int = 0, cut: bool = False
) -> np.ndarray:
    """Brings rows of ids to one length.

    Args:
        rows: B lists of at most `context_length` ids.
        context_length: Length of the result, unless it is cut.
        pad_id: What fills the rows up.
        cut: Pads only to the smallest of `LENGTHS` that holds the longest row.

    Returns:
        int32 [B, L].
    """
    length = context_length
    if cut:
        longest = max(map(len, rows), default=0)
        length = min([n for n in LENGTHS if longest <= n <= context_length], default=length)
    ids = np.full((len(rows), length), pad_id, np.int32)
    for place, row in zip(ids, rows, strict=True):
        place[: len(row)] = row
    return ids


@functools.cache
def _tokenizer() -> instant_clip_tokenizer.Tokenizer:
    return instant_clip_tokenizer.Tokenizer()


# Queries about many people differ in little: what stands around [TOK] is cleaned and split once.
@functools.lru_cache(maxsize=1 << 16)
def _encode_part(text: str) -> tuple[int, ...]:
    return tuple(_tokenizer().encode(clean_text(text, 'lower')))


def _encode(text: str, num_person_tokens: int) -> list[int]:
    """Ids of one text, without start and end."""
    ids: list[int] = []
    for number, part in enumerate(split_at_persons(text)):
        if number:
            ids += [TOK] * num_person_tokens
        ids += _encode_part(part)
    return ids


def tokenize(
    texts: str | Sequence[str],
    context_length: int = 77,
    num_person_tokens: int = 1,
    cut: bool = False,
) -> np.ndarray:
    """Tokenises texts.

    Args:
        texts: One text or several. A literal `[TOK]` stands for a person; the text around it gets
            the ids that it would have by itself.
        context_length: Longest row. A longer text is cut and still ends with the end token.
        num_person_tokens: How many times the id `TOK` is repeated for each `[TOK]`.
        cut: Pads only to the smallest of `LENGTHS` that holds the longest row. As attention is
            causal, embeddings do not change.

    Returns:
        int32 [B, L]: start, the text, end, then zeros.
    """
    rows = []
    for text in listed(texts):
        row = [SOT, *_encode(text, num_person_tokens), EOT]
        if len(row) > context_length:
            row = [*row[: context_length - 1], EOT]
        rows.append(row)
    return pad_rows(rows, context_length, cut=cut)
