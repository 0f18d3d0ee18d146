import io

import numpy as np
import pytest
from PIL import Image

from cpad_jax.data import build, readers, vggface
from cpad_jax.data.rejection_log import RejectionList
from cpad_jax.errors import UserError
from cpad_jax.media import images

AAMIR = """\
00000001 http://a.example/one.jpg 8.00 6.00 24.00 18.00 1.00 2.98 1
00000002 http://a.example/two pictures.jpg 0 0 16 12 3.00 2.5 0
00000003 http://a.example/gone.jpg 1 1 2 2 1.00 2.0 1
00000004 http://a.example/gone.jpg 1 1 2 2 1.00 2.0 1

00000002 http://a.example/again.jpg 1 1 2 2 1.00 2.0 1
00000005 http://a.example/flat.jpg 9 9 9 12 1.00 2.0 1
not a line
00000006 http://a.example/broken.jpg 1 1 2 2 1.00 2.0 1
"""
ZOE = '00000001 http://z.example/1.jpg 4 3 8 6 1.00 2.0 1\r\n'
NOBODY = (
    '00000001 http://n.example/1.jpg 4 3 8 6 1.00 2.0 1\n00000002 http://n.example/2 1 1 2 2 1 1 0'
)


def jpeg(seed):
    noise = np.random.default_rng(seed).integers(0, 255, (24, 32, 3), np.uint8)
    return images.encode_jpeg(noise)


