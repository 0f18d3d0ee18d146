"""Turns open_clip's weights into a folder that `cpad_jax.load_clip` reads, and back.

cpad-convert ViT-B-32/laion2b_s34b_b79k --out weights/b32
cpad-convert FOLDER --out weights/b32
cpad-convert model.safetensors --model ViT-L-14 --out weights/l14
cpad-convert weights/b32 --to-openclip --out back/b32
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from cpad_jax import atomic, errors, whole_folders
from cpad_jax.models import conversion, tokenizers
from cpad_jax.models.weights import folder as weights_folder
from cpad_jax.models.weights import open_clip, open_clip_config, safetensors, sources
from cpad_jax.printable import say

OPEN_CLIP_WEIGHTS = 'open_clip_model.safetensors'
SAME = 'same'


def convert(source: str, out: Path, check: bool, **options) -> None:
    """Converts weights of open_clip, and prints what was written.

    Args:
        source: See `sources.resolve`.
        out: The folder to write; it appears whole or not at all.
        check: Whether to read the folder back and compare.
        **options: As `conversion.convert` takes them.

    Raises:
        UserError: The source is of another kind, broken, or of another model.
    """
    source = os.path.expanduser(source)
    whole_folders.check(out, '--out', Path(source))
    converted = conversion.convert(source, out, check=check, **options)
    say('\n'.join(converted.remarks))
    rounded = f' as rounded to {options["dtype"]}' if options['dtype'] else ''
    compared = f'; read back, every number is the same{rounded}' if check else ''
    say(
        f'wrote {out}: {converted.config.name}, {converted.num_arrays} arrays, '
        f'sha256 {converted.sha256}{compared}'
    )


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
        for name in (tokenizers.TOKENIZER_FILE, 'README.md'):
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
        convert(
            options.source,
            options.out,
            options.check,
            model=options.model,
            dtype=None if options.dtype == SAME else options.dtype,
            tokenizer=options.tokenizer,
            image_size=options.image_size,
        )
