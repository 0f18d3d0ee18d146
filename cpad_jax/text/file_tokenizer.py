"""The tokenizers that come with a model's weights, as Hugging Face's `tokenizer.json`.

SigLIP, CLIPA and the models of many languages have one. The ids are those of open_clip's
`HFTokenizer`; a [TOK] gets an id above the model's vocabulary, as in `tokenizer.py`.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

from cpad_jax import strict_json
from cpad_jax.errors import UserError
from cpad_jax.text.tokenizer import check_cut, clean_text, listed, pad_rows, split_at_persons

# The largest in use, of 901,629 entries, takes about 60 MB as a file and 2.2 GB once read.
MAX_BYTES = 128 * 2**20

# Of the models in use, an entry takes at most 140 bytes of the file.
_BYTES_PER_ENTRY, _LEAST_BYTES = 256, 4 << 20

# Steps of a file's own that a text goes through before it is cut into tokens. The models in use
# have up to five; forty that each double a text would need more memory than there is.
_MOST_STEPS = 16
_MOST_GROWTH = 1000
_MOST_STEP_BYTES = 2 << 20  # As JSON; the largest table of characters in use takes 400 kB.
# Unicode's decompositions make at most 18 characters of one.
_GROWTH = {'NFKC': 18, 'NFKD': 18, 'NFC': 3, 'NFD': 4, 'Precompiled': 18, 'Lowercase': 3,
           'BertNormalizer': 4, 'Nmt': 1, 'Strip': 1, 'StripAccents': 1}  # fmt: skip
# Regular expressions of which some take for ever: a group that repeats, a reference to what a group
# found, many repetitions in a row. The models in use have at most two in a row.
_CLASS = re.compile(r'\[\^?\]?(?:\\.|[^\]\\])*\]')
_ENDLESS = re.compile(r'\)[*+{]|\\[1-9kg]|\(\?[R&0-9]')
_LONGEST_PATTERN, _MOST_REPEATS = 1000, 3

# A model's table and its tokenizer's file need not be of one size: CLIPA has 32,000 rows for BERT's
# 30,522 entries, SigLIP 250,000 rows for 250,100 entries, of which the last never come up.
_LEAST_FILLED, _MOST_EXTRA = 0.95, 256


class FileTokenizer:
    """A tokenizer read from a file; see `tokenizer.Tokenizer` for what every tokenizer has.

    Attributes:
        context_length: Longest row.
        person_id: The id of [TOK], which is the model's vocabulary size.
        can_cut: Whether `tokenize` may cut pads off.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        context_length: int,
        vocab_size: int,
        pad_id: int,
        clean: str = 'whitespace',
        strip_separator: bool = False,
        can_cut: bool = False,
    ):
        """Reads the file.

        Args:
            path: A `tokenizer.json`. Padding and truncation that it sets are ignored.
            context_length: Longest row. A longer text is cut and keeps the tokens that the file
                puts around a text.
            vocab_size: Rows of the model's table of embeddings, without the person.
            pad_id: What rows are filled up with.
            clean: 'whitespace', 'lower' or 'canonicalize', as in `tokenizer.clean_text`.
            strip_separator: Whether [SEP] becomes 0, as in CLIPA.
            can_cut: Whether the model's attention is causal, so that its embeddings do not depend
                on pads.

        Raises:
            UserError: There is no such file, it is too large, no tokenizer, or another model's.
            ValueError: There is no such `clean`, or the context has no room for a text.
        """
        clean_text('', clean)
        self.path = Path(path)
        self.context_length = context_length
        self.person_id = vocab_size
        self.can_cut = can_cut
        self._pad_id = pad_id
        self._clean = clean
        self._tokenizer = _read(self.path, vocab_size)
        _check_steps(self.path, self._tokenizer)
        self._check_vocabulary(vocab_size, pad_id)
        self._separator = None
        if strip_separator:
            self._separator = self._tokenizer.token_to_id('[SEP]')
            if self._separator is None:
                raise UserError(
                    f'{self.path}: there is no [SEP], which the model has; {_other_model()}'
                )
        self._before, self._after = self._surroundings()
        if context_length <= len(self._before) + len(self._after):
            raise ValueError(f'a context of {context_length} tokens has no room for a text')

    def tokenize(
        self, texts: str | Sequence[str], num_person_tokens: int = 1, cut: bool = False
    ) -> np.ndarray:
        """Tokenises texts.

        Args:
            texts: One text or several. A literal `[TOK]` stands for a person; the text around it
                gets the ids that it would have by itself.
            num_person_tokens: How many times `person_id` is repeated for each `[TOK]`.
            cut: Pads only to the smallest of `tokenizer.LENGTHS` that holds the longest row.

        Returns:
            int32 [B, L]: the text within the tokens that the file puts around it, then pads.

        Raises:
            UserError: The file has no id for a part of the text, or one the model does not know.
            ValueError: `cut` is set and `can_cut` is false.
        """
        check_cut(self, cut)
        room = self.context_length - len(self._before) - len(self._after)
        rows = []
        for text in listed(texts):
            inner = self._encode(text, num_person_tokens)[:room]
            row = [*self._before, *inner, *self._after]
            if self._separator is not None:
                row = [0 if id_ == self._separator else id_ for id_ in row]
            rows.append(row)
        return pad_rows(rows, self.context_length, self._pad_id, cut)

    def count(self, text: str, num_person_tokens: int = 1) -> int:
        """How many tokens a text takes, those around it included, before it is cut to a row."""
        around = len(self._before) + len(self._after)
        return around + len(self._encode(text, num_person_tokens))

    def _encode(self, text: str, num_person_tokens: int) -> list[int]:
        """Ids of one text, without the tokens around it."""
        ids: list[int] = []
        for number, part in enumerate(split_at_persons(text)):
            if number:
                ids += [self.person_id] * num_person_tokens
            part_ids = self._encoding(clean_text(part, self._clean), bare=True).ids
            if part_ids and max(part_ids) >= self.person_id:
                raise UserError(
                    f'{self.path}: {part[:40]!r} holds the token {max(part_ids)}, but the model '
                    f'knows {self.person_id}; leave that token out'
                )
            ids += part_ids
        return ids

    def _encoding(self, text: str, bare: bool) -> tokenizers.Encoding:
        with _explained(
            f'{self.path}: {text[:40]!r} has no tokens',
            "the file is damaged: download it again from the model's page",
        ):
            return self._tokenizer.encode(text, add_special_tokens=not bare)

    def _check_vocabulary(self, vocab_size: int, pad_id: int) -> None:
        entries = self._tokenizer.get_vocab_size(with_added_tokens=True)
        if not _LEAST_FILLED * vocab_size <= entries <= vocab_size + _MOST_EXTRA:
            raise UserError(
                f'{self.path}: the vocabulary has {entries} entries, but the model has '
                f'{vocab_size}; {_other_model()}'
            )
        pad = self._tokenizer.get_added_tokens_decoder().get(pad_id)
        if pad is None or not pad.special:
            raise UserError(
                f'{self.path}: the token {pad_id}, with which the model pads, is not a special one '
                f'here; {_other_model()}'
            )

    def _surroundings(self) -> tuple[list[int], list[int]]:
        """What the file puts before and after every text, such as [CLS] and [SEP]."""
        inner = self._encoding('a', bare=True).ids
        whole = self._encoding('a', bare=False)
        start = whole.special_tokens_mask.index(0) if 0 in whole.special_tokens_mask else 0
        before, after = whole.ids[:start], whole.ids[start + len(inner) :]
        if not inner or [*before, *inner, *after] != whole.ids:
            raise UserError(f"{self.path}: 'a' has no token of its own; {_other_model()}")
        if max(whole.ids) >= self.person_id:
            raise UserError(
                f'{self.path}: a text has the token {max(whole.ids)}, but the model knows '
                f'{self.person_id}; {_other_model()}'
            )
        return before, after


