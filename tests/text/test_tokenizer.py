import json
from pathlib import Path

import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.text.tokenizer import (
    EOT,
    LENGTHS,
    SOT,
    TOK,
    ClipTokenizer,
    clean_text,
    pad_rows,
    tokenize,
)

ROWS = json.loads(
    (Path(__file__).parents[1] / 'fixtures' / 'openclip' / 'tokens.json').read_text('utf-8')
)


@pytest.mark.parametrize('row', ROWS, ids=lambda row: ascii(row['text'][:20]))
def test_ids_are_those_of_open_clip(row):
    ids = tokenize(row['text'])
    assert ids.shape == (1, 77) and ids.dtype == np.int32
    np.testing.assert_array_equal(ids[0, : len(row['ids'])], row['ids'])
    assert not ids[0, len(row['ids']) :].any()


def test_fixture_holds_awkward_texts():
    assert len(ROWS) >= 25
    assert any(len(row['ids']) == 77 for row in ROWS)  # One that was cut.
    assert [SOT, EOT] in [row['ids'] for row in ROWS]


def test_ids_by_hand():
    np.testing.assert_array_equal(
        tokenize(['a cat', 'a'], 6), [[SOT, 320, 2368, EOT, 0, 0], [SOT, 320, EOT, 0, 0, 0]]
    )


@pytest.mark.parametrize(
    'text, before, after',
    [
        ('Orla Brandt [TOK] hugging someone', 'Orla Brandt', 'hugging someone'),
        ('[TOK] in a kitchen', '', 'in a kitchen'),
        ('a photo of [TOK]', 'a photo of', ''),
        ("it's[TOK]'s dog", "it's", "'s dog"),
        ('caf&eacute; [TOK] 東京', 'café', '東京'),
    ],
)
@pytest.mark.parametrize('count', [1, 3])
def test_person_token_leaves_the_text_around_it_alone(text, before, after, count):
    def inner(part):
        ids = tokenize(part)[0]
        return ids[1 : int((ids == EOT).argmax())].tolist()

    ids = tokenize(text, num_person_tokens=count)[0]
    right = [SOT, *inner(before), *[TOK] * count, *inner(after), EOT]
    assert ids[: len(right)].tolist() == right and not ids[len(right) :].any()


def test_several_persons_and_lower_case():
    assert (tokenize('[TOK] hugging [TOK]') == TOK).sum() == 2
    assert (tokenize('[tok] hugging') == TOK).sum() == 0
    assert TOK > EOT  # The largest id is not the end token's.


def test_too_long_texts_end_with_the_end_token():
    for texts in ('word ' * 100, '[TOK] ' * 100):
        ids = tokenize(texts, 16)
        assert ids.shape == (1, 16) and ids[0, 15] == EOT and (ids[0, :15] != EOT).all()


@pytest.mark.parametrize('words, length', [(1, 8), (6, 8), (7, 16), (22, 24), (46, 48), (47, 77)])
def test_cut_takes_the_smallest_length_that_holds_all(words, length):
    texts = ['dog ' * words, 'dog']
    ids = tokenize(texts, cut=True)
    assert ids.shape == (2, length) and length in LENGTHS
    np.testing.assert_array_equal(ids, tokenize(texts)[:, :length])


def test_cut_stays_within_the_context():
    assert tokenize('dog ' * 30, 32, cut=True).shape == (1, 32)
    assert tokenize('dog ' * 9, 12, cut=True).shape == (1, 12)
    assert tokenize('dog', 12, cut=True).shape == (1, 8)
    assert tokenize([], cut=True).shape == (0, 8)


def test_clip_tokenizer_is_tokenize_with_a_context():
    texts = ['Orla Brandt [TOK] hugging someone', 'word ' * 100, '']
    tokenizer = ClipTokenizer(32)
    assert (tokenizer.context_length, tokenizer.person_id, tokenizer.can_cut) == (32, TOK, True)
    np.testing.assert_array_equal(tokenizer.tokenize(texts, 2), tokenize(texts, 32, 2))
    np.testing.assert_array_equal(
        tokenizer.tokenize(texts[::2], cut=True), tokenize(texts[::2], 32, cut=True)
    )
    assert tokenizer.tokenize(texts[::2], cut=True).shape == (2, 8)


def test_clip_tokenizer_keeps_pads_that_attention_sees():
    tokenizer = ClipTokenizer(can_cut=False)
    assert tokenizer.tokenize('dog').shape == (1, 77)
    with pytest.raises(ValueError, match='not causal'):
        tokenizer.tokenize('dog', cut=True)


@pytest.mark.parametrize(
    ('clean', 'cleaned'),
    [
        ('whitespace', 'It\'s SNAKE_case, café & "x" <b>'),
        ('lower', 'it\'s snake_case, café & "x" <b>'),
        ('canonicalize', 'its snake case café x b'),
    ],
)
def test_cleaning_by_hand(clean, cleaned):
    text = "  It's SNAKE_case,\n cafÃ© &amp;amp; &quot;x&quot;\t&lt;b&gt; "
    assert clean_text(text, clean) == cleaned


def test_rows_are_padded_by_hand():
    np.testing.assert_array_equal(pad_rows([[5, 6], [7]], 3, 1), [[5, 6, 1], [7, 1, 1]])
    assert pad_rows([[5, 6], [7]], 20, 1, cut=True).shape == (2, 8)
    assert pad_rows([[5] * 9], 10, 1, cut=True).shape == (1, 10)


@pytest.mark.parametrize(('text', 'same'), [
    ('a\x00b', 'ab'), ('a \ud800 b', 'a \ufffd b'), ('\x1b[2J run', 'run'), ('\ufeffrun', 'run'),
    ('Zoe\u0308', 'Zoë'),
])  # fmt: skip
def test_characters_that_are_no_letters(text, same):
    np.testing.assert_array_equal(tokenize(text), tokenize(same))


@pytest.mark.parametrize('text', [
    'a' * 20_000, 'e' + '\u0308\u0323' * 9_000, '&' * 20_000, '[TOK]' * 4_000, '王' * 20_000,
    '&#' + '9' * 5_000 + ';', '<' * 20_000,
], ids=lambda text: text[:5])  # fmt: skip
def test_long_texts_are_cut_to_a_row(text):
    ids = tokenize(text)
    assert ids.shape == (1, 77) and ids[0, -1] == EOT


@pytest.mark.parametrize(('text', 'says'), [
    ('ab ' * 10_000_000, "a text of 30000000 characters is too long, it begins 'ab ab"),
    (['a', None], 'expected a text, or a list of texts, got NoneType'),
    (3, 'expected a text, or a list of texts, got int'),
    (b'run', 'expected a text, or a list of texts, got int'),
])  # fmt: skip
def test_what_is_no_text_is_told_in_a_line(text, says):
    with pytest.raises(UserError, match=says) as told:
        tokenize(text)
    assert len(str(told.value)) < 400 and '\n' not in str(told.value)
