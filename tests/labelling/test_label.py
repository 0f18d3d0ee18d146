import csv
import dataclasses
import os
import shutil

import numpy as np
import pytest

from cpad_jax.data import annotations
from cpad_jax.errors import UserError
from cpad_jax.labelling import cast, corrections, label, title
from cpad_jax.labelling.appearances import VideoFaces
from cpad_jax.labelling.cast import CastMember
from cpad_jax.labelling.exemplars import IdentityModel
from cpad_jax.labelling.subtitles import Cue, Mention
from cpad_jax.media import face_turns
from tests.support import drawn_faces, drawn_title, made_up_faces

SAID = '1\n00:00:01,000 --> 00:00:02,000\nYes.\n'


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
    assert (done.clips, done.rejected) == (12, ())
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
    assert 'Ada Abbott: 3 faces in 3 clips (exemplar photos); mean confidence' in said
    assert 'photos: of 1 of 2 in the cast list\nsubtitles: of 12 videos, 12 cues' in said
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
            if self.calls == 6 * (360 // face_turns._STEP + 1) + 5 * 5:
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
    assert done.clips == 1 and len(done.rejected) == 1 and 'b.mp4' in done.rejected[0]
    assert (tmp_path / 'out/aside.txt').read_text() == done.rejected[0] + '\n'
    (films / 'a.mp4').write_bytes(b'x' * 100)
    with pytest.raises(UserError, match='2 videos, of which none could be read, see .*aside.txt; '):
        title.label_title(files, Counting(), drawn_title.embed, 'a', tmp_path / 'out')
    # What is there now is of this run; the table of the last one would be taken for its own.
    told = (tmp_path / 'out/aside.txt').read_text().splitlines()
    assert [line.split(':')[0] for line in told] == [str(films / 'a.mp4'), str(films / 'b.mp4')]
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {
        'aside.txt', 'found', 'written.json',
    }  # fmt: skip


def test_the_summary_says_how_far_photos_and_subtitles_went(folder, tmp_path):
    given = tmp_path / 'given'
    shutil.copytree(folder, given)
    for number in range(7):
        (given / f'photos/n{number}').mkdir()
    (given / 'films/00.srt').write_text('1\n00:00:09,000 --> 00:00:08,000\nCy!\n\n'
                                        '2\n00:00:00,100 --> 00:00:00,200\nAda!\n')  # fmt: skip
    (given / 'films/01.srt').unlink()
    done = run(given, tmp_path / 'out')
    lines = title.summary(done, cast.read_cast(given / 'cast.csv')).splitlines()
    assert lines[:4] == [
        '12 videos, 12 clips, 15 faces followed, 4 groups',
        'photos: of 2 of 4 in the cast list',
        'photos of others: 7 folders with no name or person_id of the cast list: '
        'n0, n1, n2, n3, n4 and 2 more',
        'subtitles: of 11 videos, 11 cues; a member of the cast list is named or speaks 5 times',
    ]
    assert done.rejected == (
        f'{given}/films/00.srt: 1 cue without usable times, left out; see line 2',
    )


def test_corrections_that_fit_nothing_are_told_and_all_others_counted(folder, tmp_path):
    run(folder, tmp_path)
    head, *rows = (tmp_path / 'tracks.csv').read_text().splitlines()
    given = tmp_path / 'all.csv'
    given.write_text('\n'.join([head, *rows[:9]]))
    people = cast.read_cast(folder / 'cast.csv')
    (line,) = [text for text in title.summary(run(folder, tmp_path, corrections=given), people)
               .splitlines() if text.startswith('by hand')]  # fmt: skip
    assert line.startswith('by hand: corrections apply to 9 of 15 faces, right or wrong; give only')
    other = rows[3].replace(rows[3].split(',')[0], 'zz.mp4')
    late = rows[3].replace(rows[3].split(',')[1], '99')
    given.write_text('\n'.join([head, rows[0], other, late]))
    done = run(folder, tmp_path, corrections=given)
    assert title.summary(done, people).splitlines()[3] == (
        'by hand: corrections apply to 1 of 15 faces'
    )
    assert done.rejected == (
        f"{given}:3: 'zz.mp4' is not among the given videos, which have names such as '00.mp4'",
        f'{given}:4: no face is there at 99.00 s of {rows[3].split(",")[0]}',
    )
    with pytest.raises(UserError, match='tracks.csv: this run replaces that file; copy the'):
        run(folder, tmp_path, corrections=tmp_path / 'sheets/../tracks.csv')
    assert (tmp_path / 'tracks.csv').is_file()


def test_corrections_of_videos_that_are_broken_are_told(folder, tmp_path):
    films = tmp_path / 'films'
    films.mkdir()
    (films / 'a.mp4').write_bytes((folder / 'films/00.mp4').read_bytes())
    (films / 'b.mp4').write_bytes(b'x' * 100)
    given = tmp_path / 'c.csv'
    given.write_text('video,time,ymin,xmin,ymax,xmax,scope,name\nb.mp4,1,0,0,1,1,,ada\n')
    files = title.TitleFiles('t', 'show', (films,), folder / 'cast.csv', corrections=given)
    done = title.label_title(files, Counting(), drawn_title.embed, 'a', tmp_path / 'out')
    assert done.rejected[1] == f'{given}:2: b.mp4 could not be read'


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


@pytest.mark.parametrize('strangers', [0, 1, 2])
def test_whoever_a_title_is_about_is_found_by_photos_of_them_alone(strangers):
    """The mean of all faces is nearly theirs: without it nothing of them would be left."""
    theirs = made_up_faces.faces(LOOK, 8, 0.4, seed=1)
    others = made_up_faces.directions(4)[2 : 2 + strangers]
    labels = label.label_tracks(shots(*theirs, *others), CAST, [MODEL])
    names = [track.name and track.name.person_id for track in labels.tracks]
    assert names == ['n1'] * 8 + [None] * strangers
    own = made_up_faces.unit(theirs.mean(0))
    alike = MODEL.feature @ own
    assert alike > 0.9
    assert {track.name.evidence for track in labels.tracks[:8]} == {
        f'exemplar photos: similarity {alike:.2f}'
    }
    assert min(track.name.confidence for track in labels.tracks[:8]) > 0.95


def test_two_people_with_photos_who_are_always_seen_together():
    first = made_up_faces.faces(LOOK, 4, 0.4, seed=1)
    second = made_up_faces.faces(OTHER, 4, 0.4, seed=2)
    videos = {
        'v.mp4': VideoFaces(
            tuple((i, i + 1.0) for i in range(4)),
            tuple(
                (
                    made_up_faces.track(a, (i + 0.1, i + 0.3)),
                    made_up_faces.track(b, (i + 0.1, i + 0.3), made_up_faces.ELSEWHERE),
                )
                for i, (a, b) in enumerate(zip(first, second, strict=True))
            ),
        )
    }
    models = [MODEL, IdentityModel('n2', made_up_faces.faces(OTHER, 3, 0.2), 3)]
    people = [*CAST, CastMember('n2', 'Bob')]
    for given, expected in ((models, ['n1', 'n2'] * 4), (models[:1], ['n1', None] * 4)):
        labels = label.label_tracks(videos, people, given)
        assert [track.name and track.name.person_id for track in labels.tracks] == expected


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
    with pytest.raises(UserError, match='its clip a_v_0001 has the name of one of a/v.mp4'):
        label.annotate(label.Labels((), (), 0), videos | one, CAST, 't', 'show')


def test_a_title_without_faces():
    videos = {'v.mp4': VideoFaces(((0.0, 1.0),), ((),))}
    labels = label.label_tracks(videos, CAST, [MODEL])
    assert labels.tracks == ()
    assert [clip.people for clip in label.annotate(labels, videos, CAST, 't', 'show')] == [()]


def test_who_speaks_is_in_the_shots_that_the_cue_overlaps():
    videos = shots(*[LOOK, OTHER] * 6)  # Of a second each: what is near is in three of them.
    people = [CastMember('ada', 'Ada'), CastMember('bo', 'Bo')]

    def taken_for(cues, speaks):
        said = {'a/v.mp4': [Mention(*span, who, speaks) for who, *span in cues]}
        labels = label.label_tracks(videos, people, mentions=said)
        return [track.name and track.name.person_id for track in labels.tracks]

    cues = [(('ada', 'bo')[shot % 2], shot + 0.1, shot + 1.0) for shot in range(12)]
    assert taken_for(cues, speaks=True) == ['ada', 'bo'] * 6
    assert taken_for(cues, speaks=False) == [None] * 12  # Named near every shot.
    # One long cue over both of a pair's shots counts for both, and tells nothing.
    both = [('ada', shot + 0.1, shot + 1.9) for shot in range(0, 12, 2)]
    assert taken_for(both, speaks=True) == [None] * 12


def test_of_several_subtitles_one_is_taken_and_said(folder, tmp_path, capsys, monkeypatch):
    said = tmp_path / 'subtitles'
    said.mkdir()
    text = '1\n00:00:01,100 --> 00:00:01,900\nГде Сай? Он ушёл вчера.\n'
    (said / '01.ru.sdh.srt').write_bytes(text.encode('cp1251'))
    for other in ('01.ru.forced.srt', '01.ru.srt', '012.srt'):
        (said / other).write_text(SAID)
    (said / '02.sub').write_text('{1}{2}Cy')
    (said / '03.srt').write_text('nothing')
    (said / '03.en.srt').write_text(SAID)
    probe = title.video.probe
    monkeypatch.setattr(
        title.video, 'probe', lambda path: dataclasses.replace(probe(path), start=1.0)
    )
    files = title.TitleFiles('t', 'movie', (folder / 'films',), folder / 'cast.csv', subtitles=said)
    done = title.label_title(files, Counting(), drawn_title.embed, 'a', tmp_path / 'out')
    # The picture begins a second late, and so does what is said.
    assert done.cues['01.mp4'] == [Cue(pytest.approx(0.1), pytest.approx(0.9), (
        ('', 'Где Сай? Он ушёл вчера.'),))]  # fmt: skip
    assert set(done.cues) == {'01.mp4', '03.mp4'}
    notes = capsys.readouterr().err
    assert '01.ru.sdh.srt: read as cp1251; give --encoding if that is wrong' in notes
    assert '01.mp4: subtitles 01.ru.sdh.srt are used, not 01.ru.srt, 01.ru.forced.srt' in notes
    assert '01.mp4: the picture begins 1.000 s after the sound, so do its cues' in notes
    assert [line.removeprefix(f'{said}/').split(':')[0] for line in done.rejected] == [
        '03.srt', '02.sub', '012.srt',
    ]  # fmt: skip
    wrong = dataclasses.replace(files, encoding='klingon')
    with pytest.raises(UserError, match="encoding 'klingon' is unknown"):
        title.label_title(wrong, Counting(), drawn_title.embed, 'a', tmp_path / 'out')


def test_no_name_becomes_a_formula_or_a_command(folder, tmp_path):
    (tmp_path / 'films').mkdir()
    shutil.copy(folder / 'films/03.mp4', tmp_path / 'films/=1+1.mp4')
    shutil.copy(folder / 'films/02.mp4', tmp_path / 'films')
    (tmp_path / 'films/bad\x1b[2J.mp4').write_bytes(b'no video')
    (tmp_path / 'cast.csv').write_text("person_id,name\nada,'=A\x1b[2JAda\u202e\n")
    files = title.TitleFiles(
        't', 'movie', (tmp_path / 'films',), tmp_path / 'cast.csv', folder / 'photos'
    )
    done = title.label_title(files, Counting(), drawn_title.embed, 'a', tmp_path / 'out')
    people = cast.read_cast(tmp_path / 'cast.csv')
    assert people[0].name == '=A\x1b[2JAda\u202e'
    shown = title.summary(done, people) + (tmp_path / 'out/aside.txt').read_text()
    assert r'=A\x1b[2JAda\u202e: 1 face' in shown and r'bad\x1b[2J.mp4' in shown
    assert not {'\x1b', '\u202e'} & set(shown)
    with (tmp_path / 'out/tracks.csv').open(newline='') as file:
        head, _, row = csv.reader(file)
    assert row[0] == "'=1+1.mp4" and row[head.index('name')].startswith("'=A")
    # Copied into corrections, the row means that video and that person.
    shutil.copy(tmp_path / 'out/tracks.csv', tmp_path / 'right.csv')
    _, read = corrections.read_corrections(tmp_path / 'right.csv', people)
    assert (read.video, read.person_id) == ('=1+1.mp4', 'ada')
