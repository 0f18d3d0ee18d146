import io
import shutil
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from cpad_jax.data import build, readers, vggface2
from cpad_jax.data.rejection_log import RejectionList, read_groups
from cpad_jax.errors import UserError
from cpad_jax.media import images

META = """\
Class_ID, Name, Sample_Num, Flag, Gender
n000001, "14th_Dalai_Lama",424,0, m,
n000002, "A_Fine_Frenzy",315,1, f,
n000003, Dwayne_"The_Rock"_Johnson,3,1, m
n000004,"Robert_Downey,_Jr.",12, 1,m,,
n000005, Zoë_Saldaña, 7,1,f
n000005, "Somebody_Else",7,1, f,
n000006, "",7,1, f,
n000007, who is this
"""
BOXES = """\
NAME_ID,X,Y,W,H
"n000002/0001_01",8,6,16,12
"n000002/0002_01", 4, 3, 8, 6,
"n000002/0002_01",0,0,1,1
"n000003/0001_02",-4,0,40,30
"n000003/0002_01",5,5,0,10
"n000004/0001_01",1,x,2,3
nobody,1,2,3,4
"""
LANDMARKS = """\
NAME_ID,P1X,P1Y,P2X,P2Y,P3X,P3Y,P4X,P4Y,P5X,P5Y
"n000002/0001_01",0,0,8,6,16,12,24,18,32,24
"n000003/0001_02",1,2,3,4
"""
LIST = """\
n000002/0001_01.jpg
n000002/0002_01.jpg
n000002/0002_01.jpg

n000002/0009_01.jpg
n000003/0001_02.jpg
n000003/0002_01.jpg
n000004/0001_01.jpg
n000005/0001_01.jpg
n000005/0002_01.jpg
n000008/0001_01.jpg
not/a_picture.jpg
"""


def jpeg(seed, height=24, width=32):
    noise = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    return images.encode_jpeg(noise)


TRAIN = [
    ('train/n000002/0001_01.jpg', jpeg(1)),
    ('./train/n000002/0002_01.jpg', jpeg(2)),
    ('train/n000002/0002_01.jpg', jpeg(3)),  # A second time, another picture.
    ('train/n000002/0003_01.jpg', jpeg(4)),  # Not listed.
    ('train/n000003/0001_02.jpg', jpeg(5)),
    ('train/n000003/0002_01.jpg', jpeg(6)),
    ('train/n000004/0001_01.jpg', jpeg(7, 16, 48)),
    ('train/n000005/0001_01.jpg', jpeg(8)[:-200]),  # Cut short.
    ('train/n000005/0002_01.jpg', b'\x89PNG' + bytes(50)),
    ('train/n000001/0001_01.jpg', jpeg(9)),  # Of the other split.
    ('train/n000009/0001_01.jpg', jpeg(10)),  # Nobody.
    ('train/README', b'text'),
    ('train/n000002/1_1.jpg', jpeg(11)),
    ('../n000002/0001_01.jpg', jpeg(12)),
]
TEST = [('test/n000001/0001_01.jpg', jpeg(20)), ('test/n000001/0002_01.jpg', jpeg(21))]
WHOLE = [TRAIN[0], TRAIN[1], TRAIN[4], TRAIN[5], TRAIN[6]]

# What every form of the copy sets aside: file, line, reason, beginning of the item.
TABLES = [
    ('meta/identity_meta.csv', 7, 'a person that an earlier row is about', 'n000005'),
    ('meta/identity_meta.csv', 8, 'a person without a name', 'n000006'),
    ('meta/identity_meta.csv', 9, 'not a row about a person', 'n000007, who is this'),
    ('bb_landmark/loose_bb_train.csv', 6, 'a box without an area', '"n000003/0002_01",5,5,0,10'),
    ('bb_landmark/loose_bb_train.csv', 7, 'not a row about a picture', '"n000004/0001_01",1,x'),
    ('bb_landmark/loose_bb_train.csv', 8, 'not a row about a picture', 'nobody,1,2,3,4'),
    ('bb_landmark/loose_bb_train.csv', 4, 'a picture that an earlier row is about',
     'n000002/0002_01'),
    ('bb_landmark/loose_landmark_train.csv', 3, 'not a row about a picture', '"n000003/0001_02"'),
    ('train_list.txt', 12, 'not the name of a picture', 'not/a_picture.jpg'),
    ('train_list.txt', 3, 'listed a second time', 'n000002/0002_01'),
]  # fmt: skip
PICTURES = [
    ('a picture that the list does not name', 'n000002/0003_01.jpg'),
    ('not a whole JPEG', 'n000005/0001_01.jpg: a broken JPEG picture'),
    ('not a whole JPEG', 'n000005/0002_01.jpg: not a JPEG picture'),
    ('a picture of somebody of the other split', 'n000001/0001_01.jpg'),
    ('a picture of nobody in identity_meta.csv', 'n000009/0001_01.jpg'),
    ('not a picture of the data set', 'README'),
    ('not a picture of the data set', 'n000002/1_1.jpg'),
]
ABSENT = [
    ('train_list.txt', 5, 'listed, and not there', 'n000002/0009_01'),
    ('train_list.txt', 11, 'listed, and not there', 'n000008/0001_01'),
]


