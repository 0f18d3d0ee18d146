"""The table of configurations: every CLIP that can be named."""

from __future__ import annotations

import difflib

from cpad_jax.errors import UserError
from cpad_jax.models.clip import CLIPConfig

_B_32 = dict(
    embed_dim=512,
    image_size=224,
    patch_size=32,
    vision_width=768,
    vision_layers=12,
    vision_heads=12,
    text_width=512,
    text_layers=12,
    text_heads=8,
)
_B_16 = _B_32 | dict(patch_size=16)
_L_14 = dict(
    embed_dim=768,
    image_size=224,
    patch_size=14,
    vision_width=1024,
    vision_layers=24,
    vision_heads=16,
    text_width=768,
    text_layers=12,
    text_heads=12,
)
# Trained here on drawn worlds, so that everything works without a download: as large as two CPU
# cores can train in an hour or two.
_CAST_16 = dict(
    embed_dim=256,
    image_size=96,
    patch_size=16,
    vision_width=256,
    vision_layers=6,
    vision_heads=4,
    text_width=192,
    text_layers=4,
    text_heads=3,
    context_length=24,
    quick_gelu=True,
    resize='squash',
)
# Of no use but to run everything in moments.
_TESTING = dict(
    embed_dim=32,
    image_size=32,
    patch_size=8,
    vision_width=64,
    vision_layers=2,
    vision_heads=2,
    text_width=64,
    text_layers=2,
    text_heads=2,
    context_length=32,
)

_ROWS = {
    'ViT-B-32': _B_32,
    'ViT-B-32-quickgelu': _B_32 | dict(quick_gelu=True),
    'ViT-B-16': _B_16,
    'ViT-B-16-quickgelu': _B_16 | dict(quick_gelu=True),
    'ViT-L-14': _L_14,
    'ViT-L-14-quickgelu': _L_14 | dict(quick_gelu=True),
    'ViT-cast-16': _CAST_16,
    'testing': _TESTING,
}

CONFIGS: dict[str, CLIPConfig] = {name: CLIPConfig(name=name, **row) for name, row in _ROWS.items()}


def get(name: str) -> CLIPConfig:
    """Looks a configuration up.

    Args:
        name: As open_clip calls it, or one of our own.

    Returns:
        Its row.

    Raises:
        UserError: There is no such name; the nearest ones are given.
    """
    if name in CONFIGS:
        return CONFIGS[name]
    near = difflib.get_close_matches(str(name), CONFIGS, n=3, cutoff=0.4) or CONFIGS
    raise UserError(f'unknown CLIP {name!r}; did you mean {", ".join(near)}?')
