import dataclasses

import pytest

from cpad_jax.data import synthetic_cast
from cpad_jax.data.synthetic_season import ensure_season
from cpad_jax.errors import UserError
from cpad_jax.synthetic import people, real_faces, render
from cpad_jax.synthetic.season import SeasonSpec
from cpad_jax.synthetic.world import World, WorldSpec


def add_people(folder, numbers, ending='.jpg'):
    """A subfolder with four pictures for each; the pictures are empty files."""
    for number in numbers:
        person = folder / f'n{number + 1:06d}'
        person.mkdir(parents=True)
        for picture in range(4):
            (person / f'{picture + 1:04d}_01{ending}').touch()


@pytest.fixture(scope='module')
def faces(tmp_path_factory):
    """610 people, fewer than the default world has."""
    folder = tmp_path_factory.mktemp('faces')
    add_people(folder, range(610))
    return folder


def assigned(spec):
    """Person number → file of the face in their first clip photo, as the renderer picks it."""
    world = World(spec)
    bank = real_faces.FaceBank(spec.faces_dir)
    unseen = [person for person in world.cast if person >= people.UNSEEN_OFFSET]
    indices = bank.assign(spec.train_people, unseen)
    assert set(indices) == {person.index for person in world.people}
    return {person: bank.people[index][0].parent.name for person, index in indices.items()}


def test_too_few_people_for_the_default_world_are_refused_before_any_work(faces, tmp_path):
    spec = WorldSpec(faces_dir=str(faces))
    message = (
        r'faces_dir has 610 people with 4 or more pictures, but the world needs 680, a subfolder '
        r'each \(600 seen_people, 80 unseen_people\): lower seen_people or unseen_people'
    )
    with pytest.raises(UserError, match=message):
        synthetic_cast.ensure_synthetic_cast(tmp_path / 'data', spec, processes=1)
    assert not (tmp_path / 'data').exists()
    spec = dataclasses.replace(spec, movies=3, shows=0)  # The people are the same.
    with pytest.raises(UserError, match=message):
        render.head_artist(World(spec), 'train')
    with pytest.raises(UserError, match=message):
        ensure_season(tmp_path / 'season', SeasonSpec(spec), processes=1)
    assert not list(tmp_path.rglob('*.mp4'))


@pytest.mark.parametrize('seed', [0, 1, 7])
def test_no_subfolder_is_used_for_two_people_of_the_default_world(faces, seed):
    # 530 and 80 of 610: as few as will do.
    spec = WorldSpec(seed=seed, movies=3, shows=0, train_people=530, faces_dir=str(faces))
    folders = assigned(spec)
    assert len(folders) == len(set(folders.values())) == 610
    # The seen people have those of their numbers, in every world.
    assert [folders[person] for person in range(530)] == [f'n{i + 1:06d}' for i in range(530)]


def test_with_enough_faces_an_unseen_person_has_the_same_one_in_every_world(faces):
    spec = WorldSpec(movies=3, shows=0, train_people=290, faces_dir=str(faces))
    worlds = [assigned(dataclasses.replace(spec, seed=seed)) for seed in range(4)]
    everywhere = {}
    for folders in worlds:
        assert len(set(folders.values())) == len(folders) == 370
        for person, folder in folders.items():
            assert everywhere.setdefault(person, folder) == folder
    assert len(set(everywhere.values())) == len(everywhere) > 500


@pytest.mark.parametrize(
    ('available', 'seen', 'unseen', 'expected'),
    [
        (8, 3, [1, 4], [6, 3]),  # Counted from the end.
        (8, 3, [1, 6], [6, 5]),  # 6 is 1 modulo 5: it takes the next one.
        (5, 3, [0, 320], [4, 3]),
        (5, 3, [8, 4], [3, 4]),  # 4 comes first, whatever the order.
        (5, 3, [4, 8], [4, 3]),
        (3, 3, [], []),
    ],
)
def test_unseen_people_get_the_remaining_subfolders(tmp_path, available, seen, unseen, expected):
    add_people(tmp_path, range(available))
    bank = real_faces.FaceBank(str(tmp_path))
    indices = bank.assign(seen, [people.UNSEEN_OFFSET + number for number in unseen])
    assert [indices[person] for person in range(seen)] == list(range(seen))
    assert [indices[people.UNSEEN_OFFSET + number] for number in unseen] == expected


def test_a_link_to_another_subfolder_is_no_further_person(tmp_path):
    add_people(tmp_path, range(2))
    (tmp_path / 'n000009').symlink_to(tmp_path / 'n000001', target_is_directory=True)
    add_people(tmp_path, [4], '.PNG')
    (tmp_path / 'n000007').mkdir()
    bank = real_faces.FaceBank(str(tmp_path))
    assert [files[0].parent.name for files in bank.people] == ['n000001', 'n000002', 'n000005']
    with pytest.raises(UserError, match='has 3 people with 4 or more pictures, .* needs 4, '):
        bank.assign(3, [people.UNSEEN_OFFSET])


def test_another_assignment_of_faces_is_another_world(faces, monkeypatch, tmp_path):
    spec = WorldSpec(train_people=300, faces_dir=str(faces))
    plain = dataclasses.replace(spec, faces_dir='')
    synthetic_cast.claim_world(tmp_path, spec)
    before = spec.fingerprint(), plain.fingerprint()
    monkeypatch.setattr('cpad_jax.synthetic.world._FACES_VERSION', 1)
    assert spec.fingerprint() != before[0] and plain.fingerprint() == before[1]
    with pytest.raises(UserError, match=r'another world is there \(its people were given other f'):
        synthetic_cast.claim_world(tmp_path, spec)