def write_tar(path, members):
    with tarfile.open(path, 'w:gz') as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def write_folder(path, members):
    for name, data in members:
        file = path / name
        if '..' not in name:
            file.parent.mkdir(parents=True, exist_ok=True)
            if not file.exists():
                file.write_bytes(data)


def write_tables(folder):
    (folder / 'meta').mkdir(parents=True)
    (folder / 'bb_landmark').mkdir()
    (folder / 'meta/identity_meta.csv').write_text(META, 'utf-8')
    (folder / 'bb_landmark/loose_bb_train.csv').write_text(BOXES)
    (folder / 'bb_landmark/loose_landmark_train.csv').write_text(LANDMARKS)
    (folder / 'train_list.txt').write_text(LIST)


@pytest.fixture(scope='module')
def packed(tmp_path_factory):
    folder = tmp_path_factory.mktemp('packed')
    write_tables(folder)
    write_tar(folder / 'vggface2_train.tar.gz', TRAIN)
    write_tar(folder / 'vggface2_test.tar.gz', TEST)
    return folder


@pytest.fixture(scope='module')
def unpacked(tmp_path_factory):
    folder = tmp_path_factory.mktemp('unpacked')
    write_tables(folder)
    write_folder(folder, TRAIN + TEST)
    return folder


def read(folder, split, parts=False):
    aside = RejectionList()
    release = vggface2.find_release(folder)
    people = vggface2.read_people(release.meta, aside)
    source = vggface2.Split(release, split, people, aside)
    if parts:
        reader = source.part_reader()
        found = [record for part in source.parts() for _, record in reader(part, aside)]
    else:
        found = list(source.records(aside, threads=2))
    entries = [(file.removeprefix(f'{folder}/'), *rest) for file, *rest, _ in aside.entries]
    return found, entries


def same(found, expected):
    """Whether entries are these, in any order, up to how their items begin."""
    found, expected = sorted(found, key=str), sorted(expected, key=str)
    return len(found) == len(expected) and all(
        f[:-1] == e[:-1] and f[-1].startswith(e[-1]) for f, e in zip(found, expected, strict=True)
    )


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'latin-1'])
@pytest.mark.parametrize('header', [True, False])
def test_names_and_rows_of_every_kind(encoding, header, tmp_path):
    path = tmp_path / 'identity_meta.csv'
    text = META if header else META.split('\n', 1)[1]
    path.write_bytes(text.replace('\n', '\r\n').encode(encoding))
    aside = RejectionList()
    people = vggface2.read_people(path, aside)
    assert [tuple(person.values()) for person in people] == [
        ('n000001', '14th Dalai Lama', 'man', False, 0),
        ('n000002', 'A Fine Frenzy', 'woman', True, 1),
        ('n000003', 'Dwayne "The Rock" Johnson', 'man', True, 2),
        ('n000004', 'Robert Downey, Jr.', 'man', True, 3),
        ('n000005', 'Zoë Saldaña', 'woman', True, 4),
    ]
    assert [(line, item) for _, line, _, item, _ in aside.entries] == [
        (7 - (not header), 'n000005'),
        (8 - (not header), 'n000006'),
        (9 - (not header), 'n000007, who is this'),
    ]