def png(seed):
    noise = np.random.default_rng(seed).integers(0, 255, (24, 32, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, 'PNG')
    return file.getvalue()


@pytest.fixture(scope='module')
def copy(tmp_path_factory):
    folder = tmp_path_factory.mktemp('vggface')
    lists = folder / 'vgg_face_dataset' / 'files'
    lists.mkdir(parents=True)
    (lists / 'Aamir_Khan.txt').write_text(AAMIR)
    (lists / 'Zoe_Saldana.txt').write_bytes(ZOE.encode())
    (lists / 'No_Pictures.txt').write_text(NOBODY)
    for name, data in {
        'Aamir_Khan/00000001.jpg': jpeg(1), 'Aamir_Khan/00000002.jpg': jpeg(2),
        'Aamir_Khan/00000005.jpg': jpeg(5), 'Aamir_Khan/00000006.jpg': jpeg(6)[:-100],
        'Aamir_Khan/00000099.jpg': jpeg(9), 'Zoe_Saldana/00000001.jpg': jpeg(11),
        'Stranger/00000001.jpg': jpeg(12),
    }.items():  # fmt: skip
        (folder / 'images' / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / 'images' / name).write_bytes(data)
    return folder


def test_exactly_the_records_whose_pictures_are_there(copy):
    release = vggface.find_release(copy)
    people = vggface.read_people(release)
    assert [(p['person_id'], p['name'], p['seen']) for p in people] == [
        ('Aamir_Khan', 'Aamir Khan', True),
        ('No_Pictures', 'No Pictures', False),
        ('Zoe_Saldana', 'Zoe Saldana', True),
    ]
    aside = RejectionList()
    source = vggface.Pictures(release, people)
    found = list(source.records(aside, threads=2))
    assert [(r['image_id'], r['identity'], r['name'], r['image']) for r in found] == [
        ('Aamir_Khan/00000001', 0, 'Aamir Khan', jpeg(1)),
        ('Aamir_Khan/00000002', 0, 'Aamir Khan', jpeg(2)),
        ('Aamir_Khan/00000005', 0, 'Aamir Khan', jpeg(5)),
        ('Zoe_Saldana/00000001', 2, 'Zoe Saldana', jpeg(11)),
    ]
    # 24 rows, 32 columns; a line says left, top, right, bottom.
    np.testing.assert_allclose(found[0]['bbox'], (0.25, 0.25, 0.75, 0.75))
    np.testing.assert_allclose(found[1]['bbox'], (0, 0, 0.5, 0.5))
    np.testing.assert_allclose(found[2]['bbox'], -1)
    np.testing.assert_allclose(found[3]['bbox'], (0.125, 0.125, 0.25, 0.25))
    assert all((r['landmarks'] == -1).all() for r in found)

    lists = f'{copy}/vgg_face_dataset/files'
    expected = [
        (f'{copy}/images', None, 'a folder of nobody in the lists', 'Stranger', 1),
        (f'{lists}/Aamir_Khan.txt', 6, 'a picture that an earlier line is about', '00000002', 1),
        (f'{lists}/Aamir_Khan.txt', 7, 'a box without an area', '00000005', 1),
        (f'{lists}/Aamir_Khan.txt', 8, 'not a line about a picture', 'not a line', 1),
        (f'{copy}/images/Aamir_Khan', None, 'a picture that no line is about', '00000099.jpg', 1),
        (f'{lists}/Aamir_Khan.txt', None, 'a line whose picture is not there', '2 of 6', 2),
        (f'{lists}/No_Pictures.txt', None, 'a line whose picture is not there', '2 of 2', 2),
    ]
    broken = [entry for entry in aside.entries if entry[2] == 'not a whole JPEG']
    assert [entry[0] for entry in broken] == [f'{copy}/images/Aamir_Khan/00000006.jpg']
    assert [entry for entry in aside.entries if entry not in broken] == expected

    # Person by person, as a cluster reads it: the same.
    again = RejectionList()
    keyed = [item for part in source.parts() for item in source.part_reader()(part, again)]
    assert repr([record for _, record in keyed]) == repr(found)
    keys = [key for key, _ in keyed]
    assert keys == sorted(set(keys))
    assert sorted(again.entries, key=str) == sorted(aside.entries[1:], key=str)


def test_the_built_data_set(copy, tmp_path):
    paths = build.prepare('vggface', tmp_path, copy)
    photos = readers.IdentityReader(paths.identities, 'train')
    assert [photos[i]['image'] for i in range(len(photos))] == [jpeg(n) for n in (1, 2, 5, 11)]
    assert photos.features['identity'].names == ['Aamir_Khan', 'No_Pictures', 'Zoe_Saldana']
    listed = (paths.identities / 'rejection_log.txt').read_text()
    assert 'Aamir_Khan.txt: a line whose picture is not there: 2 of 6\n' in listed


def test_what_is_missing_is_told_with_what_to_put_where(tmp_path):
    with pytest.raises(UserError, match=r'vgg_face_dataset/files and images not found.*ID.jpg'):
        vggface.find_release(tmp_path)
    (tmp_path / 'vgg_face_dataset' / 'files').mkdir(parents=True)
    (tmp_path / 'images').mkdir()
    with pytest.raises(UserError, match=r'files/NAME.txt not found'):
        vggface.find_release(tmp_path)
    (tmp_path / 'vgg_face_dataset' / 'files' / 'A_B.txt').write_text(ZOE)
    with pytest.raises(UserError, match=r"no record for the split 'train'"):
        build.prepare('vggface', tmp_path / 'data', tmp_path)


def write_copy(folder, lists, pictures):
    for name, data in lists.items():
        path = folder / 'vgg_face_dataset' / 'files' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for name, data in pictures.items():
        path = folder / 'images' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return vggface.find_release(folder)


LINE = '{} http://a.example/{}.jpg 8 6 24 18 1.00 2.98 1'


def test_lists_as_other_systems_write_them(tmp_path):
    lines = [LINE.format(f'0000000{n}', n) for n in range(1, 6)]
    lines[1] = lines[1].replace(' ', '\t')
    lines[2] = lines[2] + '  '
    release = write_copy(
        tmp_path,
        {
            'Zoe\u0308_Saldan\u0303a.txt': b'\xef\xbb\xbf' + '\r\n'.join(lines[:3]).encode(),
            'Penélope_Cruz.TXT': '\r'.join(lines[3:]).encode(),
            'José García.txt': LINE.format(1, 'é').encode('cp1252'),
        },
        {
            'Zoë_Saldaña/00000001.JPG': jpeg(1), 'Zoë_Saldaña/00000002.jpeg': jpeg(2),
            'Zoë_Saldaña/00000003.Png': png(3), 'Pene\u0301lope Cruz/00000004.jpg': jpeg(4),
            'Pene\u0301lope Cruz/00000005.gif': jpeg(5), 'José_García/1.jpg': jpeg(6),
        },
    )  # fmt: skip
    people, aside = vggface.read_people(release), RejectionList()
    assert [(p['person_id'], p['name'], p['seen']) for p in people] == [
        ('José García', 'José García', True), ('Penélope_Cruz', 'Penélope Cruz', True),
        ('Zoë_Saldaña', 'Zoë Saldaña', True),
    ]  # fmt: skip
    found = list(vggface.Pictures(release, people).records(aside, threads=1))
    assert [(r['image_id'], r['name']) for r in found] == [
        ('José García/1', 'José García'), ('Penélope_Cruz/00000004', 'Penélope Cruz'),
        *((f'Zoë_Saldaña/0000000{n}', 'Zoë Saldaña') for n in (1, 2, 3)),
    ]  # fmt: skip
    assert [r['image'] for r in found[:4]] == [jpeg(n) for n in (6, 4, 1, 2)]
    for record in found:
        np.testing.assert_allclose(record['bbox'], (0.25, 0.25, 0.75, 0.75))
    assert [entry[2:] for entry in aside.entries] == [
        ('a picture that no line is about', '00000005.gif', 1),
        ('a line whose picture is not there', '1 of 2', 1),
    ]


@pytest.mark.parametrize('line', [
    '00000001 http://a.example/1.jpg 8 6 24 18', '00000001 http://a.example/1.jpg 8 6 24 18 1 2',
    '00000001 8 6 24 18 1.00 2.98 1', '00000001', 'id url left top right bottom pose score curated',
    'x1 http://a.example/1.jpg 8 6 24 18 1.00 2.98 1', '00000001;http://a.example/1;8;6;24;18;1;2;1',
    '00000001 http://a.example/1.jpg 8 6 24 18 1.00 2.98 yes',
])  # fmt: skip
def test_lines_with_missing_columns_are_rejected_one_by_one(tmp_path, line):
    text = f'{line}\n{LINE.format("00000002", 2)}\n'
    release = write_copy(
        tmp_path, {'Ada_B.txt': text.encode()},
        {'Ada_B/00000001.jpg': jpeg(1), 'Ada_B/00000002.jpg': jpeg(2)},
    )  # fmt: skip
    aside = RejectionList()
    found = list(vggface.Pictures(release, vggface.read_people(release)).records(aside, threads=1))
    assert [record['image_id'] for record in found] == ['Ada_B/00000002']
    assert aside.entries[0][1:4] == (1, 'not a line about a picture', line)


def test_only_those_whose_photos_were_written_are_seen(tmp_path):
    line = LINE.format('00000001', 1).encode()
    write_copy(
        tmp_path,
        {f'{name}.txt': line for name in ('Empty', 'Broken', 'Whole', 'Nowhere', 'Others')},
        {'Broken/00000001.jpg': jpeg(1)[:-50], 'Whole/00000001.jpg': jpeg(2),
         'Others/00000002.jpg': jpeg(3)},
    )  # fmt: skip
    (tmp_path / 'images' / 'Empty').mkdir()
    paths = build.prepare('vggface', tmp_path / 'data', tmp_path)
    assert [p['name'] for p in paths.read_people() if p['seen']] == ['Whole']
    assert len(paths.read_people()) == 5


@pytest.mark.parametrize('filling', [' ', ' 1', '\t', '1', '. '])
def test_lines_that_never_seem_to_end_are_read_at_once(tmp_path, filling):
    long = filling * (60_000 // len(filling))
    release = write_copy(
        tmp_path, {'Ada_B.txt': f'1 a{long}b\n1 {long}\n{LINE.format(2, 2)}'.encode()},
        {'Ada_B/2.jpg': jpeg(1)},
    )  # fmt: skip
    aside = RejectionList()
    found = list(vggface.Pictures(release, vggface.read_people(release)).records(aside, threads=1))
    assert [record['image_id'] for record in found] == ['Ada_B/2']