def _read(path: Path, vocab_size: int) -> tokenizers.Tokenizer:
    if not path.exists():
        raise UserError(
            f"{path}: there is no such file; expected the model's tokenizer.json: download it from "
            'where the weights are'
        )
    if not path.is_file():
        raise UserError(f'{path}: this is no file; expected a tokenizer.json')
    size, most = path.stat().st_size, min(MAX_BYTES, _LEAST_BYTES + _BYTES_PER_ENTRY * vocab_size)
    if size > most:
        raise UserError(
            f'{path}: the file takes {size / 2**20:.0f} MiB, more than the {most // 2**20} MiB '
            f'that a tokenizer of {vocab_size} entries may; expected a tokenizer.json'
        )
    with _explained(
        f'{path}: this is not a tokenizer',
        "expected the model's tokenizer.json: download it again from the model's page",
    ):
        tokenizer = tokenizers.Tokenizer.from_buffer(path.read_bytes())
    if getattr(tokenizer.model, 'dropout', None):
        raise UserError(
            f'{path}: its model leaves out merges at random (dropout {tokenizer.model.dropout}), '
            'as only training does; write null there'
        )
    # The file may keep the settings of its last use.
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _check_steps(path: Path, tokenizer: tokenizers.Tokenizer) -> None:
    """Refuses steps that would blow a text up, or take for ever on some text."""
    growth = 1
    for part in ('normalizer', 'pre_tokenizer', 'post_processor'):
        step = getattr(tokenizer, part)
        # As the library itself writes it, so that it is read as the library understood it.
        state = b'null' if step is None else step.__getstate__()
        try:
            values = strict_json.parse(state, _MOST_STEP_BYTES)
        except ValueError as error:
            raise UserError(
                f'{path}: its {part} is no such step ({error}); {_other_model()}'
            ) from None
        steps = _flat(values)
        if len(steps) > _MOST_STEPS:
            raise UserError(
                f'{path}: its {part} has {len(steps)} steps, at most {_MOST_STEPS} are taken; '
                f'{_other_model()}'
            )
        for one in steps:
            _check_pattern(path, part, one)
            growth *= _growth(one) if part == 'normalizer' else 1
    if growth > _MOST_GROWTH:
        raise UserError(
            f'{path}: its normalizer can make a text {growth:.0f} times as long, at most '
            f'{_MOST_GROWTH} times is taken; {_other_model()}'
        )


