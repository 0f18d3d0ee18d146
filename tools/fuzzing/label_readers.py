"""Readers of lists that people write, and of what labelling keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from cpad_jax.data import annotations as data_annotations
from cpad_jax.features import array_store
from cpad_jax.labelling import array_cache, cast, corrections, exemplars
from tests.support import clip_archives
from tools.fuzzing.reader import Reader, below

_CAST = (
    'character,person_id,name\nAnna,n1,"Bergman, Ingrid"\n"Rick, the ""boss""",n2,Humphrey Bogart\n'
)
_KEY = '[2, "n1", "feature"]'


def _cast(folder: Path) -> list[str]:
    (folder / 'cast.csv').write_text(_CAST)
    (folder / 'names.csv').write_text('person_id,name\nn1,Zoë Saldaña\nn2,"Bogart, Humphrey"\n')
    return below(folder, '*')


def _corrections(folder: Path) -> list[str]:
    (folder / 'names.csv').write_text('person_id,name\nn1,Ann\nn2,Bob\n')
    (folder / 'corrections.csv').write_text(
        'video,time,ymin,xmin,ymax,xmax,scope,name\n'
        'a.mp4,1.5,0,0.1,0.2,0.3,track,Ann\n"a, b.mp4",0,0,0,1,1,,not n2\n'
    )
    return ['corrections.csv']


def _read_corrections(folder: Path, name: str) -> None:
    corrections.read_corrections(folder / name, cast.read_cast(folder / 'names.csv'))


def _annotations(folder: Path) -> list[str]:
    clip_archives.write_table(folder / 'a.jsonl', clip_archives.CELEBRITIES)
    return ['a.jsonl']


def _exemplars(folder: Path) -> list[str]:
    for person in ('n000001', 'n000002'):
        (folder / 'train' / person).mkdir(parents=True)
        Image.new('RGB', (8, 8)).save(folder / 'train' / person / '0001_01.jpg')
    (folder / 'identity_meta.csv').write_text(
        'Class_ID, Name, Sample_Num, Flag, Gender\nn000001, "Ann",1,1, f,\n'
        'n000002," ""A_Fine_Frenzy""",315,1, f\n'
    )
    return ['identity_meta.csv']


def _read_exemplars(folder: Path, name: str) -> None:
    exemplars.find_photos(folder, [cast.CastMember('p1', 'Ann')])


def _array_cache(folder: Path) -> list[str]:
    arrays = {'features': np.eye(4, dtype=np.float32), 'aside': np.array(['a', 'bc'])}
    array_cache.write(folder / 'a.npz', _KEY, arrays)
    array_store.write(folder / 'b.npz', {'features': np.eye(9, dtype=np.float32)})
    return below(folder, '*')


def _read_array_cache(folder: Path, name: str) -> None:
    array_cache.read(folder / name, _KEY)
    array_store.read(folder / name)


READERS = (
    Reader('cast_lists', _cast, lambda folder, name: cast.read_cast(folder / name), True),
    Reader('corrections', _corrections, _read_corrections, True),
    Reader(
        'annotations',
        _annotations,
        lambda folder, name: list(data_annotations.read(folder / name)),
        True,
    ),
    Reader('exemplars', _exemplars, _read_exemplars, True),
    Reader('array_cache', _array_cache, _read_array_cache, False),
)
