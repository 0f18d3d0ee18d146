import json
import os
import shutil

import pytest

from cpad_jax.errors import UserError
from cpad_jax.labelling import results, title
from tests.support import drawn_faces, drawn_title


@pytest.fixture(scope='module')
def labelled(tmp_path_factory):
    """A title and its results in `out`."""
    folder = tmp_path_factory.mktemp('title')
    drawn_title.write(folder)
    run(folder)
    return folder


@pytest.fixture
def folder(labelled, tmp_path):
    shutil.copytree(labelled, tmp_path / 't')
    return tmp_path / 't'


def run(folder, **changes):
    given = {
        'videos': (folder / 'films',), 'cast': folder / 'cast.csv',
        'exemplars': folder / 'photos', 'subtitles': folder / 'films',
    }  # fmt: skip
    files = title.TitleFiles('t', 'movie', **(given | changes))
    embed = drawn_title.embed
    return title.label_title(files, drawn_faces.Detector(), embed, 'a', folder / 'out')


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def refused(folder, says, **changes):
    """Runs, and makes sure that it is refused in a line and nothing is changed."""
    before = contents(folder)
    with pytest.raises(UserError, match=says) as raised:
        run(folder, **changes)
    assert '\n' not in str(raised.value) and contents(folder) == before


def test_files_of_others_stay_and_results_go(folder):
    sheets = folder / 'out/sheets'
    mine = [sheets / 'mine.jpg', sheets / 'deep/ada_0000.jpg', folder / 'out/notes.txt']
    mine[1].parent.mkdir()
    for path in mine:
        path.write_text('mine')
    old = {path.name for path in sheets.glob('*.jpg')}
    assert {'ada_0000.jpg', 'bob_0001.jpg', 'mine.jpg'} < old
    (folder / 'photos/ada').rename(folder / 'ada')
    run(folder, subtitles=None)
    assert [path.read_text() for path in mine] == ['mine'] * 3
    # Nobody is called Ada any more.
    assert 'ada_0000.jpg' not in {path.name for path in sheets.iterdir()}
    assert (sheets / 'bob_0001.jpg').is_file()


@pytest.mark.parametrize(
    'name',
    ['annotations.jsonl', 'tracks.csv', 'aside.txt', 'sheets/ada_0000.jpg', 'sheets/eve_0003.jpg',
     'sheets/unknown_0009.jpg', 'written.json'],
)  # fmt: skip
def test_what_somebody_else_wrote_or_changed_is_not_replaced(folder, name):
    (folder / 'out' / name).write_text('mine')
    refused(folder, f'{name}: this run would replace that file, which label_title did not write')
    # Also where nothing is known of an earlier run.
    (folder / 'out/written.json').unlink()
    (folder / 'out/annotations.jsonl').unlink(missing_ok=True)
    if name != 'written.json':
        (folder / 'out' / name).write_text('mine')
    refused(folder, 'this run would replace that file')


@pytest.mark.parametrize('name', ['sheets', 'found'])
def test_files_called_as_folders_of_results_stay(folder, name):
    shutil.rmtree(folder / 'out')
    (folder / 'out').mkdir()
    (folder / 'out' / name).write_text('mine')
    refused(folder, f'results cannot be written there .{name} is not a folder')


def test_a_list_that_leads_out_of_the_folder_is_refused(folder):
    path = folder / 'out/written.json'
    ((key, written),) = json.loads(path.read_text()).items()
    for name in ('../cast.csv', f'{folder}/cast.csv', 'sheets/../../cast.csv'):
        path.write_text(json.dumps({key: written | {name: results._sha256(folder / 'cast.csv')}}))
        refused(folder, 'written.json: this run would replace that file')


@pytest.mark.parametrize(('what', 'place'), [
    ('exemplars', 'sheets'), ('subtitles', 'sheets'), ('cast', 'tracks.csv'),
    ('cast', 'annotations.jsonl'), ('corrections', 'sheets/right.csv'), ('cast', 'found/cast.csv'),
])  # fmt: skip
def test_what_is_given_is_not_written_over(folder, what, place):
    shutil.rmtree(folder / 'out')
    given = {'exemplars': 'photos', 'subtitles': 'films'}.get(what, 'cast.csv')
    target = folder / 'out' / place
    target.parent.mkdir(parents=True)
    if what == 'corrections':
        shutil.copy(folder / given, target)
    else:
        (folder / given).rename(target)
    says = f'{place}: this run reads this file and would overwrite it'
    link = folder / 'link'
    link.symlink_to(target)
    refused(folder, says, **{what: target})
    refused(folder, 'link: this run reads this file', **{what: link})


def test_photos_and_videos_among_the_results_are_not_read(folder):
    refused(folder, 'sheets/.*.jpg: this run reads this file and would', exemplars=folder / 'out')
    shutil.copy(folder / 'films/00.mp4', folder / 'out/found/00.mp4')
    refused(folder, 'found/00.mp4: this run reads', videos=(folder / 'out',), subtitles=None)


@pytest.mark.parametrize('change', ['cast', 'corrections', 'subtitles', 'exemplars', 'videos'])
def test_a_refused_run_changes_nothing(folder, change):
    wrong = folder / 'wrong'
    changes = {change: (wrong,) if change == 'videos' else wrong}
    if change == 'corrections':
        wrong.write_text('video,time,ymin,xmin,ymax,xmax,scope,name\n00.mp4,1,0,0,1,1,,Nobody\n')
    elif change == 'cast':
        wrong.write_text('name;character\n')
    else:
        wrong.mkdir()
    refused(folder, None, **changes)


@pytest.mark.parametrize('stop', range(1, 8))
def test_a_run_that_is_broken_off_can_be_repeated(folder, monkeypatch, stop):
    for path in [*folder.glob('out/*.*'), *folder.glob('out/sheets/*')]:
        path.unlink()
    whole, left = os.replace, [stop]

    def stopped(source, target):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        whole(source, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, 'replace', stopped)
        run(folder)
    assert run(folder).clips == 12


def test_subtitles_whatever_the_capitals_and_those_of_no_video_are_told(folder):
    films = folder / 'films'
    for path in films.glob('*.srt'):
        path.unlink()
    shutil.move(films / '00.mp4', films / 'Stage.mp4')
    shutil.move(films / '01.mp4', films / 'ship.A.mp4')
    cue = '1\n00:00:00,100 --> 00:00:00,900\n{}\n'
    for name in ('STAGE.en.srt', 'stage.vtt', 'Ship.a.EN.SRT', 'stag.srt', 'en.srt'):
        (films / name).write_text(cue.format(name))
    done = run(folder)
    said = {video: cues[0].lines[0][1] for video, cues in done.cues.items()}
    assert said == {'Stage.mp4': 'stage.vtt', 'ship.A.mp4': 'Ship.a.EN.SRT'}
    assert done.rejected == tuple(
        f'{films}/{name}.srt: no given video has this name' for name in ('en', 'stag')
    )
    assert (folder / 'out/aside.txt').read_text().count('has this name') == 2
