import numpy as np

from cpad_jax.retrieval import moments, scores


def unit(x):
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)


def make(size, lengths=(7, 1, 4), width=6):
    rng = np.random.default_rng(0)
    frames = [unit(rng.normal(size=(length, width))) for length in lengths]
    times = [10.0 * n + np.arange(length) for n, length in enumerate(lengths)]
    return frames, moments.split(frames, times, size)


def test_windows_lie_half_over_each_other_and_never_over_two_clips():
    frames, found = make(4)
    assert found.first.tolist() == [0, 2, 3]  # Of 7 frames the windows 0–3 and 2–5, then one each.
    assert found.times.tolist() == [1.5, 3.5, 10, 21.5]
    np.testing.assert_allclose(found.embeddings[1], unit(frames[0][2:6].mean(axis=0)), atol=1e-6)
    np.testing.assert_allclose(found.embeddings[2], frames[1][0], atol=1e-6)


def test_a_whole_clip_is_the_mean_of_its_frames_and_ranks_as_one():
    frames, found = make(0)
    queries = unit(np.random.default_rng(1).normal(size=(70, 6)))
    whole = unit(np.stack([own.mean(axis=0) for own in frames]))
    np.testing.assert_allclose(found.embeddings, whole, atol=1e-6)
    expected = scores.on_grid(queries) @ scores.on_grid(found.embeddings).T
    np.testing.assert_array_equal(found.scores(queries), expected)


def test_the_best_moment_counts_and_is_said():
    frames, found = make(1)
    query = frames[0][5]  # One frame of seven is what is looked for.
    assert found.scores(query[None])[0].argmax() == 0
    assert found.when(query, [0, 2])[0] == 5
    assert 20 <= found.when(query, [2])[0] <= 23
    best = [max(frame @ query for frame in own) for own in frames]
    np.testing.assert_allclose(found.scores(query[None])[0] / 2**52, best, atol=1e-6)
