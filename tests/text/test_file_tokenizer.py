import json
import re
from pathlib import Path

import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.text import file_tokenizer
from cpad_jax.text.file_tokenizer import FileTokenizer

FOLDER = Path(__file__).parents[1] / 'fixtures' / 'tokenizers'
RECORDS = json.loads((FOLDER / 'ids.json').read_text('utf-8'))
TEXTS = RECORDS.pop('texts')
KINDS = sorted(RECORDS)


def read(kind, **changes):
    return FileTokenizer(FOLDER / f'{kind}.json', **{**RECORDS[kind]['settings'], **changes})


def write(path, kind, change):
    """A copy of a tokenizer's file in which `change` replaced something."""
    content = json.loads((FOLDER / f'{kind}.json').read_text('utf-8'))
    change(content)
    path.write_text(json.dumps(content), 'utf-8')
    return path


@pytest.mark.parametrize('kind', KINDS)
def test_ids_are_those_of_open_clip(kind):
    record = RECORDS[kind]
    length, pad_id = record['settings']['context_length'], record['settings']['pad_id']
    expected = [row + [pad_id] * (length - len(row)) for row in record['ids']]
    ids = read(kind).tokenize(TEXTS)
    assert ids.dtype == np.int32
    np.testing.assert_array_equal(ids, expected)
    np.testing.assert_array_equal(read(kind).tokenize(TEXTS[4]), expected[4:5])


@pytest.mark.parametrize('kind', KINDS)
def test_ids_are_those_of_open_clip_live(kind, tmp_path, open_clip):
    pytest.importorskip('transformers')
    settings = RECORDS[kind]['settings']
    (tmp_path / 'tokenizer.json').write_bytes((FOLDER / f'{kind}.json').read_bytes())
    config = {'tokenizer_class': 'PreTrainedTokenizerFast', **RECORDS[kind]['roles']}
    (tmp_path / 'tokenizer_config.json').write_text(json.dumps(config))
    for clean in ('whitespace', 'lower', 'canonicalize'):
        theirs = open_clip.tokenizer.HFTokenizer(
            str(tmp_path), context_length=settings['context_length'], clean=clean,
            strip_sep_token=settings['strip_separator'],
        )  # fmt: skip
        rng = np.random.default_rng(0)
        letters = list(''.join(TEXTS))
        noise = [''.join(rng.choice(letters, rng.integers(60))) for _ in range(200)]
        np.testing.assert_array_equal(
            read(kind, clean=clean).tokenize(TEXTS + noise), theirs(TEXTS + noise).numpy()
        )


def test_fixture_holds_what_matters():
    assert len(TEXTS) >= 25
    for kind in KINDS:
        rows = RECORDS[kind]['ids']
        assert any(len(row) >= RECORDS[kind]['settings']['context_length'] - 1 for row in rows)
        assert len({tuple(row) for row in rows}) > 25
        assert (FOLDER / f'{kind}.json').stat().st_size < 60_000


