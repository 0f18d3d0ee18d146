import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cpad_jax import errors
from cpad_jax.commands import find_person
from cpad_jax.labelling import find_person as labelling_find_person
from cpad_jax.media import face_embedding, faces, model_files
from tests.support import drawn_faces as drawn
from tests.support.drawn_faces import ANN, BOB, cut_film, film, photo

ROOT = Path(__file__).parents[2]


@pytest.fixture
def given(tmp_path, monkeypatch):
    """Photos of Ann, two videos, and networks that know drawn faces."""
    (tmp_path / 'ann').mkdir()
    (tmp_path / 'videos').mkdir()
    photo(tmp_path / 'ann' / '1.png', ANN)
    film(tmp_path / 'videos' / 'both.mp4', 'B--A')
    film(tmp_path / 'videos' / 'bob.mp4', 'B')
    (tmp_path / 'net.onnx').write_bytes(drawn.network())
    monkeypatch.setenv('CPAD_FACE_EMBEDDER', str(tmp_path / 'net.onnx'))
    monkeypatch.setattr(faces, 'FaceDetector', lambda path: drawn.Detector())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_moments_are_printed_written_and_drawn(given, capsys):
    find_person.main(
        '--photos ann --videos videos --threshold 0.8 --json out/a.json --sheet a.jpg'.split()
    )
    [row] = json.loads((given / 'out' / 'a.json').read_text())
    assert list(row) == ['video', 'start', 'end', 'score']
    assert row['video'] == 'videos/both.mp4' and row['score'] > 0.97
    assert row['start'] == pytest.approx(3, abs=0.2) and row['end'] == pytest.approx(4, abs=0.05)
    out = capsys.readouterr().out
    assert f'{row["score"]:.3f}  0:03.0 - 0:04.0  videos/both.mp4' in out
    assert 'picture: a.jpg' in out
    with Image.open(given / 'a.jpg') as sheet:
        assert np.asarray(sheet).std() > 20


def test_the_best_come_first(given):
    find_person.main('--photos ann --videos videos --threshold -1 --json a.json'.split())
    rows = json.loads((given / 'a.json').read_text())
    scores = [row['score'] for row in rows]
    assert len(rows) == 3 and scores == sorted(scores, reverse=True)
    assert [row['video'] for row in rows[:1]] == ['videos/both.mp4'] and rows[0]['start'] > 2.5


def test_nothing_found_says_how_near_it_was(given, capsys):
    arguments = '--photos ann --videos videos/bob.mp4 --threshold 0.9 --json a.json --sheet a.jpg'
    find_person.main(arguments.split())
    out = capsys.readouterr().out
    assert 'nothing scores 0.90 or more; the nearest face scores 0.' in out
    assert 'of videos/bob.mp4' in out
    assert json.loads((given / 'a.json').read_text()) == [] and not (given / 'a.jpg').exists()
    film(given / 'videos' / 'bob.mp4', '-')
    find_person.main('--photos ann --videos videos/bob.mp4'.split())
    assert 'no face was seen' in capsys.readouterr().out


def test_bad_photos_and_videos_are_set_aside_and_listed(given, capsys):
    photo(given / 'ann' / '2.png', ANN, BOB)
    (given / 'ann' / '3.jpg').write_bytes(b'no picture')
    (given / 'videos' / 'bad.mp4').write_bytes(b'no video')
    find_person.main('--photos ann --videos videos --threshold 0.8'.split())
    said = capsys.readouterr()
    assert 'videos/both.mp4' in said.out
    aside = [line for line in said.err.splitlines() if line.startswith('set aside: ')]
    for line, name in zip(aside, ('ann/3.jpg', 'ann/2.png', 'videos/bad.mp4'), strict=True):
        assert name in line


