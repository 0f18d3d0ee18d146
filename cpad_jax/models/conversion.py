"""Converts weights of open_clip into a folder that `load_clip` reads, and caches the result."""

from __future__ import annotations

import dataclasses
import difflib
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cpad_jax import atomic, whole_folders
from cpad_jax.errors import UserError
from cpad_jax.locks import locked
from cpad_jax.media.model_files import cache_folder
from cpad_jax.models import seals, tokenizers
from cpad_jax.models.config import CLIPConfig
from cpad_jax.models.weights import folder as weights_folder
from cpad_jax.models.weights import open_clip, sources
from cpad_jax.models.weights.open_clip_choice import activation, choose_config, with_sizes_of
from cpad_jax.printable import say

_HUB = 'hf-hub:'


@dataclasses.dataclass(frozen=True)
class Converted:
    """A folder that was written.

    Attributes:
        config: The configuration of the model.
        num_arrays: Number of arrays in the source.
        sha256: SHA-256 of the weights that were written.
        remarks: Lines about choices that were made, such as the activation.
    """

    config: CLIPConfig
    num_arrays: int
    sha256: str
    remarks: list[str]


def convert(
    source: str | os.PathLike[str],
    out: Path,
    model: str | None = None,
    dtype: str | None = None,
    tokenizer: Path | None = None,
    check: bool = False,
    image_size: int | None = None,
) -> Converted:
    """Converts weights of open_clip.

    Args:
        source: A file, a folder, a repository of the hub or a tag, see `sources.resolve`.
        out: The folder to write; it appears whole or not at all.
        model: open_clip's name of the model, see `open_clip_choice.choose_config`.
        dtype: Type of the numbers written; None for that of the source.
        tokenizer: A `tokenizer.json`; None for the one beside the weights.
        check: Whether to read the folder back and compare.
        image_size: Pixels that the position embeddings of the image tower are resized to; None for
            those that the weights were trained for.

    Returns:
        What was written.

    Raises:
        UserError: The source is of another kind, broken, or of another model.
    """
    resolved = sources.resolve(source)
    state, remarks = sources.read_with_remarks(resolved)
    config = choose_config(model, resolved, state)
    config, why = activation(config, model, resolved, remarks)
    config, sizes = with_sizes_of(state, config, resolved, image_size)
    params = open_clip.from_open_clip(state, config, resolved.origin)
    tokenizer = tokenizer or resolved.tokenizer
    with whole_folders.writing(out) as temporary:
        weights_folder.save_clip(temporary, config, params, dtype, aside=open_clip.unused(state))
        if config.text.tokenizer == 'file':
            if tokenizer is None:
                raise UserError(
                    f'{config.name} has a tokenizer of its own, and there is none beside '
                    f'{resolved.origin}: give its tokenizer.json with --tokenizer'
                )
            shutil.copyfile(tokenizer, temporary / tokenizers.TOKENIZER_FILE)
            tokenizers.open_tokenizer(config, temporary)
            seals.add(temporary / weights_folder.CONFIG_FILE, tokenizers.TOKENIZER_FILE)
        card = _card(config, resolved, state, temporary)
        atomic.write_bytes(temporary / 'README.md', card.encode())
        if check:
            _check(temporary, state, dtype)
    sha256 = seals.written_sha256(out / weights_folder.CONFIG_FILE, weights_folder.WEIGHTS_FILE)
    return Converted(config, len(state), sha256, [*remarks, *sizes, why])


def _check(folder: Path, state: Mapping[str, np.ndarray], dtype: str | None) -> None:
    """Compares what was written with what was read."""
    config, params = weights_folder.load_clip_variables(folder)
    for name, array in open_clip.to_open_clip(params, config).items():
        expected = state.get(name, state.get(f'text.{name}'))
        if expected is None or expected.shape != array.shape:
            continue  # A position embedding that was resized.
        expected = expected.astype(dtype or expected.dtype).astype(np.float32)
        if not np.array_equal(array, expected, equal_nan=True):
            raise UserError(f'{name} was read back with other numbers: convert again')


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


def is_remote(source: str) -> bool:
    """Whether a source names weights on the Hugging Face hub: a tag or `hf-hub:…`.

    Raises:
        UserError: It is the name of a model without a tag, or nearly a tag.
    """
    if source.startswith(_HUB):
        return True
    model, _, tag = source.partition('/')
    models = sources.tags()
    if tag and model in models:
        return True
    if model in models and not tag:
        sources.resolve(source)  # Raises, with one of its tags.
    if tag and '/' not in tag and (near := difflib.get_close_matches(model, models, 1, 0.8)):
        raise UserError(
            f'there is no folder {source}, and open_clip has no model {model}; did you mean '
            f'{near[0]}/{tag}?'
        )
    return False


def cached(source: str) -> Path:
    """Fetches and converts weights from the hub, once.

    Args:
        source: `MODEL/TAG` of open_clip, or `hf-hub:ORGANISATION/REPOSITORY`.

    Returns:
        The converted folder, in `CPAD_CACHE/clip` (default: `~/.cache/cpad_jax/clip`). If it is
        there, the hub is not contacted.

    Raises:
        UserError: The weights cannot be downloaded or converted.
    """
    if source.startswith(_HUB):
        name = sources.repository(source).replace('/', '--')
        folder = cache_folder() / 'clip' / 'hf-hub' / name
    else:
        row = sources.find_tag(*source.split('/', 1))
        source = f'{row.model}/{row.tag}'
        folder = cache_folder() / 'clip' / row.model / row.tag
    if not folder.exists():
        with locked(folder.parent, wait=True):
            if not folder.exists():  # Another process may have converted it meanwhile.
                say(f'fetching {source} and converting it into {folder}, once', sys.stderr)
                convert(source, folder)
    return folder
