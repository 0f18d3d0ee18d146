"""A CLIP-PAD with random weights that answers at once."""

import jax
import jax.numpy as jnp
import numpy as np

from cpad_jax.models import clip_pad, clip_pad_export, zoo
from cpad_jax.models.clip import CLIP
from cpad_jax.models.clip_pad_api import CLIPModel, PersonalizedCLIP

CLIP_CONFIG = zoo.get('testing')
CONFIG = clip_pad.CPADConfig('clip', 32, num_tokens=2, adapter_width=16, rank=3, token_norm=0.5)


def randomise(params, seed):
    """All parameters of a tree moved a little, so that none is zero."""
    leaves, tree = jax.tree.flatten(params)
    rng = np.random.default_rng(seed)
    drawn = [np.asarray(x + 0.1 * rng.normal(size=np.shape(x)), np.float32) for x in leaves]
    return jax.tree.unflatten(tree, drawn)


def make(seed=1, background=True):
    """A model; the seed is of what is learned beside CLIP, which is always the same."""
    inputs = jnp.zeros((1, 32, 32, 3)), jnp.zeros((1, 8), int)
    clip = jax.jit(CLIP(CLIP_CONFIG).init)(jax.random.key(0), *inputs)['params']
    model = clip_pad.CPAD(CONFIG, CLIP_CONFIG)
    params = jax.jit(model.init)(jax.random.key(1), jnp.ones((1, 1, 32)), jnp.ones((1, 1)))
    others = np.random.default_rng(3).normal(size=(40, 32)).astype(np.float32)
    saved = clip_pad_export.SavedCPAD(
        CONFIG, randomise(params['params'], seed), 'tiny', 'c' * 64, ['Orla Brandt'],
        background=others if background else None,
    )  # fmt: skip
    return PersonalizedCLIP(CLIPModel(CLIP_CONFIG, randomise(clip, 0), 'c' * 64), saved)
