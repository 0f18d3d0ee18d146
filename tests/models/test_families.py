"""People are learned and asked for with each way of tokenising and pooling that a CLIP may have."""

import dataclasses
import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

import cpad_jax
from cpad_jax.features.store import IdentityFeatures
from cpad_jax.models import zoo
from cpad_jax.models.clip import CLIP
from cpad_jax.models.tokenizers import TOKENIZER_FILE
from cpad_jax.models.weights import folder as weights_folder
from cpad_jax.training import identity, loop
from tests.support.train_options import USUAL
from tools import check_parity

TESTS = Path(__file__).parents[1]
NAMES = ['Ada', 'Bela', 'Clara', 'Dora']
# Model → tokenizer of the fixtures, what of the text tower belongs to it.
FAMILIES = {
    'ViT-B-32': (None, {}),
    'RN50': (None, {}),  # Attention pool.
    'ViT-B-16-SigLIP': ('unigram', {'end_token': 1}),  # Map head; last position, no mask.
    'ViT-B-16-SigLIP2': ('byte_fallback', {'end_token': 1}),
    'ViT-L-14-CLIPA': ('wordpiece', {'end_token': 3}),  # Mean of patches.
    'ViT-L-14-worldwide': ('multilingual', {'end_token': 2, 'pad_token': 1}),
}


def reduced(name):
    """A small model of the same kind whose vocabulary is that of the fixture."""
    kind, changes = FAMILIES[name]
    full, config = zoo.get(name), check_parity.reduced(zoo.get(name))
    if kind is None:
        changes = {'vocab_size': full.text.vocab_size, 'end_token': full.text.end_token}
    else:
        settings = json.loads((TESTS / 'fixtures/tokenizers/ids.json').read_text())[kind][
            'settings'
        ]
        changes = {'vocab_size': settings['vocab_size'], **changes}
    text = dataclasses.replace(config.text, context_length=64, **changes)
    return dataclasses.replace(config, text=text)


def make_config(folder):
    return ml_collections.ConfigDict({
        'seed': 0, 'dtype': 'float32', 'backbone': str(folder), 'features': {'face': 'clip'},
        'model': {'num_tokens': 1, 'adapter_width': 32, 'adapter_layers': 1, 'rank': 4,
                  'default_token': True, 'name_memory': True, 'name_width': 32},
        'train': {
            **USUAL,
            'steps': 250, 'people_per_batch': 4, 'images_per_person': 2, 'max_references': 2,
                  'learning_rate': 1e-2, 'low_rank_learning_rate': 3e-2, 'weight_decay': 0.0,
                  'warmup_steps': 5, 'name_steps': 50, 'temperature': 0.07, 'remat': False,
                  'checkpoint_every': 1000, 'log_every': 40,
                  'loss': {'identity': 1.0, 'composition': 0.1, 'composition_length': 0.0,
                           'cross_form_consistency': 0.1},
                  'forms': {'text': 1, 'image': 1, 'text_image': 1}},
    })  # fmt: skip


@pytest.mark.parametrize('name', FAMILIES)
def test_people_are_learned_and_asked_for(name, tmp_path):
    config, folder = reduced(name), tmp_path / 'clip'
    size = config.image_size
    inputs = jnp.zeros((1, size, size, 3)), jnp.full((1, 64), config.text.end_token)
    params = jax.jit(CLIP(config).init)(jax.random.key(0), *inputs)['params']
    weights_folder.save_clip(folder, config, params)
    if kind := FAMILIES[name][0]:
        shutil.copy(TESTS / f'fixtures/tokenizers/{kind}.json', folder / TOKENIZER_FILE)
    clip = cpad_jax.load_clip(folder)
    pixels = np.random.default_rng(0).integers(0, 256, (len(NAMES), size, size, 3), dtype=np.uint8)
    people = clip.encode_image(clip.preprocess(list(pixels)))  # As far apart as noise is.
    people = 5 * (people - people.mean(0)) / people.std()
    labels = np.repeat(np.arange(len(NAMES)), 3)
    rng = np.random.default_rng(1)
    seen = people[labels] + 0.1 * rng.normal(size=(len(labels), config.embed_dim))
    features = IdentityFeatures(
        faces=seen.astype(np.float16), images=seen.astype(np.float16), labels=labels,
        image_ids=np.array([f'photo {i}' for i in range(len(labels))]),
        names=np.array(NAMES), identities=np.arange(len(NAMES)),
    )  # fmt: skip
    task = identity.IdentityLearning(make_config(folder), clip, features)
    task.export(loop.run(task, task.config, tmp_path / 'run'), tmp_path / 'run' / 'model')
    model = cpad_jax.load(tmp_path / 'run')

    # Who is found by whom: by name and by photo, each of the four is nearest to itself.
    gallery = people / np.linalg.norm(people, axis=1, keepdims=True)
    default = np.stack([model.person(who).tokens for who in NAMES])
    tokens = model.tokens(people[:, None].astype('f'), np.ones((len(NAMES), 1)))
    named = model.encode_queries([f'a photo of {who} [TOK]' for who in NAMES], default)
    shown = model.encode_queries(['a photo of [TOK]'] * len(NAMES), tokens)
    for queries in (named, shown):
        assert (queries @ gallery.T).argmax(1).tolist() == [0, 1, 2, 3]

    # What else is said counts too, and without a person all is as the frozen CLIP has it.
    one, other = model.encode_queries([f'[TOK] in a {p}' for p in ('park', 'car')], tokens[:1])
    assert np.abs(one - other).max() > 1e-4
    text = 'a person in a park'
    plain = clip.encode_text(clip.tokenize([text]), normalize=True)[0]
    np.testing.assert_array_equal(model.encode_query(text), plain)
