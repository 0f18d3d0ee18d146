import numpy as np
import pytest

from cpad_jax.protocols.season import windows
from cpad_jax.ranking import exact_scores


def unit(x):
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)


def make(size, lengths=(7, 1, 4), width=6):
    rng = np.random.default_rng(0)
    frames = [unit(rng.normal(size=(length, width))) for length in lengths]
    times = [10.0 * n + np.arange(length) for n, length in enumerate(lengths)]
    return frames, windows.split_windows(frames, times, size)


def test_windows_lie_half_over_each_other_and_never_over_two_clips():
    frames, found = make(4)
    # Of 7 frames the windows 0–3, 2–5 and, so that the last frame is seen, 3–6; then one each.
    assert found.first.tolist() == [0, 3, 4]
    assert found.times.tolist() == [1.5, 3.5, 4.5, 10, 21.5]
    np.testing.assert_allclose(found.embeddings[1], unit(frames[0][2:6].mean(axis=0)), atol=1e-6)
    np.testing.assert_allclose(found.embeddings[2], unit(frames[0][3:7].mean(axis=0)), atol=1e-6)
    np.testing.assert_allclose(found.embeddings[3], frames[1][0], atol=1e-6)


@pytest.mark.parametrize(
    ('length', 'size', 'first_frames'),
    [
        # Eight seconds at two frames a second, of clips of half and of a quarter of a minute.
        (60, 16, [0, 8, 16, 24, 32, 40, 44]),
        (30, 16, [0, 8, 14]),
        (16, 16, [0]),
        (17, 16, [0, 1]),
        # The default, two seconds: even clips have nothing left over, odd ones a frame.
        (8, 4, [0, 2, 4]),
        (9, 4, [0, 2, 4, 5]),
        (4, 1, [0, 1, 2, 3]),
        (4, 3, [0, 1]),
        (9, 5, [0, 2, 4]),
        (10, 5, [0, 2, 4, 5]),
        (3, 16, [0]),
        (5, 0, [0]),
    ],
)
def test_every_frame_is_in_a_moment(length, size, first_frames):
    # A frame's embedding is an axis of its own: a moment shows which frames are in it.
    found = windows.split_windows([np.eye(length, dtype=np.float32)], [np.arange(length)], size)
    members = [np.flatnonzero(one).tolist() for one in found.embeddings]
    reach = min(size or length, length)
    assert members == [list(range(start, start + reach)) for start in first_frames]
    assert {frame for own in members for frame in own} == set(range(length))
    assert found.times.tolist() == [start + (reach - 1) / 2 for start in first_frames]


def test_a_whole_clip_is_the_mean_of_its_frames_and_ranks_as_one():
    frames, found = make(0)
    queries = unit(np.random.default_rng(1).normal(size=(70, 6)))
    whole = unit(np.stack([own.mean(axis=0) for own in frames]))
    np.testing.assert_allclose(found.embeddings, whole, atol=1e-6)
    expected = exact_scores.quantise(queries) @ exact_scores.quantise(found.embeddings).T
    np.testing.assert_array_equal(found.scores(queries), expected)


def test_the_best_moment_counts_and_is_said():
    frames, found = make(1)
    query = frames[0][5]  # One frame of seven is what is looked for.
    assert found.scores(query[None])[0].argmax() == 0
    assert found.when(query, [0, 2])[0] == 5
    assert 20 <= found.when(query, [2])[0] <= 23
    best = [max(frame @ query for frame in own) for own in frames]
    np.testing.assert_allclose(found.scores(query[None])[0] / 2**52, best, atol=1e-6)
