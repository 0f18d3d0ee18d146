"""Visual prompts: a few learned tokens among the patches of a frozen image tower.

Jia et al. 2022, "Visual Prompt Tuning", their shallow variant: the prompts enter once, before the
first block. A tower is prompted by one more parameter in its tree, and by nothing else; the tree of
a tower without prompts is that of a plain CLIP.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax

from cpad_jax.errors import UserError
from cpad_jax.models.config import CLIPConfig, ViTConfig

NAME = 'visual_prompts'


def check(count: int, config: CLIPConfig) -> None:
    """Makes sure that a CLIP's image tower can be prompted so.

    Args:
        count: Number of prompts; 0 for none, which every tower can.
        config: Of the CLIP.

    Raises:
        UserError: The number is negative, or there are prompts and no vision transformer.
    """
    if count < 0:
        raise UserError(f'config.model.visual_prompts is {count}, expected 0 or more')
    if count and not isinstance(config.vision, ViTConfig):
        raise UserError(
            f'config.model.visual_prompts is {count}, but the image tower of {config.name} is no '
            'vision transformer: set it to 0, or choose another backbone'
        )


def initial(key: jax.Array, count: int, config: CLIPConfig) -> jax.Array:
    """Prompts before training, as large as freshly drawn patch embeddings.

    Args:
        key: JAX random key.
        count: n, their number, > 0.
        config: Of the CLIP.

    Returns:
        float32 [n, w], uniform within ±√(6 / (3·p² + w)) for patches of p pixels, as in Jia et al.

    Raises:
        UserError: The image tower is no vision transformer.
    """
    check(count, config)
    vision = config.vision
    most = (6 / (3 * vision.patch_size**2 + vision.width)) ** 0.5
    return jax.random.uniform(key, (count, vision.width), minval=-most, maxval=most)


def into(params: Mapping[str, Any], prompts: Any) -> dict[str, Any]:
    """CLIP's parameters with the image tower prompted.

    Args:
        params: Of a CLIP; not changed.
        prompts: float [n, w].

    Returns:
        A tree that shares all but the prompts with `params`.
    """
    return {**params, 'visual': {**params['visual'], NAME: prompts}}
