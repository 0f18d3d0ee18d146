import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cpad_jax.features.store import IdentityFeatures
from cpad_jax.models import zoo
from cpad_jax.models.clip import CLIP
from cpad_jax.models.pretrained import CLIPModel
from cpad_jax.text import training_phrases
from cpad_jax.training.known_names import known_names

NAMES = np.array(['Orla Brandt', 'Anton Voss', 'Ada Abbott', 'Bo Lindqvist', 'Cleo Marsh'])


@pytest.fixture(scope='module')
def clip():
    config = zoo.get('testing')
    inputs = jnp.zeros((1, 32, 32, 3)), jnp.zeros((1, 8), int)
    params = jax.jit(CLIP(config).init)(jax.random.key(0), *inputs)
    return CLIPModel(config, params['params'], 'a' * 64)


class Says:
    """Stands for a CLIP: embeds texts as it is told."""

    def __init__(self, said):
        self._said = said
        self.config = types.SimpleNamespace(embed_dim=said.shape[1])
        self.tokenizer = types.SimpleNamespace(
            can_cut=False, tokenize=lambda texts, cut: np.arange(len(texts))
        )

    def encode_text(self, ids, normalize):
        assert normalize
        return self._said[ids] / np.linalg.norm(self._said[ids], axis=1, keepdims=True)


def features_of(photos, labels, names):
    return IdentityFeatures(
        faces=np.zeros((len(photos), 4), np.float16), images=np.asarray(photos, np.float32),
        labels=np.asarray(labels), image_ids=np.arange(len(photos)).astype(str),
        names=np.asarray(names), identities=np.arange(len(names)),
    )  # fmt: skip


def test_what_all_names_and_all_photos_share_does_not_count():
    """Each name says what its bearer's photos show, and much that every name or photo does."""
    rng = np.random.default_rng(1865)
    own = rng.normal(size=(6, 3))
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    of_photos, of_names = rng.normal(size=(2, 3))
    photos, said = of_photos + own / 2, of_names + own / 2
    found = known_names(Says(said), features_of(photos, range(6), list('ABCDEF')))
    # With the mean of the photos, of the names or of both left in, three names at most are right.
    assert found.tolist() == [True] * 6


@pytest.mark.parametrize('people,known', [(1, False), (2, False), (3, True)])
def test_one_or_two_people_say_nothing_of_their_names(people, known):
    own = np.eye(3)[:people]
    found = known_names(Says(own), features_of(own, range(people), list('ABC')[:people]))
    assert found.tolist() == [known] * people


def test_a_name_is_known_if_its_photos_are_what_it_says(clip):
    texts = [training_phrases.BASE.format(name) for name in NAMES]
    said = clip.encode_text(clip.tokenize(texts), normalize=True)
    noise = 0.01 * np.random.default_rng(0).normal(size=(3 * 5, said.shape[1]))
    # The last two are taken for each other.
    shown = np.repeat(said[[0, 1, 2, 4, 3]], 3, axis=0)
    spread = np.linalg.norm(said - said.mean(0), axis=1).mean()
    labels = np.repeat(np.arange(5), 3)
    order = np.random.default_rng(1).permutation(15)
    features = IdentityFeatures(
        faces=np.zeros((15, 4), np.float16),
        images=(shown + spread * noise)[order].astype(np.float32),
        labels=labels[order], image_ids=np.arange(15).astype(str), names=NAMES,
        identities=np.arange(5),
    )  # fmt: skip
    np.testing.assert_array_equal(known_names(clip, features), [True, True, True, False, False])
