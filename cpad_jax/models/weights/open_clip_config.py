"""Our configurations in open_clip's words, so that it can build the same model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cpad_jax.errors import UserError
from cpad_jax.models.config import CLIPConfig, ResNetConfig, TextConfig, ViTConfig
from cpad_jax.models.weights import open_clip_keys

# timm's names of SigLIP's image towers, by their width.
_TIMM_SIZES = {768: 'base', 1024: 'large', 1152: 'so400m', 1536: 'giantopt'}


def model_cfg(config: CLIPConfig, timm_name: str | None = None) -> dict[str, Any]:
    """What open_clip's `CLIP` or `CustomTextCLIP` is built from.

    Args:
        config: The configuration.
        timm_name: timm's name of SigLIP's image tower; looked up by default.

    Returns:
        A dictionary as in open_clip's `model_configs`.

    Raises:
        UserError: timm has no image tower of this size.
    """
    v, t = config.vision, config.text
    cfg: dict[str, Any] = {'embed_dim': config.embed_dim}
    if isinstance(v, ResNetConfig):
        cfg['vision_cfg'] = {'image_size': v.image_size, 'layers': list(v.blocks), 'width': v.width}
        # Theirs follow from the width of a head.
        cfg['vision_cfg']['head_width'] = 32 * v.width // v.heads
    elif is_timm(config):
        name = timm_name or _timm_name(config)
        cfg['vision_cfg'] = {
            'image_size': v.image_size, 'timm_model_name': name, 'timm_model_pretrained': False,
            'timm_pool': 'map', 'timm_proj': 'none',
        }  # fmt: skip
        cfg['custom_text'] = True
    else:
        cfg['vision_cfg'] = _vit(v)
    if config.logit_bias:
        cfg['init_logit_bias'] = -10
    cfg['text_cfg'] = _text(t)
    if t.activation == 'quick_gelu':
        cfg['quick_gelu'] = True
    return cfg


def find(cfg: Mapping[str, Any], configs: Iterable[CLIPConfig]) -> list[CLIPConfig]:
    """The configurations that open_clip builds the same model from.

    Args:
        cfg: The `model_cfg` of an `open_clip_config.json`; not trusted to be one.
        configs: Where to look.

    Returns:
        Those of the same sizes and variant.

    Raises:
        ValueError: A key of `cfg` is unknown, of another type, or asks for what no model here does.
    """
    wanted = open_clip_keys.model(cfg)
    return [config for config in configs if describe(config) == wanted]


def describe(config: CLIPConfig) -> dict[str, Any]:
    """What `open_clip_keys.model` says of a configuration; {} where open_clip has no such model."""
    try:
        return open_clip_keys.model(model_cfg(config))
    except (UserError, ValueError):  # A size of which timm has no image tower.
        return {}


def preprocess_cfg(config: CLIPConfig) -> dict[str, Any]:
    """What open_clip's image transform is built from."""
    return {
        'mean': list(config.mean),
        'std': list(config.std),
        'interpolation': config.interpolation,
        'resize_mode': config.resize,
    }


def is_timm(config: CLIPConfig) -> bool:
    """Whether open_clip takes the image tower from timm, and prefixes the text tower's names."""
    return isinstance(config.vision, ViTConfig) and config.vision.pooling == 'map'


def _vit(c: ViTConfig) -> dict[str, Any]:
    cfg = {
        'image_size': c.image_size, 'patch_size': c.patch_size, 'width': c.width,
        'layers': c.layers, 'head_width': c.width // c.heads, 'mlp_ratio': mlp_ratio(c),
    }  # fmt: skip
    if not c.normed_input:
        cfg['no_ln_pre'] = True
    if c.pooling == 'mean':
        cfg |= {'pool_type': 'avg', 'final_ln_after_pool': True}
    if c.layer_scale:
        cfg['ls_init_value'] = 1e-4
    return cfg


def _text(c: TextConfig) -> dict[str, Any]:
    cfg = {
        'context_length': c.context_length, 'vocab_size': c.vocab_size, 'width': c.width,
        'heads': c.heads, 'layers': c.layers, 'mlp_ratio': mlp_ratio(c),
        'norm_kwargs': {'eps': c.epsilon},
    }  # fmt: skip
    if c.pooling != 'end':
        cfg['pool_type'] = c.pooling
    elif c.tokenizer == 'file':
        cfg |= {'pool_type': 'eos', 'eos_id': c.end_token}
    if not c.causal:
        cfg['no_causal_mask'] = True
    if c.projection == 'none':
        cfg['proj_type'] = 'none'
    elif c.projection == 'affine':
        cfg['proj_bias'] = True
    if c.activation == 'gelu_tanh':
        cfg['act_kwargs'] = {'approximate': 'tanh'}
    if c.tokenizer == 'file':
        # open_clip looks for `tokenizer.json` beside a model that it loads from a folder.
        options = {'clean': c.clean} | ({'strip_sep_token': True} if c.strip_separator else {})
        cfg['tokenizer_kwargs'] = options
    return cfg


def mlp_ratio(tower: ViTConfig | TextConfig) -> float:
    """open_clip's hidden width is the whole part of this times the width."""
    return (tower.mlp_width + 0.5) / tower.width if tower.mlp_width else 4.0


def _timm_name(config: CLIPConfig) -> str:
    v = config.vision
    if v.width not in _TIMM_SIZES:
        raise UserError(f'{config.name}: timm has no SigLIP image tower of width {v.width}')
    return f'vit_{_TIMM_SIZES[v.width]}_patch{v.patch_size}_siglip_{v.image_size}'
