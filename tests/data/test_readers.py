import dataclasses
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest

from cpad_jax.data import filming, readers, records
from cpad_jax.errors import UserError
from cpad_jax.synthetic.world import World
from cpad_jax.text.prompts import ACTIONS, PLACES


def same(a, b):
    """Whether two records are the same, arrays and all."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and (a == b).all()
    return type(a) is type(b) and a == b


def test_what_was_filmed_comes_back_unchanged(mini_world):
    paths, spec = mini_world
    clips = readers.ClipReader(paths.clips, 'test')
    filmed = list(filming.film(spec, paths.folder / 'videos', 'test', processes=1))
    assert len(clips) == len(filmed) == 8
    for number, record in enumerate(filmed):
        records.check_clip(clips[number], len(ACTIONS), len(PLACES))
        assert same(clips[number], record)
    assert {len(record['people']) for record in filmed} >= {1, 2}
    for split, count in (('train', 8), ('references', 10)):
        photos = readers.IdentityReader(paths.identities, split)
        filmed = list(filming.film(spec, paths.folder / 'videos', split, processes=1))
        assert len(photos) == len(filmed) == count
        for number, record in enumerate(filmed):
            records.check_identity(photos[number])
            assert same(photos[number], record)


def test_the_truth_is_the_plan(mini_world):
    paths, spec = mini_world
    world = World(spec)
    clips = readers.ClipReader(paths.clips, 'test')
    assert (clips.actions, clips.places) == (ACTIONS, PLACES)
    people = paths.read_people()
    for number, plan in enumerate(world.clips):
        record = clips[number]
        assert (record['clip_id'], record['place']) == (plan.clip_id, plan.place)
        assert record['title'] == world.titles[plan.title].title_id
        for person, performer in zip(record['people'], plan.performers, strict=True):
            assert tuple(person['actions']) == performer.actions
            assert person['target'] == performer.target
            entry = people[person['identity']]
            assert (entry['person_id'], entry['name']) == (person['person_id'], person['name'])
            assert entry['seen'] == (performer.person < spec.train_people)


def test_pictures_are_bytes_unless_asked_for(mini_world):
    paths, _ = mini_world
    as_bytes = readers.ClipReader(paths.clips, 'test')[0]['frames']
    as_pixels = readers.ClipReader(paths.clips, 'test', decode=True)[0]['frames']
    assert all(type(frame) is bytes for frame in as_bytes)
    assert [frame.shape for frame in as_pixels] == [(168, 224, 3)] * len(as_bytes)
    photo = readers.IdentityReader(paths.identities, 'train', decode=True)[0]['image']
    assert photo.dtype == np.uint8 and photo.shape[2] == 3


def test_readers_travel_and_count_from_both_ends(mini_world):
    paths, _ = mini_world
    clips = readers.ClipReader(paths.clips, 'test')
    copy = pickle.loads(pickle.dumps(clips))
    assert same(copy[3], clips[3])
    assert same(clips[-1], clips[7])
    assert same(clips[np.int64(2)], clips[2])
    for number in (8, -9):
        with pytest.raises(IndexError):
            clips[number]
    assert len(list(clips)) == 8


def test_reading_needs_neither_tensorflow_nor_jax(mini_world):
    paths, _ = mini_world
    script = (
        'import sys\nfrom cpad_jax.data import readers\n'
        'print(len(readers.ClipReader(sys.argv[1], "test")[0]["frames"]),'
        ' len(readers.IdentityReader(sys.argv[2], "train")[0]["name"]) > 0,'
        ' [name for name in ("tensorflow", "jax", "torch", "clu") if name in sys.modules])\n'
    )
    arguments = [sys.executable, '-c', script, str(paths.clips), str(paths.identities)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stdout == '2 True []\n'


def test_wrong_folders_splits_and_kinds(mini_world, tmp_path):
    paths, _ = mini_world
    with pytest.raises(UserError, match='no data set'):
        readers.ClipReader(tmp_path, 'test')
    with pytest.raises(UserError, match="no split 'val', only references, train"):
        readers.IdentityReader(paths.identities, 'val')
    with pytest.raises(UserError, match="no 'frames'"):
        readers.ClipReader(paths.identities, 'train')


def _refusal(folder):
    with pytest.raises(UserError) as refused:
        reader = readers.IdentityReader(folder, 'references')
        for number in range(len(reader)):
            reader[number]
    message = str(refused.value)
    assert '\n' not in message and len(message) < 400
    assert message.startswith(f'{folder}: ') and 'build it' in message
    return message


@pytest.mark.parametrize('how', ['cut', 'emptied', 'gone'])
def test_a_data_set_of_which_a_file_is_damaged_is_refused_in_one_line(mini_world, tmp_path, how):
    paths, _ = mini_world
    folder = tmp_path / '1.0.0'
    shutil.copytree(paths.identities, folder)
    for path in sorted(folder.iterdir()):
        if '-train.' in path.name or path.name == 'sha256.json' and how == 'gone':
            continue
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2] if how == 'cut' else b'')
        if how == 'gone':
            path.unlink()
        _refusal(folder)
        path.write_bytes(whole)
    assert len(readers.IdentityReader(folder, 'references')) == 10


def test_flipped_bits_of_a_data_set_are_noticed(mini_world, tmp_path):
    paths, _ = mini_world
    folder = tmp_path / '1.0.0'
    shutil.copytree(paths.identities, folder)
    names = ('features.json', 'dataset_info.json', 'metadata.json', 'identity.labels.txt')
    rng = np.random.default_rng(0)
    for name in names:
        path = folder / name
        whole = bytearray(path.read_bytes())
        for place in rng.integers(0, len(whole), 5):
            damaged = whole.copy()
            damaged[place] ^= 1 << rng.integers(8)
            path.write_bytes(damaged)
            assert f'{name} is not what was written' in _refusal(folder)
        path.write_bytes(whole)
    # The records have checksums of their own.
    reader = readers.IdentityReader(folder, 'references')
    photos = [reader[number]['image'] for number in range(len(reader))]
    (path,) = folder.glob('*-references.array_record*')
    whole = bytearray(path.read_bytes())
    noticed = 0
    for place in rng.choice(np.flatnonzero(np.frombuffer(whole, np.uint8)), 10):
        damaged = whole.copy()
        damaged[place] ^= 1
        path.write_bytes(damaged)
        try:
            reader = readers.IdentityReader(folder, 'references')
            assert [reader[number]['image'] for number in range(len(reader))] == photos
        except UserError as error:
            assert 'this data set is damaged (record ' in str(error)
            noticed += 1
    assert noticed >= 5


def test_a_data_set_from_before_there_were_digests_is_read(mini_world, tmp_path):
    paths, _ = mini_world
    shutil.copytree(paths.identities, tmp_path / '1.0.0')
    (tmp_path / '1.0.0' / 'sha256.json').unlink()
    assert len(readers.IdentityReader(tmp_path / '1.0.0', 'references')) == 10


@pytest.mark.parametrize('text', ['', '[{"person_id": "n1"}]', '[3]', '{', '[{"name": '])
def test_a_damaged_table_of_people_is_refused_in_one_line(mini_world, tmp_path, text):
    paths, _ = mini_world
    table = tmp_path / 'people.json'
    table.write_text(text)
    with pytest.raises(UserError, match=f'^{table} is damaged'):
        dataclasses.replace(paths, people=table).read_people()
