import io
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from cpad_jax.data import build, readers, vggface2
from cpad_jax.data.rejection_log import RejectionList, read_groups
from cpad_jax.errors import UserError
from cpad_jax.media import images

# As the copy without a header has it; Flag 1 is for training.
META = (
    'n000001," ""Zoë_Saldaña""",2,0, f\r\nn000002," ""A_Fine_Frenzy""",315,1, f\r\n'
    'n000003," ""Dwayne_""The_Rock""_Johnson""",3,1, m\r\nn000004," ""Robert_Downey,_Jr.""",1,1, m'
)
BOXES = 'W,H,X,Y,NAME_ID\n16,12,8,6,n000002/0001_01\n8,6,4,3,n000001/0001_01\n'
POINTS = (
    'NAME_ID;' + ';'.join(f'P{n}{axis}' for n in range(1, 6) for axis in 'XY')
    + '\nn000002/0001_01;0;0;8;6;16;12;24;18;32;24\n'
)  # fmt: skip


def noise(seed):
    # In squares of eight by eight, which JPEG keeps.
    squares = np.random.default_rng(seed).integers(0, 255, (3, 4, 3), np.uint8)
    return squares.repeat(8, axis=0).repeat(8, axis=1)


def jpeg(seed):
    return images.encode_jpeg(noise(seed))


def png(seed):
    file = io.BytesIO()
    Image.fromarray(noise(seed)).convert('RGBA').save(file, 'PNG')
    return file.getvalue()


def write(folder, files):
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return folder


def archive(members, kind):
    file = io.BytesIO()
    if kind == 'zip':
        with zipfile.ZipFile(file, 'w') as made:
            for name, data in members.items():
                made.writestr(name, data)
    else:
        with tarfile.open(fileobj=file, mode=f'w:{kind}') as made:
            for name, data in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                made.addfile(info, io.BytesIO(data))
    return file.getvalue()


TRAIN = {'n000002/0001_01.jpg': jpeg(1), 'n000003/0001_01.jpg': jpeg(2)}
TEST = {'n000001/0001_01.jpg': jpeg(3)}


def within(place, pictures):
    return {f'{place}/{name}': data for name, data in pictures.items()}


LAYOUTS = {
    'folders': {**within('train', TRAIN), **within('test', TEST), 'identity_meta.csv': META},
    'data': {
        **within('data/train', TRAIN), **within('data/val', TEST),
        'data/identity_meta.csv': META,
    },
    'as the authors had it': {
        **within('VGG-Face2/data/train', TRAIN), **within('VGG-Face2/data/test', TEST),
        'VGG-Face2/meta/identity_meta.csv': META,
        'VGG-Face2/data/train_list.txt': '\n'.join(TRAIN),
    },
    'authors, packed': {
        'VGG-Face2/data/vggface2_train.tar.gz': archive(within('train', TRAIN), 'gz'),
        'VGG-Face2/data/vggface2_test.tar.gz': archive(within('test', TEST), 'gz'),
        'VGG-Face2/meta/Identity_Meta.csv': META,
    },
    'unpacked beside': {
        **within('vggface2_train/train', TRAIN), **within('vggface2_val', TEST),
        'people.csv': 'Gender,Flag,Name,Class_ID\nf,0,"Zoë_Saldaña",n000001\n'
        'f,1,A_Fine_Frenzy,n000002\nm,1,"Dwayne_""The_Rock""_Johnson",n000003\n'
        'm,1,"Robert_Downey,_Jr.",n000004\n',
    },
    'zips': {
        'copy/train.zip': archive(within('some/where/train', TRAIN), 'zip'),
        'copy/VGGFace2_validation.tar': archive(within('val', TEST), ''),
        'identity_meta.csv': META,
    },
    'folder before archive, test before val': {
        **within('train', TRAIN), 'vggface2_train.tar.gz': b'not read', **within('val', TRAIN),
        'test.tar.xz': archive(within('test', TEST), 'xz'), **within('test', TEST),
        'identity_meta.csv': META, 'train.zip': b'not read',
    },
}  # fmt: skip


