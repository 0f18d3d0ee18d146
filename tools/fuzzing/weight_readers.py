"""Readers of weights and their descriptions, of tokenizers and of trained models."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from cpad_jax.methods.ce import export, model
from cpad_jax.models import clip_pad_export
from cpad_jax.models.clip_pad_api import PersonalizedCLIP
from cpad_jax.models.person import Person
from cpad_jax.models.person_store import PersonStore
from cpad_jax.models.pretrained import CLIPModel, load_clip
from cpad_jax.models.weights import folder as weights_folder
from cpad_jax.models.weights import open_clip_choice, sources
from cpad_jax.text.file_tokenizer import FileTokenizer
from tests.support import tiny_cpad, weight_files
from tools.fuzzing.reader import Reader, below

_TOKENIZERS = Path(__file__).resolve().parents[2] / 'tests' / 'fixtures' / 'tokenizers'
_ARRAYS = {
    'visual.proj': np.ones((4, 3), np.float32), 'logit_scale': np.array(2.0, np.float32),
    'module.x': np.arange(6, dtype=np.float16).reshape(2, 3), 'n': np.array([1, 2], np.int64),
}  # fmt: skip


def _weights(folder: Path) -> list[str]:
    for end in ('both', 'short', 'long'):
        (folder / f'{end}.pt').write_bytes(weight_files.torch_file(_ARRAYS, end))
    stored, data = {'__metadata__': {'format': 'pt'}}, b''
    for name, array in _ARRAYS.items():
        kind = {'float32': 'F32', 'float16': 'F16', 'int64': 'I64'}[array.dtype.name]
        places = [len(data), len(data) + array.nbytes]
        stored[name] = {'dtype': kind, 'shape': array.shape, 'data_offsets': places}
        data += array.tobytes()
    (folder / 'a.safetensors').write_bytes(weight_files.safetensors_file(stored, data))
    return below(folder, '*')


def _read_weights(folder: Path, name: str) -> None:
    for array in sources.read(sources.resolve(folder / name)).values():
        np.array(array).sum()


def _hub(folder: Path) -> list[str]:
    described = {
        'model_cfg': {
            'embed_dim': 512,
            'vision_cfg': {'image_size': 224, 'layers': 12, 'width': 768, 'patch_size': 32},
            'text_cfg': {'context_length': 77, 'vocab_size': 49408, 'width': 512, 'heads': 8,
                         'layers': 12},
        },
        'preprocess_cfg': {'mean': [0.5, 0.4, 0.3], 'std': [0.2, 0.2, 0.3],
                           'interpolation': 'bicubic', 'resize_mode': 'shortest'},
    }  # fmt: skip
    (folder / 'open_clip_config.json').write_text(json.dumps(described, indent=2))
    (folder / 'README.md').write_text('---\nlanguage: en\nlicense: mit\n---\n# A CLIP\n')
    state = weight_files.torch_file(_ARRAYS)
    (folder / 'open_clip_pytorch_model-00001-of-00001.bin').write_bytes(state)
    index = {'weight_map': dict.fromkeys(_ARRAYS, 'open_clip_pytorch_model-00001-of-00001.bin')}
    (folder / 'open_clip_pytorch_model.bin.index.json').write_text(json.dumps(index))
    return below(folder, '*.json', '*.md')


def _read_hub(folder: Path, name: str) -> None:
    resolved = sources.resolve(folder)
    open_clip_choice.choose_config(None, resolved)
    sources.read(resolved)


def _tokenizers(folder: Path) -> list[str]:
    for name in ('byte_fallback', 'multilingual', 'unigram', 'wordpiece'):
        shutil.copyfile(_TOKENIZERS / f'{name}.json', folder / f'{name}.json')
    return below(folder, '*')


def _read_tokenizer(folder: Path, name: str) -> None:
    settings = json.loads((_TOKENIZERS / 'ids.json').read_text('utf-8'))[Path(name).stem]
    tokenizer = FileTokenizer(folder / name, **settings['settings'])
    tokenizer.tokenize(['a woman [TOK] on a road', 'Zoë, 東京 😀'])


def _drawn(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    drawn = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return weights_folder.unflatten(drawn)


def _clip(folder: Path) -> list[str]:
    params = _drawn(weights_folder.parameter_shapes(tiny_cpad.CLIP_CONFIG))
    weights_folder.save_clip(folder, tiny_cpad.CLIP_CONFIG, params)
    return below(folder, '*')


def _trained(folder: Path) -> list[str]:
    shapes = clip_pad_export.parameter_shapes(tiny_cpad.CONFIG, tiny_cpad.CLIP_CONFIG)
    saved = clip_pad_export.SavedCPAD(
        tiny_cpad.CONFIG, _drawn(shapes), 'tiny', 'c' * 64, ['Ann Bell']
    )
    clip_pad_export.save_model(folder / 'model', saved)
    PersonStore(folder / 'people', _model(saved)).save(
        Person('Anna', np.ones((2, 64), np.float32), 'image', 5)
    )
    return below(folder, '*')


def _read_trained(folder: Path, name: str) -> None:
    saved = clip_pad_export.load_model(folder / 'model', tiny_cpad.CLIP_CONFIG, 'c' * 64)
    if name.startswith('people'):
        PersonStore(folder / 'people', _model(saved)).load('Anna')


def _model(saved: clip_pad_export.SavedCPAD) -> PersonalizedCLIP:
    return PersonalizedCLIP(CLIPModel(tiny_cpad.CLIP_CONFIG, {}, 'c' * 64), saved)


def _experts(folder: Path) -> list[str]:
    config = model.CEConfig(clip_width=6, face_width=5, word_width=4, width=8, clusters=3, ghosts=1)
    shapes = jax.eval_shape(lambda: model.init(config, jax.random.key(0)))
    variables = jax.tree.map(lambda array: np.ones(array.shape, np.float32), shapes)
    export.save_model(folder / 'ce', export.SavedCE(config, variables, 'tiny', 'a' * 64, 4, 2))
    return below(folder, '*')


READERS = (
    Reader('weights', _weights, _read_weights, False),
    Reader('hub_folders', _hub, _read_hub, True),
    Reader('tokenizers', _tokenizers, _read_tokenizer, True),
    Reader('clip_folders', _clip, lambda folder, name: load_clip(folder), True),
    Reader('trained_models', _trained, _read_trained, True),
    Reader(
        'collaborative_experts', _experts,
        lambda folder, name: export.load_model(folder / 'ce', 'a' * 64), True,
    ),
)  # fmt: skip
