"""Late fusion and CLIP-PAD with faces: what each of them asks, and how it counts."""

import dataclasses
import types

import ml_collections
import numpy as np
import pytest
import tiny_cpad

from cpad_jax.retrieval import queries
from cpad_jax.retrieval.methods import face_match, fusion, registry, word_bank
from cpad_jax.retrieval.scenarios import Query
from cpad_jax.retrieval.standard import standardised
from cpad_jax.training import configs
from cpad_jax.training.face_tracks import FaceTrackFeatures

RNG = np.random.default_rng(2)
FACES = dict(zip(('ada', 'bo', 'cy'), RNG.normal(size=(3, 32)).astype(np.float32), strict=True))
ACTIONS = ('Eat', 'Run')


def asked():
    """Each of three people doing each of two things; one clip of six answers."""
    pairs = [(who, action) for who in FACES for action in ACTIONS]
    return [
        Query(f'{who}/{action}', 'action', who, who.title(), True, action, None, (n,), (who,))
        for n, (who, action) in enumerate(pairs)
    ]


@pytest.fixture(scope='module')
def setting():
    """A clip of each person doing each thing: it says what is done, and its face says who."""
    model = tiny_cpad.make()
    done = model.clip.encode_text(
        model.clip.tokenize(['a person eating a meal', 'a person running away']), normalize=True
    )
    encoder = queries.QueryEncoder(model, {}, FACES, {}, 1, {})
    tracks = FaceTrackFeatures(
        np.array(list('abcdef')), np.repeat(list(FACES.values()), 2, axis=0)[:, None],
        np.zeros((6, 1), int),
    )  # fmt: skip
    return types.SimpleNamespace(
        config=ml_collections.ConfigDict(configs.load('configs/quickstart.py')),
        encoder=encoder,
        gallery=np.tile(done, (3, 1)),
        words=word_bank.WordBank(model, np.tile(done, (3, 1))),
        faces=face_match.FaceMatch(face_match.ClipFaces(model, tracks), FACES),
    )


def test_words_and_a_face_find_the_only_clip(setting):
    (row,) = registry.make(['late_fusion'], setting)
    assert [ranks.tolist() for ranks in row.ranks(asked())] == [[1]] * 6
    # Without faces, the three clips that show an action are one clip.
    nobody = fusion.Faces(lambda some: np.full((len(some), 6), np.nan))
    blind = dataclasses.replace(row, parts=(setting.words, nobody))
    assert [ranks.tolist() for ranks in blind.ranks(asked())] == [[3]] * 6


@pytest.mark.parametrize(
    ('name', 'method'),
    [('with_faces', queries.PAD_IMAGE), ('with_faces_and_name', queries.PAD_TEXT_IMAGE)],
)
def test_the_parts_are_what_clip_pad_words_and_faces_say(setting, name, method):
    gallery = RNG.normal(size=(6, setting.gallery.shape[1]))
    gallery = (gallery / np.linalg.norm(gallery, axis=1, keepdims=True)).astype(np.float32)
    other = types.SimpleNamespace(**vars(setting) | {'gallery': gallery})
    (row,) = registry.make([name], other)
    ((_, (text, words, faces)),) = row.scored(asked())
    said = (setting.encoder.encode(method, asked()) @ gallery.T).astype(np.float64)
    np.testing.assert_allclose(text, standardised(said), atol=1e-3)
    np.testing.assert_array_equal(words, setting.words(asked()))
    np.testing.assert_allclose(faces, standardised(setting.faces(asked())))


def test_what_each_row_is_asked_as_and_how_much_it_counts(setting):
    config = setting.config
    config.eval.late_fusion.faces = 1.25
    config.eval.with_faces.words, config.eval.with_faces.faces = 0.75, 3.0
    names = ['late_fusion', 'with_faces', 'with_faces_and_name']
    late, photos, named = registry.make(names, setting)
    assert late.method.key == 'late fusion/image'
    assert late.weights == (1.0, 1.25)
    assert photos.weights == named.weights == (1.0, 0.75, 3.0)
    assert photos.method.key == 'CLIP-PAD + faces/image'
    assert named.method.key == 'CLIP-PAD + faces, name/text+image'
