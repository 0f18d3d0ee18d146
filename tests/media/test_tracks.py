import numpy as np
import pytest

from cpad_jax.media import face_embedding, faces, tracks
from tests.support import drawn_faces as drawn
from tests.support.drawn_faces import ANN, BOB

HEIGHT, WIDTH, SIDE = 120, 320, 40


class Seen:
    """Finds exactly the faces that were put down for each picture, in the order put down."""

    def __init__(self):
        self.of = {}

    def detect(self, image):
        return self.of.get(id(image), [])


@pytest.fixture(scope='module')
def embed(tmp_path_factory):
    path = tmp_path_factory.mktemp('net') / 'colours.onnx'
    path.write_bytes(drawn.network())
    return face_embedding.FaceEmbedder(path).embed


def film(moments):
    """Frames of (seconds, {person: (top, left)}) and the detector that knows where they are."""
    detector, frames = Seen(), []
    for time, people in moments:
        image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        found = []
        for who, (top, left) in people.items():
            drawn.draw(image, top, left, SIDE, who)
            found.append(drawn.face(top, left, SIDE))
        detector.of[id(image)] = found
        frames.append((image, time))
    return frames, detector


def follow(moments, embed):
    frames, detector = film(moments)
    return tracks.track_faces(frames, detector, embed)


def lefts(track):
    return (track.boxes[:, 1] * WIDTH).round().astype(int).tolist()


def likeness(track, who, embed):
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    drawn.draw(image, 0, 0, SIDE, who)
    return float(track.feature @ embed(image, [drawn.face(0, 0, SIDE)])[0])


def test_one_face_is_one_track(embed):
    [track] = follow([(n / 5, {ANN: (30, 20 + 8 * n)}) for n in range(6)], embed)
    np.testing.assert_allclose(track.times, np.arange(6) / 5, atol=1e-6)
    assert lefts(track) == [20, 28, 36, 44, 52, 60]
    # ymin xmin ymax xmax as fractions.
    np.testing.assert_allclose(
        track.boxes[0], [30 / HEIGHT, 20 / WIDTH, 70 / HEIGHT, 60 / WIDTH], atol=1e-6
    )
    assert (track.start, round(track.end, 5)) == (0, 1)
    assert np.linalg.norm(track.feature) == pytest.approx(1, abs=1e-6)
    assert likeness(track, ANN, embed) > 0.99 > 0.6 > likeness(track, BOB, embed)


@pytest.mark.parametrize('order', [(ANN, BOB), (BOB, ANN)], ids=['Ann first', 'Bob first'])
def test_two_people_who_cross_keep_their_own_tracks(embed, order):
    # They pass each other a face's height apart, and in the middle one stands above the other.
    lines = {ANN: [20 + 24 * n for n in range(9)], BOB: [212 - 24 * n for n in range(9)]}
    top = {ANN: 20, BOB: 50}
    moments = [(n / 5, {who: (top[who], lines[who][n]) for who in order}) for n in range(9)]
    found = follow(moments, embed)
    assert len(found) == 2
    for track in found:
        who = ANN if likeness(track, ANN, embed) > likeness(track, BOB, embed) else BOB
        assert lefts(track) == lines[who]
        assert likeness(track, who, embed) > 0.99
    assert found[0].together(found[1])


def test_who_comes_to_where_somebody_stood_is_somebody_else(embed):
    # Without the grey that both have around them, as real faces' features are: orthogonal.
    def apart(image, found):
        return embed(image, found) - embed(image * 0 + 120, found) * 0.6

    found = follow([(0, {ANN: (30, 40)}), (0.2, {BOB: (30, 40)})], apart)
    assert [track.start for track in found] == [0, pytest.approx(0.2)]
    assert not found[0].together(found[1])


@pytest.mark.parametrize(('gap', 'count'), [(0.4, 1), (1.0, 1), (1.05, 2), (5.0, 2)])
def test_a_gap_is_bridged_for_a_second(embed, gap, count):
    times = [0, 0.25, 0.25 + gap / 2, 0.25 + gap, 0.5 + gap]
    moments = [(t, {ANN: (30, 40)} if n != 2 else {}) for n, t in enumerate(times)]
    found = follow(moments, embed)
    assert len(found) == count
    expected = [times[:2], times[3:]] if count == 2 else [times[:2] + times[3:]]
    for track, seen in zip(found, expected, strict=True):
        np.testing.assert_allclose(track.times, seen, atol=1e-6)


def test_a_face_that_moves_out_of_its_box_is_known_by_its_looks(embed):
    # Two sides further is too far even so.
    for by, count in ((1.5, 1), (2.5, 2)):
        moments = [(0, {ANN: (30, 20)}), (0.2, {ANN: (30, 20 + round(by * SIDE))})]
        assert len(follow(moments, embed)) == count


def test_one_who_runs_is_expected_further_on(embed):
    # 70 pixels a frame; lost for one, 140 pixels from where last seen, but half a side from there.
    moments = [(0, {ANN: (30, 10)}), (0.2, {ANN: (30, 80)}), (0.4, {}), (0.6, {ANN: (30, 220)})]
    [track] = follow(moments, embed)
    assert lefts(track) == [10, 80, 220]