def test_what_photos_of_two_people_mean_is_said_before_the_search(given, monkeypatch, capsys):
    monkeypatch.setattr(face_embedding, '_OTHER_THRESHOLD', 0.8)
    photo(given / 'ann' / '2.png', BOB, ANN)
    photo(given / 'bob.png', BOB)
    said = []
    monkeypatch.setattr(
        labelling_find_person,
        'find_moments',
        lambda *_: said.append(capsys.readouterr().err) or iter(()),
    )
    find_person.main('--photos ann --videos videos/bob.mp4'.split())
    find_person.main('--photos ann/1.png bob.png --videos videos/bob.mp4'.split())
    note, warning = said
    assert note == 'note: ann/2.png: of 2 faces, 80x80 pixels at x=100 y=20 is used\n'
    assert warning.startswith('warning: ') and warning.count('\n') == 1
    assert 'ann/1.png' in warning and 'bob.png' in warning
    assert capsys.readouterr().err == ''


def test_wrong_paths_are_listed_and_the_rest_is_done(given, capsys):
    find_person.main('--photos none ann --videos videos gone.mp4 --threshold 0.8'.split())
    said = capsys.readouterr()
    assert said.out.endswith('videos/both.mp4\n')
    aside = [line for line in said.err.splitlines() if line.startswith('set aside: ')]
    for line, name in zip(aside, ('none', 'gone.mp4'), strict=True):
        assert line == f'set aside: {name}: there is no such file or folder'


def test_what_was_seen_before_a_video_breaks_off_is_found(given, capsys):
    cut_film(given / 'cut.avi', '-AA', 25)
    find_person.main('--photos ann --videos cut.avi --threshold 0.8 --sheet a.jpg'.split())
    said = capsys.readouterr()
    assert '0:01.0 - 0:02.5  cut.avi' in said.out
    with Image.open(given / 'a.jpg') as sheet:
        assert np.asarray(sheet)[8:188].std() > 20  # Not left blank.
    *_, last = said.err.splitlines()
    assert last.startswith('read up to 0:02.3 only: cut.avi: the video breaks off at 2.5 s of 3.0')
    # It was read, also if nobody is in it.
    cut_film(given / 'cut.avi', '---', 25)
    find_person.main('--photos ann --videos cut.avi'.split())
    said = capsys.readouterr()
    assert 'no face was seen' in said.out and 'read up to 0:02.3 only: cut.avi' in said.err


def test_nothing_that_can_be_used_is_an_error(given, capsys):
    (given / 'bad.jpg').write_bytes(b'no picture')
    (given / 'bad.mp4').write_bytes(b'no video')
    with pytest.raises(errors.UserError, match='none of the photos'):
        find_person.main('--photos bad.jpg --videos videos'.split())
    with pytest.raises(errors.UserError, match='none of the videos can be read'):
        find_person.main('--photos ann --videos bad.mp4 --json a.json'.split())
    assert 'set aside: bad.mp4' in capsys.readouterr().err and not (given / 'a.json').exists()


def test_ctrl_c_shows_what_was_found_and_promises_nothing(given, monkeypatch, capsys):
    whole = labelling_find_person.find_moments

    def stopped(path, *others):
        if path.name == 'c.mp4':
            raise KeyboardInterrupt
        return whole(path, *others)

    (given / 'videos' / 'b.mp4').write_bytes(b'no video')
    film(given / 'videos' / 'c.mp4', 'A')
    (given / 'videos' / 'both.mp4').rename(given / 'videos' / 'a.mp4')
    monkeypatch.setattr(labelling_find_person, 'find_moments', stopped)
    command = '--photos ann --videos videos --threshold 0.8 --json a.json --sheet a.jpg'
    with pytest.raises(KeyboardInterrupt):
        find_person.main(command.split())
    said = capsys.readouterr()
    first, second = said.out.splitlines()
    assert first.startswith('incomplete: interrupted in videos/c.mp4, ')
    assert '(3 of 4) are done' in first and '--json and --sheet are not written' in first
    assert second.endswith('0:03.0 - 0:04.0  videos/a.mp4')
    assert 'set aside: videos/b.mp4' in said.err
    assert not (given / 'a.json').exists() and not (given / 'a.jpg').exists()


