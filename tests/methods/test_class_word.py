import types

import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.methods import class_word, registry
from cpad_jax.ranking import method, scorers
from cpad_jax.ranking.query import Query
from tests.support import tiny_cpad

QUERIES = [
    Query('q0', 'action', 'ada', 'Ada Lind', True, 'Eat', None, (0,), ('ada/1',)),
    Query('q1', 'place', 'bo', 'Bo Ek', True, None, 'INT-car', (1, 2), ('bo/1',)),
]


def test_the_class_word_stands_before_the_name():
    model = tiny_cpad.make()
    expected = model.clip.encode_text(
        model.clip.tokenize(['the person Ada Lind eating a meal', 'the person Bo Ek inside a car']),
        normalize=True,
    )
    gallery = np.eye(3, expected.shape[-1], dtype=np.float32)
    setting = types.SimpleNamespace(model=model, plain_gallery=gallery)
    (scorer,) = registry.make(['class_word'], setting)
    assert isinstance(scorer, scorers.Cosine) and scorer.method == class_word.METHOD
    np.testing.assert_allclose(scorer.encoder.encode(scorer.method, QUERIES), expected, atol=1e-6)
    best = np.argsort(-expected @ gallery.T)
    for query, order, ranks in zip(QUERIES, best, scorer.ranks(QUERIES), strict=True):
        assert ranks.tolist() == sorted(order.tolist().index(r) + 1 for r in query.relevant)


def test_an_unknown_method_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match="names 'clas_word', expected some of class_word"):
        registry.rows(['clas_word'])


def test_every_method_has_a_row_of_its_own():
    rows = registry.rows(list(registry.FURTHER))
    assert len({row.key for row in rows}) == len(rows) and all(row.control is None for row in rows)
    assert not {row.key for row in rows} & {row.key for row in method.METHODS}


def test_the_rows_of_the_paper_are_in_the_table_and_need_no_naming():
    assert tuple(row.method for row in registry.PAPER.values()) == method.METHODS
    assert set(registry.METHODS) == set(registry.PAPER) | set(registry.FURTHER)
    with pytest.raises(UserError, match="names 'clip', expected some of class_word"):
        registry.rows(['clip'])


@pytest.mark.parametrize(
    ('ce', 'methods', 'names'),
    [
        ('', method.EMBEDDED, list(registry.PAPER)[1:]),
        ('runs/ce', method.EMBEDDED, list(registry.PAPER)),
        ('', [m for m in method.EMBEDDED if m != method.PAD_MEMORY],
         ['clip', 'clip_pad_text', 'clip_pad_image', 'clip_pad_text_image']),
    ],
)  # fmt: skip
def test_an_evaluation_has_the_rows_of_the_paper_that_its_models_allow(ce, methods, names):
    context = types.SimpleNamespace(
        encoder=types.SimpleNamespace(methods=methods),
        config=types.SimpleNamespace(eval=types.SimpleNamespace(ce=ce)),
    )
    assert list(registry.paper_rows(context)) == names


def test_rows_of_clip_and_clip_pad_rank_their_galleries():
    plain, prompted = np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32)[::-1]
    context = types.SimpleNamespace(encoder=None, plain_gallery=plain, gallery=prompted)
    clip_row, pad_row = registry.make(['clip', 'clip_pad_image'], context)
    assert (clip_row.method, pad_row.method) == (method.CLIP, method.PAD_IMAGE)
    assert clip_row.gallery is plain and pad_row.gallery is prompted