@pytest.mark.parametrize('layout', LAYOUTS)
def test_copies_are_found_however_they_are_laid_out(layout, tmp_path):
    tables = {'some/faces.csv': BOXES, 'some/landmarks_of_train.csv': POINTS}
    write(tmp_path, LAYOUTS[layout] | tables)
    release = vggface2.find_release(tmp_path)
    aside = RejectionList()
    people = vggface2.read_people(release.meta, aside)
    assert [(person['person_id'], person['name']) for person in people] == [
        ('n000001', 'Zoë Saldaña'), ('n000002', 'A Fine Frenzy'),
        ('n000003', 'Dwayne "The Rock" Johnson'), ('n000004', 'Robert Downey, Jr.'),
    ]  # fmt: skip
    for split, expected in (('train', TRAIN), ('test', TEST)):
        found = list(vggface2.Split(release, split, people, aside).records(aside, threads=1))
        assert {f'{r["image_id"]}.jpg': r['image'] for r in found} == expected
        box = (0.25, 0.25, 0.75, 0.75) if split == 'train' else (0.125, 0.125, 0.375, 0.375)
        np.testing.assert_allclose(found[0]['bbox'], box)
        points = [0, 0.25, 0.5, 0.75, 1] if split == 'train' else [-1] * 5
        np.testing.assert_allclose(found[0]['landmarks'][:, 0], points)
    assert aside.entries == []
    lists = [] if 'authors had' in layout else ['train_list.txt']
    assert release.missing() == [*lists, 'test_list.txt', 'loose_landmark_test.csv']


def test_train_alone_is_enough_and_what_is_missing_is_told(tmp_path, capsys):
    """Names, endings, and who is seen, in what was built of the plainest copy."""
    pictures = {
        'n000002/0001_01.JPG': jpeg(1), 'n000002/0002_01.jpeg': jpeg(2),
        'n000002/0003_01.png': png(3), 'n000002/0004_01.jpg': png(4),
        'n000003/0001_01.png': png(5)[:-30], 'n000003/0002_01.jpg': jpeg(6)[:-30],
        'n000002/0001_01.png': png(7), 'n000002/0005_01.gif': b'GIF89a',
    }  # fmt: skip
    copy = write(
        tmp_path / 'copy', within('data/train', pictures) | {'data/identity_meta.csv': META}
    )
    paths = build.prepare('vggface2', tmp_path / 'built', copy)
    told = capsys.readouterr().err
    assert (
        'vggface2: not found, and built without: vggface2_test.tar.gz, train_list.txt, '
        'loose_bb_train.csv, loose_landmark_train.csv\n'
    ) in told
    # n000003 has no whole picture, n000004 none at all, n000001 is of the other split.
    assert [(p['name'], p['seen']) for p in paths.read_people()] == [
        ('Zoë Saldaña', False), ('A Fine Frenzy', True), ('Dwayne "The Rock" Johnson', False),
        ('Robert Downey, Jr.', False),
    ]  # fmt: skip
    photos = readers.IdentityReader(paths.identities, 'train', decode=True)
    found = [photos[i] for i in range(len(photos))]
    assert [(record['image_id'][-7:], record['name']) for record in found] == [
        (f'000{number}_01', 'A Fine Frenzy') for number in (1, 2, 3, 4)
    ]
    # In the order of colours, and as near as JPEG has it.
    for record, seed in zip(found, (1, 2, 3, 4), strict=True):
        assert np.abs(record['image'].astype(int) - noise(seed)).mean() < 20
    groups = read_groups(paths.identities)
    assert {reason: group.count for reason, group in groups.items()} == {
        'not a whole JPEG': 2, 'a picture that came before': 1, 'not a picture of the data set': 1,
    }  # fmt: skip
    assert 'n000003/0001_01.png: not a JPEG picture, and as PNG a picture of ' in str(groups)


def test_what_is_needed_and_not_there_is_told(tmp_path):
    write(tmp_path, within('test', TEST) | {'identity_meta.csv': META})
    with pytest.raises(UserError, match=r': vggface2_train.tar.gz not found. VGGFace2 is no lo'):
        vggface2.find_release(tmp_path)
    # Too deep, hidden, or without people.
    write(tmp_path, within('a/b/c/d/train', TRAIN) | within('.copy/train', TRAIN) | {'train/x': ''})
    with pytest.raises(UserError, match=r': vggface2_train.tar.gz not found.'):
        vggface2.find_release(tmp_path)
    write(tmp_path, within('a/b/c/train', TRAIN))
    assert vggface2.find_release(tmp_path).pictures['train'] == tmp_path / 'a/b/c/train'