def test_ids_by_hand():
    vocabulary = json.loads((FOLDER / 'wordpiece.json').read_text('utf-8'))['model']['vocab']
    words = [vocabulary[word] for word in ('three', 'walking', 'red')]
    # [CLS] three words [SEP], in which [SEP] becomes 0.
    assert read('wordpiece', context_length=7).tokenize('Three walking RED').tolist() == [
        [2, *words, 0, 0, 0]
    ]
    plain = read('wordpiece', context_length=7, strip_separator=False)
    assert plain.tokenize('Three walking RED').tolist() == [[2, *words, 3, 0, 0]]
    assert plain.tokenize('three ' * 9).tolist() == [[2, *[words[0]] * 5, 3]]
    # Every text of SigLIP ends with </s>, which is its pad too.
    pieces = json.loads((FOLDER / 'unigram.json').read_text('utf-8'))['model']['vocab']
    a = [piece for piece, _ in pieces].index('▁a')
    assert read('unigram', context_length=5).tokenize('A, a!').tolist() == [[a, a, 1, 1, 1]]
    assert read('unigram', context_length=3).tokenize('a a a a').tolist() == [[a, a, 1]]


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('count', [1, 3])
@pytest.mark.parametrize(
    ('text', 'before', 'after'),
    [
        ('Orla Brandt [TOK] hugging someone', 'Orla Brandt', 'hugging someone'),
        ('[TOK] in a kitchen', '', 'in a kitchen'),
        ('a photo of [TOK]', 'a photo of', ''),
        ("it's[TOK]'s dog", "it's", "'s dog"),
        ('caf&eacute; [TOK] 東京', 'café', '東京'),
    ],
)
def test_person_token_leaves_the_text_around_it_alone(kind, count, text, before, after):
    tokenizer = read(kind)
    start, end = {'wordpiece': ([2], [0]), 'unigram': ([], [1]), 'multilingual': ([0], [2]),
                  'byte_fallback': ([], [1])}[kind]  # fmt: skip

    def inner(part):
        row = tokenizer.tokenize(part)[0].tolist()
        return row[len(start) : row.index(end[0], len(start))]

    assert tokenizer.person_id == RECORDS[kind]['settings']['vocab_size']
    right = [*start, *inner(before), *[tokenizer.person_id] * count, *inner(after), *end]
    ids = tokenizer.tokenize(text, num_person_tokens=count)[0]
    assert ids[: len(right)].tolist() == right
    assert (ids[len(right) :] == RECORDS[kind]['settings']['pad_id']).all()


@pytest.mark.parametrize('kind', KINDS)
def test_many_persons_are_cut_and_the_end_stays(kind):
    tokenizer = read(kind, context_length=8)
    ids = tokenizer.tokenize(['[TOK] ' * 100, '[TOK] hugging [TOK]', '[tok]'])
    assert ids[0, -1] == tokenizer.tokenize('a ' * 100)[0, -1] < tokenizer.person_id
    assert (ids[0] == tokenizer.person_id).sum() == (6 if ids[0, 0] < tokenizer.person_id else 7)
    assert not (ids[2] == tokenizer.person_id).any()


def test_pads_are_cut_only_where_attention_is_causal():
    texts = ['a photo', 'a photo ' * 9]
    whole = read('multilingual').tokenize(texts)
    with pytest.raises(ValueError, match='not causal'):
        read('multilingual').tokenize(texts, cut=True)
    causal = read('multilingual', can_cut=True)
    cut = causal.tokenize(texts[:1], cut=True)
    assert whole.shape == (2, 77) and cut.shape == (1, 8)
    np.testing.assert_array_equal(cut[0], whole[0, :8])
    assert (whole[0, 8:] == 1).all()
    assert causal.tokenize([], cut=True).shape == (0, 8)


def test_padding_and_truncation_in_the_file_are_ignored(tmp_path):
    def change(content):
        content['truncation'] = {
            'direction': 'Right', 'max_length': 4, 'strategy': 'LongestFirst', 'stride': 0
        }  # fmt: skip
        content['padding'] = {
            'strategy': {'Fixed': 40}, 'direction': 'Left', 'pad_to_multiple_of': None,
            'pad_id': 5, 'pad_type_id': 0, 'pad_token': 'x',
        }  # fmt: skip

    changed = write(tmp_path / 'tokenizer.json', 'multilingual', change)
    np.testing.assert_array_equal(
        FileTokenizer(changed, **RECORDS['multilingual']['settings']).tokenize(TEXTS),
        read('multilingual').tokenize(TEXTS),
    )


