"""No bit of an export is flipped without being noticed; folders without digests are read."""

import functools
import json

import jax
import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.methods.ce import export, model
from cpad_jax.models import catalogue, clip_pad_export, pretrained, seals
from cpad_jax.models.clip_pad_api import PersonalizedCLIP
from cpad_jax.models.person import Person
from cpad_jax.models.person_store import PersonStore
from cpad_jax.models.weights import folder as weights_folder
from tests.support import tiny_cpad

CLIP = tiny_cpad.CLIP_CONFIG
CE = model.CEConfig(clip_width=6, face_width=5, word_width=4, width=8, clusters=3, ghosts=1)
RNG = np.random.default_rng(0)


def _drawn(shapes):
    return weights_folder.unflatten(
        {name: RNG.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    )


def _save_clip(folder):
    weights_folder.save_clip(
        folder, CLIP, _drawn(weights_folder.parameter_shapes(CLIP)), dtype='float16'
    )


def _save_cpad(folder):
    params = _drawn(clip_pad_export.parameter_shapes(tiny_cpad.CONFIG, CLIP))
    saved = clip_pad_export.SavedCPAD(tiny_cpad.CONFIG, params, 'tiny', 'c' * 64, ['Zoë', 'Ann'])
    clip_pad_export.save_model(folder, saved)


def _save_ce(folder):
    tree = jax.eval_shape(functools.partial(model.init, CE), jax.random.key(0))
    shapes = {name: leaf.shape for name, leaf in weights_folder.flatten(tree).items()}
    export.save_model(folder, export.SavedCE(CE, _drawn(shapes), 'tiny', 'c' * 64, 4, 2))


FOLDERS = {
    'CLIP': (_save_clip, pretrained.load_clip),
    'CLIP-PAD': (_save_cpad, lambda folder: clip_pad_export.load_model(folder, CLIP, 'c' * 64)),
    'CE': (_save_ce, lambda folder: export.load_model(folder, 'c' * 64)),
}


def _flipped(data, place, rng):
    damaged = bytearray(data)
    damaged[place] ^= 1 << rng.integers(8)
    return bytes(damaged)


def _places(data, rng):
    """Some of the first bytes, and some of all."""
    return [*rng.integers(0, min(len(data), 900), 12), *rng.integers(0, len(data), 12)]


@pytest.mark.parametrize('kind', FOLDERS)
def test_every_flipped_bit_of_a_folder_is_refused_in_one_line(tmp_path, kind):
    save, load = FOLDERS[kind]
    save(tmp_path / 'model')
    load(tmp_path / 'model')
    rng = np.random.default_rng(1)
    for name in ('config.json', 'weights.safetensors'):
        path = tmp_path / 'model' / name
        whole = path.read_bytes()
        for place in _places(whole, rng):
            damaged = _flipped(whole, place, rng)
            path.write_bytes(damaged)
            with pytest.raises(UserError) as refused:
                load(tmp_path / 'model')
            message = str(refused.value)
            assert str(tmp_path / 'model') in message and '\n' not in message, damaged[:place]
        path.write_bytes(whole)
    load(tmp_path / 'model')


@pytest.mark.parametrize('kind', FOLDERS)
def test_a_folder_without_digests_is_read(tmp_path, kind):
    save, load = FOLDERS[kind]
    save(tmp_path / 'model')
    config = tmp_path / 'model' / 'config.json'
    config.write_text(json.dumps(seals.bare(json.loads(config.read_text()))))
    load(tmp_path / 'model')


def test_weights_of_another_folder_are_refused_and_the_file_is_named(tmp_path):
    for name in ('a', 'b'):
        _save_clip(tmp_path / name)
    other = (tmp_path / 'b' / 'weights.safetensors').read_bytes()
    (tmp_path / 'a' / 'weights.safetensors').write_bytes(other)
    with pytest.raises(UserError, match=r'a/weights.safetensors is damaged: its sha256 is '):
        pretrained.load_clip(tmp_path / 'a')
    with pytest.raises(UserError, match=r'a/weights.safetensors is damaged: its sha256 is '):
        weights_folder.stored_params(tmp_path / 'a')


def test_a_file_that_was_added_is_vouched_for(tmp_path):
    _save_clip(tmp_path)
    (tmp_path / 'tokenizer.json').write_text('{}')
    seals.add(tmp_path / 'config.json', 'tokenizer.json')
    pretrained.load_clip(tmp_path)
    (tmp_path / 'tokenizer.json').write_text('{ }')
    with pytest.raises(UserError, match='tokenizer.json is damaged'):
        pretrained.load_clip(tmp_path)
    (tmp_path / 'tokenizer.json').unlink()
    with pytest.raises(UserError, match='tokenizer.json cannot be read .No such file'):
        pretrained.load_clip(tmp_path)


def test_a_configuration_that_was_changed_says_what_to_do(tmp_path):
    _save_clip(tmp_path)
    config = tmp_path / 'config.json'
    values = json.loads(config.read_text())
    values['resize'] = 'squash'
    config.write_text(json.dumps(values))
    with pytest.raises(UserError, match='changed by hand: .* take "files" and "sha256" out of it'):
        pretrained.load_clip(tmp_path)
    config.write_text(json.dumps(seals.bare(values)))
    assert pretrained.load_clip(tmp_path).config.resize == 'squash'


@pytest.mark.parametrize('files', [{'../x': 'a'}, {'/dev/zero': 'a'}, ['x'], {'x': 3}, None])
def test_names_that_lead_elsewhere_are_refused(tmp_path, files):
    _save_clip(tmp_path)
    config = tmp_path / 'config.json'
    values = {**seals.bare(json.loads(config.read_text())), 'files': files}
    config.write_text(json.dumps(seals.digests.sealed(values)))
    with pytest.raises(UserError, match='is damaged, or was changed by hand'):
        pretrained.load_clip(tmp_path)


def test_what_ships_is_sealed():
    for folder in catalogue.SHIPPED.iterdir():
        values = json.loads((folder / 'config.json').read_text())
        assert values['files'] == {
            'weights.safetensors': seals.file_sha256(folder / 'weights.safetensors')
        }
        seals.check(folder / 'config.json', values)


def test_every_flipped_bit_of_a_person_is_refused_in_one_line(tmp_path):
    params = _drawn(clip_pad_export.parameter_shapes(tiny_cpad.CONFIG, CLIP))
    saved = clip_pad_export.SavedCPAD(tiny_cpad.CONFIG, params, 'tiny', 'c' * 64)
    clip = pretrained.CLIPModel(CLIP, _drawn(weights_folder.parameter_shapes(CLIP)), 'c' * 64)
    people = PersonStore(tmp_path, PersonalizedCLIP(clip, saved))
    tokens = RNG.normal(size=(2, 64)).astype(np.float32)
    path = people.save(Person('Anna', tokens, 'fine-tuned', 5))
    whole, rng = path.read_bytes(), np.random.default_rng(1)
    for place in rng.permutation(len(whole))[:300]:
        path.write_bytes(_flipped(whole, place, rng))
        try:
            found = people.load('Anna')
        except UserError as error:
            assert str(path) in str(error) and '\n' not in str(error)
        else:  # A space between the head and the numbers.
            assert whole[place : place + 1] == b' '
            np.testing.assert_array_equal(found.tokens, tokens)
            assert (found.name, found.form, found.num_images) == ('Anna', 'fine-tuned', 5)
    path.write_bytes(whole)
    np.testing.assert_array_equal(people.load('Anna').tokens, tokens)
