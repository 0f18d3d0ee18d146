"""Turns open_clip's weights into a folder that `cpad_jax.load_clip` reads, and back.

python tools/convert_openclip_weights.py ViT-B-32/laion2b_s34b_b79k --out weights/b32
python tools/convert_openclip_weights.py FOLDER --out weights/b32
python tools/convert_openclip_weights.py model.safetensors --model ViT-L-14 --out weights/l14
python tools/convert_openclip_weights.py weights/b32 --to-openclip --out back/b32
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import ml_dtypes  # Lets NumPy know bfloat16.  # noqa: F401
import numpy as np

# Run as a script, the package beside this folder is found without being installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cpad_jax import (
    atomic,
    errors,
    whole_folders,
)
from cpad_jax.models import pretrained, seals
from cpad_jax.models.config import CLIPConfig
from cpad_jax.models.weights import folder as weights_folder
from cpad_jax.models.weights import open_clip, open_clip_config, safetensors, sources
from cpad_jax.models.weights.open_clip_choice import (
    activation,
    choose_config,
    with_sizes_of,
)
from cpad_jax.printable import say

OPEN_CLIP_WEIGHTS = 'open_clip_model.safetensors'
SAME = 'same'


def convert(
    source: str,
    model: str | None,
    out: Path,
    dtype: str,
    tokenizer: Path | None,
    check: bool,
    image_size: int | None = None,
) -> None:
    """Converts weights of open_clip.

    Args:
        source: See `sources.resolve`.
        model: See `choose_config`.
        out: The folder to write; it appears whole or not at all.
        dtype: Type of the numbers written, or 'same'.
        tokenizer: A `tokenizer.json`; None for the one beside the weights.
        check: Whether to read the folder back and compare.
        image_size: Pixels that the position embeddings of the image tower are resized to; None for
            those that the weights were trained for.

    Raises:
        UserError: The source is of another kind, broken, or of another model.
    """
    source = os.path.expanduser(source)
    whole_folders.check(out, '--out', Path(source))
    resolved = sources.resolve(source)
    state, remarks = sources.read_with_remarks(resolved)
    config = choose_config(model, resolved, state)
    config, said = activation(config, model, resolved, remarks)
    config, more = with_sizes_of(state, config, resolved, image_size)
    params = open_clip.from_open_clip(state, config, resolved.origin)
    tokenizer = tokenizer or resolved.tokenizer
    kept = None if dtype == SAME else dtype
    with whole_folders.writing(out) as temporary:
        weights_folder.save_clip(temporary, config, params, kept, aside=open_clip.unused(state))
        if config.text.tokenizer == 'file':
            if tokenizer is None:
                raise errors.UserError(
                    f'{config.name} has a tokenizer of its own, and there is none beside '
                    f'{resolved.origin}: give its tokenizer.json with --tokenizer'
                )
            shutil.copyfile(tokenizer, temporary / pretrained.TOKENIZER_FILE)
            pretrained.open_tokenizer(config, temporary)
            seals.add(temporary / weights_folder.CONFIG_FILE, pretrained.TOKENIZER_FILE)
        atomic.write_bytes(
            temporary / 'README.md', _card(config, resolved, state, temporary).encode()
        )
        if check:
            _check(temporary, state, kept)
    say('\n'.join((*remarks, *more, said)))
    sha256 = seals.written_sha256(out / weights_folder.CONFIG_FILE, weights_folder.WEIGHTS_FILE)
    rounded = f' as rounded to {kept}' if kept else ''
    compared = f'; read back, every number is the same{rounded}' if check else ''
    say(f'wrote {out}: {config.name}, {len(state)} arrays, sha256 {sha256}{compared}')


def _check(folder: Path, state: Mapping[str, np.ndarray], dtype: str | None) -> None:
    """Holds what was written against what was read."""
    config, params = weights_folder.load_clip_variables(folder)
    for name, array in open_clip.to_open_clip(params, config).items():
        right = state.get(name, state.get(f'text.{name}'))
        if right is None or right.shape != array.shape:
            continue  # A position embedding that was resized.
        right = right.astype(dtype or right.dtype).astype(np.float32)
        if not np.array_equal(array, right, equal_nan=True):
            raise errors.UserError(f'{name} was read back with other numbers: convert again')


def _card(
    config: CLIPConfig, resolved: sources.Resolved, state: Mapping[str, np.ndarray], folder: Path
) -> str:
    """A model card: where the weights come from."""
    sha256 = seals.written_sha256(folder / weights_folder.CONFIG_FILE, weights_folder.WEIGHTS_FILE)
    types = ', '.join(sorted({array.dtype.name for array in state.values()}))
    files = '\n'.join(
        f'  - `{p.name}`, sha256 {weights_folder.file_sha256(p)}' for p in resolved.paths
    )
    return f"""# {config.name}

