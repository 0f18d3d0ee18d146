"""Holds our CLIPs against open_clip's, variant by variant, and writes docs/models.md.

    python tools/check_parity.py --out docs/models.md
    python tools/check_parity.py --full-size ViT-B-32 RN50 ViT-B-16-SigLIP2

Every configuration is compared twice. At full size, the names and shapes of all parameters are
those of open_clip's model. At a reduced size with every feature of its variant, both models get
the same random weights, through the converter, and embed the same images and texts. The weights
are drawn so that everything matters: normalisations have scales, biases and statistics, the
residual stream is so small that epsilon counts, and activations are taken where they differ.

Needs open_clip (`pip install torch==2.13.0 timm ftfy regex huggingface-hub`, then
`pip install --no-deps torchvision==0.28.0 open_clip_torch==3.3.0`); a CPU is enough.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import logging
import sys
import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

# Run as a script, the package beside this folder is found without being installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cpad_jax import (
    atomic,
    errors,
    progress,
)
from cpad_jax.models import zoo
from cpad_jax.models.clip import CLIP
from cpad_jax.models.config import (
    CLIPConfig,
    ResNetConfig,
)
from cpad_jax.models.weights import folder, open_clip_config
from cpad_jax.models.weights import open_clip as weights_open_clip

STREAM = 0.01  # Size of what flows along the blocks: its square is near the epsilons.
LIMITS = {'float32': 1e-5, 'bfloat16': 2e-2}
IMAGES, TEXTS = 3, 5


def reduced(config: CLIPConfig) -> CLIPConfig:
    """The same variant, so small that it runs in moments."""
    text = dataclasses.replace(
        config.text,
        context_length=12,
        width=48,
        layers=2,
        heads=3,
        mlp_width=config.text.mlp_width and 100,
        vocab_size=96,
        end_token=95 if config.text.tokenizer == 'clip' else config.text.end_token % 96,
    )
    c = config.vision
    if isinstance(c, ResNetConfig):
        vision = dataclasses.replace(c, image_size=64, width=16, blocks=(1, 2, 1, 1), heads=8)
        return dataclasses.replace(config, embed_dim=40, vision=vision, text=text)
    vision = dataclasses.replace(
        c,
        # Three patches a side, and the same rest that belongs to none.
        image_size=3 * c.patch_size + c.image_size % c.patch_size,
        width=48,
        layers=2,
        heads=2,
        mlp_width=c.mlp_width and 100,
    )
    dim = 48 if 'none' in (vision.projection, text.projection) else 40
    return dataclasses.replace(config, embed_dim=dim, vision=vision, text=text)


def draw_state(shapes: Mapping[str, Sequence[int]], seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights by open_clip's names.

    Args:
        shapes: Name → shape.
        seed: Seed; each array depends on it, its own name and its shape only.

    Returns:
        float32 arrays (int64 for what counts).
    """
    return {
        name: _draw(name, tuple(shape), np.random.RandomState(zlib.crc32(name.encode()) ^ seed))
        for name, shape in shapes.items()
    }


def _draw(name: str, shape: tuple[int, ...], rng: np.random.RandomState) -> np.ndarray:
    if name.endswith('num_batches_tracked'):
        return np.array(rng.randint(1000), np.int64)
    if name in ('logit_scale', 'logit_bias'):
        return np.array(2.5 if name == 'logit_scale' else -3.0, np.float32)
    normal = rng.standard_normal(shape)
    kind = name.rsplit('.', 2)
    module, leaf = (kind[-2], kind[-1]) if len(kind) > 1 else ('', name)
    is_norm = module.startswith(('ln_', 'norm', 'bn')) or '.downsample.1.' in name
    # What is added to the stream of a transformer, or starts it.
    small = ('transformer.' in name or '.blocks.' in name or '.attn_pool.' in name) and (
        module in ('out_proj', 'c_proj', 'proj', 'fc2')
    )
    small |= name.endswith(
        ('visual.conv1.weight', 'patch_embed.proj.weight', 'token_embedding.weight')
    )
    small |= leaf in ('class_embedding', 'positional_embedding', 'pos_embed') or 'ln_pre' in name
    if leaf == 'running_mean':
        array = 0.3 * STREAM * normal
    elif leaf == 'running_var':
        array = STREAM**2 * rng.uniform(0.5, 1.5, shape)
    elif leaf == 'gamma' or (is_norm and leaf == 'weight'):
        array = rng.uniform(0.5, 1.5, shape)
    elif leaf == 'bias':
        array = (1.0 if small else 0.3) * normal
    elif len(shape) == 4:  # A convolution [out, in, rows, columns].
        fan_in = np.prod(shape[1:])
        array = 1.4 * normal / np.sqrt(fan_in) * (STREAM if 'patch_embed' not in name else 1)
        small &= 'patch_embed' in name
    elif (
        leaf.endswith('embedding') or leaf in ('latent', 'pos_embed') or module == 'token_embedding'
    ):
        array = normal
    else:
        # A gain of 1.5 brings attention and activation to where they are not linear. Kernels are
        # [out, in], but for projections that are bare parameters.
        bare = leaf in ('proj', 'text_projection')
        array = 1.5 * normal / np.sqrt(shape[0 if bare else -1])
    if 'attnpool.positional_embedding' in name:
        small = False  # It meets features of order one.
    return np.asarray(array * (STREAM if small else 1), np.float32)


