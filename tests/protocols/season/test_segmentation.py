import math

import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.protocols.season import segmentation


def test_equal_pieces_have_exact_times():
    assert segmentation.equal_segments(120, 2) == [(0, 30), (30, 60), (60, 90), (90, 120)]
    assert segmentation.equal_segments(60, 4) == [(0, 15), (15, 30), (30, 45), (45, 60)]


@pytest.mark.parametrize(
    ('duration', 'last'),
    [
        (74.9, (30, 74.9)),  # 14.9 s over: less than half a piece, so it belongs to the last one
        (75.0, (60, 75.0)),
        (89.0, (60, 89.0)),
        (7.0, (0, 7.0)),  # A video shorter than half a piece is a piece.
    ],
)
def test_the_last_piece_ends_with_the_video(duration, last):
    assert segmentation.equal_segments(duration, 2)[-1] == last


def test_pieces_at_shots_are_whole_shots():
    shots = [(0.0, 11.0), (11.0, 28.0), (28.0, 50.0), (50.0, 66.0), (66.0, 95.0), (95.0, 120.0)]
    assert segmentation.shot_segments(shots, 2) == [(0, 28), (28, 66), (66, 95), (95, 120)]


def test_two_cuts_that_fall_on_one_make_one_piece():
    shots = [(0.0, 44.0), (44.0, 120.0)]
    assert segmentation.shot_segments(shots, 2) == [(0, 44), (44, 120)]
    assert segmentation.shot_segments([(0.0, 120.0)], 2) == [(0, 120)]


def test_moments_belong_to_one_piece():
    times = np.array([0.0, 29.99, 30.0, 59.0, 61.0])
    found = segmentation.frames_of_segments(times, [(0, 30), (30, 60), (60, 60.2), (60.2, 62)])
    # The third piece is too short for any of them, and takes the nearest.
    assert [own.tolist() for own in found] == [[0, 1], [2, 3], [4], [4]]


def test_overlap_counts_a_moment_once():
    pieces = [(0, 10), (10, 20), (20, 30)]
    found = segmentation.overlap([(8, 12), (11, 14), (29, math.inf)], pieces)
    np.testing.assert_allclose(found, [2, 4, 1])
    assert segmentation.merged([(5, 6), (1, 3), (2, 4), (4, 4.5)]) == [(1, 4.5), (5, 6)]
    # A short one within a long one ends nothing.
    assert segmentation.merged([(2, 3), (1, 9), (4, 5), (9, 10)]) == [(1, 10)]
    assert segmentation.overlap([(0, 30), (1, 2)], [(0, 10), (10, 40)]).tolist() == [10, 20]


def test_no_pieces_at_all_are_refused():
    with pytest.raises(UserError, match='0 segments per minute'):
        segmentation.equal_segments(10, 0)
