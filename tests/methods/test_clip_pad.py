import types

import numpy as np
import pytest

from cpad_jax.methods import clip_pad
from cpad_jax.protocols.compound.queries import impostors
from cpad_jax.ranking.method import (
    CLIP,
    CONTROLS,
    EMBEDDED,
    METHODS,
    NO_PERSON,
    PAD_IMAGE,
    PAD_MEMORY,
    PAD_TEXT,
    PAD_TEXT_IMAGE,
    PERSON_ONLY,
    WRONG_PERSON,
    WRONG_PHOTO,
)
from cpad_jax.ranking.query import Query

DEFAULT = np.full((1, 2), -1.0, np.float32)
MEMORY = np.array([[[10.0, 0.0]], [[20.0, 0.0]]], np.float32)
NAMES = {'ada': 'Ada Abbott', 'bob': 'Bob Boyd', 'cy': 'Cy Cole', 'di': 'Di Dorn'}
PHOTOS = {'ada/1': 1.0, 'ada/2': 3.0, 'bob/1': 5.0, 'cy/1': 7.0, 'di/1': 9.0}


class Recorder:
    """A model that records the texts and tokens to encode, with a distinct token per person."""

    default_token = DEFAULT
    learned = ()

    def __init__(self, memory=MEMORY):
        self.saved = types.SimpleNamespace(memory=memory, names=['Ada Abbott', 'Bob Boyd'])

    def tokens(self, features, weights):
        mean = (features * weights[..., None]).sum(1) / weights.sum(1)[:, None]  # [P, Df]
        return np.repeat(mean[:, None], 2, axis=-1)  # [P, 1, 2]

    def knows(self, name):
        return name in self.learned

    def name_tokens(self, names):
        own = {name: np.full((1, 2), 100.0 + i) for i, name in enumerate(self.learned)}
        return np.stack([own.get(name, DEFAULT) for name in names])

    def with_names(self, names, tokens):
        named = self.name_tokens(names)
        return np.where(np.array([self.knows(n) for n in names])[:, None, None], named, tokens)

    def encode_queries(self, texts, tokens):
        self.texts, self.encoded = list(texts), tokens
        return np.zeros((len(texts), 4), np.float32)


def query(person_id, action, place, references):
    seen = person_id in ('ada', 'bob')
    return Query('', 'action', person_id, NAMES[person_id], seen, action, place, (0,), references)


QUERIES = [
    query('ada', 'HugPerson', 'INT-kitchen', ('ada/1', 'ada/2')),
    query('ada', 'Run', None, ('ada/2',)),
    query('bob', None, 'EXT-road', ('bob/1',)),
    query('cy', 'Eat', None, ('cy/1',)),
    query('di', 'Kiss', None, ('di/1',)),
]
FACES = [2, 3, 5, 7, 9]  # Means of the photos' features above.


@pytest.fixture
def encoder():
    photos = {key: np.full(1, value, np.float32) for key, value in PHOTOS.items()}
    references = {who: [key for key in PHOTOS if key.startswith(who)] for who in NAMES}
    stand_ins = impostors(QUERIES, seed=0)
    return clip_pad.QueryEncoder(Recorder(), NAMES, photos, references, 2, stand_ins)


def run_query(encoder, method):
    assert encoder.encode(method, QUERIES).shape == (5, 4)
    return encoder._model.texts, encoder._model.encoded


WITH_NAME = [
    'Ada Abbott [TOK] hugging someone in a kitchen',
    'Ada Abbott [TOK] running away',
    'Bob Boyd [TOK] on a road',
    'Cy Cole [TOK] eating a meal',
    'Di Dorn [TOK] kissing someone',
]


def faces(numbers):
    return [[[n, n]] for n in numbers]


def test_clip_gets_the_name_and_no_token(encoder):
    texts, _ = run_query(encoder, CLIP)
    assert texts == [text.replace(' [TOK]', '') for text in WITH_NAME]


def test_text_form_has_the_name_and_the_default_token(encoder):
    texts, tokens = run_query(encoder, PAD_TEXT)
    assert texts == WITH_NAME
    assert (tokens == DEFAULT).all()


