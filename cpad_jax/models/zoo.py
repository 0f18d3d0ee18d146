"""The table of configurations: every CLIP that can be named, by open_clip's names."""

from __future__ import annotations

import dataclasses
import difflib

from cpad_jax.errors import UserError
from cpad_jax.models.config import CLIPConfig, ResNetConfig, TextConfig, ViTConfig

HALF = (0.5, 0.5, 0.5)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# Image towers: patch, width, blocks, heads, width inside the MLPs (0 for 4 · width).
_VITS = {
    'S/32': (32, 384, 12, 6, 0),
    'S/16': (16, 384, 12, 6, 0),
    'M/32': (32, 512, 12, 8, 0),
    'M/16': (16, 512, 12, 8, 0),
    'B/32': (32, 768, 12, 12, 0),
    'B/16': (16, 768, 12, 12, 0),
    'B+/32': (32, 896, 12, 14, 0),
    'B+/16': (16, 896, 12, 14, 0),
    'L/16': (16, 1024, 24, 16, 0),
    'L/14': (14, 1024, 24, 16, 0),
    'H/16': (16, 1280, 32, 16, 0),
    'H/14': (14, 1280, 32, 16, 0),
    'g/14': (14, 1408, 40, 16, 6144),
    'G/14': (14, 1664, 48, 16, 8192),
    'e/14': (14, 1792, 56, 16, 15360),
    'SO/14': (14, 1152, 27, 16, 4304),
    'SO/16': (16, 1152, 27, 16, 4304),
    'gopt/16': (16, 1536, 40, 16, 0),
}


def _vit(key: str, size: int, **variant: object) -> ViTConfig:
    patch, width, layers, heads, mlp_width = _VITS[key]
    return ViTConfig(size, patch, width, layers, heads, mlp_width, **variant)


