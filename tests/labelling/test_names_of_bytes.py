"""Videos, photos and folders whose names are not UTF-8, through labelling and back."""

import csv
import json
import os

import pytest

from cpad_jax.data import annotations
from cpad_jax.errors import UserError
from cpad_jax.labelling import array_cache, cast, corrections, title
from tests.support import drawn_faces, drawn_title


def run(folder, out, **changes):
    files = title.TitleFiles(
        **{
            'title': 'heat', 'source': 'movie', 'videos': (folder / 'films',),
            'cast': folder / 'cast.csv', 'exemplars': folder / 'photos',
            'subtitles': folder / 'films',
        } | changes
    )  # fmt: skip
    return title.label_title(files, drawn_faces.Detector(), drawn_title.embed, 'a', out)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A title whose films are called in Latin-1, in Shift JIS and in a folder of KOI8-R."""
    folder = tmp_path_factory.mktemp('title')
    drawn_title.write(folder)
    films = os.fsencode(folder / 'films')
    os.mkdir(films + b'/\xc6\xc9\xcc\xd8\xcd')
    for old, new in ((b'00', b'caf\xe9'), (b'02', b'\x83e'), (b'03', b'\xc6\xc9\xcc\xd8\xcd/03')):
        for ending in (b'.mp4', b'.srt'):
            os.rename(films + b'/' + old + ending, films + b'/' + new + ending)
    os.rename(folder / 'photos/ada/0.png', os.fsencode(folder / 'photos/ada') + b'/\xff.png')
    os.mkdir(os.fsencode(folder / 'photos') + b'/Zo\xeb')
    return folder


def test_tables_and_corrections_name_the_same_files(folder, tmp_path):
    out = tmp_path / os.fsdecode(b'r\xe9sultats')
    labelled = run(folder, out)
    assert labelled.rejected == () and labelled.mentions == 5
    text = (out / 'annotations.jsonl').read_bytes().decode()
    clips = {clip.clip_id: clip for clip in annotations.read(out / 'annotations.jsonl')}
    for clip in clips.values():
        assert (folder / 'films' / clip.video).is_file()
    assert {os.fsencode(clip.video) for clip in clips.values()} >= {
        b'caf\xe9.mp4', b'\x83e.mp4', b'\xc6\xc9\xcc\xd8\xcd/03.mp4',
    }  # fmt: skip
    assert [p.name for p in clips[r'caf\udce9'].people] == ['Ada Abbott', 'Bob Bell']
    assert all(json.loads(line)['clip_id'].isascii() for line in text.splitlines())
    with (out / 'tracks.csv').open(encoding='utf-8', newline='') as file:
        head, *rows = csv.reader(file)
    (wrong,) = [row for row in rows if row[0] == r'\udc83e.mp4']
    wrong[head.index('name')] = 'Eve Ely'
    with (tmp_path / 'right.csv').open('w', encoding='utf-8', newline='') as file:
        csv.writer(file).writerows([head, wrong])
    by_hand = run(folder, out, corrections=tmp_path / 'right.csv')
    assert by_hand.labels.corrected == 1 and by_hand.rejected == ()
    clips = {clip.clip_id: clip for clip in annotations.read(out / 'annotations.jsonl')}
    assert [p.name for p in clips[r'\udc83e'].people] == ['Eve Ely']


def test_two_names_of_other_bytes_are_two_files(tmp_path):
    places = {
        array_cache.cache_path(tmp_path, os.fsdecode(name))
        for name in (b'\xe9', b'\xe8', b'\xff\xe9')
    }
    assert len(places) == 3


def test_a_correction_of_no_video_is_told_with_a_name_that_can_be_copied(folder, tmp_path):
    people = cast.read_cast(folder / 'cast.csv')
    (tmp_path / 'c.csv').write_text(f'{",".join(corrections.COLUMNS)}\nx.mp4,1,0,0,1,1,,bob\n')
    (film,) = [p for p in (folder / 'films').iterdir() if os.fsencode(p).endswith(b'caf\xe9.mp4')]
    labelled = run(folder, tmp_path / 'out', videos=(film,), corrections=tmp_path / 'c.csv')
    (line,) = [line for line in labelled.rejected if 'c.csv' in line]
    assert line.endswith(r"which have names such as 'caf\\udce9.mp4'")
    assert r'caf\udce9' not in title.summary(labelled, people).replace(r'\\', '')


def test_a_title_is_text(folder, tmp_path):
    with pytest.raises(UserError, match=r"title is 'caf\\udce9', which is not valid in the"):
        run(folder, tmp_path / 'out', title=os.fsdecode(b'caf\xe9'))
    assert not (tmp_path / 'out').exists()
