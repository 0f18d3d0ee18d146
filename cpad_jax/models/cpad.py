"""CLIP-PAD: a frozen CLIP whose text tower is told who stands behind a [TOK].

After Korbar and Zisserman, "Personalised CLIP or: how to find your vacation videos" (BMVC 2022).
What is learned beside the frozen CLIP: the adapter from faces to tokens, an adapter from names to
tokens, a default token for people without either, and a low-rank update of the text tower (Hu et
al. 2021, "LoRA"). The update acts only in rows where a [TOK] stands; a row without one is plain
CLIP. Visual prompts, if wished, change what the image tower makes of the clips that are searched;
and labelled clips may teach a clip adapter what is done in clips, whoever does it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from cpad_jax import atomic
from cpad_jax.errors import UserError
from cpad_jax.models import names, safetensors_files, visual_prompts
from cpad_jax.models import weights as weights_io
from cpad_jax.models.clip import CLIP
from cpad_jax.models.clip_adapter import ClipAdapter
from cpad_jax.models.config import CLIPConfig
from cpad_jax.models.person import PersonAdapter
from cpad_jax.models.transformer import LowRank

Array = jax.Array

# Layers of each text block that the low-rank update touches: (input, output) in text widths.
UPDATED_LAYERS = {
    'query': (1, 1),
    'value': (1, 1),
    'out': (1, 1),
    'c_fc': (1, 4),
    'c_proj': (4, 1),
}


@dataclasses.dataclass(frozen=True)
class CPADConfig:
    """Sizes of what CLIP-PAD adds to a CLIP.

    Attributes:
        face_feature: Which face feature the adapter reads: 'clip' is the CLIP image tower itself;
            see `face_features.tower`.
        face_width: Df, width of that feature.
        num_tokens: K, tokens per person.
        adapter_width: Width of the adapter's hidden layers.
        adapter_layers: Number of the adapter's hidden layers.
        rank: Rank of the text tower's update; 0 for none.
        token_norm: Length of a token before training.
        name_width: Width of the name adapter's hidden layers; 0 for none.
        visual_prompts: Number of visual prompts of the image tower; 0 for none.
        face_sha256: Of the weights of another CLIP that reads faces; '' where none does.
        clip_width: Width of the clip adapter's hidden layer; 0 for none.
    """

    face_feature: str
    face_width: int
    num_tokens: int = 1
    adapter_width: int = 512
    adapter_layers: int = 2
    rank: int = 8
    token_norm: float = 1.0
    name_width: int = 0
    visual_prompts: int = 0
    face_sha256: str = ''
    clip_width: int = 0


class CPAD(nn.Module):
    """What is learned; the frozen CLIP stays outside.

    Parameters: `adapter`, `default_token` [K, W], and, only where they are above 0, `low_rank` as
    `CLIP.encode_embeddings` takes it and `visual_prompts` as `visual_prompts.into` takes them.

    Attributes:
        config: Sizes of what is learned.
        clip_config: Sizes of the frozen CLIP.
    """

    config: CPADConfig
    clip_config: CLIPConfig

    @nn.compact
    def __call__(self, features: Array, weights: Array) -> tuple[Array, LowRank | None]:
        """Tokens of people, and the update of the text tower.

        Args:
            features: float [P, R, Df], face features.
            weights: float [P, R] >= 0, 0 for a photo that is not there. A person all of whose
                weights are 0 gets the default token.

        Returns:
            Tokens float32 [P, K, W], and the low-rank update (None for rank 0).
        """
        c, width = self.config, self.clip_config.text.width
        default = self.param(
            'default_token',
            nn.initializers.normal(c.token_norm * width**-0.5),
            (c.num_tokens, width),
        )
        adapter = PersonAdapter(
            num_tokens=c.num_tokens,
            text_width=width,
            hidden_width=c.adapter_width,
            hidden_layers=c.adapter_layers,
            token_norm=c.token_norm,
            name='adapter',
        )
        tokens = adapter(features, weights)  # [P, K, W]
        known = (weights > 0).any(axis=-1)[:, None, None]
        tokens = jnp.where(known, tokens, default)
        low_rank = None
        if c.rank:
            low_rank = self.param(
                'low_rank', initial_low_rank, self.clip_config.text.layers, width, c.rank
            )
        if c.visual_prompts:  # For the image tower: nothing here reads them.
            self.param(
                visual_prompts.NAME, visual_prompts.initial, c.visual_prompts, self.clip_config
            )
        return tokens, low_rank


def name_adapter(config: CPADConfig, clip_config: CLIPConfig) -> names.NameAdapter:
    """The name adapter of these sizes; `config.name_width` > 0."""
    return names.NameAdapter(config.num_tokens, clip_config.text.width, config.name_width)


def initial_low_rank(key: Array, layers: int, width: int, rank: int) -> dict[str, Any]:
    """An update that changes nothing yet: a normal, b zero.

    Args:
        key: Source of chance.
        layers: Number of blocks of the text tower.
        width: W.
        rank: r.

    Returns:
        `{'resblocks.0': {'query': {'a': [in, r], 'b': [r, out]}, …}, …}`.
    """
    update: dict[str, Any] = {}
    for i in range(layers):
        block = update[f'resblocks.{i}'] = {}
        for j, (layer, (inputs, outputs)) in enumerate(UPDATED_LAYERS.items()):
            rows = inputs * width
            draw = jax.random.normal(
                jax.random.fold_in(key, i * len(UPDATED_LAYERS) + j), (rows, rank)
            )
            block[layer] = {'a': draw * rows**-0.5, 'b': jnp.zeros((rank, outputs * width))}
    return update


def insert_tokens(embeddings: Array, ids: Array, tokens: Array, person_token: int) -> Array:
    """Puts person tokens where [TOK] stands.

    Args:
        embeddings: float [B, L, W].
        ids: int [B, L].
        tokens: float [B, K, W], or [B, M, K, W] for M people per row. The first [TOK] of a row
            takes the row's first token, the next one the next; after the last it starts again, so
            that one person may be spoken of twice.
        person_token: The id of [TOK].

    Returns:
        float [B, L, W].
    """
    is_person = ids == person_token
    tokens = tokens.reshape(tokens.shape[0], -1, tokens.shape[-1])  # [B, M·K, W]
    which = (jnp.cumsum(is_person, axis=-1) - 1) % tokens.shape[1]  # [B, L]
    spread = jnp.take_along_axis(tokens, which[..., None], axis=1)  # [B, L, W]
    return jnp.where(is_person[..., None], spread.astype(embeddings.dtype), embeddings)


def encode_query(
    clip: CLIP,
    clip_params: Any,
    ids: Array,
    tokens: Array,
    low_rank: LowRank | None = None,
    gate: Array | None = None,
    normalize: bool = True,
) -> Array:
    """Embeds queries about people.

    Args:
        clip: The frozen CLIP.
        clip_params: Its parameters; only the text tower's are read.
        ids: int [B, L], as `CLIP.pooled_position` wants them; L at most the context length.
        tokens: float [B, K, W] or [B, M, K, W], see `insert_tokens`. Rows without [TOK] ignore
            theirs.
        low_rank: Update of the text tower, or None.
        gate: float [B], 1 for rows that the update acts in; by default those with a [TOK].
        normalize: Whether to scale to length 1.

    Returns:
        float32 [B, D]; a row without [TOK] is CLIP's own `encode_text` of it.
    """
    variables = {'params': clip_params}
    embeddings = clip.apply(variables, ids, method='embed_tokens')  # [B, L, W]
    person_token = clip.config.text.person_token
    embeddings = insert_tokens(embeddings, ids, tokens, person_token)
    at = clip.pooled_position(ids)
    if low_rank is None:
        gate = None
    elif gate is None:
        gate = (ids == person_token).any(axis=-1).astype(jnp.float32)
    return clip.apply(
        variables, embeddings, at, low_rank, gate, normalize, method='encode_embeddings'
    )


def with_update(low_rank: LowRank | None, update: LowRank | None) -> LowRank | None:
    """The update that all people share, and beside it that of one person.

    Args:
        low_rank: As `CPAD` gives it.
        update: Of the same form, for some of the layers, or None.

    Returns:
        One update that adds what both add; `encode_query` takes it.
    """
    if not update:
        return low_rank
    both = {name: dict(block) for name, block in (low_rank or {}).items()}
    for name, block in update.items():
        layers = both.setdefault(name, {})
        for layer, own in block.items():
            shared = layers.get(layer)
            layers[layer] = own if shared is None else {
                'a': jnp.concatenate([shared['a'], own['a']], axis=1),
                'b': jnp.concatenate([shared['b'], own['b']], axis=0),
            }  # fmt: skip
    return both


def vocabulary_norm(clip_params: Any, ids: Any = None) -> float:
    """Mean length of the vocabulary's embeddings.

    Args:
        clip_params: CLIP's parameters.
        ids: int [n], the rows to take; all by default.
    """
    table = jnp.asarray(clip_params['text']['token_embedding']['embedding'])
    table = table if ids is None else table[jnp.asarray(ids)]
    return float(jnp.mean(jnp.linalg.norm(table, axis=-1)))


def fingerprint(params: Any) -> str:
    """The sha256 (64 hexadecimal digits) of parameters: names, shapes and values as float32."""
    digest = hashlib.sha256()
    for name, leaf in sorted(weights_io.flatten(params).items()):
        array = np.asarray(leaf, np.float32, order='C')
        digest.update(f'{name} {array.shape}\n'.encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


KIND = 'CLIP-PAD'
CONFIG_FILE = weights_io.CONFIG_FILE
WEIGHTS_FILE = weights_io.WEIGHTS_FILE
_MEMORY = 'name_memory'
_BACKGROUND = 'background'
_PARAMS = 'params/'
# Sizes that an export names only where they are not these: older ones have no such key.
_UNLESS_GIVEN = {'visual_prompts': 0, 'face_sha256': '', 'clip_width': 0}


@dataclasses.dataclass(frozen=True)
class SavedCPAD:
    """All that an export holds.

    Attributes:
        config: Sizes.
        params: The parameters of `CPAD`; with `name_adapter` and `clip_adapter`, those of
            `NameAdapter` and `ClipAdapter`, where there are such.
        backbone: Name or folder of the frozen CLIP, as `load_clip` takes it.
        backbone_sha256: Of that CLIP's weights.
        names: The people whose names were learned, in the order of `memory`.
        memory: float32 [N, K, W], the mean face token of each of them, or None.
        background: float32 [M, D], embeddings of some training photos, from which fine-tuning
            tells a person apart, or None.
    """

    config: CPADConfig
    params: Any
    backbone: str
    backbone_sha256: str
    names: Sequence[str] = ()
    memory: np.ndarray | None = None
    background: np.ndarray | None = None


def parameter_shapes(config: CPADConfig, clip_config: CLIPConfig) -> dict[str, tuple[int, ...]]:
    """Path of every parameter of an export, such as 'adapter/out/kernel', and its shape."""
    features = jax.ShapeDtypeStruct((1, 1, config.face_width), jnp.float32)
    weights = jax.ShapeDtypeStruct((1, 1), jnp.float32)
    tree = jax.eval_shape(CPAD(config, clip_config).init, jax.random.key(0), features, weights)
    params = dict(tree['params'])
    if config.name_width:
        known = jax.ShapeDtypeStruct((1, names.feature_width(clip_config)), jnp.float32)
        adapter = name_adapter(config, clip_config)
        params['name_adapter'] = jax.eval_shape(adapter.init, jax.random.key(0), known)['params']
    if config.clip_width:
        clips = jax.ShapeDtypeStruct((1, clip_config.embed_dim), jnp.float32)
        adapter = ClipAdapter(config.clip_width)
        params['clip_adapter'] = jax.eval_shape(adapter.init, jax.random.key(0), clips)['params']
    return {name: leaf.shape for name, leaf in weights_io.flatten(params).items()}


def save_model(directory: str | os.PathLike[str], saved: SavedCPAD) -> None:
    """Writes the folder that `load_model` and `cpad_jax.load` read.

    Args:
        directory: Appears whole or not at all, with `config.json` and `weights.safetensors`; one
            that is there is replaced.
        saved: What to write.
    """
    arrays = {
        _PARAMS + name: np.asarray(leaf, np.float32, order='C')
        for name, leaf in weights_io.flatten(saved.params).items()
    }
    if saved.memory is not None:
        arrays[_MEMORY] = np.asarray(saved.memory, np.float32, order='C')
    if saved.background is not None:
        arrays[_BACKGROUND] = np.asarray(saved.background, np.float32, order='C')
    values = {
        'kind': KIND,
        'backbone': saved.backbone,
        'backbone_sha256': saved.backbone_sha256,
        **dataclasses.asdict(saved.config),
        'names': list(saved.names),
    }
    values = {k: v for k, v in values.items() if k not in _UNLESS_GIVEN or v != _UNLESS_GIVEN[k]}
    with atomic.writing(directory) as temporary:
        temporary.mkdir()
        atomic.write_json(temporary / CONFIG_FILE, values)
        stored = {name: safetensors_files.Stored(array) for name, array in arrays.items()}
        safetensors_files.write(temporary / WEIGHTS_FILE, stored)


def read_backbone(directory: str | os.PathLike[str]) -> str:
    """Name or folder of the CLIP that an export was trained on; for errors see `load_model`."""
    return _read_config(Path(directory))['backbone']


def load_model(
    directory: str | os.PathLike[str],
    clip_config: CLIPConfig,
    backbone_sha256: str,
    face_feature: str | None = None,
) -> SavedCPAD:
    """Reads an export.

    Args:
        directory: What `save_model` wrote.
        clip_config: Of the CLIP it is to run on.
        backbone_sha256: Of that CLIP's weights.
        face_feature: The face feature that will be fed; None for whatever the export wants.

    Returns:
        Its content, with NumPy arrays.

    Raises:
        UserError: Something is missing or damaged, or it was trained on another CLIP or another
            face feature.
    """
    directory = Path(directory)
    values = _read_config(directory)
    if values['backbone_sha256'] != backbone_sha256:
        raise UserError(
            f'{directory} was trained on the CLIP {values["backbone"]!r} with sha256 '
            f'{values["backbone_sha256"][:12]}…, not on {clip_config.name!r} with '
            f'{backbone_sha256[:12]}…: give the CLIP that it was trained on, or train again'
        )
    fields = [field.name for field in dataclasses.fields(CPADConfig)]
    config = CPADConfig(**{name: values[name] for name in fields})
    if face_feature is not None and face_feature != config.face_feature:
        raise UserError(
            f'{directory} was trained on the face feature {config.face_feature!r}, not on '
            f'{face_feature!r}: give faces as it knows them, or train again'
        )
    path = directory / WEIGHTS_FILE
    arrays = {name: np.array(a) for name, a in safetensors_files.read(path).items()}
    expected = {
        _PARAMS + name: shape for name, shape in parameter_shapes(config, clip_config).items()
    }
    if _MEMORY in arrays:
        expected[_MEMORY] = (len(values['names']), config.num_tokens, clip_config.text.width)
    if _BACKGROUND in arrays:
        expected[_BACKGROUND] = (*arrays[_BACKGROUND].shape[:1], clip_config.embed_dim)
    shapes = {name: array.shape for name, array in arrays.items()}
    weights_io.check_shapes(shapes, expected, str(path), KIND)
    memory, background = arrays.pop(_MEMORY, None), arrays.pop(_BACKGROUND, None)
    params = weights_io.unflatten({k.removeprefix(_PARAMS): v for k, v in arrays.items()})
    return SavedCPAD(
        config, params, values['backbone'], backbone_sha256, tuple(values['names']), memory,
        background,
    )  # fmt: skip


def _read_config(directory: Path) -> dict[str, Any]:
    """The values of an export's `config.json`, with every key and its type checked."""
    path = directory / CONFIG_FILE
    try:
        values = json.loads(path.read_text(encoding='utf-8'))
    except OSError:
        raise UserError(
            f'there is no CLIP-PAD in {directory} ({CONFIG_FILE} and {WEIGHTS_FILE}): train one '
            'with python -m cpad_jax.train, or name the right folder'
        ) from None
    except ValueError as error:
        raise UserError(f'{path} is not JSON ({error}): export the model again') from error
    if not isinstance(values, dict) or values.get('kind') != KIND:
        raise UserError(f'{path} does not describe a CLIP-PAD (no "kind": "{KIND}")')
    values = _UNLESS_GIVEN | values
    wanted = {'backbone': 'str', 'backbone_sha256': 'str', 'names': 'list'}
    wanted |= {field.name: field.type for field in dataclasses.fields(CPADConfig)}
    for name, kind in wanted.items():
        if type(values.get(name)).__name__ != kind:
            raise UserError(
                f'{path}: {name} is {values.get(name)!r}, expected {kind}: export the model again'
            )
    return values