def draw_inputs(config: CLIPConfig) -> tuple[np.ndarray, np.ndarray]:
    """Pixels float32 [3, S, S, 3], and ids int32 [5, L]: rows of different lengths."""
    rng = np.random.RandomState(8)
    # Noise on a colour: what differs from pixel to pixel only is gone after pooling.
    pixels = rng.standard_normal((IMAGES, config.image_size, config.image_size, 3))
    pixels += 2 * rng.standard_normal((IMAGES, 1, 1, 3))
    c = config.text
    words = np.setdiff1d(np.arange(3, min(c.vocab_size, 1000)), [c.end_token, c.pad_token])
    ids = np.full((TEXTS, c.context_length), c.pad_token, np.int32)
    for i, row in enumerate(ids):
        length = 2 + i * (c.context_length - 3) // (TEXTS - 1)
        row[:length] = rng.choice(words, length)
        row[length] = c.end_token
    return pixels.astype(np.float32), ids


@functools.partial(jax.jit, static_argnums=(0, 4))
def embed(
    config: CLIPConfig, params: Any, pixels: jax.Array, ids: jax.Array, dtype: Any = jnp.float32
) -> tuple[jax.Array, jax.Array]:
    """Unit embeddings of images and of texts, [B, D] each."""
    model, variables = CLIP(config, dtype), {'params': params}
    return (
        model.apply(variables, pixels, True, method='encode_image'),
        model.apply(variables, ids, True, method='encode_text'),
    )


def import_open_clip() -> ModuleType:
    """open_clip, also where torchvision's wheel is for another build of torch.

    Beside a CPU build of torch it has no operators, and looks for them when it is imported. CLIP
    calls none of them, so that their names are enough.
    """
    try:
        importlib.import_module('torchvision')
    except ImportError as error:
        raise errors.UserError(
            f'open_clip is not here ({error}): install what --help says this tool needs'
        ) from error
    except RuntimeError:
        import torch  # noqa: PLC0415

        library = torch.library.Library('torchvision', 'FRAGMENT')
        for name in (
            'nms',
            'roi_align',
            'roi_pool',
            'ps_roi_align',
            'ps_roi_pool',
            'deform_conv2d',
        ):
            for operator in (name, f'_{name}_backward', f'q{name}'):
                library.define(f'{operator}(Tensor a, Tensor b, float c) -> Tensor')
        _KEPT.append(library)
        for name in [name for name in sys.modules if name.split('.')[0] == 'torchvision']:
            del sys.modules[name]
    return importlib.import_module('open_clip')


_KEPT: list[Any] = []  # Declarations end with the object that made them.


def build_peer(config: CLIPConfig) -> Any:
    """open_clip's model of a configuration, without weights worth keeping.

    SigLIP's image tower comes from timm, which open_clip can only name; it is put in its place.
    """
    models = import_open_clip().model
    import timm  # noqa: PLC0415
    import torch  # noqa: PLC0415

    # A small one of its names, which is thrown away.
    stand_in = 'vit_base_patch32_siglip_256'
    cfg = open_clip_config.model_cfg(config, stand_in)
    cfg['text_cfg'].pop('tokenizer_kwargs', None)
    if not cfg.pop('custom_text', False):
        return models.CLIP(**cfg)
    v = config.vision
    trunk = timm.models.vision_transformer.VisionTransformer(
        img_size=v.image_size, patch_size=v.patch_size, embed_dim=v.width, depth=v.layers,
        num_heads=v.heads, mlp_ratio=open_clip_config.mlp_ratio(v), class_token=False,
        global_pool='map', num_classes=0,
        act_layer='gelu_tanh' if v.activation == 'gelu_tanh' else None,
    )  # fmt: skip
    peer = models.CustomTextCLIP(**cfg)
    peer.visual = torch.nn.Sequential()
    peer.visual.add_module('trunk', trunk)
    return peer


