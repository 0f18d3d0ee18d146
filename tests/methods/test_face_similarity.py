import types

import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.features.face_tracks import FaceTrackFeatures
from cpad_jax.methods import face_similarity
from cpad_jax.ranking.query import Query
from tests.support import tiny_cpad

RNG = np.random.default_rng(4)
PHOTOS = {f'ada/{n}': RNG.normal(size=32).astype(np.float32) for n in range(2)} | {
    'bo/0': RNG.normal(size=32).astype(np.float32)
}
FACES = RNG.normal(size=(4, 3, 32)).astype(np.float16)
# Two of the first person and one of the second; no person; one alone; three people.
TRACKS = np.array([[0, 1, 0], [-1, -1, -1], [0, -1, -1], [0, 1, 2]])
CLIPS = FaceTrackFeatures(np.array(list('abcd')), FACES, TRACKS)


def query(*photos):
    return Query('', 'action', '', '', True, 'Eat', None, (0,), photos)


@pytest.fixture(scope='module')
def model():
    return tiny_cpad.make()


def texts(model, *sets):
    """'a photo of [TOK]' of sets of faces, one after the other."""
    tokens = [model.tokens(np.stack(s)[None], np.ones((1, len(s)), np.float32)) for s in sets]
    return model.encode_queries(['a photo of [TOK]'] * len(sets), np.concatenate(tokens))


def test_the_most_similar_person_of_a_clip_counts_by_all_of_their_faces(model):
    queries = [query('ada/0', 'ada/1'), query('bo/0'), query('ada/0', 'ada/1')]
    match = face_similarity.FaceSimilarity(face_similarity.ClipFaces(model, CLIPS), PHOTOS)
    targets = texts(model, [PHOTOS['ada/0'], PHOTOS['ada/1']], [PHOTOS['bo/0']])
    people = texts(
        model, FACES[0][[0, 2]], FACES[0][[1]], FACES[2][[0]], *FACES[3][:, None]
    )  # fmt: skip
    similarity = targets @ people.T
    expected = np.stack(
        [
            similarity[:, :2].max(axis=1),
            [np.nan] * 2,
            similarity[:, 2],
            similarity[:, 3:].max(axis=1),
        ],
        axis=1,
    )[[0, 1, 0]]
    result = match(queries)
    np.testing.assert_allclose(result / 2.0**52, expected, atol=1e-5)
    # Whole numbers, so exact, and equal in another batch.
    assert (result[:, [0, 2, 3]] == np.rint(result[:, [0, 2, 3]])).all()
    np.testing.assert_array_equal(match(queries[1:]), result[1:])


def test_a_person_is_most_similar_to_themselves(model):
    drawn = dict(zip(('ada', 'bo'), RNG.normal(size=(2, 32)).astype(np.float32), strict=True))
    faces = np.stack([drawn['bo'], drawn['ada']])[:, None].astype(np.float16)
    clips = FaceTrackFeatures(np.array(['a', 'b']), faces, np.zeros((2, 1), int))
    faces = face_similarity.ClipFaces(model, clips)
    result = face_similarity.FaceSimilarity(faces, drawn)([query('ada'), query('bo')])
    assert result.argmax(axis=1).tolist() == [1, 0]


def test_a_gallery_without_faces_has_no_similarities(model):
    clips = FaceTrackFeatures(CLIPS.clip_ids, FACES, np.full((4, 3), -1))
    faces = face_similarity.ClipFaces(model, clips)
    assert np.isnan(face_similarity.FaceSimilarity(faces, PHOTOS)([query('bo/0')])).all()


def test_a_model_of_another_face_feature_is_refused(model):
    face_similarity.check(model.face_feature)
    other = types.SimpleNamespace(face_feature='colour_histogram')
    with pytest.raises(UserError, match="'clip' and this CLIP-PAD reads faces by 'colour_hist"):
        face_similarity.check(other.face_feature)