def test_two_faces_of_one_frame_are_never_one_track(embed):
    # Twins, side by side, close enough that each could go on the other's track.
    frames, detector = film([(n / 5, {}) for n in range(4)])
    for image, _ in frames:
        for left in (60, 110):
            drawn.draw(image, 30, left, SIDE, ANN)
        detector.of[id(image)] = [drawn.face(30, left, SIDE) for left in (110, 60)]
    first, second = tracks.track_faces(frames, detector, embed)
    assert sorted((lefts(first), lefts(second))) == [[60] * 4, [110] * 4]
    # Nor when the detector reports one face twice.
    frames, detector = film([(n / 5, {ANN: (30, 60)}) for n in range(3)])
    for image, _ in frames:
        detector.of[id(image)] *= 2
    assert [len(track.times) for track in tracks.track_faces(frames, detector, embed)] == [3, 3]


def test_a_frame_that_comes_again_is_looked_at_once(embed):
    frames, detector = film([(0, {ANN: (30, 20)}), (0.2, {ANN: (30, 40)}), (0.4, {ANN: (30, 60)})])
    [track] = tracks.track_faces([frame for frame in frames for _ in '123'], detector, embed)
    np.testing.assert_allclose(track.times, [0, 0.2, 0.4], atol=1e-6)


def test_the_feature_is_pooled_by_quality_and_the_crop_is_of_the_best_face(embed, monkeypatch):
    qualities = [0.1, 0.8, 0.3, 0.0]
    features = np.eye(4)[:, :3] * 0.2 + [0, 0, 0.9]
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    frames, detector = film([(n / 5, {ANN: (30, 40)}) for n in range(4)])
    for number, (image, _) in enumerate(frames):
        image[image.max(axis=-1) > 200] //= number + 1
    number = {id(image): n for n, (image, _) in enumerate(frames)}
    monkeypatch.setattr(tracks, 'face_quality', lambda image, face: qualities[number[id(image)]])
    # Features of any length are taken at length one.
    [track] = tracks.track_faces(frames, detector, lambda i, f: 7 * features[[number[id(i)]]])
    expected = np.array([0.1, 0.8, 0.3, 0.001]) @ features
    np.testing.assert_allclose(track.feature, expected / np.linalg.norm(expected), atol=1e-6)
    np.testing.assert_allclose(track.quality, qualities, atol=1e-6)
    best = faces.align_face(frames[1][0], drawn.face(30, 40, SIDE))
    np.testing.assert_array_equal(track.crop, best)
    assert (best != faces.align_face(frames[0][0], drawn.face(30, 40, SIDE))).any()


def test_a_face_seen_only_badly_still_has_a_feature(embed, monkeypatch):
    monkeypatch.setattr(tracks, 'face_quality', lambda image, face: 0.0)
    [track] = follow([(0, {ANN: (30, 40)})], embed)
    assert likeness(track, ANN, embed) > 0.99 and track.crop.shape == (112, 112, 3)


def test_tracks_are_given_when_they_end_and_ordered_by_their_start(embed):
    moments = [(0, {ANN: (30, 20), BOB: (30, 220)})]
    moments += [(n / 2, {BOB: (30, 220)}) for n in range(1, 6)]
    moments += [(3, {ANN: (30, 20), BOB: (30, 220)})]
    frames, detector = film(moments)
    taken = []

    def watched():
        for image, time in frames:
            taken.append(time)
            yield image, time

    first = next(tracks.iterate_tracks(watched(), detector, embed))
    assert first.times.tolist() == [0] and taken[-1] == 1.5
    ordered = tracks.track_faces(frames, detector, embed)
    assert [track.start for track in ordered] == [0, 0, 3]
    assert tracks.track_faces([], detector, embed) == []


def test_a_face_is_expected_to_move_on_for_as_long_as_it_has_been_watched():
    track = tracks._Growing()
    track.times = [1.0, 1.2]
    track.boxes = [np.array([0.1, 0.1, 0.3, 0.3]), np.array([0.1, 0.2, 0.3, 0.4])]
    for time, left in ((1.2, 0.2), (1.3, 0.25), (1.4, 0.3), (2.0, 0.3)):
        np.testing.assert_allclose(track.expected(time), [0.1, left, 0.3, left + 0.2])


def test_how_far_apart_and_over_each_other_boxes_are_by_hand():
    box = np.array([0.0, 0.0, 10.0, 10.0])
    # Half of each: 50 of 150; a quarter: 25 of 175; nothing; one within the other.
    for other, share in (
        ([0, 5, 10, 15], 1 / 3), ([5, 5, 15, 15], 1 / 7), ([0, 10, 10, 20], 0),
        ([0, 0, 5, 5], 1 / 4), ([0, 0, 10, 10], 1),
    ):  # fmt: skip
        assert tracks._overlap(box, np.array(other, float)) == pytest.approx(share)
    # In sides of the larger one; a box of more than twice the size is somebody else's.
    assert tracks._distance(box, np.array([0.0, 30.0, 10.0, 40.0])) == pytest.approx(3)
    assert tracks._distance(box, np.array([-5.0, 15.0, 15.0, 35.0])) == pytest.approx(1)
    assert tracks._distance(box, np.array([-5.5, 14.5, 15.5, 35.5])) == np.inf
