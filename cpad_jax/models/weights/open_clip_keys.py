"""Every key of open_clip's configurations: what it may hold, and what becomes of it here.

A key that is passed over can make another model of the same weights. So each is compared with what
a model here does, known to change no embedding, allowed at its default only, or refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

# What a configuration says beside the two sizes that weights may have in any length.
IMAGE_SIZE, CONTEXT_LENGTH = 'vision_cfg.image_size', 'text_cfg.context_length'

_COMPARED, _DEFAULT_ONLY, _HARMLESS = 'compared', 'default only', 'harmless'
_LONGEST = 50
# open_clip writes null for what its residual networks and some of timm's towers have no use for.
_NULL = ('patch_size', 'timm_pool', 'timm_proj')


class _Key(NamedTuple):
    default: Any
    kind: str
    fate: str


def _whole(value: Any) -> bool:
    return type(value) is int and 0 < value < 2**31


def _number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 2**31


def _numbers(value: Any) -> bool:
    return type(value) is list and len(value) == 3 and all(map(_number, value))


def _square(value: Any) -> bool:
    sides = value if type(value) is list else [value, value]
    return len(sides) == 2 and _whole(sides[0]) and sides[0] == sides[1]


def _layers(value: Any) -> bool:
    return _whole(value) or (type(value) is list and len(value) == 4 and all(map(_whole, value)))


_KINDS = {
    'whole': (_whole, 'a whole number above 0'),
    'id': (lambda v: type(v) is int and 0 <= v < 2**31, 'a whole number, 0 or more'),
    'number': (_number, 'a number'),
    'numbers': (_numbers, 'three numbers'),
    'flag': (lambda v: type(v) is bool, 'true or false'),
    'text': (lambda v: type(v) is str, 'text'),
    'object': (lambda v: type(v) is dict, 'an object'),
    'square': (_square, 'the side of a square image in pixels'),
    'layers': (_layers, 'a whole number above 0, or four'),
    'any': (lambda v: True, 'anything'),
}


def _keys(fate: str, kind: str, **defaults: Any) -> dict[str, _Key]:
    return {name: _Key(default, kind, fate) for name, default in defaults.items()}


# Blocks that are built in another way, in either tower.
_BLOCKS = _keys(
    _DEFAULT_ONLY, 'flag', qk_norm=False, scaled_cosine_attn=False, scale_heads=False,
    scale_attn_inner=False, scale_attn=False, scale_fc=False,
) | _keys(_DEFAULT_ONLY, 'text', block_type=None)  # fmt: skip

_MODEL = {
    **_keys(_COMPARED, 'whole', embed_dim=None),
    **_keys(_COMPARED, 'flag', quick_gelu=False),
    **_keys(_COMPARED, 'number', init_logit_bias=None),
    **_keys(_COMPARED, 'object', vision_cfg=None, text_cfg=None),
    # What training starts from, the shape of one number, and how results are handed out.
    **_keys(_HARMLESS, 'number', init_logit_scale=None),
    **_keys(_HARMLESS, 'flag', nonscalar_logit_scale=False, custom_text=False, output_dict=False),
    **_keys(_HARMLESS, 'text', cast_dtype=None),
}
_VISION = {
    **_keys(_COMPARED, 'square', image_size=224),
    **_keys(_COMPARED, 'whole', patch_size=16, width=768, head_width=64),
    **_keys(_COMPARED, 'layers', layers=12),
    **_keys(_COMPARED, 'number', mlp_ratio=4.0, ls_init_value=None),
    **_keys(_COMPARED, 'flag', no_ln_pre=False, final_ln_after_pool=False),
    **_keys(_COMPARED, 'text', pool_type='tok', timm_model_name=None, timm_pool='avg',
            timm_proj='linear'),
    **_keys(_COMPARED, 'object', act_kwargs=None, norm_kwargs=None),
    **_BLOCKS,
    **_keys(_DEFAULT_ONLY, 'whole', image_seq_len=None, in_chans=3),
    **_keys(_DEFAULT_ONLY, 'flag', attentional_pool=False, timm_proj_bias=False),
    **_keys(_DEFAULT_ONLY, 'object', timm_model_kwargs=None),
    # In training only, or of an attention that is not there; position embeddings are weights.
    **_keys(_HARMLESS, 'number', patch_dropout=0.0, timm_drop=0.0, timm_drop_path=None),
    **_keys(_HARMLESS, 'whole', attn_pooler_queries=256, attn_pooler_heads=8),
    **_keys(_HARMLESS, 'flag', output_tokens=False, timm_model_pretrained=False),
    **_keys(_HARMLESS, 'text', pos_embed_type='learnable'),
}  # fmt: skip
_TEXT = {
    **_keys(_COMPARED, 'whole', context_length=77, vocab_size=49408, width=512, heads=8, layers=12),
    **_keys(_COMPARED, 'number', mlp_ratio=4.0),
    **_keys(_COMPARED, 'flag', no_causal_mask=False, proj_bias=False),
    **_keys(_COMPARED, 'text', pool_type='argmax', proj_type='linear', hf_tokenizer_name=None),
    **_keys(_COMPARED, 'id', eos_id=None),
    **_keys(_COMPARED, 'object', act_kwargs=None, norm_kwargs=None, tokenizer_kwargs=None),
    **_BLOCKS,
    **_keys(_DEFAULT_ONLY, 'text', hf_model_name=None, text_arch='clip', tokenizer_mode=None,
            tokenizer_type='', attention_mode='causal', norm_type=None, norm_placement='pre'),
    **_keys(_DEFAULT_ONLY, 'number', ls_init_value=None),
    **_keys(_DEFAULT_ONLY, 'id', reg_tokens=0),
    **_keys(_DEFAULT_ONLY, 'flag', embed_cls=False, variable_text=False, attn_gated=False,
            pre_norm=False),
    # Of other kinds of text towers. Where one position is taken, the last norm may come after it.
    **_keys(_HARMLESS, 'flag', output_tokens=False, final_ln_after_pool=False,
            hf_model_pretrained=True, zero_init_residual=False),
    **_keys(_HARMLESS, 'id', pad_id=0, bos_id=None),
    **_keys(_HARMLESS, 'text', hf_proj_type='mlp', hf_pooler_type='mean_pooler', pos_embed='rope',
            mlp_type='swiglu', tiktoken_name='cl100k_base'),
    **_keys(_HARMLESS, 'number', rope_temperature=10000.0, norm_eps=1e-6),
}  # fmt: skip
_PREPROCESS = {
    **_keys(_COMPARED, 'square', size=None),
    **_keys(_COMPARED, 'numbers', mean=None, std=None),
    **_keys(_COMPARED, 'text', interpolation=None, resize_mode=None),
    **_keys(_DEFAULT_ONLY, 'text', mode='RGB'),
    **_keys(_HARMLESS, 'any', fill_color=0),  # Of a border, which neither way of resizing leaves.
}
_FILE = {
    **_keys(_COMPARED, 'object', model_cfg=None, preprocess_cfg=None),
    **_keys(_HARMLESS, 'any', _comment=None, name=None, description=None, license=None, tags=None),
}
_EPSILON = {'eps': _Key(1e-5, 'number', _COMPARED)}
_ACTIVATION = {'approximate': _Key('none', 'text', _COMPARED)}
_TOKENIZER = {
    **_keys(_COMPARED, 'text', clean='whitespace'),
    **_keys(_COMPARED, 'flag', strip_sep_token=False),
}


def _show(value: Any) -> str:
    return ascii(value)[:_LONGEST]


def _read(where: str, values: Any, keys: Mapping[str, _Key]) -> dict[str, Any]:
    """The keys that are compared, with defaults filled in; every one that is there is checked."""
    if type(values) is not dict:
        raise ValueError(f'{where} is {_show(values)}, expected an object')
    for name in values:
        if name not in keys:
            raise ValueError(
                f'{where} has the key {_show(name)}, which is not known here and may make another '
                'model of it'
            )
    read = {}
    for name, key in keys.items():
        value = values.get(name, key.default)
        fits, expected = _KINDS[key.kind]
        if value is not None and not fits(value):
            raise ValueError(f'{where}.{name} is {_show(value)}, expected {expected}')
        if value is None and key.default is not None and name not in _NULL:
            raise ValueError(f'{where}.{name} is null, expected {expected}')
        if key.fate == _DEFAULT_ONLY and value != key.default:
            raise ValueError(
                f'{where}.{name} is {_show(value)}; only {_show(key.default)} is known here'
            )
        if key.fate == _COMPARED:
            read[name] = value
    return read


def file_parts(values: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The `model_cfg` and `preprocess_cfg` of an `open_clip_config.json`, {} for what is not there.

    Raises:
        ValueError: A key is unknown, or one of the two is no object.
    """
    parts = _read('the file', values, _FILE)
    return parts['model_cfg'] or {}, parts['preprocess_cfg'] or {}