@pytest.mark.parametrize(
    ('content', 'says'),
    [
        (None, 'no such file'),
        (b'', 'not a tokenizer'),
        (b'hello', 'not a tokenizer'),
        (b'\x80\x02\xff\x00' * 50, 'not a tokenizer'),
        (b'{}', 'not a tokenizer'),
        (b'[' * 100_000, 'not a tokenizer'),
        (b'{"model": {"type": "BPE", "vocab": {}, "merges": [["a", "b"]]}}', 'not a tokenizer'),
        ((FOLDER / 'unigram.json').read_bytes()[:3000], 'not a tokenizer'),
        (b' ' * 20_001, 'more than the'),
    ],
)
def test_bad_files_are_named_and_explained(tmp_path, monkeypatch, content, says):
    monkeypatch.setattr(file_tokenizer, 'MAX_BYTES', 200_000 if content != b' ' * 20_001 else 20000)
    path = tmp_path / 'tokenizer.json'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=says) as raised:
        FileTokenizer(path, context_length=64, vocab_size=200, pad_id=1)
    message = str(raised.value)
    assert str(path) in message and 'expected' in message and 'tokenizer.json' in message
    assert '\n' not in message and len(message) < 600


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match='this is no file'):
        FileTokenizer(tmp_path, context_length=64, vocab_size=200, pad_id=1)


@pytest.mark.parametrize(
    ('kind', 'changes', 'says'),
    [
        ('unigram', {'vocab_size': 32_000}, 'has 200 entries, but the model has 32000'),
        ('byte_fallback', {'vocab_size': 200}, 'has 600 entries, but the model has 200'),
        ('wordpiece', {'pad_id': 7}, 'not a special one'),
        ('wordpiece', {'pad_id': -1}, 'not a special one'),
        ('unigram', {'strip_separator': True}, r'no \[SEP\]'),
    ],
)
def test_another_models_file_is_refused(kind, changes, says):
    with pytest.raises(UserError, match=says) as raised:
        read(kind, **changes)
    assert f'{kind}.json' in str(raised.value) and 'beside the weights' in str(raised.value)


def test_ids_that_the_model_does_not_know_are_refused(tmp_path):
    def change(content):
        marker = content['added_tokens'][0] | {'id': 600, 'content': '<marker>'}
        content['added_tokens'].append(marker)

    path = write(tmp_path / 'tokenizer.json', 'byte_fallback', change)
    settings = RECORDS['byte_fallback']['settings'] | {'clean': 'whitespace'}
    tokenizer = FileTokenizer(path, **settings)
    # It would be taken for a person.
    with pytest.raises(UserError, match='holds the token 600, but the model knows 600'):
        tokenizer.tokenize(['a', 'a <marker> b'])
    assert (tokenizer.tokenize('a [TOK] b') == 600).sum() == 1


def test_a_text_without_tokens_is_an_error_of_the_file(tmp_path):
    def change(content):
        content['model']['vocab']['[UNX]'] = content['model']['vocab'].pop('[UNK]')
        content['added_tokens'] = [
            entry for entry in content['added_tokens'] if entry['content'] != '[UNK]'
        ]

    path = write(tmp_path / 'tokenizer.json', 'wordpiece', change)
    tokenizer = FileTokenizer(path, **RECORDS['wordpiece']['settings'])
    with pytest.raises(UserError, match=re.escape("'한국어' has no tokens")):
        tokenizer.tokenize('한국어')


def test_a_template_of_unknown_tokens_is_an_error_of_the_file(tmp_path):
    path = write(
        tmp_path / 'tokenizer.json',
        'multilingual',
        lambda content: content['post_processor'].update(special_tokens={}),
    )
    with pytest.raises(UserError, match='damaged'):
        FileTokenizer(path, **RECORDS['multilingual']['settings'])


def test_settings_that_make_no_sense():
    with pytest.raises(ValueError, match='clean'):
        read('unigram', clean='upper')
    with pytest.raises(ValueError, match='no room'):
        read('multilingual', context_length=2)


def replace(pattern, content, regular=False):
    kind = 'Regex' if regular else 'String'
    return {'type': 'Replace', 'pattern': {kind: pattern}, 'content': content}


def sequence(steps):
    return {'type': 'Sequence', 'normalizers': steps}


