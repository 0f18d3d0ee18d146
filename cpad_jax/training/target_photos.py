"""Target photos as pixels, for an image tower with visual prompts, which changes in training.

They are decoded batch by batch. Kept as pixels, those of VGGFace2 would fill 500 GB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cpad_jax.media import images
from cpad_jax.models.config import CLIPConfig


class TargetPhotos:
    """Training photos by number, at the size that a CLIP looks at.

    Args:
        photos: Records of the `identities` schema by number; `image` (JPEG) is read.
        config: Of the CLIP.
    """

    def __init__(self, photos: Sequence[Mapping[str, Any]], config: CLIPConfig):
        self._photos, self._config = photos, config

    def __call__(self, numbers: np.ndarray) -> np.ndarray:
        """Numbers int [B] → uint8 [B, S, S, 3] RGB.

        Raises:
            UserError: A picture is damaged.
        """
        pictures = [images.decode_jpeg(self._photos[int(n)]['image']) for n in numbers]
        config = self._config
        return images.squares(
            pictures, config.image_size, resize=config.resize, interpolation=config.interpolation
        )


def pixels(squares: jax.Array, config: CLIPConfig) -> jax.Array:
    """uint8 [B, S, S, 3] → float32 [B, S, S, 3], as CLIP's image tower takes them."""
    mean, std = jnp.asarray(config.mean), jnp.asarray(config.std)
    return (squares.astype(jnp.float32) / 255 - mean) / std
