import csv
import os

import drawn_faces
import drawn_title
import made_up_faces
import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.media.labelling import annotations, label, title
from cpad_jax.media.labelling.appearances import VideoFaces
from cpad_jax.media.labelling.cast import CastMember
from cpad_jax.media.labelling.exemplars import IdentityModel


class Counting(drawn_faces.Detector):
    def __init__(self):
        self.calls = 0

    def detect(self, image):
        self.calls += 1
        return super().detect(image)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('title')
    drawn_title.write(folder)
    return folder


def run(folder, out, detector=None, feature='a', **changes):
    files = title.TitleFiles(
        't', 'movie', (folder / 'films',), folder / 'cast.csv', folder / 'photos',
        folder / 'films', **changes,
    )  # fmt: skip
    return title.label_title(files, detector or Counting(), drawn_title.embed, feature, out)


def table(out):
    return {
        clip.clip_id: {person.person_id: person for person in clip.people}
        for clip in annotations.read(out / 'annotations.jsonl')
    }


KNOWN = {drawn_title.ADA: 'ada', drawn_title.BOB: 'bob', drawn_title.CY: 'cy'}
TRUTH = {
    f'{number:02d}': {KNOWN[who] for who in people if who in KNOWN}
    for number, (people, _) in enumerate(drawn_title.FILMS)
}


def test_a_title_from_files_to_files(folder, tmp_path):
    detector = Counting()
    done = run(folder, tmp_path, detector)
    found = table(tmp_path)
    assert {clip: set(people) for clip, people in found.items()} == TRUTH
    assert (done.clips, done.aside) == (12, ())
    ada, cy = found['00']['ada'], found['01']['cy']
    assert ada.name == 'Ada Abbott' and ada.evidence == ('exemplar photos: similarity 1.00',)
    assert ada.confidence > 0.9
    assert cy.evidence == (
        'subtitles: named or speaking in 5 of 5 shots with this face, in 0 of 7 without',
    )
    assert 0.5 < cy.confidence < 1
    np.testing.assert_allclose(ada.times, [0.1, 0.3, 0.5, 0.7, 0.9], atol=0.06)
    np.testing.assert_allclose(ada.boxes[0], [8 / 64, 8 / 112, 56 / 64, 56 / 112], atol=0.05)
    with (tmp_path / 'tracks.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 15 and [row['name'] for row in rows].count('unknown') == 3
    sheets = sorted(file.name for file in (tmp_path / 'sheets').iterdir())
    assert [name.split('_')[0] for name in sheets] == ['ada', 'bob', 'cy', 'unknown']
    said = title.summary(done, [CastMember('ada', 'Ada Abbott'), CastMember('eve', 'Eve Ely')])
    assert 'Ada Abbott: 3 faces in 3 clips by exemplar photos' in said
    assert 'unknown: 3 faces' in said and 'not found: Eve Ely' in said

    # Again: nothing is looked at but what has changed.
    before, first = detector.calls, (tmp_path / 'annotations.jsonl').read_bytes()
    run(folder, tmp_path, detector)
    assert detector.calls == before and (tmp_path / 'annotations.jsonl').read_bytes() == first
    os.utime(folder / 'films/03.mp4', (1, 1))
    run(folder, tmp_path, detector)
    assert detector.calls == before + 5
    run(folder, tmp_path, detector, feature='b')
    assert detector.calls == 2 * before + 5


def test_an_interrupted_run_goes_on(folder, tmp_path):
    class Stops(Counting):
        def detect(self, image):
            if self.calls == 6 + 5 * 5:
                raise KeyboardInterrupt
            return super().detect(image)

    with pytest.raises(KeyboardInterrupt):
        run(folder, tmp_path, Stops())
    assert not (tmp_path / 'annotations.jsonl').exists()
    rest = Counting()
    run(folder, tmp_path, rest)
    assert rest.calls == 7 * 5  # Photos and five films are done.
    assert not [path for path in tmp_path.rglob('.*')]


def test_broken_films_are_set_aside_and_told(folder, tmp_path):
    films = tmp_path / 'films'
    films.mkdir()
    (films / 'a.mp4').write_bytes((folder / 'films/00.mp4').read_bytes())
    (films / 'b.mp4').write_bytes(b'x' * 100)
    files = title.TitleFiles('t', 'show', (films,), folder / 'cast.csv', folder / 'photos')
    done = title.label_title(files, Counting(), drawn_title.embed, 'a', tmp_path / 'out')
    assert done.clips == 1 and len(done.aside) == 1 and 'b.mp4' in done.aside[0]
    assert (tmp_path / 'out/aside.txt').read_text() == done.aside[0] + '\n'
    (films / 'a.mp4').unlink()
    with pytest.raises(UserError, match='none of 1 videos could be read; first: .*b.mp4'):
        title.label_title(files, Counting(), drawn_title.embed, 'a', tmp_path / 'out')


CAST = [CastMember('n1', 'Ada')]
LOOK, OTHER = made_up_faces.directions(2)
MODEL = IdentityModel('n1', made_up_faces.faces(LOOK, 3, 0.2), 3)


def shots(*features):
    return {
        'a/v.mp4': VideoFaces(
            tuple((i, i + 1.0) for i in range(len(features))),
            tuple((made_up_faces.track(f, (i + 0.1, i + 0.3)),) for i, f in enumerate(features)),
        )
    }


def test_below_the_threshold_nobody_is_named():
    # Half way between Ada and a stranger, who is seen too.
    videos = shots(LOOK, OTHER, made_up_faces.unit(LOOK + 0.3 * OTHER))
    sure = label.label_tracks(videos, CAST, [MODEL], least_confidence=0.0)
    given = [track.name.confidence if track.name else None for track in sure.tracks]
    assert given[0] and given[1] is None
    bar = given[0] + 1e-6
    assert label.label_tracks(videos, CAST, [MODEL], least_confidence=bar).tracks[0].name is None
    assert label.label_tracks(videos, CAST, [MODEL], least_confidence=bar - 2e-6).tracks[0].name


def test_people_out_of_the_cast_are_never_named():
    stranger = IdentityModel('other:x', made_up_faces.faces(OTHER, 3, 0.2), 3)
    labels = label.label_tracks(shots(LOOK, OTHER), CAST, [MODEL, stranger], least_confidence=0)
    assert {t.name.person_id for t in labels.tracks if t.name} <= {'n1'}


def test_shots_of_a_video_are_clips():
    videos = shots(LOOK, OTHER)
    labels = label.label_tracks(videos, CAST, [MODEL])
    first, second = label.annotate(labels, videos, CAST, 't', 'show')
    assert (first.clip_id, first.video, first.start, first.end) == ('a_v_0001', 'a/v.mp4', 0, 1.0)
    assert (second.clip_id, second.people, second.end) == ('a_v_0002', (), 2.0)
    assert first.people[0].times == (0.1, 0.3)  # From the start of the clip.
    one = {'a_v_0001.mp4': VideoFaces(((0.0, 1.0),), ((),))}
    with pytest.raises(UserError, match='its clip a_v_0001 is called as one of a/v.mp4'):
        label.annotate(label.Labels((), ()), videos | one, CAST, 't', 'show')


def test_a_title_without_faces():
    videos = {'v.mp4': VideoFaces(((0.0, 1.0),), ((),))}
    labels = label.label_tracks(videos, CAST, [MODEL])
    assert labels.tracks == ()
    assert [clip.people for clip in label.annotate(labels, videos, CAST, 't', 'show')] == [()]