def test_ctrl_c_is_status_130_and_says_that_the_search_starts_anew(given, monkeypatch, capsys):
    def stopped(*_):
        raise KeyboardInterrupt

    script = str(ROOT / 'tools' / 'find_person.py')
    monkeypatch.setattr(labelling_find_person, 'embed_person', stopped)
    monkeypatch.setattr(sys, 'argv', [script, *'--photos ann --videos videos'.split()])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(script, run_name='__main__')
    assert ended.value.code == 130
    said = capsys.readouterr()
    assert said.err == 'interrupted: nothing is kept; the same command starts from the beginning\n'


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        ('', 'give --photos and --videos, or --fetch alone'),
        ('--photos ann', 'give --photos and --videos'),
        ('--photos ann --videos none', 'none: there is no such file or folder'),
        ('--photos videos --videos videos', 'videos: no pictures are there .passed over 2 f'),
        ('--photos ann --videos videos --rate 0', '--rate 0.0: expected more than 0'),
        ('--photos ann --videos videos --rate nan', '--rate nan'),
        ('--photos ann --videos videos --threshold 2', '--threshold 2.0: expected -1 to 1'),
        ('--photos ann --videos videos --sheet a.png', '--sheet a.png: expected a .jpg file'),
        ('--photos ann --videos videos --embedder no.onnx', 'no.onnx: there is no such face emb'),
        ('--photos ann --videos videos --json net.onnx/a', 'net.onnx/a: cannot be written'),
        ('--photos ann --videos videos --json videos', 'videos: cannot be written .Is a directory'),
    ],
)
def test_mistakes_are_told_in_a_line(given, arguments, says):
    with pytest.raises(errors.UserError, match=says) as raised:
        find_person.main(arguments.split())
    assert '\n' not in str(raised.value)


@pytest.mark.parametrize('result', ['--json net.onnx/deep/a.json', '--sheet gone/a.jpg'])
def test_a_place_where_nothing_can_be_written_is_told_before_the_search(given, monkeypatch, result):
    (given / 'gone').symlink_to('nowhere')
    monkeypatch.setattr(find_person, 'search', lambda options: pytest.fail('it searched'))
    with pytest.raises(errors.UserError, match=r'cannot be written \(.+\); give another path'):
        find_person.main(f'--photos ann --videos videos {result}'.split())


@pytest.mark.parametrize(('result', 'lost'), [
    ('--sheet ann/2.jpg', 'ann/2.jpg'), ('--json videos/bob.mp4', 'videos/bob.mp4'),
    ('--json videos/../ann/1.png', 'ann/1.png'), ('--sheet link.jpg', 'ann/2.jpg'),
    ('--json net.onnx', 'net.onnx'),
])  # fmt: skip
def test_what_is_given_is_never_overwritten(given, monkeypatch, result, lost):
    photo(given / 'ann' / '2.png', ANN)
    (given / 'ann' / '2.png').rename(given / 'ann' / '2.jpg')
    (given / 'link.jpg').symlink_to('ann/2.jpg')
    before = (given / lost).read_bytes()
    monkeypatch.setattr(
        labelling_find_person, 'embed_person', lambda *_: pytest.fail('it searched')
    )
    option, path = result.split()
    says = f'{option} {path}: that would overwrite .*{lost}, which'
    with pytest.raises(errors.UserError, match=says) as raised:
        find_person.main(f'--photos ann --videos videos {result}'.split())
    assert '\n' not in str(raised.value) and (given / lost).read_bytes() == before
    # Nor where the photo that is given is a link.
    (given / 'other.jpg').symlink_to('ann/2.jpg')
    with pytest.raises(errors.UserError, match='that would overwrite other.jpg'):
        find_person.main('--photos other.jpg --videos videos --sheet ann/2.jpg'.split())


def test_two_results_are_two_files(given):
    (given / 'link.jpg').symlink_to('a.jpg')
    for other in ('a.jpg', 'ann/../a.jpg', 'link.jpg'):
        with pytest.raises(errors.UserError, match=f'--json {other} and --sheet a.jpg are one'):
            find_person.main(f'--photos ann --videos videos --json {other} --sheet a.jpg'.split())