@pytest.mark.parametrize('parts', [False, True])
@pytest.mark.parametrize('form', ['packed', 'unpacked'])
def test_exactly_the_records_that_are_whole(form, parts, request):
    folder = request.getfixturevalue(form)
    found, entries = read(folder, 'train', parts)
    assert [(record['image_id'], record['image']) for record in found] == [
        (name.split('train/')[1].removesuffix('.jpg'), data) for name, data in WHOLE
    ]
    assert [record['identity'] for record in found] == [1, 1, 2, 2, 3]
    assert found[-1]['name'] == 'Robert Downey, Jr.'
    assert {record['source'] for record in found} == {'vggface2'}
    # 24 rows, 32 columns: a box at x 8, y 6 of 16 × 12 pixels.
    np.testing.assert_allclose(found[0]['bbox'], (0.25, 0.25, 0.75, 0.75))
    np.testing.assert_allclose(found[1]['bbox'], (0.125, 0.125, 0.375, 0.375))
    np.testing.assert_allclose(found[2]['bbox'], (0, -0.125, 1.25, 1.125))
    np.testing.assert_allclose(found[3]['bbox'], -1)
    np.testing.assert_allclose(found[4]['bbox'], -1)
    np.testing.assert_allclose(found[0]['landmarks'][:, 0], (0, 0.25, 0.5, 0.75, 1))
    np.testing.assert_allclose(found[0]['landmarks'][:, 1], (0, 0.25, 0.5, 0.75, 1))
    np.testing.assert_allclose(found[1]['landmarks'], -1)

    archive = 'vggface2_train.tar.gz' if form == 'packed' else 'train'
    prefix = 'train/' if form == 'packed' else ''
    expected = TABLES + ABSENT + [(archive, None, why, prefix + item) for why, item in PICTURES]
    if form == 'packed':
        expected += [
            (archive, None, 'a picture that came before', 'train/n000002/0002_01.jpg'),
            (archive, None, 'a name in an archive that leaves its folder', '../n000002'),
        ]
    assert same(entries, expected)


def test_without_lists_and_tables_everything_there_is_taken(tmp_path):
    write_tar(tmp_path / 'vggface2_train.tar.gz', TRAIN[:4])
    write_tar(tmp_path / 'vggface2_test.tar.gz', TEST)
    (tmp_path / 'identity_meta.csv').write_text(META, 'utf-8')
    found, entries = read(tmp_path, 'train')
    assert [r['image_id'][-7:] for r in found] == ['0001_01', '0002_01', '0003_01']
    assert {tuple(r['bbox']) for r in found} == {(-1.0,) * 4}
    assert [e[2:] for e in entries[3:]] == [
        ('a picture that came before', 'train/n000002/0002_01.jpg')
    ]


def test_what_is_missing_is_told_with_what_to_put_where(tmp_path):
    with pytest.raises(UserError, match=r'vggface2_test.tar.gz and identity_meta.csv not found'):
        (tmp_path / 'train').mkdir()
        vggface2.find_release(tmp_path)
    with pytest.raises(UserError, match=r'nowhere: there is no such folder.*bring your own copy'):
        build.prepare('vggface2', tmp_path / 'data', tmp_path / 'nowhere')
    with pytest.raises(UserError, match='DIR of --manual_dir must hold.*train_list.txt'):
        build.prepare('vggface2', tmp_path / 'data', tmp_path)
    assert not (tmp_path / 'data').exists()


def test_the_built_data_set(packed, tmp_path):
    paths = build.prepare('vggface2', tmp_path, packed)
    assert paths == build.find('vggface2', tmp_path) == build.prepare('vggface2', tmp_path, packed)
    train, test = (readers.IdentityReader(paths.identities, s) for s in ('train', 'test'))
    assert [train[i]['image'] for i in range(len(train))] == [data for _, data in WHOLE]
    assert [test[i]['image'] for i in range(len(test))] == [data for _, data in TEST]
    assert train[4]['identity'] == 3
    assert train.features['identity'].names == [f'n00000{n}' for n in range(1, 6)]
    assert paths.read_people()[3]['name'] == 'Robert Downey, Jr.'
    assert sorted(path.name for path in paths.identities.iterdir()) == [
        'dataset_info.json', 'features.json', 'identity.labels.txt', 'metadata.json',
        'people.json', 'provenance.json', 'rejection_log.json', 'rejection_log.txt', 'sha256.json',
        'vggface2-test.array_record-00000-of-00001', 'vggface2-train.array_record-00000-of-00001',
    ]  # fmt: skip
    count = sum(group.count for group in read_groups(paths.identities).values())
    # Beside those of the tables and pictures: one came before, one name leaves its folder.
    assert count == len(TABLES) + len(PICTURES) + len(ABSENT) + 2
    listed = (paths.identities / 'rejection_log.txt').read_text().splitlines()
    assert f'{packed}/train_list.txt:5: listed, and not there: n000002/0009_01' in listed
    assert len(listed) == count