@pytest.mark.parametrize(
    ('normalizer', 'says'),
    [
        (sequence([replace('a', 'aa')] * 40), 'has 40 steps, at most 16 are taken'),
        (sequence([sequence([replace('a', 'aa')] * 9)] * 3), 'has 27 steps'),
        (sequence([replace('a', 'aa')] * 12), 'make a text 4096 times as long'),
        (replace('a', 'a' * 100_000), 'make a text 100000 times as long'),
        (replace('', 'b' * 2000), 'times as long'),
        (replace('.', 'c' * 1500, True), 'make a text 1500 times as long'),
        (sequence([{'type': 'Prepend', 'prepend': 'x' * 3000}]), 'make a text 3001 times'),
        (sequence([{'type': 'NFKD'}, {'type': 'NFKC'}, {'type': 'NFKD'}]), 'times as long'),
        (replace('(a+)+$', 'b', True), 'regular expression .* which may take for ever'),
        (replace('(?:a|aa)*b', 'b', True), 'which may take for ever'),
        (replace('(a)\\1', 'b', True), 'which may take for ever'),
        (replace('a*a*a*a*a*b', 'b', True), 'which may take for ever'),
        (replace('(?:ab){2,}', 'b', True), 'which may take for ever'),
        (replace('a' * 1001, 'b', True), 'which may take for ever'),
    ],
)
def test_steps_that_blow_a_text_up_or_never_end_are_refused(tmp_path, normalizer, says):
    path = write(tmp_path / 'tokenizer.json', 'unigram', lambda c: c.update(normalizer=normalizer))
    with pytest.raises(UserError, match=says) as raised:
        FileTokenizer(path, **RECORDS['unigram']['settings'])
    assert len(str(raised.value)) < 400 and '\n' not in str(raised.value)


def test_steps_before_words_are_bounded_too(tmp_path):
    def split(pattern):
        return {'type': 'Split', 'pattern': {'Regex': pattern}, 'behavior': 'Isolated',
                'invert': False}  # fmt: skip

    for step, says in (
        ({'type': 'Sequence', 'pretokenizers': [split('a')] * 17}, 'pre_tokenizer has 17 steps'),
        (split('(x+x+)+y'), 'pre_tokenizer has the regular expression'),
    ):
        path = write(
            tmp_path / 'tokenizer.json', 'unigram', lambda c, s=step: c.update(pre_tokenizer=s)
        )
        with pytest.raises(UserError, match=says):
            FileTokenizer(path, **RECORDS['unigram']['settings'])


@pytest.mark.parametrize(
    'pattern',
    [
        ' {2,}', r'\s+', r'[!"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~]',
        r"'s|'t|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+",
        r"(?i:'s|'t|'re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
        r'\s*[\r\n]+|\s+(?!\S)|\s+',
        r'\(\)\*', '[)*]',
    ],
)  # fmt: skip
def test_steps_of_models_in_use_are_taken(tmp_path, pattern):
    normalizer = sequence([{'type': 'NFKC'}, {'type': 'Lowercase'}, replace(pattern, ' ', True)])
    path = write(tmp_path / 'tokenizer.json', 'unigram', lambda c: c.update(normalizer=normalizer))
    assert FileTokenizer(path, **RECORDS['unigram']['settings']).tokenize('a').any()


def test_tokens_by_chance_are_refused(tmp_path):
    path = write(
        tmp_path / 'tokenizer.json', 'byte_fallback', lambda c: c['model'].update(dropout=0.5)
    )
    with pytest.raises(UserError, match=r'leaves out merges at random \(dropout 0.5\)'):
        FileTokenizer(path, **RECORDS['byte_fallback']['settings'])


def test_a_file_larger_than_its_vocabulary_needs_is_refused(tmp_path):
    path = write(tmp_path / 'tokenizer.json', 'unigram', lambda c: c.update(x='y' * (5 << 20)))
    with pytest.raises(UserError, match='5 MiB, more than the 4 MiB that a tokenizer of 200'):
        FileTokenizer(path, **RECORDS['unigram']['settings'])
