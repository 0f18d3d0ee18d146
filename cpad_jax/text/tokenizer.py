"""From text to CLIP's token ids, and the [TOK] that stands for a person.

The ids are open_clip's exactly. A [TOK] gets an id above the vocabulary; its embedding comes from
the person adapter.
"""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Sequence

import ftfy
import instant_clip_tokenizer
import numpy as np

SOT = 49406
EOT = 49407
TOK = 49408  # Above the end token: pool at `ids == EOT`, never at the largest id.
LENGTHS = (8, 16, 24, 32, 48, 77)  # Padded lengths, few so that few programs are compiled.

_PERSON = re.compile(re.escape('[TOK]'))


@functools.cache
def _tokenizer() -> instant_clip_tokenizer.Tokenizer:
    return instant_clip_tokenizer.Tokenizer()


def _clean(text: str) -> str:
    """What open_clip does to a text before it looks for tokens."""
    text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return ' '.join(text.split()).strip().lower()


def _encode(text: str, num_person_tokens: int) -> list[int]:
    """Ids of one text, without start and end."""
    ids: list[int] = []
    for number, part in enumerate(_PERSON.split(text)):
        if number:
            ids += [TOK] * num_person_tokens
        ids += _tokenizer().encode(_clean(part))
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
    if isinstance(texts, str):
        texts = [texts]
    rows = []
    for text in texts:
        row = [SOT, *_encode(text, num_person_tokens), EOT]
        if len(row) > context_length:
            row = [*row[: context_length - 1], EOT]
        rows.append(row)
    length = context_length
    if cut:
        longest = max(map(len, rows), default=0)
        length = min([n for n in LENGTHS if longest <= n <= context_length], default=length)
    ids = np.zeros((len(rows), length), np.int32)
    for place, row in zip(ids, rows, strict=True):
        place[: len(row)] = row
    return ids