def _flat(values: Any) -> list[dict[str, Any]]:
    """The single steps of a step, which may be a sequence of sequences."""
    if type(values) is not dict:
        return []
    inner = [values.get(key) for key in ('normalizers', 'pretokenizers', 'processors')]
    lists = [steps for steps in inner if type(steps) is list]
    return [step for steps in lists for one in steps for step in _flat(one)] if lists else [values]


def _pattern(step: Mapping[str, Any]) -> tuple[str, bool]:
    """What a step looks for, and whether that is a regular expression."""
    pattern = step.get('pattern')
    pattern = pattern if type(pattern) is dict else {}
    text = pattern.get('Regex', pattern.get('String'))
    return (text, 'Regex' in pattern) if type(text) is str else ('', False)


def _check_pattern(path: Path, part: str, step: Mapping[str, Any]) -> None:
    pattern, regular = _pattern(step)
    if regular and (len(pattern) > _LONGEST_PATTERN or _may_take_for_ever(pattern)):
        raise UserError(
            f'{path}: its {part} has the regular expression {ascii(pattern[:60])}, which may take '
            f'for ever; {_other_model()}'
        )


def _may_take_for_ever(pattern: str) -> bool:
    without_classes = _CLASS.sub('x', pattern)
    bare = re.sub(r'\\.', 'x', without_classes)
    repeats = max(len(re.findall(r'[*+{]', branch)) for branch in bare.split('|'))
    return bool(_ENDLESS.search(without_classes)) or repeats > _MOST_REPEATS


def _growth(step: Mapping[str, Any]) -> float:
    """How many times as long a normaliser can make a text."""
    kind = step.get('type')
    if kind == 'Replace':
        pattern, regular = _pattern(step)
        content = len(str(step.get('content', '')))
        # A regular expression may find single characters, and an empty text stands everywhere.
        least = 1 if regular else max(1, len(pattern))
        return max(1, content / least) + (content if not pattern else 0)
    if kind == 'Prepend':
        return 1 + len(str(step.get('prepend', '')))
    return _GROWTH.get(kind, 4)


@contextlib.contextmanager
def _explained(wrong: str, mend: str) -> Iterator[None]:
    """Makes one line of whatever the library raises, for it has no errors of its own."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # A panic of the library is not an Exception.
        reason = ' '.join(str(error).split())[:200]
        raise UserError(f'{wrong} ({reason}); {mend}') from error


def _other_model() -> str:
    return "this is another model's file: take the tokenizer.json that lies beside the weights"
