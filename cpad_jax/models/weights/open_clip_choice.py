"""Which model weights of open_clip are, of what sizes, and why."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from cpad_jax.errors import UserError
from cpad_jax.models import zoo
from cpad_jax.models.config import CLIPConfig, ViTConfig
from cpad_jax.models.weights import (
    open_clip,
    open_clip_config,
    open_clip_keys,
    sources,
    state_dicts,
    torch_files,
)

_IMAGE, _CONTEXT = open_clip_keys.IMAGE_SIZE, open_clip_keys.CONTEXT_LENGTH
_ACTIVATIONS = {'gelu': 'GELU', 'quick_gelu': 'QuickGELU', 'gelu_tanh': 'GELU (tanh)'}


def choose_config(
    model: str | None, resolved: sources.Resolved, names: Iterable[str] = ()
) -> CLIPConfig:
    """The configuration of weights: what the user says, and what is known of them.

    Args:
        model: open_clip's name of the model; may be left out where the source is a tag, or has an
            `open_clip_config.json` beside it.
        resolved: Where the weights are.
        names: Of the weights, which may tell that they are no CLIP of open_clip.

    Returns:
        The row of the zoo, with the activation, the preprocessing and the sizes that a tag or an
        `open_clip_config.json` asks for.

    Raises:
        UserError: Nobody says which model it is, there is no such one, or what is said beside the
            weights is of another model, or of a kind that is not known here.
    """
    tag = resolved.tag
    try:
        # open_clip looks at no configuration on the hub where it has its own for a tag.
        described, images = open_clip_keys.file_parts({} if tag else resolved.config or {})
        images = open_clip_keys.preprocessing(images)
    except ValueError as error:
        raise UserError(f'{resolved.origin}: its {sources.CONFIG_FILE}: {error}') from None
    if model or tag:
        config = zoo.get(model or tag.model)
        config = _with_activation(config, tag, described, resolved.origin)
        if described:
            config = _agreeing(config, described, resolved.origin)
    else:
        config = _described_model(described, resolved.origin, names)
    if tag:
        images = {'mean': tag.mean, 'std': tag.std, 'interpolation': tag.interpolation,
                  'resize_mode': tag.resize_mode}  # fmt: skip
    images.pop('size', None)  # Compared by `with_sizes_of`, when the weights are read.
    if 'resize_mode' in images:
        images['resize'] = images.pop('resize_mode')
    try:
        return dataclasses.replace(config, **images)
    except ValueError as error:
        raise UserError(f'{resolved.origin}: {error}') from error


def _with_activation(
    config: CLIPConfig, tag: sources.Tag | None, described: Mapping[str, Any], origin: str
) -> CLIPConfig:
    if (tag and tag.quick_gelu) or described.get('quick_gelu') is True:
        return with_quick_gelu(config)
    if described and config.text.activation == 'quick_gelu':
        raise UserError(
            f'{config.name} has QuickGELU, and {sources.CONFIG_FILE} beside {origin} says nothing '
            'of it: leave --model out, or write "quick_gelu": true into its model_cfg if you know '
            'that the weights need it'
        )
    return config


def with_quick_gelu(config: CLIPConfig) -> CLIPConfig:
    """The same model with OpenAI's activation in all transformer blocks."""
    if config.text.activation == 'quick_gelu':
        return config
    name = f'{config.name}-quickgelu'
    if name in zoo.CONFIGS:
        return zoo.CONFIGS[name]
    towers = {'text': dataclasses.replace(config.text, activation='quick_gelu')}
    if isinstance(config.vision, ViTConfig):
        towers['vision'] = dataclasses.replace(config.vision, activation='quick_gelu')
    return dataclasses.replace(config, **towers)


def _agreeing(config: CLIPConfig, described: Mapping[str, Any], origin: str) -> CLIPConfig:
    """A model that was named, of the sizes that its description has, which must be of that model.

    What the description leaves out is as the model has it.
    """
    own = open_clip_config.model_cfg(config)
    try:
        towers = {name: own[name] | _tower(described, name) for name in ('vision_cfg', 'text_cfg')}
        wanted = open_clip_keys.model(own | described | towers)
    except ValueError as error:
        raise UserError(f'{origin}: its {sources.CONFIG_FILE}: {error}') from None
    different = open_clip_keys.differences(wanted, open_clip_config.describe(config))
    if different:
        raise UserError(
            f'{origin}: its {sources.CONFIG_FILE} is of another model than {config.name}: '
            f'{"; ".join(different[:2])}: name the model that it is of, or leave --model out'
        )
    return _of_sizes(config, wanted[_IMAGE], wanted[_CONTEXT], origin, wanted['init_logit_bias'])


