"""Late fusion and CLIP-PAD with faces: their parts and weights."""

import dataclasses
import types

import ml_collections
import numpy as np
import pytest

from cpad_jax.features.face_tracks import FaceTrackFeatures
from cpad_jax.methods import clip_pad, face_similarity, fusion, querybank, registry
from cpad_jax.methods.face_similarity import NameSimilarity
from cpad_jax.ranking.method import PAD_IMAGE, PAD_TEXT_IMAGE
from cpad_jax.ranking.query import Query
from cpad_jax.ranking.zscore import zscore
from cpad_jax.training import configs
from tests.support import tiny_cpad

RNG = np.random.default_rng(2)
FACES = dict(zip(('ada', 'bo', 'cy'), RNG.normal(size=(3, 32)).astype(np.float32), strict=True))
ACTIONS = ('Eat', 'Run')


def queries():
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
    encoder = clip_pad.QueryEncoder(model, {}, FACES, {}, 1, {})
    tracks = FaceTrackFeatures(
        np.array(list('abcdef')), np.repeat(list(FACES.values()), 2, axis=0)[:, None],
        np.zeros((6, 1), int),
    )  # fmt: skip
    plain = np.tile(done, (3, 1))

    def bank(kind):
        return querybank.QueryBank(model, plain, kind)

    return types.SimpleNamespace(
        model=model,
        face_tracks=tracks,
        plain_gallery=plain,
        word_bank=bank,
        config=ml_collections.ConfigDict(configs.load('configs/quickstart.py')),
        encoder=encoder,
        gallery=np.tile(done, (3, 1)),
        words=querybank.QueryBank(model, np.tile(done, (3, 1))),
        faces=face_similarity.FaceSimilarity(face_similarity.ClipFaces(model, tracks), FACES),
    )


def test_late_fusion_ranks_the_only_relevant_clip_first(setting):
    (row,) = registry.make(['late_fusion'], setting)
    assert [ranks.tolist() for ranks in row.ranks(queries())] == [[1]] * 6
    # Without faces, the three clips that show an action are one clip.
    no_person = fusion.Faces(lambda some: np.full((len(some), 6), np.nan))
    blind = dataclasses.replace(row, parts=(setting.words, no_person))
    assert [ranks.tolist() for ranks in blind.ranks(queries())] == [[3]] * 6


@pytest.mark.parametrize(
    ('name', 'method'),
    [
        ('with_faces', PAD_IMAGE),
        ('with_faces_and_name', PAD_TEXT_IMAGE),
    ],
)
def test_the_parts_are_scores_of_clip_pad_the_bank_and_faces(setting, name, method):
    gallery = RNG.normal(size=(6, setting.gallery.shape[1]))
    gallery = (gallery / np.linalg.norm(gallery, axis=1, keepdims=True)).astype(np.float32)
    other = types.SimpleNamespace(**vars(setting) | {'gallery': gallery})
    (row,) = registry.make([name], other)
    ((_, (text, words, faces)),) = row.batches(queries())
    texts = (setting.encoder.encode(method, queries()) @ gallery.T).astype(np.float64)
    np.testing.assert_allclose(text, zscore(texts), atol=1e-3)
    np.testing.assert_array_equal(words, setting.words(queries()))
    np.testing.assert_allclose(faces, zscore(setting.faces(queries())))


def test_clip_with_faces_compares_names_with_the_same_faces_and_bank(setting):
    model = setting.model
    ids = model.clip.tokenize([who.title() for who in FACES])
    named = model.clip.encode_text(ids, normalize=True)
    # Two faces of the person in each clip, neither L2-normalised, whose mean direction is the name.
    rng = np.random.default_rng(9)
    sides = rng.normal(size=named.shape).astype(np.float32)
    sides -= (sides * named).sum(axis=1, keepdims=True) * named
    faces = np.stack([3 * (named + 0.5 * sides), named - 0.5 * sides], axis=1)
    lengths = np.linalg.norm(faces, axis=2, keepdims=True)
    faces[:, 0] *= lengths[:, 1] / lengths[:, 0] * 3
    tracks = FaceTrackFeatures(
        np.array(list('abcdef')), np.repeat(faces, 2, axis=0).astype(np.float16),
        np.zeros((6, 2), int),
    )  # fmt: skip
    other = types.SimpleNamespace(**vars(setting) | {'face_tracks': tracks})
    (row,) = registry.make(['clip_name_on_faces'], other)
    assert row.method.key == 'CLIP + faces/text'
    assert [ranks.tolist() for ranks in row.ranks(queries())] == [[1]] * 6
    ((_, (words, seen)),) = row.batches(queries())
    np.testing.assert_array_equal(words, setting.words(queries()))
    # The mean direction of both faces is the name's.
    similarities = np.repeat(np.repeat(named @ named.T, 2, axis=0), 2, axis=1)
    np.testing.assert_allclose(seen, zscore(similarities.astype(np.float64)), atol=0.01)


