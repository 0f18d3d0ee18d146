"""Turns open_clip's weights into a folder that `cpad_jax.load_clip` reads.

python tools/convert_openclip_weights.py open_clip_model.safetensors \
        --model ViT-B-32-quickgelu --out weights/vit_b32
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

# Run as a script, the package beside this folder is found without being installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cpad_jax import errors  # noqa: E402
from cpad_jax.models import openclip, weights, zoo  # noqa: E402


def convert(source: Path, model: str, out: Path, dtype: str) -> None:
    """Converts one file.

    Args:
        source: `.safetensors` file of open_clip's state dictionary.
        model: Name of the configuration the weights were trained with.
        out: The folder to write.
        dtype: Type of the numbers written: 'float32', 'float16' or 'bfloat16'.

    Raises:
        UserError: The source is of another kind, broken, or of another model.
    """
    config = zoo.get(model)
    if source.is_file() and source.suffix != '.safetensors':
        raise errors.UserError(
            f'{source} is a {source.suffix or "nameless"} file; expected open_clip weights as '
            '.safetensors (most models have such a file beside their .bin or .pt)'
        )
    state = weights.read_safetensors(source)
    params = openclip.from_open_clip(state, config, str(source))
    weights.save_clip(out, config, params, dtype=dtype)
    sha256 = weights.file_sha256(out / weights.WEIGHTS_FILE)
    print(f'wrote {out}: {config.name}, {len(state)} arrays, {dtype}, sha256 {sha256}')


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line and converts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('source', type=Path, help='open_clip weights, .safetensors')
    parser.add_argument(
        '--model',
        required=True,
        help='open_clip\'s name, e.g. ViT-B-32-quickgelu; "openai" weights are -quickgelu',
    )
    parser.add_argument('--out', required=True, type=Path, help='the folder to write')
    parser.add_argument(
        '--dtype',
        default='float32',
        choices=('float32', 'float16', 'bfloat16'),
        help='type of the numbers written (default: %(default)s)',
    )
    options = parser.parse_args(arguments)
    convert(options.source, options.model, options.out, options.dtype)


if __name__ == '__main__':
    errors.run_command(main)