def preprocessing(cfg: Any) -> dict[str, Any]:
    """What a `preprocess_cfg` says: `size`, `mean`, `std`, `interpolation`, `resize_mode`.

    Raises:
        ValueError: A key is unknown, of another type, or asks for what is not known here.
    """
    read = _read('preprocess_cfg', cfg, _PREPROCESS)
    said = {name: value for name, value in read.items() if value is not None}
    for name, least in (('mean', 0), ('std', 1e-3)):
        if any(not least <= number <= 1 for number in said.get(name, ())):
            raise ValueError(
                f'preprocess_cfg.{name} is {_show(said[name])}, expected numbers of pixels from 0 '
                'to 1'
            )
    if 'size' in said:
        said['size'] = _side(said['size'])
    return {name: tuple(v) if type(v) is list else v for name, v in said.items()}


def model(cfg: Any) -> dict[str, Any]:
    """What a `model_cfg` says that tells models apart, by key, with open_clip's defaults filled in.

    Two configurations of which this is the same are the same model. Keys that open_clip does not
    look at in a model of that kind are left out; the hidden width stands for `mlp_ratio`.

    Raises:
        ValueError: A key is missing, unknown, of another type or range, or asks for what no model
            here does.
    """
    top = _read('model_cfg', cfg, _MODEL)
    for name in ('embed_dim', 'vision_cfg', 'text_cfg'):
        if top[name] is None:
            raise ValueError(f'model_cfg has no {name}')
    vision = _read('vision_cfg', top.pop('vision_cfg'), _VISION)
    text = _read('text_cfg', top.pop('text_cfg'), _TEXT)
    said = top | {'init_logit_bias': top['init_logit_bias'] is not None}
    for tower, own in (('vision_cfg', _vision(vision)), ('text_cfg', _text(text))):
        said |= {f'{tower}.{name}': value for name, value in own.items()}
    return said


