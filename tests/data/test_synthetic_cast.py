import dataclasses
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cpad_jax import companions, locks
from cpad_jax.data import build, built_dataset, filming, synthetic_cast
from cpad_jax.errors import UserError
from cpad_jax.media import images, video
from cpad_jax.synthetic import render
from cpad_jax.synthetic.world import WorldSpec
from cpad_jax.training import configs


def digests(folder):
    """sha256 of every video, truth and record file of a data set."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob('*'))
        if path.suffix in ('.mp4', '.json')
        and 'videos' in path.parts
        or '.array_record' in path.name
    }


def test_files_are_where_they_are_said_to_be(mini_world):
    paths, spec = mini_world
    names = {path.name for path in paths.folder.iterdir() if not path.name.startswith('.')}
    assert names == {'identities', 'clips', 'videos', 'people.json', 'world.json'}
    assert [path.name for path in paths.folder.parent.iterdir()] == ['synthetic_cast']
    assert (paths.version, paths.fingerprint) == ('1.0.0', spec.fingerprint())
    videos = sorted((paths.folder / 'videos').rglob('*.mp4'))
    assert [path.parent.name for path in videos] == ['movie001'] * 4 + ['show002'] * 4
    assert {video.probe(path).frames for path in videos} == {5}
    people = paths.read_people()
    assert [person['identity'] for person in people] == list(range(6))
    assert [person['seen'] for person in people] == [True] * 4 + [False] * 2
    assert {person['gender'] for person in people} <= {'woman', 'man'}
    assert json.loads((paths.folder / 'world.json').read_text())['spec']['seed'] == 3


def test_a_world_that_is_there_is_used_again(mini_world, monkeypatch):
    paths, spec = mini_world
    monkeypatch.setattr(
        built_dataset, 'download_and_prepare', lambda *_: pytest.fail('built again')
    )
    assert synthetic_cast.ensure_synthetic_cast(paths.folder.parent, spec) == paths


def test_another_world_is_refused(mini_world):
    paths, spec = mini_world
    before = digests(paths.folder)
    other = dataclasses.replace(spec, seed=4, movies=2)
    with pytest.raises(UserError, match='seed is 3 there and 4 here; movies is 1 there and 2 here'):
        synthetic_cast.ensure_synthetic_cast(paths.folder.parent, other)
    assert digests(paths.folder) == before


def test_another_renderer_and_a_strange_file_are_refused(mini_spec, tmp_path):
    synthetic_cast.claim_world(tmp_path, mini_spec)
    described = json.loads((tmp_path / 'world.json').read_text())
    described.update(renderer=0, fingerprint='old')
    (tmp_path / 'world.json').write_text(json.dumps(described))
    with pytest.raises(UserError, match='drawn by version 0'):
        synthetic_cast.claim_world(tmp_path, mini_spec)
    (tmp_path / 'world.json').write_text('{}')
    with pytest.raises(UserError, match='not the description'):
        synthetic_cast.claim_world(tmp_path, mini_spec)


def test_the_number_of_processes_does_not_matter(mini_world, tmp_path):
    paths, spec = mini_world
    for split in ('test', 'train'):
        alone = list(filming.film(spec, paths.folder / 'videos', split, processes=1))
        together = list(filming.film(spec, tmp_path, split, processes=2))
        assert repr(alone) == repr(together)
    ours = {path.name: path.read_bytes() for path in (paths.folder / 'videos').rglob('*.*')}
    assert {path.name: path.read_bytes() for path in tmp_path.rglob('*.*')} == ours
    assert len(ours) == 16


def test_an_interrupted_build_goes_on(mini_world, tmp_path, monkeypatch):
    paths, spec = mini_world
    whole = render.render_clip
    filmed = []

    def breaks(world, plan):
        if len(filmed) == 3:
            raise KeyboardInterrupt
        filmed.append(plan.clip_id)
        return whole(world, plan)

    monkeypatch.setattr(render, 'render_clip', breaks)
    with pytest.raises(KeyboardInterrupt):
        synthetic_cast.ensure_synthetic_cast(tmp_path, spec, processes=1)
    folder = tmp_path / 'synthetic_cast'
    assert not (folder / 'clips' / '1.0.0').exists()
    assert len(list(folder.rglob('*.mp4'))) == 3
    with pytest.raises(UserError, match='was not finished'):
        build.locate({'name': 'synthetic_cast', 'dir': str(tmp_path), **CONFIG}, tmp_path)

    # A video without its tracks was not finished: it is filmed again.
    next(folder.rglob('movie001_0002.json')).unlink()
    # So is one that is not what was written.
    damaged = next(folder.rglob('movie001_0003.mp4'))
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    filmed.clear()
    monkeypatch.setattr(
        render, 'render_clip', lambda world, plan: filmed.append(plan.clip_id) or whole(world, plan)
    )
    again = synthetic_cast.ensure_synthetic_cast(tmp_path, spec, processes=1)
    assert filmed == [f'movie001_000{n}' for n in (2, 3, 4)] + [
        f'show002_000{n}' for n in range(1, 5)
    ]
    assert digests(again.folder) == digests(paths.folder)


def test_a_kill_leaves_no_half_data_set_and_no_process(mini_spec, tmp_path):
    script = (
        'import json, sys\nfrom cpad_jax.data import filming\n'
        'from cpad_jax.synthetic.world import WorldSpec\n'
        'if __name__ == "__main__":\n'
        '    spec = WorldSpec(**json.loads(sys.argv[2]))\n'
        '    for record in filming.film(spec, sys.argv[1], "test", 2):\n'
        '        print(record["clip_id"], flush=True)\n'
    )
    spec = json.dumps({**dataclasses.asdict(mini_spec), 'clips_per_title': 500})
    (tmp_path / 'run.py').write_text(script)
    child = subprocess.Popen(
        [sys.executable, str(tmp_path / 'run.py'), str(tmp_path / 'videos'), spec],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**os.environ, 'PYTHONPATH': str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert child.stdout.readline() == 'movie001_0001\n'
    child.send_signal(signal.SIGKILL)
    # The workers hold the pipe as well: it ends when all of them have.
    child.communicate(timeout=60)
    assert 1 <= len(list((tmp_path / 'videos').rglob('*.json'))) < 100
    for truth in (tmp_path / 'videos').rglob('*.json'):
        assert video.probe(truth.with_suffix('.mp4')).frames == 5


def test_what_goes_wrong_in_a_worker_is_said_in_one_line(mini_spec, tmp_path):
    # Faces for everybody, but one picture is none: the worker finds out, the user is told.
    for person in range(6):
        folder = tmp_path / 'faces' / f'n{person:06}'
        folder.mkdir(parents=True)
        for number in range(4):
            picture = images.encode_jpeg(np.full((32, 32, 3), 90, np.uint8))
            (folder / f'{number:04}_01.jpg').write_bytes(b'none' if person == 2 else picture)
    spec = dataclasses.replace(mini_spec, faces_dir=str(tmp_path / 'faces'))
    with pytest.raises(UserError, match=r'n000002.000._01\.jpg: ') as raised:
        synthetic_cast.ensure_synthetic_cast(tmp_path / 'data', spec, processes=2)
    assert '\n' not in str(raised.value)
    assert not list((tmp_path / 'data').rglob('1.0.0'))


def test_a_folder_without_faces_is_said_before_a_world_is_claimed(mini_spec, tmp_path):
    spec = dataclasses.replace(mini_spec, faces_dir=str(tmp_path))
    with pytest.raises(UserError, match='no subfolder with 4 or more .jpg files'):
        synthetic_cast.ensure_synthetic_cast(tmp_path / 'data', spec)
    assert not (tmp_path / 'data').exists()


CONFIG = {
    'world_seed': 3, 'movies': 1, 'shows': 1, 'clips_per_title': 4, 'cast_size': 3,
    'seen_people': 4, 'cast_seen': 3, 'unseen_people': 2, 'photos_per_person': (2,),
    'reference_photos': 2, 'seconds': 0.5, 'faces_dir': '',
}  # fmt: skip


def test_a_configuration_finds_its_data(mini_world, tmp_path):
    paths, spec = mini_world
    data = {'name': 'synthetic_cast', 'dir': str(paths.folder.parent), **CONFIG}
    assert synthetic_cast.world_spec(data) == spec
    assert build.locate(data, tmp_path) == build.ensure(data, tmp_path) == paths
    with pytest.raises(UserError, match=r'data.synthetic_cast.*is not there'):
        build.locate({**data, 'dir': ''}, tmp_path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="'vggface9', expected one of synthetic_cast, "):
        build.ensure({**data, 'name': 'vggface9'}, tmp_path)


def test_every_part_of_the_world_can_be_configured():
    file = Path(__file__).parents[2] / 'configs' / 'quickstart.py'
    data = configs.load(str(file)).data
    changed = {key: value + 1 if isinstance(value, int) else value for key, value in data.items()}
    changed.update(
        seconds=9.0,
        faces_dir='x',
        people_per_shot=(30, 40, 30),
        photos_per_person=(1, 2),
        places_per_title=(2, 3),
    )
    spec, default = synthetic_cast.world_spec(changed), WorldSpec()
    same = [f.name for f in dataclasses.fields(spec)
            if getattr(spec, f.name) == getattr(default, f.name)]  # fmt: skip
    assert same == []
    assert synthetic_cast.world_spec(data) == default


def test_without_its_builder_a_data_set_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(companions, '_PACKAGE', tmp_path / 'site-packages/cpad_jax')
    with pytest.raises(UserError, match=r'the code that builds synthetic_cast.*clone the repo'):
        built_dataset.builder_module('synthetic_cast')


def test_workers_load_neither_tensorflow_nor_jax():
    script = (
        'import sys\nfrom cpad_jax.data import build, filming\n'
        'print([n for n in ("tensorflow", "tensorflow_datasets", "jax", "torch") '
        'if n in sys.modules])'
    )
    done = subprocess.run(
        [sys.executable, '-c', script], capture_output=True, text=True, check=True
    )
    assert done.stdout == '[]\n'


def test_one_process_draws_into_a_folder_and_sweeps_what_a_killed_one_left(tmp_path, monkeypatch):
    spec, built = WorldSpec(), []
    left = tmp_path / 'synthetic_cast' / 'clips' / 'incomplete.AB12CD_1.0.0'
    notes = left.with_name('incomplete.notes')
    for folder in (left, notes):
        folder.mkdir(parents=True)
    monkeypatch.setattr(built_dataset, 'open_builder', lambda name, part, *_: part)
    monkeypatch.setattr(built_dataset, 'download_and_prepare', built.append)
    at_work = locks.try_lock(tmp_path / 'synthetic_cast')
    with pytest.raises(UserError, match=f'{tmp_path}/synthetic_cast: another process draws this'):
        synthetic_cast.ensure_synthetic_cast(tmp_path, spec)
    assert not built and left.is_dir()
    assert not (tmp_path / 'synthetic_cast' / 'world.json').exists()
    os.close(at_work)
    synthetic_cast.ensure_synthetic_cast(tmp_path, spec)
    assert built == ['identities', 'clips'] and notes.is_dir() and not left.exists()


def test_a_world_that_is_finished_is_used_while_another_process_has_its_folder(mini_world):
    paths, spec = mini_world
    at_work = locks.try_lock(paths.folder)
    try:
        assert synthetic_cast.ensure_synthetic_cast(paths.folder.parent, spec) == paths
    finally:
        os.close(at_work)


@pytest.mark.parametrize('before,after', [('"seen": true', '"seen": false'), ('a', 'e'), (']', '')])
def test_a_changed_table_of_people_is_noticed_and_written_again(
    mini_world, tmp_path, before, after
):
    paths, spec = mini_world
    shutil.copytree(paths.folder, tmp_path / 'synthetic_cast')
    table = tmp_path / 'synthetic_cast' / 'people.json'
    whole = table.read_text()
    start, _, end = whole.rpartition(before)
    table.write_text(start + after + end)
    with pytest.raises(UserError, match=f'^{table} is damaged'):
        synthetic_cast.locate_synthetic_cast(tmp_path, spec)
    synthetic_cast.ensure_synthetic_cast(tmp_path, spec)
    assert table.read_text() == whole
