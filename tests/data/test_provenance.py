import shutil

import pytest

from cpad_jax.data import build, provenance
from cpad_jax.errors import UserError
from tests.support.clip_archives import row, write_hollywood2, write_table, write_tv


def test_the_contents_of_tables_count_and_not_where_they_are(tmp_path):
    for number in (1, 2):
        lists = tmp_path / str(number) / 'lists'
        lists.mkdir(parents=True)
        (lists / 'a.txt').write_text('a 1\n')
        (lists / f'._{number}.txt').write_text(f'{number}')
        (lists / 'more').mkdir()
    one, two = (
        provenance.describe({'lists': tmp_path / str(number) / 'lists'}) for number in (1, 2)
    )
    provenance.write(tmp_path, one)
    assert provenance.differences(tmp_path, one) == provenance.differences(tmp_path, two) == ''
    (lists / 'a.txt').rename(lists / 'b.txt')
    renamed = provenance.describe({'lists': lists})
    (lists / 'b.txt').write_text('a -1\n')
    changed = provenance.describe({'lists': lists})
    assert len({made['lists']['digest'] for made in (one, renamed, changed)}) == 3
    then, now = one['lists'], changed['lists']
    assert provenance.differences(tmp_path, changed) == (
        f'lists {then["path"]} ({then["digest"][:8]}) then and '
        f'{now["path"]} ({now["digest"][:8]}) now'
    )
    assert provenance.differences(tmp_path, {}).endswith(' then and none now')
    assert provenance.differences(tmp_path, {**one, 'splits': now}).startswith('splits none then')


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r'none.jsonl: this cannot be read \(No such file'):
        provenance.describe({'annotations': tmp_path / 'none.jsonl'})


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    """(Folder of archives, folder of data sets, annotation table)."""
    folder = tmp_path_factory.mktemp('built')
    write_tv(folder / 'in')
    table = write_table(folder / 'people.jsonl', [row('kiss_0009', 'lost', source='show')])
    build.prepare(
        'tv_human_interactions', folder / 'out', folder / 'in', processes=1, annotations=table
    )
    return folder / 'in', folder / 'out', table


def again(built, **options):
    return build.prepare('tv_human_interactions', built[1], built[0], processes=1, **options)


def test_what_is_built_is_compared_with_what_is_asked_for(built, tmp_path, monkeypatch):
    manual, data, table = built
    (version,) = build.finished('tv_human_interactions', data)
    before = {path: path.stat().st_mtime_ns for path in version.iterdir()}
    monkeypatch.setattr(build.built_dataset, 'download_and_prepare', lambda *_: pytest.fail())
    monkeypatch.setattr(build.built_dataset, 'check_writable', lambda *_: pytest.fail())
    moved = shutil.copy(table, tmp_path / 'moved.jsonl')
    assert again(built, annotations=moved).parts == {'clips': version}
    with pytest.raises(UserError, match='nowhere.jsonl: there is no such file'):
        again(built, annotations=tmp_path / 'nowhere.jsonl')
    other = write_table(tmp_path / 'other.jsonl', [row('kiss_0009', 'friends', source='show')])
    says = (
        rf'tv_human_interactions is built already, and not from this \(annotations {table} .* '
        rf'then and {other} .* now\): delete {version} to build it again'
    )
    with pytest.raises(UserError, match=says):
        again(built, annotations=other)
    with pytest.raises(UserError, match='then and none now'):
        again(built)
    assert {path: path.stat().st_mtime_ns for path in version.iterdir()} == before
    copy = shutil.copytree(data, tmp_path / 'data')
    (build.finished('tv_human_interactions', copy)[0] / provenance.FILE).unlink()
    with pytest.raises(UserError, match=r'provenance.json does not say from what\): delete'):
        again((manual, copy), annotations=table)


def test_other_lists_of_the_archive_count(built, tmp_path):
    manual = shutil.copytree(built[0], tmp_path / 'in')
    with (manual / 'tv_human_interaction_annotations' / 'hug_0002.annotations').open('a') as file:
        file.write('# more\n')
    with pytest.raises(UserError, match='tv_human_interaction_annotations .* then and '):
        again((manual, built[1]), annotations=built[2])


def test_all_that_is_needed_is_looked_for_before_any_work(tmp_path):
    root, data = write_hollywood2(tmp_path / 'in'), tmp_path / 'data' / 'here'
    shutil.rmtree(root / 'AVIClipsScenes')
    says = 'AVIClipsScenes: there is no such folder.*; what is there is built by --part actions$'
    with pytest.raises(UserError, match=says):
        build.prepare('hollywood2', data, tmp_path / 'in', processes=1)
    assert not data.parent.exists()
    paths = build.prepare('hollywood2', data, tmp_path / 'in', parts=('actions',), processes=1)
    assert build.finished('hollywood2', data) == [paths.parts['actions']]


def test_a_refused_build_leaves_nothing(tmp_path):
    write_hollywood2(tmp_path / 'in')
    data = tmp_path / 'data' / 'here'
    clip = row('scenecliptest00001', 'heat', place='Mars')
    table = write_table(tmp_path / 'table.jsonl', [clip])

    def prepare(*parts):
        build.prepare(
            'hollywood2', data, tmp_path / 'in', parts=parts, annotations=table, processes=1
        )

    with pytest.raises(UserError, match="place is 'Mars'"):
        prepare('scenes')
    assert not data.parent.exists()
    data.mkdir(parents=True)
    with pytest.raises(UserError, match="place is 'Mars'"):
        prepare('scenes')
    assert not list(data.iterdir())
    prepare('actions')
    with pytest.raises(UserError, match="place is 'Mars'"):
        prepare('scenes')
    folder = data / 'hollywood2'
    assert [path.name for path in folder.iterdir() if path.name[0] != '.'] == ['actions']
    # Rows about clips of the other part are not without their clip.
    assert 'a row' not in (folder / 'actions' / '1.0.0' / 'rejection_log.txt').read_text()


@pytest.mark.parametrize('where', ['named', 'file', 'file/below', '/proc/nothing'])
def test_a_folder_that_cannot_be_written_to(tmp_path, where):
    write_tv(tmp_path / 'in')
    (tmp_path / 'named').mkdir()
    for file in ('file', 'named/tv_human_interactions', 'named/synthetic_cast'):
        (tmp_path / file).touch()
    says = ': this is a file, expected a folder to write|^/proc: this folder cannot be written to'
    with pytest.raises(UserError, match=says):
        build.prepare('tv_human_interactions', tmp_path / where, tmp_path / 'in')
    with pytest.raises(UserError, match=says):
        build.ensure({'name': 'synthetic_cast', 'dir': str(tmp_path / where)}, tmp_path)


@pytest.mark.parametrize('name', ['hollywood2', 'tv_human_interactions'])
def test_rows_without_their_clip_are_told(tmp_path, name):
    if name == 'hollywood2':
        clip, part = 'scenecliptest00001', 'scenes'
        write_hollywood2(tmp_path)
    else:
        clip, part = 'kiss_0009', 'clips'
        write_tv(tmp_path)
    write_table(tmp_path / 'annotations.jsonl', [row(clip, 'heat'), row('nowhere', 'heat')])
    paths = build.prepare(name, tmp_path / 'data', tmp_path, parts=(part,), processes=1)
    told = (paths.parts[part] / 'rejection_log.txt').read_text().splitlines()
    assert [line for line in told if 'a row' in line] == [
        f'{tmp_path}/annotations.jsonl:2: a row without its clip: nowhere'
    ]
