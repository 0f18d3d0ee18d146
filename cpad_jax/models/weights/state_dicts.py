"""State dictionaries as programs of others wrap and name them.

Training programs put a model's state into dictionaries and prefixes of their own. What is taken off
here has one meaning only; what cannot be a whole CLIP of open_clip is recognised by its names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

# Keys under which training programs keep a model's state, and a running mean of it.
_PLAIN = ('state_dict', 'model', 'model_state_dict', 'module', 'net')
_AVERAGED = ('state_dict_ema', 'model_ema', 'ema_state_dict', 'ema')
_LEVELS = 4
# Before every name of a state: of DataParallel, of a class that holds the model.
_PREFIXES = ('module.', 'model.', 'net.', 'clip.', '_forward_module.')
# Torch puts these before the names within any part that it compiles, splits or recomputes.
_INSERTED = {'_orig_mod', '_fsdp_wrapped_module', '_checkpoint_wrapped_module'}


def unwrap(
    value: Mapping[Any, Any], is_tensor: Callable[[Any], bool]
) -> tuple[Mapping[Any, Any], list[str]]:
    """The state dictionary within a checkpoint.

    Args:
        value: What a file holds.
        is_tensor: Whether a value of it is a tensor.

    Returns:
        The dictionary, and a remark on where it was.

    Raises:
        ValueError: There are several, and nothing says which of them is the model's.
    """
    remarks: list[str] = []
    for _ in range(_LEVELS):
        plain, averaged = (
            [key for key in keys if _holds_tensors(value.get(key), is_tensor)]
            for keys in (_PLAIN, _AVERAGED)
        )
        if len(plain) > 1:
            raise ValueError(f'it has weights under {" and ".join(map(repr, plain))}; keep one')
        found = plain or averaged[:1]
        if not found:
            break
        value = value[found[0]]
        if averaged:
            others = [key for key in (*plain, *averaged) if key != found[0]]
            beside = f', not {", ".join(map(repr, others))}' if others else ''
            remarks.append(f'of the checkpoint {found[0]!r} was taken{beside}')
    return value, remarks


def _holds_tensors(value: Any, is_tensor: Callable[[Any], bool], levels: int = _LEVELS) -> bool:
    if type(value) is not dict:
        return False
    if any(map(is_tensor, value.values())):
        return True
    inner = (value.get(key) for key in (*_PLAIN, *_AVERAGED))
    return levels > 0 and any(_holds_tensors(v, is_tensor, levels - 1) for v in inner)


def without_prefixes(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state dictionary without what wrappers put before its names, in whatever order.

    Raises:
        ValueError: Two names become one.
    """
    named: dict[str, Any] = {}
    for name, value in state.items():
        parts = name.split('.')
        short = '.'.join(part for part in parts[:-1] if part not in _INSERTED)
        short = f'{short}.{parts[-1]}' if short else parts[-1]
        if short in named:
            raise ValueError(f'{short[:100]} is in it twice, once within {name[:100]}')
        named[short] = value
    while named and (prefix := _shared(named)):
        named = {name.removeprefix(prefix): value for name, value in named.items()}
    return named


def _shared(names: Iterable[str]) -> str:
    """The prefix of a wrapper that all names have, or ''."""
    names = list(names)
    fits = (p for p in _PREFIXES if all(n.startswith(p) and len(n) > len(p) for n in names))
    return next(fits, '')


def kind(names: Iterable[str]) -> str:
    """What weights seem to be that are not of the requested model.

    Args:
        names: Their names, without prefixes of wrappers.

    Returns:
        What they seem to be and what to do, or '' where they look like a CLIP of open_clip.
    """
    names = list(names)

    def any_has(*parts: str) -> bool:
        return any(part in name for name in names for part in parts)

    def any_begins(*parts: str) -> bool:
        return any(name.startswith(parts) for name in names)

    towers = [
        any_begins('visual.'),
        any_begins('token_embedding.weight', 'text.token_embedding.weight'),
    ]
    for said, words in (
        (any_has('lora_A', 'lora_B', 'lora_up', 'lora_down') or any_begins('base_model.model.'),
         'an adapter (peft, LoRA), no whole model; merge it into its model and save that'),
        (any_has('exp_avg', 'param_groups', 'momentum_buffer'),
         "an optimiser's state; take the file of the model itself"),
        (any_begins('down_blocks.', 'up_blocks.', 'mid_block.', 'diffusion_model.', 'unet.',
                    'first_stage_model.', 'cond_stage_model.', 'transformer_blocks.')
         or any_has('.down_blocks.', '.diffusion_model.'),
         'a diffusion model (diffusers, Stable Diffusion), no CLIP'),
        (any_begins('vision_model.', 'text_model.', 'visual_projection.', 'text_projection.')
         and not any(towers),
         "a CLIP of transformers, under that library's names"
         + ('' if any_begins('vision_model.') and any_begins('text_model.')
            else ', and only one of its towers')
         + '; take the weights that open_clip has of the same model'),
        (any_begins('params/'),
         'an export of a training of this program; cpad_jax.load opens it'),
        (any_begins('visual/') and any_begins('text/'),
         'a CLIP that was converted already; cpad_jax.load_clip opens its folder'),
        (any(n.endswith(('/kernel', '.kernel', ':0', '/embedding', '/gamma')) for n in names),
         'weights of Flax or TensorFlow; take the same model for open_clip'),
        (any_begins('text_decoder.'), 'a CoCa, which has a text decoder; no such model is read'),
        (any_begins('visual.blocks.', 'visual.patch_embed.'),
         'an EVA-CLIP; no such model is read'),
        (any_begins('text.transformer.') and not any_begins('text.transformer.resblocks.'),
         'a CLIP with a text tower of transformers; no such model is read'),
        (any_begins('visual_encoder.', 'text_encoder.', 'vision_tower.', 'language_model.'),
         'a model of images and language of another kind than CLIP'),
        (towers == [True, False], 'an image tower alone; both towers are needed'),
        (towers == [False, True], 'a text tower alone; both towers are needed'),
        (any_begins('patch_embed.', 'trunk.', 'blocks.'),
         'an image model of timm or DINO, without a text tower'),
        (any_begins('class_embedding', 'attnpool.'),
         'an image tower alone, without the prefix visual.; both towers are needed'),
        (any_begins('layer1.') and any_begins('fc.'), 'an image classifier of torchvision'),
        (any_begins('embeddings.', 'encoder.layer', 'bert.', 'roberta.', 'model.layers.'),
         'a model of transformers with one tower; both towers of a CLIP are needed'),
        (set(names) <= {'weight', 'bias'}, 'one layer, such as a linear probe'),
    ):  # fmt: skip
        if said:
            return words
    return ''
