import collections
import inspect

import numpy as np
import pytest

from cpad_jax.synthetic import canvas
from cpad_jax.synthetic.colour_grading import ERAS, TitleStyle
from cpad_jax.synthetic.places import PLACES, draw_place, draw_plain_backdrop

HEIGHT, WIDTH = 260, 344


def stage(place, seed, height=HEIGHT, width=WIDTH):
    rng = np.random.default_rng(seed)
    return draw_place(place, rng, height, width, TitleStyle.draw(rng))


@pytest.mark.parametrize('place', PLACES)
def test_every_place_is_painted_with_room_to_stand(place):
    for seed in range(12):
        drawn = stage(place, seed)
        assert drawn.image.shape == (HEIGHT, WIDTH, 3)
        assert drawn.image.dtype == np.uint8
        assert drawn.image.std() > 15
        assert 0.82 * HEIGHT <= drawn.floor <= 0.9 * HEIGHT
        assert 2 <= len(drawn.spots) <= 5
        assert 0.05 < min(drawn.spots) and max(drawn.spots) < 0.95
        assert np.diff(drawn.spots).min() > 0.12


@pytest.mark.parametrize('place', PLACES)
def test_seed_decides_the_picture(place):
    first, again, other = stage(place, 3), stage(place, 3), stage(place, 4)
    np.testing.assert_array_equal(first.image, again.image)
    assert (first.floor, first.spots) == (again.floor, again.spots)
    differing = (first.image != other.image).any(-1).mean()
    assert differing > 0.5


def test_a_title_turns_the_palette_of_the_same_set():
    red, green = (
        draw_place('INT-bedroom', np.random.default_rng(0), 130, 172, TitleStyle(hue=hue)).image
        for hue in (0.0, 0.33)
    )
    assert np.abs(red.astype(int) - green).mean() > 5


def test_sets_scale_with_the_picture():
    large, small = stage('INT-kitchen', 5).image, stage('INT-kitchen', 5, 130, 172).image
    assert np.abs(canvas.resize(large, 130, 172).astype(int) - small).mean() < 12


def test_unknown_place_is_refused():
    with pytest.raises(KeyError):
        stage('INT-castle', 0)


def nearest_centroid(features, train):
    """Accuracy over features [place, draw, D] of the draws from `train` on."""
    centroids = features[:, :train].mean(1)
    rest = features[:, train:]
    distance = ((rest[:, :, None] - centroids[None, None]) ** 2).sum(-1)
    return (distance.argmin(-1) == np.arange(len(features))[:, None]).mean()


@pytest.fixture(scope='module')
def thumbnails():
    draws = [
        [canvas.resize(stage(p, 100 + seed, 130, 172).image, 24, 24) for seed in range(80)]
        for p in PLACES
    ]
    return np.array(draws, np.float64)


def test_places_differ_in_layout_and_not_in_colour_alone(thumbnails):
    # Measured: thumbnails 0.73, mean colours 0.26; chance is 0.1.
    assert nearest_centroid(thumbnails.reshape(10, 80, -1), 40) > 0.6
    assert nearest_centroid(thumbnails.mean((2, 3)), 40) < 0.45


def test_grading_keeps_the_frame_and_moves_the_grain():
    rng = np.random.default_rng(0)
    frame = np.full((168, 224, 3), 120, np.uint8)
    frame[:, :112, 0] = 200
    before = frame.copy()
    for era in ERAS:
        style = TitleStyle(era=era, grain=5.0, vignette=0.4, saturation=0.0, warmth=0.0)
        one, two = style.grade(frame, rng), style.grade(frame, rng)
        np.testing.assert_array_equal(frame, before)
        assert one.shape == frame.shape and one.dtype == np.uint8
        assert (one != two).mean() > 0.5
        corner, middle = one[:12, -12:].mean(), one[78:90, 140:160].mean()
        assert corner < 0.8 * middle


def test_black_and_white_has_no_colour_and_warmth_is_orange():
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    grey = TitleStyle(era='monochrome', saturation=0.0, warmth=1.0).grade(frame, rng).astype(int)
    assert np.abs(grey - grey.mean(-1, keepdims=True)).max() <= 1
    warm = TitleStyle(warmth=1.0).grade(frame, rng).mean((0, 1))
    cold = TitleStyle(warmth=-1.0).grade(frame, rng).mean((0, 1))
    assert warm[0] > cold[0] + 15 and warm[2] < cold[2] - 15


def test_neutral_style_changes_nothing():
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    graded = TitleStyle().grade(frame, rng).astype(int)
    assert np.abs(graded - frame).max() <= 1


def test_backdrops_are_soft_and_all_different():
    rng = np.random.default_rng(0)
    drawn = [draw_plain_backdrop(rng, 160, 120) for _ in range(30)]
    assert all(image.shape == (160, 120, 3) and image.dtype == np.uint8 for image in drawn)
    # Nothing sharp: neighbouring pixels are near each other.
    assert max(np.abs(np.diff(image.astype(int), axis=1)).mean() for image in drawn) < 4
    assert len({image.tobytes() for image in drawn}) == 30


def test_a_set_is_a_few_hundred_strokes(monkeypatch):
    """The cost of a set is the number of strokes that paint it."""
    counted = collections.Counter()

    def counting(name, function):
        def counted_function(*arguments, **options):
            counted[name] += 1
            return function(*arguments, **options)

        return counted_function

    for name, function in vars(canvas).items():
        if inspect.isfunction(function) and not name.startswith('_'):
            monkeypatch.setattr(canvas, name, counting(name, function))
    most = 0
    for index in range(30):
        counted.clear()
        stage(PLACES[index % 10], index)
        most = max(most, sum(counted.values()))
    assert 100 < most < 300
