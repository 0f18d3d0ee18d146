"""Which files of a folder are pictures and videos, and why others are passed over."""

import io
import os
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from cpad_jax.errors import UserError
from cpad_jax.labelling import find_person
from cpad_jax.media import file_kinds, listing, video
from cpad_jax.media.file_kinds import OTHER, PICTURE, VIDEO
from tests.support import films


def picture(path, kind=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', (32, 32), 'red').save(path, kind)
    return path


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'GIF', 'BMP', 'TIFF', 'WEBP', 'AVIF', 'MPO'])
def test_pictures_are_known_by_what_they_hold(kind):
    data = io.BytesIO()
    Image.new('RGB', (32, 32), 'red').save(data, kind)
    assert file_kinds.of_bytes(data.getvalue()[:4096]) == PICTURE


CONTAINERS = {
    'mp4': 'mpeg4', 'mov': 'mpeg4', '3gp': 'mpeg4', '3g2': 'mpeg4', 'mkv': 'mpeg4',
    'webm': 'libvpx',
    'avi': 'mpeg4', 'flv': 'flv', 'wmv': 'wmv2', 'mpg': 'mpeg2video', 'vob': 'mpeg2video',
    'ts': 'mpeg2video', 'm2ts': 'mpeg2video', 'mts': 'mpeg2video', 'm2v': 'mpeg2video',
    'ogv': 'libtheora', 'mxf': 'mpeg2video', 'nut': 'mpeg4', 'dv': 'dvvideo',
}  # fmt: skip


@pytest.mark.parametrize('ending', CONTAINERS)
def test_videos_are_known_by_what_they_hold_whatever_their_name(tmp_path, ending):
    if not shutil.which('ffmpeg'):
        pytest.skip('needs ffmpeg')
    file = tmp_path / f'a.{ending}'
    size = '720x576' if ending == 'dv' else '64x48'
    encode = ['-pix_fmt', 'yuv420p', '-c:v', CONTAINERS[ending]]
    done = subprocess.run(
        ['ffmpeg', '-v', 'error', '-f', 'lavfi', '-i', f'testsrc=s={size}:r=25:d=0.2',
         *encode, file], check=False, capture_output=True,
    )  # fmt: skip
    if done.returncode:
        pytest.skip('this ffmpeg cannot write it')
    named = [file.rename(tmp_path / name) for name in ['film.JPG']]
    named += [shutil.copy(named[0], tmp_path / name) for name in ('film', 'film.xyz')]
    assert listing.list_files(tmp_path, VIDEO).files == tuple(sorted(map(type(file), named)))
    assert listing.list_files(tmp_path, PICTURE).files == ()
    assert video.probe(named[0]).height == int(size.split('x')[1])


@pytest.mark.parametrize(
    ('head', 'held'),
    [
        (b'RIFF\x24\0\0\0WAVEfmt ', OTHER),
        (b'\0\0\0\x20ftypM4A \0\0\0\0', OTHER),
        (b'\0\0\0\x18ftypheic\0\0\0\0mif1heic', PICTURE),
        (b'OggS\0\x02' + bytes(22) + b'\x01vorbis', OTHER),
        (b'OggS\0\x02' + bytes(22) + b'\x80theora', VIDEO),
        (b'\0\0\x07\x08moov', VIDEO),
        (b'%PDF-1.7', OTHER),
        (b'BM, as the letter began', None),
        (b'', None),
        (b'no picture', None),
    ],
)
def test_first_bytes(head, held):
    assert file_kinds.of_bytes(head) == held


def test_what_is_passed_over_is_counted_and_named(tmp_path):
    for name in ('a.jpg', 'b/c.JFIF', 'b/noending'):
        picture(tmp_path / name, 'JPEG')
    picture(tmp_path / 'wrong.png', 'JPEG')
    picture(tmp_path / 'named.txt', 'PNG')
    for name in (
        '.h.jpg', '@eaDir/x/t.jpg', '.Trashes/1.jpg', '.thumbnails/2.png', 'b/$RECYCLE.BIN/3.jpg',
        'lost+found/4.jpg',
    ):  # fmt: skip
        picture(tmp_path / name)
    (tmp_path / '._a.jpg').write_bytes(b'\0\5\x16\7')
    for name in ('n.txt', 'b/m.txt', 'damaged.jpg'):
        (tmp_path / name).write_bytes(b'text')
    picture(tmp_path / 'raw.DNG', 'TIFF')
    films.write(tmp_path / 'film.mp4', np.arange(3) / 25, 'libx264', b_frames=0)
    os.mkfifo(tmp_path / 'pipe.jpg')
    (tmp_path / 'gone.jpg').symlink_to('nowhere')
    (tmp_path / 'up').symlink_to(tmp_path)
    listed = listing.list_files(tmp_path, PICTURE)
    assert [str(file.relative_to(tmp_path)) for file in listed.files] == [
        'a.jpg', 'b/c.JFIF', 'b/noending', 'damaged.jpg', 'named.txt', 'wrong.png'
    ]  # fmt: skip
    assert {why: len(files) for why, files in listed.passed_over.items()} == {
        'hidden': 1, 'in @eaDir': 1, 'in .Trashes': 1, 'in .thumbnails': 1, 'in $RECYCLE.BIN': 1,
        'in lost+found': 1, "of macOS beside another ('._')": 1, 'of ending .txt': 2, 'videos': 1,
        'of ending .DNG': 1, 'devices or pipes': 1, 'links that lead nowhere': 1,
        'links to folders': 1,
    }  # fmt: skip
    said = listed.summary(tmp_path)
    assert said.startswith(
        f'passed over 14 files of {tmp_path}: 2 of ending .txt (such as b/m.txt), 1 devices'
    )
    assert said.endswith(', 5 for other reasons')
    assert listing.list_files(tmp_path / 'b', PICTURE, deep=False).summary(tmp_path) == (
        f'passed over 1 file of {tmp_path}: 1 of ending .txt (such as b/m.txt)'
    )
    told = []
    found = find_person.list_inputs([tmp_path], VIDEO, pytest.fail, told.append)
    assert found == [tmp_path / 'film.mp4'] and len(told) == 1
    with pytest.raises(UserError, match='no videos are there .passed over 4 files'):
        find_person.list_inputs([tmp_path / 'b'], VIDEO, pytest.fail, told.append)


def test_names_that_are_not_utf_8_are_listed(tmp_path):
    name = os.fsencode(tmp_path) + b'/caf\xe9.jpg'
    data = io.BytesIO()
    Image.new('RGB', (8, 8)).save(data, 'JPEG')
    with open(name, 'wb') as file:
        file.write(data.getvalue())
    [found] = listing.list_files(tmp_path, PICTURE).files
    assert os.fsencode(found) == name