def _tower(described: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    tower = described.get(name, {})
    if type(tower) is not dict:
        raise ValueError(f'{name} is {ascii(tower)[:50]}, expected an object')
    return tower


def _described_model(described: Mapping[str, Any], origin: str, names: Iterable[str]) -> CLIPConfig:
    """The model that a `model_cfg` of open_clip describes."""
    if not described:
        seen = state_dicts.kind(names)
        hint = f'; it seems to be {seen}' if seen else ''
        raise UserError(
            f'{origin} does not say which model it is: give --model, such as ViT-B-32{hint}'
        )
    start = f'{origin}: its {sources.CONFIG_FILE} fits none that is known here'
    try:
        wanted = open_clip_keys.model(described)
    except ValueError as error:
        raise UserError(f'{start}: {error}') from None
    ours = {config.name: open_clip_config.describe(config) for config in zoo.CONFIGS.values()}
    fits = [name for name, said in ours.items() if said == wanted]
    if not fits:  # The same but for the two sizes; the shortest name has none in it.
        different = {
            name: open_clip_keys.differences(wanted, said) for name, said in ours.items() if said
        }
        nearest = min(different, key=lambda name: (len(different[name]), len(name)))
        if different[nearest]:
            raise UserError(f'{start}: of {nearest} differs {"; ".join(different[nearest][:3])}')
        fits = [nearest]
    if len(fits) > 1:
        raise UserError(f'{origin}: its {sources.CONFIG_FILE} fits {", ".join(fits)}: give --model')
    config = zoo.CONFIGS[fits[0]]
    return _of_sizes(config, wanted[_IMAGE], wanted[_CONTEXT], origin, wanted['init_logit_bias'])


def _of_sizes(
    config: CLIPConfig, image_size: int, context_length: int, origin: str, logit_bias: bool
) -> CLIPConfig:
    """The same model for images and texts of other sizes, under the zoo's name if it has one."""
    if logit_bias != config.logit_bias:
        config = dataclasses.replace(config, logit_bias=logit_bias)
    if (image_size, context_length) == (config.image_size, config.text.context_length):
        return config
    try:
        other = dataclasses.replace(
            config,
            vision=dataclasses.replace(config.vision, image_size=image_size),
            text=dataclasses.replace(config.text, context_length=context_length),
        )
    except ValueError as error:
        raise UserError(f'{origin}: {error}') from None
    for known in zoo.CONFIGS.values():
        if (known.vision, known.text) == (other.vision, other.text):
            return dataclasses.replace(other, name=known.name)
    if open_clip_config.is_timm(config) and image_size != config.image_size:
        raise UserError(
            f'{origin}: {config.name} takes images of {config.image_size} pixels, and {image_size} '
            'is asked for: timm has another image tower for each size; give --model with that size'
        )
    name = config.name
    name += f'-{image_size}' if image_size != config.image_size else ''
    name += f'-context{context_length}' if context_length != config.text.context_length else ''
    return dataclasses.replace(other, name=name)


def with_sizes_of(
    state: Mapping[str, np.ndarray],
    config: CLIPConfig,
    resolved: sources.Resolved,
    image_size: int | None = None,
) -> tuple[CLIPConfig, list[str]]:
    """A model of the sizes that its weights were trained for.

    Args:
        state: The weights, which say by their position embeddings for what sizes they are.
        config: As `choose_config` gives it.
        resolved: Where the weights are, and what is said beside them.
        image_size: A size that the position embeddings are to be resized to.

    Returns:
        The configuration, and remarks on it.

    Raises:
        UserError: What is said beside the weights is of other sizes, which are named.
    """
    described, images = open_clip_keys.file_parts({} if resolved.tag else resolved.config or {})
    image, length = open_clip.sizes(state, config)
    for size, own, tower, key in (
        (image, config.image_size, 'vision_cfg', 'image_size'),
        (length, config.text.context_length, 'text_cfg', 'context_length'),
    ):
        said = key in described.get(tower, {}) and not (image_size and key == 'image_size')
        if said and size != own:
            raise UserError(
                f'{resolved.origin}: {sources.CONFIG_FILE} has {tower}.{key} {own}, but the '
                f'position embeddings of the weights are for {size}: write {size} there, or take '
                'the weights that belong to it'
            )
    remarks = []
    fitted = _of_sizes(config, image_size or image, length, resolved.origin, config.logit_bias)
    if image_size and image_size != image:
        remarks.append(f'position embeddings are resized from {image} to {image_size} pixels')
    elif image != config.image_size:
        remarks.append(f'the weights are for images of {image} pixels, {config.name} takes '
                       f'{config.image_size}: {image} it is')  # fmt: skip
    if length != config.text.context_length:
        remarks.append(f'the weights are for texts of {length} tokens, {config.name} takes '
                       f'{config.text.context_length}: {length} it is')  # fmt: skip
    size = open_clip_keys.preprocessing(images).get('size')
    if size and size != fitted.image_size and not image_size:
        raise UserError(
            f'{resolved.origin}: {sources.CONFIG_FILE} has preprocess_cfg.size {size}, but the '
            f'model takes images of {fitted.image_size} pixels: write {fitted.image_size} there, '
            'or give --image-size'
        )
    if 'logit_bias' in state and not config.logit_bias:
        remarks.append("the weights have a logit_bias, as SigLIP's loss trains: it is kept")
        fitted = dataclasses.replace(fitted, logit_bias=True)
    return fitted, remarks


def activation(
    config: CLIPConfig, model: str | None, resolved: sources.Resolved, remarks: Sequence[str]
) -> tuple[CLIPConfig, str]:
    """The configuration with its activation settled, and which it is and why, in words.

    The weights cannot show it, but the marks of OpenAI's own archives do, where nothing else is
    said.
    """
    described = bool((resolved.config or {}).get('model_cfg'))
    if resolved.tag:
        why = f'as open_clip has it for {resolved.tag.model}/{resolved.tag.tag}'
    elif described:
        why = f'as {sources.CONFIG_FILE} beside the weights has it'
    elif torch_files.OPENAI in remarks:
        config, why = with_quick_gelu(config), f'because {torch_files.OPENAI}'
    else:
        why = f'as --model {model} has it; nothing in the weights can show whether that is right'
    towers = {'text': config.text.activation}
    if isinstance(config.vision, ViTConfig):
        towers = {'images': config.vision.activation, **towers}
    if len(set(towers.values())) == 1:
        words = _ACTIVATIONS[config.text.activation]
    else:
        words = ', '.join(f'{_ACTIVATIONS[a]} for {tower}' for tower, a in towers.items())
    return config, f'activation: {words}, {why}'
