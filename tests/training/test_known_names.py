import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cpad_jax.models import zoo
from cpad_jax.models.clip import CLIP
from cpad_jax.models.pretrained import PretrainedCLIP
from cpad_jax.text import training_phrases
from cpad_jax.training.feature_cache import IdentityFeatures
from cpad_jax.training.known_names import known_names

NAMES = np.array(['Orla Brandt', 'Anton Voss', 'Ada Abbott', 'Bo Lindqvist', 'Cleo Marsh'])


@pytest.fixture(scope='module')
def clip():
    config = zoo.get('testing')
    inputs = jnp.zeros((1, 32, 32, 3)), jnp.zeros((1, 8), int)
    params = jax.jit(CLIP(config).init)(jax.random.key(0), *inputs)
    return PretrainedCLIP(config, params['params'], 'a' * 64)


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