Weights of open_clip, converted by cpad_jax for `cpad_jax.load_clip`.

- **Source**: {resolved.origin}
{files}
- **Numbers in the source**: {types}
- **`{weights_folder.WEIGHTS_FILE}`**: sha256 {sha256}
- **Licence**: {resolved.licence or 'not named beside the weights; see their source'}
"""


def convert_back(source: Path, out: Path) -> None:
    """Writes a folder that open_clip loads as `local-dir:FOLDER`.

    Args:
        source: A folder of ours.
        out: The folder to write; it appears whole or not at all.

    Raises:
        UserError: The source is no such folder, or open_clip has no such model.
    """
    whole_folders.check(out, '--out', source)
    params = weights_folder.stored_params(source)
    config = weights_folder.read_config(source / weights_folder.CONFIG_FILE)
    state = open_clip.to_open_clip(params, config) | weights_folder.load_aside(source)
    with whole_folders.writing(out) as temporary:
        stored = {name: safetensors.Stored(array) for name, array in state.items()}
        safetensors.write(temporary / OPEN_CLIP_WEIGHTS, stored)
        said = {
            'model_cfg': open_clip_config.model_cfg(config),
            'preprocess_cfg': open_clip_config.preprocess_cfg(config),
        }
        atomic.write_json(temporary / sources.CONFIG_FILE, said)
        for name in (pretrained.TOKENIZER_FILE, 'README.md'):
            if (source / name).is_file():
                shutil.copyfile(source / name, temporary / name)
    say(f'wrote {out}: {config.name} for open_clip, {len(state)} arrays')


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line and converts."""
    parser = errors.CommandParser(__doc__)
    parser.add_argument(
        'source',
        help='a file (.safetensors, .bin, .pt, .pth, .ckpt), a folder, '
        'hf-hub:ORGANISATION/REPOSITORY, or MODEL/TAG of open_clip',
    )
    parser.add_argument(
        '--model',
        help="open_clip's name of the model, e.g. ViT-B-32-quickgelu; not needed for a MODEL/TAG, "
        'nor where open_clip_config.json lies beside the weights',
    )
    parser.add_argument('--out', required=True, type=errors.given_path, help='the folder to write')
    parser.add_argument(
        '--dtype',
        default=SAME,
        choices=(SAME, 'float32', 'float16', 'bfloat16'),
        help='type of the numbers written (default: that of the source)',
    )
    parser.add_argument(
        '--tokenizer', type=errors.given_path, help='tokenizer.json, if not beside the weights'
    )
    parser.add_argument(
        '--image-size',
        type=int,
        help='pixels to resize the position embeddings of the image tower to, as open_clip does '
        '(default: what the weights were trained for)',
    )
    parser.add_argument('--check', action='store_true', help='read the result back and compare')
    parser.add_argument(
        '--to-openclip', action='store_true', help='the way back: SOURCE is a converted folder'
    )
    options = parser.parse_args(arguments)
    if options.to_openclip:
        convert_back(errors.given_path(options.source), options.out)
    else:
        convert(options.source, options.model, options.out, options.dtype, options.tokenizer,
                options.check, options.image_size)  # fmt: skip


if __name__ == '__main__':
    errors.run_command(main, errors.STARTS_ANEW)