def peer_embeddings(
    peer: Any, state: Mapping[str, np.ndarray], pixels: np.ndarray, ids: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Unit embeddings [B, D] of open_clip's model, computed in float64."""
    import torch  # noqa: PLC0415

    peer.load_state_dict({name: torch.from_numpy(np.array(a)) for name, a in state.items()})
    peer = peer.eval().double()
    with torch.no_grad():
        channels_first = torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy()).double()
        image = peer.encode_image(channels_first, normalize=True).numpy()
        text = peer.encode_text(torch.from_numpy(ids.astype(np.int64)), normalize=True).numpy()
    return image, text


class Parity(NamedTuple):
    """Largest differences of unit embeddings from open_clip's."""

    float32: float
    bfloat16: float


def compare(config: CLIPConfig) -> Parity:
    """Runs both models at the size of `config`, with the same random weights."""
    peer = build_peer(config)
    state = draw_state({name: a.shape for name, a in peer.state_dict().items()})
    pixels, ids = draw_inputs(config)
    right = peer_embeddings(peer, state, pixels, ids)
    params = weights_open_clip.from_open_clip(state, config)
    return Parity(*(
        max(
            float(np.abs(np.asarray(ours, np.float64) - theirs).max())
            for ours, theirs in zip(
                embed(config, params, pixels, ids, jnp.dtype(dtype).type), right, strict=True
            )
        )
        for dtype in LIMITS
    ))  # fmt: skip


def peer_shapes(config: CLIPConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of everything in open_clip's model of that name; no memory is taken."""
    open_clip = import_open_clip()
    import torch  # noqa: PLC0415

    logging.disable(logging.WARNING)  # It warns that the weights are random.
    with torch.device('meta'):
        peer = open_clip.create_model(config.name, device='meta')
    logging.disable(logging.NOTSET)
    return {name: tuple(a.shape) for name, a in peer.state_dict().items()}


def check_names(config: CLIPConfig) -> int:
    """Compares names and shapes at full size.

    Returns:
        How many parameters there are; running statistics do not count.

    Raises:
        UserError: They differ.
    """
    theirs = {k: v for k, v in peer_shapes(config).items() if 'num_batches_tracked' not in k}
    folder.check_shapes(weights_open_clip.shapes(config), theirs, 'our table', config.name)
    return count_parameters(config)


def count_parameters(config: CLIPConfig) -> int:
    """How many numbers are learned: running statistics of batch normalisations are not."""
    return sum(
        int(np.prod(shape))
        for name, shape in folder.parameter_shapes(config).items()
        if not name.endswith(('/mean', '/var'))
    )


HEADER = """# Models

Every configuration below has open_clip's name, and open_clip's weights load into it
(`tools/convert_openclip_weights.py`). The table comes from

    {command}

which compares each of them with open_clip 3.3.0: names and shapes of all parameters at full size;
embeddings at a reduced size that keeps every feature of the variant, with the same random weights.
The last two columns are the largest difference of any number of the unit embeddings of {images}
images and {texts} texts from open_clip's in float64, when ours multiply in float32 and in bfloat16.

"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line and compares."""
    parser = errors.CommandParser(__doc__)
    parser.add_argument('names', nargs='*', help='configurations; all by default')
    parser.add_argument('--full-size', action='store_true', help='compare embeddings at full size')
    parser.add_argument('--out', type=errors.given_path, help='write the table there')
    options = parser.parse_args(arguments)
    chosen = options.names or [c.name for family in zoo.FAMILIES.values() for c in family]
    configs = [zoo.get(name) for name in chosen]
    rows = ['| name | parameters | float32 | bfloat16 |', '|---|---|---|---|']
    start, missed = time.monotonic(), []
    with progress.bar(total=len(configs), stage='comparing', unit='model') as bar:
        for config in configs:
            count = check_names(config)
            parity = compare(config if options.full_size else reduced(config))
            jax.clear_caches()
            rows.append(
                f'| {config.name} | {count:,} | {parity.float32:.1e} | {parity.bfloat16:.1e} |'
            )
            missed += [
                f'{config.name} ({dtype}: {value:.1e}, at most {LIMITS[dtype]:.0e})'
                for dtype, value in parity._asdict().items()
                if not value <= LIMITS[dtype]
            ]
            bar.update(1)
    table = '\n'.join(rows)
    print(f'{table}\n{len(configs)} configurations in {time.monotonic() - start:.0f} s')
    if options.out:
        command = f'python tools/check_parity.py --out {options.out}'
        atomic.write_bytes(
            options.out,
            f'{HEADER.format(command=command, images=IMAGES, texts=TEXTS)}{table}\n'.encode(),
        )
    if missed:
        raise errors.UserError(f'too far from open_clip: {"; ".join(missed)}')


if __name__ == '__main__':
    errors.run_command(main, errors.STARTS_ANEW)