def differences(wanted: Mapping[str, Any], own: Mapping[str, Any]) -> list[str]:
    """In words, what `model` says of two configurations differently, but for the two sizes."""
    return [
        f'{name} is {_show(wanted.get(name))}, not {_show(own.get(name))}'
        for name in sorted(wanted.keys() | own.keys())
        if wanted.get(name) != own.get(name)
        and name not in (IMAGE_SIZE, CONTEXT_LENGTH, 'init_logit_bias')
    ]


def _side(value: Any) -> int:
    return value[0] if type(value) is list else value


def _blocks(where: str, tower: Mapping[str, Any]) -> dict[str, Any]:
    eps = _read(f'{where}.norm_kwargs', tower['norm_kwargs'] or {}, _EPSILON)['eps']
    gelu = _read(f'{where}.act_kwargs', tower['act_kwargs'] or {}, _ACTIVATION)['approximate']
    return {
        'mlp_ratio': int(tower['width'] * tower['mlp_ratio']),
        'norm_kwargs': float(eps),
        'act_kwargs': gelu,
    }


def _vision(v: dict[str, Any]) -> dict[str, Any]:
    v['image_size'] = _side(v['image_size'])
    blocks = _blocks('vision_cfg', v)
    if v['timm_model_name']:
        kept = ('image_size', 'timm_model_name', 'timm_pool', 'timm_proj')
        return {name: v[name] for name in kept}
    if type(v['layers']) is list:
        return {name: v[name] for name in ('image_size', 'layers', 'width', 'head_width')}
    kept = ('image_size', 'patch_size', 'width', 'layers', 'head_width', 'no_ln_pre', 'pool_type')
    said = {name: v[name] for name in kept} | blocks
    said['ls_init_value'] = v['ls_init_value'] is not None
    if v['pool_type'] != 'tok':  # Of one token the norm is the same before and after.
        said['final_ln_after_pool'] = v['final_ln_after_pool']
    return said


def _text(t: dict[str, Any]) -> dict[str, Any]:
    kept = ('context_length', 'vocab_size', 'width', 'heads', 'layers', 'no_causal_mask',
            'pool_type', 'proj_type')  # fmt: skip
    said = {name: t[name] for name in kept} | _blocks('text_cfg', t)
    if t['pool_type'] == 'eos':
        said['eos_id'] = t['eos_id']
    if t['proj_type'] != 'none':
        said['proj_bias'] = t['proj_bias']
    # open_clip's own tokenizer unless another is named, or looked for beside the weights.
    own = t['hf_tokenizer_name'] is None and t['tokenizer_kwargs'] is None
    options = _read('text_cfg.tokenizer_kwargs', t['tokenizer_kwargs'] or {}, _TOKENIZER)
    said['tokenizer_kwargs'] = None if own else options
    return said