def test_many_shards_and_other_content(packed, tmp_path, monkeypatch):
    from cpad_jax.data import streamed

    monkeypatch.setattr(streamed, 'SHARD_BYTES', 3000)
    paths = build.prepare('vggface2', tmp_path / 'a', packed)
    shards = sorted(path.name for path in paths.identities.glob('*train*'))
    assert shards == [f'vggface2-train.array_record-0000{n}-of-00003' for n in range(3)]
    train = readers.IdentityReader(paths.identities, 'train')
    assert [train[i]['image'] for i in range(len(train))] == [data for _, data in WHOLE]

    monkeypatch.undo()
    assert build.prepare('vggface2', tmp_path / 'c', packed).fingerprint == paths.fingerprint
    other = tmp_path / 'other'
    write_tables(other)
    write_folder(other, [(name, data) for name, data in TRAIN[1:] + TEST])
    assert build.prepare('vggface2', tmp_path / 'b', other).fingerprint != paths.fingerprint


def test_a_build_that_fails_leaves_nothing_and_can_be_repeated(packed, tmp_path):
    copy = tmp_path / 'copy'
    write_tables(copy)
    for split in ('train', 'test'):
        data = (packed / f'vggface2_{split}.tar.gz').read_bytes()
        (copy / f'vggface2_{split}.tar.gz').write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r'vggface2_train.tar.gz: the archive is damaged or cut'):
        build.prepare('vggface2', tmp_path / 'data', copy)
    identities = tmp_path / 'data' / 'vggface2' / 'identities'
    assert not (tmp_path / 'data').exists()
    with pytest.raises(UserError, match='cpad-build-dataset vggface2'):
        build.find('vggface2', tmp_path / 'data')
    # As a killed build would leave it, by the name that TFDS gives it.
    with tfds.core.utils.incomplete_dir(identities / '1.0.0') as temporary:
        left = Path(temporary)
    left.mkdir()
    (left / 'unnamed-train-00000').write_bytes(b'half')
    shutil.rmtree(identities / '1.0.0')
    build.prepare('vggface2', tmp_path / 'data', packed)
    assert [path.name for path in identities.iterdir()] == ['1.0.0']


def test_two_builds_at_once_are_refused(packed, tmp_path):
    with build._alone(tmp_path / 'vggface2'):
        with pytest.raises(UserError, match='another process is building'):
            build.prepare('vggface2', tmp_path, packed)


def counts(paths):
    groups = read_groups(paths.identities)
    return {reason: group.count for reason, group in groups.items()}


@pytest.mark.parametrize('form', ['packed', 'unpacked'])
def test_beam_builds_the_same(form, request, tmp_path):
    pytest.importorskip('apache_beam', reason="needs Apache Beam: pip install -e '.[beam]'")
    copy = request.getfixturevalue(form)
    here = build.prepare('vggface2', tmp_path / 'here', copy)
    beam = build.prepare('vggface2', tmp_path / 'beam', copy, 'runner=DirectRunner')
    for split in ('train', 'test'):
        ours, theirs = (readers.IdentityReader(p.identities, split) for p in (here, beam))
        assert repr([theirs[i] for i in range(len(theirs))]) == repr(
            [ours[i] for i in range(len(ours))]
        )
    assert counts(beam) == counts(here)
    assert beam.read_people() == here.read_people()
    assert sorted(p.name for p in beam.identities.iterdir()) == sorted(
        p.name for p in here.identities.iterdir()
    )
    assert beam.fingerprint != here.fingerprint


def test_without_beam_the_user_is_told(packed, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'apache_beam', None)
    monkeypatch.setitem(sys.modules, 'apache_beam.options.pipeline_options', None)
    with pytest.raises(UserError, match=r"pip install -e '.\[beam\]'"):
        build.prepare('vggface2', tmp_path, packed, 'runner=DirectRunner')