@pytest.mark.parametrize('option', ['--photos', '--videos', '--json', '--sheet', '--embedder'])
def test_an_empty_path_is_not_the_current_folder(given, option):
    with pytest.raises(errors.UserError, match=f'{option}: expected a path, got ..; is a variable'):
        find_person.main([*'--photos ann --videos videos'.split(), option, ''])


def test_an_old_sheet_does_not_stay_where_nothing_is_found(given):
    arguments = '--photos ann --videos videos/bob.mp4 --threshold 0.9 --sheet'.split()
    (given / 'kept').mkdir()
    (given / 'kept' / 'old.jpg').write_bytes(b'old')
    (given / 'link.jpg').symlink_to('kept/old.jpg')
    (given / 'a.jpg').write_bytes(b'old')
    for name in ('a.jpg', 'link.jpg'):
        find_person.main([*arguments, name])
    assert not (given / 'a.jpg').exists() and os.listdir(given / 'kept') == []
    os.mkfifo(given / 'pipe.jpg')
    find_person.main([*arguments, 'pipe.jpg'])
    assert (given / 'pipe.jpg').is_fifo()


def test_results_are_saved_before_they_are_shown(given, monkeypatch):
    def closed(*_):
        assert len(json.loads((given / 'a.json').read_text())) == 1 and (given / 'a.jpg').exists()
        raise BrokenPipeError

    monkeypatch.setattr(find_person, 'show', closed)
    command = '--photos ann --videos videos --threshold 0.8 --json a.json --sheet a.jpg'
    with pytest.raises(BrokenPipeError):
        find_person.main(command.split())


def test_results_that_cannot_be_saved_are_shown(given, capsys):
    command = '--photos ann --videos videos --threshold 0.8 --json /dev/full'
    with pytest.raises(errors.UserError, match=r'/dev/full: cannot be written \(No space left'):
        find_person.main(command.split())
    assert '  0:03.0 - 0:04.0  videos/both.mp4' in capsys.readouterr().out


def test_what_is_printed_stays_out_of_a_result_on_stdout(given, capfd):
    find_person.main('--photos ann --videos videos --threshold 0.8 --json /dev/stdout'.split())
    said = capfd.readouterr()
    assert [row['video'] for row in json.loads(said.out)] == ['videos/both.mp4']
    assert '0:03.0 - 0:04.0  videos/both.mp4' in said.err


def test_what_is_passed_over_is_told_and_names_of_any_bytes_are_searched(given, capsys):
    name = os.fsdecode(b'caf\xe9 \xc3\xa9.MP4')
    (given / 'videos' / 'both.mp4').rename(given / 'videos' / name)
    (given / 'videos' / 'notes.txt').touch()
    (given / 'videos' / '@eaDir').mkdir()
    (given / 'videos' / '@eaDir' / 'x.mp4').touch()
    find_person.main('--photos ann --videos videos --threshold 0.8 --json a.json'.split())
    said = capsys.readouterr()
    assert 'videos/caf\\udce9 é.MP4' in said.out
    assert os.fsencode(json.loads((given / 'a.json').read_text())[0]['video']) == (
        b'videos/' + os.fsencode(name)
    )
    assert 'passed over 2 files of videos: 1 in @eaDir (such as @eaDir/x.mp4), 1 of end' in said.err


def test_a_video_given_twice_is_searched_once(given, capsys):
    (given / 'link.mp4').symlink_to('videos/both.mp4')
    both = f'videos/both.mp4 {given}/videos/both.mp4 videos/../videos/both.mp4 videos link.mp4'
    find_person.main(f'--photos ann --videos {both} --threshold 0.8'.split())
    assert capsys.readouterr().out.count('both.mp4') == 1


