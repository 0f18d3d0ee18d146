import jax
import numpy as np
import pytest

from cpad_jax.models.video_adapter import VideoAdapter
from cpad_jax.training import word_learning
from cpad_jax.training.clip_labels import ANY, ClipLabels
from cpad_jax.training.compound_captions import CompoundCaptions

ACTIONS, PLACES, WIDTH = ['HugPerson', 'Eat', 'Run'], ['INT-kitchen', 'EXT-road'], 16


@pytest.fixture(scope='module')
def captions():
    return CompoundCaptions(ACTIONS, PLACES)


@pytest.fixture(scope='module')
def texts(captions):
    """Embeddings of captions: a direction for each action and place."""
    rng = np.random.default_rng(0)
    act, where = rng.normal(size=(3, WIDTH)), rng.normal(size=(2, WIDTH))
    embedded = np.zeros((len(captions.texts), WIDTH))
    for action in range(-1, 3):
        for place in range(-1, 2):
            numbers = captions._numbers[action, place]
            embedded[numbers.start : numbers.stop] += act[action] * (action >= 0)
            embedded[numbers.start : numbers.stop] += where[place] * (place >= 0)
    embedded += 0.1 * rng.normal(size=embedded.shape)
    return (embedded / np.linalg.norm(embedded, axis=1, keepdims=True)).astype(np.float32)


def make_clips(seed, count=300):
    """Clips of up to two people, which show what and where by other directions than texts do."""
    rng = np.random.default_rng(seed)
    person = np.stack([rng.integers(9, size=count), rng.integers(-1, 2, size=count)], axis=1)
    person[:3] = ANY  # No person is there.
    doing = np.zeros((count, 2, 3), bool)
    doing[np.arange(count), 0, rng.integers(3, size=count)] = True
    place = rng.integers(2, size=count)
    act, where = (np.random.default_rng(5).normal(size=(n, WIDTH)) for n in (3, 2))
    embedded = doing[:, 0] @ act + where[place] + 0.3 * rng.normal(size=(count, WIDTH))
    embedded /= np.linalg.norm(embedded, axis=1, keepdims=True)
    return embedded.astype(np.float32), ClipLabels(person, doing, place)


def test_captions_match_their_clips(captions):
    _, labels = make_clips(0)
    clips, drawn, relevant = word_learning.draw(labels, captions, np.random.default_rng(0))
    assert len(set(clips)) == word_learning.BATCH and clips.min() >= 3
    assert np.diagonal(relevant).all() and not relevant.all()
    caption_labels = {n: key for key, numbers in captions._numbers.items() for n in numbers}
    forms = {tuple(np.array(caption_labels[n]) != ANY) for n in drawn}
    assert forms == {(True, False), (False, True), (True, True)}
    for row in range(20):
        action, place = caption_labels[drawn[row]]
        does = labels.doing[clips, :, action].any(axis=1) if action != ANY else True
        there = labels.place[clips] == place if place != ANY else True
        np.testing.assert_array_equal(relevant[row], does & there)


def test_words_find_clips_that_were_not_learned_from(captions, texts):
    adapter = VideoAdapter(32)
    clips, labels = make_clips(0)
    learned = [
        word_learning.learn_words(adapter, clips, labels, captions, texts, steps=500, seed=0)
        for _ in range(2)
    ]
    jax.tree.map(np.testing.assert_array_equal, *learned)
    np.testing.assert_allclose(learned[0]['centre'], clips.mean(axis=0), atol=1e-6)

    other, other_labels = make_clips(1)

    def right(clips):
        """Precision of the 50 clips nearest to each action's caption, averaged over actions."""
        words = texts[[captions._numbers[action, ANY].start for action in range(3)]]
        best = np.argsort(-words @ clips.T, axis=1)[:, :50]
        return np.mean([other_labels.doing[best[action], 0, action].mean() for action in range(3)])

    moved = np.asarray(adapter.apply({'params': learned[0]}, other))
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), 1, atol=1e-5)
    assert right(moved) > 0.9 > 0.6 > right(other)


def test_a_fresh_adapter_leaves_clips_where_they_are():
    clips, _ = make_clips(0, count=5)
    adapter = VideoAdapter(8)
    params = adapter.init(jax.random.key(0), clips)
    np.testing.assert_allclose(adapter.apply(params, clips), clips, atol=1e-6)
