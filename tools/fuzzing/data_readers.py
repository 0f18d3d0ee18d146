"""Readers of data sets as their authors pass them on."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np

from cpad_jax.data import (
    archives,
    celebrities_in_action,
    hollywood2,
    this_is_my,
    tv_human_interactions,
    vggface,
    vggface2,
)
from cpad_jax.data.video_clips import AnnotationTable
from cpad_jax.media import images
from cpad_jax.synthetic import caption_shards
from cpad_jax.training import captioned_shards
from tests.support import clip_archives, named_instances, photo_archives
from tools.fuzzing.reader import Ignored, Reader, below

_MEMBERS = {'a/b.txt': b'one\n' * 50, 'a/c.jpg': bytes(range(256)) * 4, 'd': b''}


def _jpeg(seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 255, (24, 32, 3), np.uint8)
    return images.encode_jpeg(noise)


def _archives(folder: Path) -> list[str]:
    for kind in ('zip', 'stored.zip'):
        method = zipfile.ZIP_STORED if kind == 'stored.zip' else zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(folder / f'a.{kind}', 'w', method) as archive:
            for name, content in _MEMBERS.items():
                archive.writestr(name, content)
    for kind in ('', ':gz', ':bz2', ':xz'):
        for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
            path = folder / f'{form}.tar{kind.replace(":", ".")}'
            with tarfile.open(path, f'w{kind}', format=form) as archive:
                for name, content in {**_MEMBERS, 'ü' * 120: b'x'}.items():
                    info = tarfile.TarInfo(name)
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))
    return below(folder, '*')


def _read_archive(folder: Path, name: str) -> None:
    for member in archives.members(folder / name, largest=1 << 20):
        member.read()


def _vggface2(folder: Path) -> list[str]:
    photo_archives.write_vggface2(
        folder, {'n000002': 'A_Fine_Frenzy', 'n000003': 'Ann'}, {'n000001': 'Bob'}
    )
    return below(folder, '*.csv', '*.txt', '*0001_01.jpg')


def _read_vggface2(folder: Path, name: str) -> None:
    aside = Ignored()
    release = vggface2.find_release(folder)
    people = vggface2.read_people(release.meta, aside)
    for split in ('train', 'test'):
        list(vggface2.Split(release, split, people, aside).records(aside, threads=1))


def _vggface(folder: Path) -> list[str]:
    lists = folder / 'vgg_face_dataset' / 'files'
    lists.mkdir(parents=True)
    (folder / 'images' / 'Ann_Bell').mkdir(parents=True)
    rows = [
        f'0000000{n} http://a.example/{n}.jpg 4.00 3.00 8.50 6.00 1.00 2.98 1' for n in (1, 2, 3)
    ]
    (lists / 'Ann_Bell.txt').write_text('\n'.join(rows))
    for n in (1, 2):
        (folder / 'images' / 'Ann_Bell' / f'0000000{n}.jpg').write_bytes(_jpeg(n))
    return below(folder, '*.txt', '*1.jpg')


def _read_vggface(folder: Path, name: str) -> None:
    release = vggface.find_release(folder)
    people = vggface.read_people(release)
    list(vggface.Pictures(release, people).records(Ignored(), threads=1))


def _hollywood2(folder: Path) -> list[str]:
    clip_archives.write_hollywood2(folder)
    return below(folder, '*.txt', '*.sht')


def _read_hollywood2(folder: Path, name: str) -> None:
    root, aside = hollywood2.find(folder), Ignored()
    for part in hollywood2.parts_there(root):
        hollywood2.plan_clips(root, part, AnnotationTable(None), aside)


def _tv(folder: Path) -> list[str]:
    clip_archives.write_tv(folder)
    return below(folder, '*.annotations')


def _celebrities(folder: Path) -> list[str]:
    clip_archives.write_table(folder / 'table.jsonl', clip_archives.CELEBRITIES)
    (folder / 'splits.json').write_text(json.dumps(clip_archives.SPLITS))
    return below(folder, '*')


def _read_celebrities(folder: Path, name: str) -> None:
    AnnotationTable(folder / 'table.jsonl')
    celebrities_in_action.read_splits(folder / 'splits.json')


def _this_is_my(folder: Path) -> list[str]:
    named_instances.write_this_is_my(folder)
    return below(folder, '*.csv', '*.json')


def _shards(folder: Path) -> list[str]:
    said = [('a red wall', [{'person': 1}]), ('a wall', [{}])]
    for number in range(2):
        drawn = [
            caption_shards.CaptionedPicture(
                np.full((8, 8, 3), grey, np.uint8), said, [{'person': 1}]
            )
            for grey in (10, 20)
        ]
        caption_shards.write_shard(folder, number, drawn)
    return below(folder, '*')


def _read_shards(folder: Path, name: str) -> None:
    for shards in captioned_shards.open_shards(folder, 32, held_out=1):
        shards.images(np.arange(shards.num_images))


READERS = (
    Reader('archives', _archives, _read_archive, False),
    Reader('vggface2', _vggface2, _read_vggface2, True),
    Reader('vggface', _vggface, _read_vggface, True),
    Reader('hollywood2', _hollywood2, _read_hollywood2, True),
    Reader(
        'tv_human_interactions', _tv,
        lambda folder, name: tv_human_interactions.read_annotation(folder / name, Ignored()), True,
    ),
    Reader('celebrities_in_action', _celebrities, _read_celebrities, True),
    Reader(
        'this_is_my', _this_is_my, lambda folder, name: this_is_my.plan(folder, Ignored()), True
    ),
    Reader('captioned_shards', _shards, _read_shards, False),
)  # fmt: skip