@pytest.mark.parametrize(('score', 'threshold', 'least', 'nearest'), [
    (0.2896, 0.29, '0.29', '0.2896'), (0.28999996, 0.29, '0.29', '0.28999996'),
    (0.12, 0.29, '0.29', '0.120'), (0.2947, 0.295, '0.295', '0.2947'),
])  # fmt: skip
def test_what_is_too_little_is_less_in_print(capsys, score, threshold, least, nearest):
    moment = labelling_find_person.Moment(
        Path('a.mp4'), 0.0, 1.0, score, 0.5, np.zeros(4, np.float32)
    )
    find_person.show([], [moment], threshold)
    said = f'nothing scores {least} or more; the nearest face scores {nearest} at 0:00.5 of a.mp4\n'
    assert capsys.readouterr().out == said


def test_ctrl_c_while_it_loads_is_status_130_too(tmp_path):
    (tmp_path / 'cv2.py').write_text('raise KeyboardInterrupt')
    command = [sys.executable, ROOT / 'tools' / 'find_person.py', '--photos', 'no', '--videos', 'x']
    run = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {'PYTHONPATH': str(tmp_path)}
    )
    assert (run.returncode, run.stdout) == (130, '')
    assert run.stderr.startswith('interrupted: nothing is kept; ') and run.stderr.count('\n') == 1


def test_as_a_command_an_error_is_one_line_and_status_2(tmp_path):
    command = [sys.executable, ROOT / 'tools' / 'find_person.py', '--photos', 'no', '--videos', 'x']
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (run.returncode, run.stdout) == (2, '')
    assert run.stderr == 'error: no: there is no such file or folder\n'


def test_fetch_alone_fetches_both(monkeypatch, capsys):
    monkeypatch.setattr(model_files, 'fetch', lambda model: Path('cache') / model.name)
    find_person.main(['--fetch'])
    assert capsys.readouterr().out.splitlines() == [
        'face detector: cache/face_detection_yunet_2023mar.onnx',
        'face embedder: cache/face_recognition_sface_2021dec.onnx',
    ]


@pytest.mark.parametrize(('person', 'rate', 'count'), [('obama', 6, 1), ('biden', 2, 0)])
def test_a_real_person_is_found_where_he_is_and_nowhere_else(
    real_data, tmp_path, person, rate, count
):
    models = real_data / 'models'
    find_person.main(
        ['--photos', str(real_data / 'people' / person), '--videos', str(real_data / 'videos'),
         '--detector', str(next(models.glob('face_detection_yunet*.onnx'))),
         '--embedder', str(next(models.glob('face_embedding_*.onnx'))),
         '--json', str(tmp_path / 'a.json'), '--rate', str(rate)]
    )  # fmt: skip
    rows = json.loads((tmp_path / 'a.json').read_text())
    assert len(rows) == count
    for row in rows:
        assert Path(row['video']).name == 'stage.mp4'
        assert row['score'] == pytest.approx(0.318, abs=0.02)
        # The shot with him begins at about 7.1 s and is the last one, to 9.2 s.
        assert 6.9 < row['start'] < 7.4 and row['end'] > 9.1


def test_of_a_real_photo_of_several_people_the_right_face_is_used(real_data, capsys):
    models, people = real_data / 'models', real_data / 'people'
    detector = faces.FaceDetector(next(models.glob('face_detection_yunet*.onnx')))
    embedder = face_embedding.FaceEmbedder(next(models.glob('face_embedding_*.onnx')))
    both, told = people / 'obama_and_biden.jpg', []
    own = {who: sorted((people / who).iterdir()) for who in ('obama', 'biden')}
    for who, left in (('obama', 1139), ('biden', 762)):
        labelling_find_person.embed_person(
            [*own[who], both], detector, embedder, pytest.fail, told.append
        )
        assert f'at x={left} y=' in told.pop() and not told
    aside = []
    photos = [*own['obama'], own['biden'][0]]
    labelling_find_person.embed_person(photos, detector, embedder, aside.append, pytest.fail)
    assert str(aside.pop()).startswith(f'{photos[2]}: not the person in most') and not aside
    labelling_find_person.embed_person(
        [*own['obama'], *own['biden']], detector, embedder, pytest.fail, told.append
    )
    assert told[0].startswith('warning: ') and '(cosine 0.19 at most' in told[0]
