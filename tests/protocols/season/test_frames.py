import types

import numpy as np
import pytest

from cpad_jax.features.store import FeatureStore
from cpad_jax.media import images, video
from cpad_jax.protocols.season import frames as season_frames
from cpad_jax.protocols.season import segmentation
from tests.support.films import read_number, write


@pytest.fixture(scope='module')
def uneven(tmp_path_factory):
    """A film that shows some frames for 40 ms and others for a second, 8 s long."""
    path = tmp_path_factory.mktemp('film') / 'uneven.mp4'
    times = [*np.arange(0, 2, 0.04), *np.arange(2, 7, 1.0), *np.arange(7, 8, 0.04)]
    write(path, times, b_frames=0)
    return path, np.array(times)


def test_frames_are_those_shown_at_their_times_whatever_the_rate(uneven):
    path, times = uneven
    duration = video.probe(path).duration
    stretches = season_frames.FrameChunks([path], [duration], 2.0)
    shown = [
        read_number(images.decode_jpeg(frame))
        for number in range(len(stretches))
        for frame in stretches[number]['frames']
    ]
    wanted = [np.flatnonzero(times <= t + 1e-3)[-1] for t in stretches.times[0]]
    assert shown == wanted and len(stretches) == -(-len(wanted) // season_frames.FRAMES)
    # A piece is told by time: from 2 s to 7 s there are five frames in the file, ten moments.
    (own,) = segmentation.frames_of_segments(stretches.times[0], [(2.0, 7.0)])
    assert len(own) == 10 and {shown[i] for i in own} == set(range(50, 55))


def test_pieces_are_told_by_their_own_frames(uneven, tmp_path, monkeypatch):
    def features(store, source, stage):
        assert store.batch_size // store.frames_per_clip == 2
        found = np.zeros((len(source), store.frames_per_clip, 100), np.float16)
        for number, record in enumerate(source):
            for place, frame in enumerate(record['frames']):
                found[number, place, read_number(images.decode_jpeg(frame))] = 1
        counts = np.array([len(record['frames']) for record in source])
        return types.SimpleNamespace(frames=found, counts=counts)

    monkeypatch.setattr(FeatureStore, 'clips', features)
    path, _ = uneven
    store = FeatureStore(None, tmp_path, batch_size=16)
    frames = season_frames.SeasonFrames([path, path], store, rate=2.0)
    pieces = [[(0.0, 2.0), (2.0, 4.0)], [(4.0, 6.0)]]
    embedded = frames.windows(pieces, 0).embeddings
    assert embedded.shape == (3, 100)
    np.testing.assert_allclose(np.linalg.norm(embedded, axis=1), 1, atol=1e-6)
    # Frames 52 and 53 are shown for a second each, two moments of two.
    assert np.flatnonzero(embedded[2]).tolist() == [52, 53]
    np.testing.assert_allclose(embedded[2, 52:54], 0.5**0.5, atol=1e-6)
    # In moments of a second, half over each other, of four frames a piece.
    moments = frames.windows(pieces, 1.0)
    assert moments.first.tolist() == [0, 3, 6]
    assert moments.times.tolist()[6:] == [4.5, 5.0, 5.5]
    assert [np.flatnonzero(one).tolist() for one in moments.embeddings[6:]] == [
        [52], [52, 53], [53],
    ]  # fmt: skip


def test_shots_are_found_once(uneven, tmp_path, monkeypatch):
    monkeypatch.setattr(
        FeatureStore, 'clips',
        lambda store, source, stage: types.SimpleNamespace(
            frames=np.ones((len(source), 8, 4), np.float16),
            counts=np.array([len(source[i]['frames']) for i in range(len(source))]),
        ),
    )  # fmt: skip
    path, _ = uneven
    asked = []
    monkeypatch.setattr(
        season_frames.media_shots, 'shots', lambda p: asked.append(p) or [(0.0, 3.0), (3.0, 8.0)]
    )
    frames = season_frames.SeasonFrames([path], FeatureStore(None, tmp_path), rate=1.0)
    assert frames.shots() == frames.shots() == [[(0.0, 3.0), (3.0, 8.0)]]
    assert asked == [path]


def test_frames_are_taken_in_the_middles_of_intervals():
    assert season_frames.frame_times(2.0, 2.0).tolist() == [0.25, 0.75, 1.25, 1.75]
    assert season_frames.frame_times(0.1, 2.0).tolist() == [0.25]
