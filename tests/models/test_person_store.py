import dataclasses

import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.models.clip_pad_api import PersonalizedCLIP
from cpad_jax.models.person import Person
from cpad_jax.models.person_store import PersonStore
from cpad_jax.models.weights import safetensors
from tests.support import tiny_cpad

RNG = np.random.default_rng(0)
TOKENS = RNG.normal(size=(2, 64)).astype(np.float32)
UPDATE = {
    'resblocks.1': {
        'value': {
            'a': RNG.normal(size=(64, 1)).astype(np.float32),
            'b': RNG.normal(size=(1, 64)).astype(np.float32),
        }
    }
}
ANNA = Person('Anna', TOKENS, 'fine-tuned', 5, update=UPDATE)


@pytest.fixture(scope='module')
def model():
    return tiny_cpad.make()


@pytest.fixture
def people(model, tmp_path):
    return PersonStore(tmp_path / 'people', model)


def test_there_and_back(people, model):
    path = people.save(ANNA)
    assert path.name == 'Anna.safetensors' and path.stat().st_size < 4000
    found = people.load('Anna')
    assert (found.name, found.form, found.num_images) == ('Anna', 'fine-tuned', 5)
    text = '[TOK] in a park'
    np.testing.assert_array_equal(model.encode_query(text, found), model.encode_query(text, ANNA))
    without = dataclasses.replace(ANNA, update=None)
    assert np.abs(model.encode_query(text, without) - model.encode_query(text, ANNA)).max() > 1e-4
    people.save(without)
    assert people.load('Anna').update is None


def test_listed_and_deleted(people):
    assert people.names() == []
    for name in ('Zoë', 'Anna'):
        people.save(dataclasses.replace(ANNA, name=name))
    assert people.names() == ['Anna', 'Zoë']
    people.delete('Anna')
    assert people.names() == ['Zoë']
    assert [path.name for path in people.folder.iterdir()] == ['Zo%C3%AB.safetensors']
    for do in (people.delete, people.load):
        with pytest.raises(UserError, match="there is no 'Anna' in .*: there are Zoë"):
            do('Anna')


@pytest.mark.parametrize('name', ['../Anna', '/etc/Anna', '..', '.', 'a\\b', 'a\x00b', '.partial'])
def test_no_name_leads_out_of_the_folder(people, name):
    path = people.save(dataclasses.replace(ANNA, name=name))
    assert path.parent == people.folder and path.resolve().parent == people.folder.resolve()
    assert people.names() == [name] and people.load(name).name == name


@pytest.mark.parametrize('name', [None, '', ' ', 'x' * 300])
def test_no_name_no_file(people, name):
    with pytest.raises(UserError, match='cannot name the file of a person'):
        people.save(dataclasses.replace(ANNA, name=name))


def test_another_model_is_refused(people, model):
    people.save(ANNA)
    with pytest.raises(UserError, match='made with another model, of sha256') as error:
        PersonStore(people.folder, tiny_cpad.make(seed=2)).load('Anna')
    assert '\n' not in str(error.value)
    saved = dataclasses.replace(model.saved, backbone_sha256='d' * 64)
    with pytest.raises(UserError, match='made with another backbone, of sha256 cccc'):
        PersonStore(people.folder, PersonalizedCLIP(model.clip, saved)).load('Anna')
    # The same model loaded again is the same model.
    assert PersonStore(people.folder, tiny_cpad.make()).load('Anna').num_images == 5


def write(people, arrays=None, **notes):
    """Anna's file with something else in it."""
    path = people.save(ANNA)
    there, own = safetensors.read_with_notes(path)
    arrays = {**{name: np.array(a) for name, a in there.items()}, **(arrays or {})}
    stored = {name: safetensors.Stored(a) for name, a in arrays.items() if a is not None}
    safetensors.write(path, stored, {**own, **notes})


@pytest.mark.parametrize(
    ('arrays', 'notes', 'words'),
    [
        ({}, {'kind': 'cake'}, 'is no file of a person'),
        ({}, {'form': 'cake'}, "form is 'cake' and num_images '5'"),
        ({}, {'num_images': '-1'}, "num_images '-1'"),
        ({'tokens': None}, {}, 'missing tokens'),
        ({'tokens': TOKENS[:1]}, {}, r'tokens is \[1, 64\], expected \[2, 64\]'),
        ({'tokens': TOKENS * np.nan}, {}, 'tokens is not of finite float32'),
        ({'tokens': TOKENS.astype(np.float64)}, {}, 'tokens is not of finite float32'),
        ({'more': TOKENS}, {}, 'unexpected more'),
        ({'update/resblocks.1/value/b': None}, {}, 'missing update/resblocks.1/value/b'),
        ({'update/resblocks.9/value/a': TOKENS}, {}, 'unexpected update'),
        ({'update/resblocks.1/value/b': TOKENS}, {}, r'b is \[2, 64\], expected \[1, 64\]'),
    ],
)
def test_damaged_files_are_refused(people, arrays, notes, words):
    write(people, arrays, **notes)
    with pytest.raises(UserError, match=words):
        people.load('Anna')


def test_a_file_cut_short(people):
    path = people.save(ANNA)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(UserError, match='not a whole safetensors file'):
        people.load('Anna')


def test_people_are_found_however_they_are_spelt(people):
    for name in ('Zoë', 'Bo Hale', 'BO HALE'):
        people.save(dataclasses.replace(ANNA, name=name))
    assert [people.load(name).name for name in ('Zoe\u0308', 'zoe', 'BO HALE')] == [
        'Zoë', 'Zoë', 'BO HALE',
    ]  # fmt: skip
    with pytest.raises(UserError, match="there is no 'bo hale' in"):
        people.load('bo hale')  # Either of two.
    with pytest.raises(UserError, match="there is no 'zoe' in .*: there are BO HALE, Bo Hale, Zoë"):
        people.delete('zoe')
