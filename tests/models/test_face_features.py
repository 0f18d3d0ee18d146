import numpy as np

from cpad_jax.models.face_features import colour_histogram


def test_a_histogram_knows_colours_and_no_places():
    red, blue = [200, 10, 10], [10, 10, 200]
    picture = np.full((20, 40, 3), red, np.uint8)
    picture[:5] = blue
    found = colour_histogram(picture)
    assert found.dtype == np.float32 and found.shape == (512,)
    # A quarter is blue; 200 is in the seventh of eight levels, 10 in the first.
    expected = np.zeros(512)
    expected[6 * 64], expected[6] = 0.75**0.5, 0.25**0.5
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(found, colour_histogram(picture[::-1, ::-1]))


def test_of_a_large_photo_what_is_around_the_face_counts():
    picture = np.full((200, 200, 3), 250, np.uint8)
    picture[80:120, 80:120] = 40
    # Three times the face's box: the face is a ninth of it.
    near = colour_histogram(picture, [80, 80, 120, 120])
    np.testing.assert_allclose(near[73] ** 2, 1 / 9, atol=0.01)
    np.testing.assert_allclose(colour_histogram(picture)[73] ** 2, 0.04, atol=1e-4)