def _text(width: int, layers: int = 12, **variant: object) -> TextConfig:
    return TextConfig(77, width, layers, width // 64, **variant)


def _clip(
    name: str, dim: int, vision: ViTConfig | ResNetConfig, text: TextConfig, **more: object
) -> CLIPConfig:
    return CLIPConfig(name, dim, vision, text, **more)


def _quick(config: CLIPConfig, name: str) -> CLIPConfig:
    """The same sizes with OpenAI's activation in all transformer blocks."""
    towers = {'text': dataclasses.replace(config.text, activation='quick_gelu')}
    if isinstance(config.vision, ViTConfig):
        towers['vision'] = dataclasses.replace(config.vision, activation='quick_gelu')
    return dataclasses.replace(config, name=name, **towers)


def _native() -> list[CLIPConfig]:
    """OpenAI's architecture in the sizes that open_clip knows."""
    # Name, D, image tower, image size, text width and blocks.
    rows = [
        ('ViT-S-32', 384, 'S/32', 224, 384, 12),
        ('ViT-S-16', 384, 'S/16', 224, 384, 12),
        ('ViT-S-32-alt', 256, 'S/32', 224, 256, 10),
        ('ViT-S-16-alt', 256, 'S/16', 224, 256, 10),
        ('ViT-M-32', 512, 'M/32', 224, 512, 12),
        ('ViT-M-16', 512, 'M/16', 224, 512, 12),
        ('ViT-M-32-alt', 384, 'M/32', 224, 384, 12),
        ('ViT-B-32', 512, 'B/32', 224, 512, 12),
        ('ViT-B-32-256', 512, 'B/32', 256, 512, 12),
        ('ViT-B-16', 512, 'B/16', 224, 512, 12),
        ('ViT-B-32-plus-256', 640, 'B+/32', 256, 640, 12),
        ('ViT-B-16-plus', 640, 'B+/16', 224, 640, 12),
        ('ViT-B-16-plus-240', 640, 'B+/16', 240, 640, 12),
        ('ViT-L-16', 768, 'L/16', 224, 768, 12),
        ('ViT-L-16-320', 768, 'L/16', 320, 768, 12),
        ('ViT-L-14', 768, 'L/14', 224, 768, 12),
        ('ViT-L-14-280', 768, 'L/14', 280, 768, 12),
        ('ViT-L-14-336', 768, 'L/14', 336, 768, 12),
        ('ViT-H-16', 1024, 'H/16', 224, 1024, 24),
        ('ViT-H-14', 1024, 'H/14', 224, 1024, 24),
        ('ViT-H-14-378', 1024, 'H/14', 378, 1024, 24),
        ('ViT-g-14', 1024, 'g/14', 224, 1024, 24),
        ('ViT-bigG-14', 1280, 'G/14', 224, 1280, 32),
        ('ViT-e-14', 1280, 'e/14', 224, 1280, 36),
    ]
    plain = [
        _clip(name, dim, _vit(key, size), _text(width, layers))
        for name, dim, key, size, width, layers in rows
    ]
    quick = ('ViT-B-32', 'ViT-B-16', 'ViT-L-14', 'ViT-L-14-336', 'ViT-H-14', 'ViT-H-14-378',
             'ViT-bigG-14')  # fmt: skip
    alt = _clip('ViT-M-16-alt', 384, _vit('M/16', 224, layer_scale=True), _text(384))
    return [*plain, *(_quick(c, f'{c.name}-quickgelu') for c in plain if c.name in quick), alt]


def _worldwide() -> list[CLIPConfig]:
    """MetaCLIP 2: the same towers over the vocabulary of many languages."""
    xlm_v = dict(vocab_size=901629, end_token=2, pad_token=1, tokenizer='file')
    mt5 = dict(vocab_size=250100, end_token=1, tokenizer='file', clean='canonicalize')
    rows = [
        ('ViT-L-14-worldwide', 768, 'L/14', 224, _text(768, **mt5)),
        ('ViT-H-14-worldwide', 1024, 'H/14', 224, _text(1024, 24, **xlm_v)),
        ('ViT-H-14-worldwide-378', 1024, 'H/14', 378, _text(1024, 24, **xlm_v)),
        ('ViT-bigG-14-worldwide', 1280, 'G/14', 224, _text(1280, 32, **xlm_v)),
        ('ViT-bigG-14-worldwide-378', 1280, 'G/14', 378, _text(1280, 32, **xlm_v)),
    ]
    plain = [_clip(name, dim, _vit(key, size), text) for name, dim, key, size, text in rows]
    quick = [_quick(c, f'{c.name}-quickgelu') for c in plain if c.image_size == 224]
    return [*plain, *(c for c in quick if 'bigG' not in c.name)]


def _clipa() -> list[CLIPConfig]:
    """CLIPA (Li et al. 2023): no first normalisation, means as pooling, texts read both ways."""
    configs = []
    for name, dim, key, layers in (('L', 768, 'L/14', 12), ('H', 1024, 'H/14', 24),
                                   ('bigG', 1280, 'G/14', 32)):  # fmt: skip
        text = dataclasses.replace(
            _text(dim, layers), context_length=32, vocab_size=32000, causal=False, pooling='last',
            end_token=102, tokenizer='file', strip_separator=True,
        )  # fmt: skip
        for size in (224, 336):
            vision = _vit(key, size, normed_input=False, pooling='mean')
            full = f'ViT-{name}-14-CLIPA' + ('' if size == 224 else f'-{size}')
            more = dict(resize='squash', interpolation='bilinear')
            configs.append(
                _clip(full, dim, vision, text, mean=IMAGENET_MEAN, std=IMAGENET_STD, **more)
            )
    return configs


def _resnets() -> list[CLIPConfig]:
    # Name, D, image size, width, blocks, text width.
    rows = [
        ('RN50', 1024, 224, 64, (3, 4, 6, 3), 512),
        ('RN101', 512, 224, 64, (3, 4, 23, 3), 512),
        ('RN50x4', 640, 288, 80, (4, 6, 10, 6), 640),
        ('RN50x16', 768, 384, 96, (6, 8, 18, 8), 768),
        ('RN50x64', 1024, 448, 128, (3, 15, 36, 10), 1024),
    ]
    plain = [
        _clip(name, dim, ResNetConfig(size, width, blocks, width // 2), _text(text))
        for name, dim, size, width, blocks, text in rows
    ]
    return [*plain, *(_quick(c, f'{c.name}-quickgelu') for c in plain)]


def _siglip() -> list[CLIPConfig]:
    """SigLIP (Zhai et al. 2023) and SigLIP 2 (Tschannen et al. 2025)."""
    # Vocabulary, padding and end token of the three tokenizers.
    english, many, gemma = (32000, 1, 1), (250000, 1, 1), (256000, 0, 1)
    # Name, D, image tower, its GELU, image size, tokenizer.
    rows = [
        ('ViT-B-16-SigLIP', 768, 'B/16', 'gelu', 224, english),
        *((f'ViT-B-16-SigLIP-{s}', 768, 'B/16', 'gelu', s, english) for s in (256, 384, 512)),
        *((f'ViT-L-16-SigLIP-{s}', 1024, 'L/16', 'gelu', s, english) for s in (256, 384)),
        ('ViT-SO400M-14-SigLIP', 1152, 'SO/14', 'gelu', 224, english),
        *((f'ViT-SO400M-14-SigLIP-{s}', 1152, 'SO/14', 'gelu', s, english) for s in (378, 384)),
        ('ViT-B-16-SigLIP-i18n-256', 768, 'B/16', 'gelu', 256, many),
        ('ViT-SO400M-16-SigLIP-i18n-256', 1152, 'SO/16', 'gelu_tanh', 256, many),
        ('ViT-B-32-SigLIP2-256', 768, 'B/32', 'gelu_tanh', 256, gemma),
        ('ViT-B-16-SigLIP2', 768, 'B/16', 'gelu', 224, gemma),
        *((f'ViT-B-16-SigLIP2-{s}', 768, 'B/16', 'gelu', s, gemma) for s in (256, 384, 512)),
        *((f'ViT-L-16-SigLIP2-{s}', 1024, 'L/16', 'gelu', s, gemma) for s in (256, 384)),
        ('ViT-L-16-SigLIP2-512', 1024, 'L/16', 'gelu_tanh', 512, gemma),
        ('ViT-SO400M-14-SigLIP2', 1152, 'SO/14', 'gelu', 224, gemma),
        ('ViT-SO400M-14-SigLIP2-378', 1152, 'SO/14', 'gelu', 378, gemma),
        *((f'ViT-SO400M-16-SigLIP2-{s}', 1152, 'SO/16', 'gelu_tanh', s, gemma)
          for s in (256, 384, 512)),
        *((f'ViT-gopt-16-SigLIP2-{s}', 1536, 'gopt/16', 'gelu_tanh', s, gemma) for s in (256, 384)),
    ]  # fmt: skip
    configs = []
    for name, dim, key, gelu, size, (vocab_size, pad, end) in rows:
        vision = _vit(
            key, size, activation=gelu, epsilon=1e-6, class_token=False, patch_bias=True,
            normed_input=False, pooling='map', projection='none',
        )  # fmt: skip
        width = min(dim, 1152)
        text = TextConfig(
            16 if name == 'ViT-SO400M-14-SigLIP' else 64,
            width,
            12 if width == 768 else 24 if width == 1024 else 27,
            12 if width == 768 else 16,
            mlp_width=4304 if width == 1152 else 0,
            vocab_size=vocab_size,
            activation='gelu_tanh' if 'SigLIP2' in name else 'gelu',
            epsilon=1e-6,
            causal=False,
            pooling='last',
            end_token=end,
            pad_token=pad,
            projection='none' if name == 'ViT-SO400M-16-SigLIP-i18n-256' else 'affine',
            tokenizer='file',
            clean='canonicalize',
        )
        configs.append(
            _clip(name, dim, vision, text, logit_bias=True, resize='squash', mean=HALF, std=HALF)
        )
    return configs


def _own() -> list[CLIPConfig]:
    quick = dict(activation='quick_gelu')
    return [
        # Trained here on drawn worlds, so that everything works without a download: as large as
        # two CPU cores can train in an hour or two.
        _clip(
            'ViT-cast-16', 256, ViTConfig(96, 16, 256, 6, 4, **quick),
            TextConfig(24, 192, 4, 3, **quick), resize='squash',
        ),
        _clip(
            'ViT-cast-16-128', 256, ViTConfig(128, 16, 256, 6, 4, **quick),
            TextConfig(24, 192, 4, 3, **quick), resize='squash',
        ),
        # Of no use but to run everything in moments.
        _clip('testing', 32, ViTConfig(32, 8, 64, 2, 2), TextConfig(32, 64, 2, 2)),
    ]  # fmt: skip


# What open_clip knows under the same names; `OWN` are ours.
FAMILIES: dict[str, tuple[CLIPConfig, ...]] = {
    'native': tuple(_native()),
    'worldwide': tuple(_worldwide()),
    'CLIPA': tuple(_clipa()),
    'ResNet': tuple(_resnets()),
    'SigLIP': tuple(_siglip()),
}
OWN = tuple(_own())
CONFIGS: dict[str, CLIPConfig] = {
    config.name: config for family in (*FAMILIES.values(), OWN) for config in family
}


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
    near = [known for known in CONFIGS if known.casefold() == str(name).casefold()]
    near = near or difflib.get_close_matches(str(name), CONFIGS, n=3, cutoff=0.4) or CONFIGS
    raise UserError(f'unknown CLIP {name!r}; did you mean {", ".join(near)}?')