def test_the_most_similar_of_several_people_counts_and_no_person_is_nan():
    model = tiny_cpad.make()
    faces = RNG.normal(size=(3, 2, 32)).astype(np.float16)
    tracks = FaceTrackFeatures(np.array(list('abc')), faces, np.array([[0, 1], [-1, -1], [0, -1]]))
    result = NameSimilarity(model.clip, tracks).similarity(['Ada', 'Bo', 'Ada']) / 2.0**52
    ids = model.clip.tokenize(['Ada', 'Bo'])
    unit = faces / np.linalg.norm(faces.astype(np.float32), axis=2, keepdims=True)
    cosines = np.einsum('pd,ntd->pnt', model.clip.encode_text(ids, normalize=True), unit)
    expected = np.stack([cosines[:, 0].max(axis=1), [np.nan] * 2, cosines[:, 2, 0]], axis=1)
    np.testing.assert_allclose(result, expected[[0, 1, 0]], atol=2e-3)
    empty = FaceTrackFeatures(tracks.clip_ids, faces, np.full((3, 2), -1))
    assert np.isnan(NameSimilarity(model.clip, empty).similarity(['Ada'])).all()


def test_rows_have_their_names_and_weights(setting):
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


def test_rows_of_the_closed_bank_have_its_posteriors_and_weights(setting):
    config = setting.config
    config.eval.late_fusion_closed.faces = 1.5
    config.eval.clip_name_on_faces_closed.faces = 1.75
    config.eval.with_faces_closed.words, config.eval.with_faces_closed.faces = 0.25, 2.25
    names = ['late_fusion_closed', 'clip_name_on_faces_closed', 'with_faces_closed']
    late, by_name, photos = registry.make(names, setting)
    assert [row.method.name for row in (late, by_name, photos)] == [
        'late fusion, closed', 'CLIP + faces, closed', 'CLIP-PAD + faces, closed',
    ]  # fmt: skip
    assert (late.weights, by_name.weights) == ((1.0, 1.5), (1.0, 1.75))
    assert photos.weights == (1.0, 0.25, 2.25)
    closed = setting.word_bank(querybank.CLOSED)(queries())
    for row, place in ((late, 0), (by_name, 0), (photos, 1)):
        np.testing.assert_array_equal(row.parts[place](queries()), closed)
    assert np.abs(closed - setting.words(queries())).max() > 0.1


def test_rows_of_detected_faces_have_the_same_weights_and_bank(setting):
    result = FaceTrackFeatures(
        setting.face_tracks.clip_ids, setting.face_tracks.faces[::-1], setting.face_tracks.tracks
    )
    match = face_similarity.FaceSimilarity(face_similarity.ClipFaces(setting.model, result), FACES)
    other = types.SimpleNamespace(
        **vars(setting) | {'detected_tracks': result, 'detected_faces': match}
    )
    names = ('late_fusion', 'clip_name_on_faces', 'with_faces')
    for name in names:
        (row,) = registry.make([name], other)
        (detected,) = registry.make([f'{name}_detected'], other)
        assert detected.method.name == f'{row.method.name}, detected'
        assert detected.weights == row.weights
        ((_, parts),), ((_, theirs),) = row.batches(queries()), detected.batches(queries())
        for one, two in zip(parts[:-1], theirs[:-1], strict=True):
            np.testing.assert_array_equal(one, two)
        # The gallery's faces, from the last clip to the first.
        np.testing.assert_allclose(theirs[-1], parts[-1][:, ::-1], atol=1e-6)


def test_without_a_face_detector_its_rows_are_left_out_with_one_line(monkeypatch, capsys):
    monkeypatch.setattr(registry.detected_faces, 'missing', lambda: 'there is none')
    names = ('late_fusion', 'late_fusion_detected', 'with_faces_detected')
    assert registry.possible(names) == ('late_fusion',)
    (line,) = capsys.readouterr().err.splitlines()
    assert 'late_fusion_detected, with_faces_detected' in line and 'there is none' in line
    assert registry.possible(('late_fusion',)) == ('late_fusion',)
    monkeypatch.setattr(registry.detected_faces, 'missing', lambda: None)
    assert registry.possible(names) == names and not capsys.readouterr().err