def test_a_learned_name_is_in_the_token_and_not_in_the_words(encoder):
    encoder._model.learned = ('Ada Abbott', 'Bob Boyd')
    own = [[[100, 100]], [[100, 100]], [[101, 101]]]
    texts, tokens = run_query(encoder, PAD_TEXT)
    assert texts[:3] == [text[len('Ada Abbott ') :] for text in WITH_NAME[:2]] + ['[TOK] on a road']
    assert texts[3:] == WITH_NAME[3:]
    np.testing.assert_array_equal(tokens, [*own, DEFAULT, DEFAULT])
    assert run_query(encoder, PAD_TEXT_IMAGE)[0] == texts
    np.testing.assert_array_equal(encoder._model.encoded, [*own, [[7, 7]], [[9, 9]]])
    # The wrong name goes into the token as well; plain CLIP and the memory keep the words.
    _, tokens = run_query(encoder, WRONG_PERSON)
    np.testing.assert_array_equal(tokens[:3], [[[101, 101]], [[101, 101]], [[100, 100]]])
    assert run_query(encoder, PAD_MEMORY)[0] == WITH_NAME
    assert run_query(encoder, CLIP)[0] == [text.replace(' [TOK]', '') for text in WITH_NAME]


def test_name_memory_gives_known_people_their_own_token(encoder):
    texts, tokens = run_query(encoder, PAD_MEMORY)
    assert texts == WITH_NAME
    expected = [MEMORY[0], MEMORY[0], MEMORY[1], DEFAULT, DEFAULT]
    np.testing.assert_array_equal(tokens, expected)


def test_image_form_has_the_face_and_no_name(encoder):
    texts, tokens = run_query(encoder, PAD_IMAGE)
    assert texts[0] == '[TOK] hugging someone in a kitchen'
    assert [text.split()[0] for text in texts] == ['[TOK]'] * 5
    np.testing.assert_array_equal(tokens, faces(FACES))


def test_text_image_form_has_both(encoder):
    texts, tokens = run_query(encoder, PAD_TEXT_IMAGE)
    assert texts == WITH_NAME
    np.testing.assert_array_equal(tokens, faces(FACES))


def test_no_person(encoder):
    texts, _ = run_query(encoder, NO_PERSON)
    assert texts[0] == 'a person hugging someone in a kitchen'
    assert not any('[TOK]' in text or 'Ada' in text for text in texts)


def test_person_only_has_neither_action_nor_place(encoder):
    texts, tokens = run_query(encoder, PERSON_ONLY)
    assert all(text.endswith('Ada Abbott [TOK]') for text in texts[:2])
    assert 'hugging' not in texts[0] and 'road' not in texts[2]
    np.testing.assert_array_equal(tokens, faces(FACES))


def test_wrong_person_swaps_name_and_photo(encoder):
    texts, tokens = run_query(encoder, WRONG_PERSON)
    assert texts == [
        'Bob Boyd [TOK] hugging someone in a kitchen',
        'Bob Boyd [TOK] running away',
        'Ada Abbott [TOK] on a road',
        'Di Dorn [TOK] eating a meal',
        'Cy Cole [TOK] kissing someone',
    ]
    np.testing.assert_array_equal(tokens, faces([5, 5, 2, 9, 7]))


def test_wrong_photo_keeps_the_name(encoder):
    texts, tokens = run_query(encoder, WRONG_PHOTO)
    assert texts == WITH_NAME
    np.testing.assert_array_equal(tokens, faces([5, 5, 2, 9, 7]))


def test_a_model_without_name_memory_has_no_such_row(encoder):
    assert PAD_MEMORY in encoder.methods
    bare = clip_pad.QueryEncoder(Recorder(memory=None), NAMES, {}, {}, 2, {})
    assert bare.methods == tuple(m for m in EMBEDDED if m != PAD_MEMORY)


def test_rows_have_keys_of_their_own():
    rows = METHODS + CONTROLS
    assert len({method.key for method in rows}) == len(rows) == 15
