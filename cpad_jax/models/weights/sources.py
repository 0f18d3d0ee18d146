"""Where a CLIP's weights come from: a file, a folder, the Hugging Face hub, a tag of open_clip."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from cpad_jax import strict_json
from cpad_jax.errors import UserError
from cpad_jax.models.weights import folder as weights_folder
from cpad_jax.models.weights import safetensors, state_dicts, torch_files

CONFIG_FILE = weights_folder.OPEN_CLIP_CONFIG
TOKENIZER_FILE = 'tokenizer.json'
CARD_FILE = 'README.md'

SUFFIXES = ('.safetensors', '.bin', '.pt', '.pth', '.ckpt')
# What is fetched from a hub, where anybody can put anything.
HUB_SUFFIXES = ('.safetensors', '.bin')

_HUB = 'hf-hub:'
_KINDS = (
    f'a file ({", ".join(SUFFIXES)}), a folder, {_HUB}ORGANISATION/REPOSITORY or MODEL/TAG of '
    'open_clip such as ViT-B-32/laion2b_s34b_b79k'
)
_OTHER_KINDS = {
    '.npz': 'NumPy or big_vision',
    '.msgpack': 'Flax',
    '.h5': 'Keras or TensorFlow',
    '.pb': 'TensorFlow',
    '.index': 'TensorFlow',
    '.onnx': 'an ONNX network, without names of open_clip',
    '.gguf': 'llama.cpp',
}
_TAGS = Path(__file__).with_name('open_clip_tags.json')
_REPOSITORY = re.compile(r'[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*')
_SHARD = re.compile(r'-\d+-of-\d+$')
# The value, or the first of a list of them.
_LICENCE = r'^(license(?:_name)?):(?: *|\n *- *)([^\s#].*)$'
_MAX_CARD = 1 << 16


@dataclasses.dataclass(frozen=True)
class Tag:
    """What open_clip knows of one set of weights, which leaves no trace in them.

    Attributes:
        model: open_clip's name of the configuration, such as 'ViT-B-32'.
        tag: open_clip's name of the weights, such as 'laion2b_s34b_b79k'.
        hub: Repository on the Hugging Face hub, or None.
        url: Where else the weights are, or None.
        quick_gelu: Whether they need QuickGELU in place of GELU. A model without '-quickgelu' in
            its name has tags that do.
        mean: Mean of the pixels, per channel of RGB in 0 to 1.
        std: Their standard deviation.
        interpolation: 'bicubic' or 'bilinear'.
        resize_mode: 'shortest' (then a crop) or 'squash'.
    """

    model: str
    tag: str
    hub: str | None = None
    url: str | None = None
    quick_gelu: bool = False
    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)
    interpolation: str = 'bicubic'
    resize_mode: str = 'shortest'


@dataclasses.dataclass(frozen=True)
class Resolved:
    """Weights on this machine, and the descriptions beside them.

    Attributes:
        paths: Files of weights, one or all shards.
        origin: Where they are from, for a model card.
        tokenizer: A tokenizer.json, or None.
        licence: What the README.md of the folder names, such as 'mit', or None.
        config: The parsed open_clip_config.json, or None.
        tag: What open_clip knows of the weights, if they were requested by MODEL/TAG.
    """

    paths: tuple[Path, ...]
    origin: str
    tokenizer: Path | None = None
    licence: str | None = None
    config: Mapping[str, Any] | None = None
    tag: Tag | None = None


def resolve(source: str | os.PathLike[str]) -> Resolved:
    """Finds weights, and fetches them if they are on the Hugging Face hub.

    Args:
        source: A file (.safetensors, .bin, .pt, .pth, .ckpt); a folder with one such file, or
            shards and their index; 'hf-hub:ORGANISATION/REPOSITORY'; or MODEL/TAG of open_clip.
            What exists on this machine goes before a tag of that name.

    Returns:
        The files and their descriptions. In a folder, open_clip's names go before others, and
        safetensors before torch.

    Raises:
        UserError: There is nothing, there are several, or it cannot be fetched.
    """
    text = os.fspath(source)
    if text.startswith(_HUB):
        return _from_hub(repository(text))
    path = Path(text)
    if path.is_dir():
        return _from_folder(path, origin=str(path))
    if path.is_file():
        if path.suffix not in SUFFIXES:
            other = _OTHER_KINDS.get(path.suffix.lower())
            other = f'; it seems to be of {other}' if other else ''
            raise UserError(f'{path} has the suffix {path.suffix!r}; expected {_KINDS}{other}')
        # Only beside a configuration of open_clip do the files of the folder belong to this one.
        if (path.parent / CONFIG_FILE).is_file():
            return _described(path.parent, (path,), str(path))
        return Resolved((path,), str(path))
    if path.suffix in SUFFIXES:
        raise UserError(f'there is no file {path}; expected {_KINDS}')
    model, _, name = text.partition('/')
    if not name and model in tags():
        raise UserError(
            f'{text} is a model, not its weights: add one of its tags, such as '
            f'{text}/{next(iter(tags()[model]))}, or give a file or a folder'
        )
    if not name or model not in tags():
        near = difflib.get_close_matches(model, tags(), 1)
        hint = f'; did you mean the model {near[0]}' if near else ''
        raise UserError(f'there is no {text}; expected {_KINDS}{hint}')
    tag = find_tag(model, name)
    if tag.hub is None:
        raise UserError(
            f'{text} is not on the Hugging Face hub; download {tag.url} and give the file'
        )
    return dataclasses.replace(_from_hub(tag.hub), tag=tag)


def read(resolved: Resolved) -> dict[str, np.ndarray]:
    """Reads all files of weights.

    Args:
        resolved: What `resolve` found.

    Returns:
        The arrays by name, without what wrappers put before the names, in their own types,
        read-only. Most lie in the mapped files and take
        memory when they are used.

    Raises:
        UserError: A file is broken or asks for more than to be read, or two shards hold the same
            name.
    """
    return read_with_remarks(resolved)[0]


def read_with_remarks(resolved: Resolved) -> tuple[dict[str, np.ndarray], list[str]]:
    """As `read`, and beside the arrays what a user should know of what was taken."""
    arrays: dict[str, np.ndarray] = {}
    remarks: list[str] = []
    for path in resolved.paths:
        if path.suffix == '.safetensors':
            shard = safetensors.read(path)
        else:
            shard, said = torch_files.read_with_remarks(path)
            remarks += said
        twice = sorted(arrays.keys() & shard.keys())
        if twice:
            raise UserError(
                f'{path} holds {twice[0]}, which another file of {resolved.origin} holds, too; '
                'download the weights again'
            )
        arrays |= shard
    try:
        return state_dicts.without_prefixes(arrays), remarks
    except ValueError as error:
        raise UserError(f'{resolved.origin}: {error}; save model.state_dict() alone') from None


@functools.cache
def tags() -> dict[str, dict[str, Tag]]:
    """Every tag of open_clip, by model and tag; a model that has no weights has no tags."""
    table = json.loads(_TAGS.read_text(encoding='utf-8'))
    return {
        model: {
            tag: Tag(model, tag, **{k: tuple(v) if type(v) is list else v for k, v in row.items()})
            for tag, row in rows.items()
        }
        for model, rows in table.items()
    }


def find_tag(model: str, tag: str) -> Tag:
    """One row of `tags`; case and '-' in the tag do not matter, as in open_clip.

    Raises:
        UserError: There is no such model or tag; those there are are named.
    """
    rows = tags().get(model)
    if rows is None:
        raise UserError(f'open_clip has no model {model} of a kind that can be converted')
    row = rows.get(tag.lower().replace('-', '_'))
    if row is None:
        known = f'its tags are {", ".join(rows)}' if rows else 'open_clip has no weights of it'
        raise UserError(f'{model} has no tag {tag}; {known}')
    return row


# A folder.


def _from_folder(folder: Path, origin: str) -> Resolved:
    names = [path.name for path in folder.iterdir() if path.is_file()]
    try:
        chosen = choose(names, SUFFIXES)
    except ValueError as error:
        raise UserError(f'{folder} {error}; give the file itself') from None
    if chosen.endswith('.json'):
        return _described(folder, tuple(_shards(folder, chosen)), origin)
    return _described(folder, (folder / chosen,), origin)


def choose(names: Iterable[str], suffixes: tuple[str, ...]) -> str:
    """Which of the files of a folder holds a CLIP's weights.

    Args:
        names: Names of files, without folders.
        suffixes: Suffixes of the files that may be chosen.

    Returns:
        A file of weights, or the index of its shards (*.index.json).

    Raises:
        ValueError: There is none, or several that are equally good.
    """
    rest = {name for name in names if not name.startswith('.')}
    whole = [n for n in rest if n.endswith(suffixes) and not _SHARD.search(n.rpartition('.')[0])]
    indices = [n for n in rest if n.endswith(tuple(f'{s}.index.json' for s in suffixes))]
    # A folder made for transformers as well has its weights under other names a second time.
    for prefix in ('open_clip', ''):
        for kind in (suffixes[:1], suffixes[1:]):
            ends = (*kind, *(f'{suffix}.index.json' for suffix in kind))
            found = sorted(n for n in whole + indices if n.startswith(prefix) and n.endswith(ends))
            if len(found) > 1:
                raise ValueError(f'holds several files of weights: {", ".join(found[:9])}')
            if found:
                return found[0]
    raise ValueError(f'holds no weights, expected one file of {", ".join(suffixes)}, or shards '
                     'and their *.index.json')  # fmt: skip


def _shards(folder: Path, index: str) -> list[Path]:
    """The files that an index names; it must not lead out of the folder."""
    path = folder / index
    places = _read_json(path).get('weight_map')
    if type(places) is not dict or not places:
        raise UserError(f'{path} has no weight_map; download it again')
    suffix = Path(index.removesuffix('.index.json')).suffix
    shards = []
    for name in sorted({name if type(name) is str else '' for name in places.values()}):
        # A name with a folder, a drive or '..' in it could be any file of this machine.
        if not re.fullmatch(r'[\w-][\w.-]*', name) or not name.endswith(suffix):
            raise UserError(f'{path} names the file {ascii(name)[:80]}; expected {suffix} files '
                            'beside it')  # fmt: skip
        if not (folder / name).is_file():
            raise UserError(f'{path} names {name}, which is not there; download it, too')
        shards.append(folder / name)
    return shards


def _described(folder: Path, paths: tuple[Path, ...], origin: str) -> Resolved:
    tokenizer, config = folder / TOKENIZER_FILE, folder / CONFIG_FILE
    return Resolved(
        paths=paths,
        origin=origin,
        tokenizer=tokenizer if tokenizer.is_file() else None,
        licence=_licence(folder / CARD_FILE),
        config=_read_json(config) if config.is_file() else None,
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = strict_json.read(path)
    except (OSError, ValueError) as error:
        raise UserError(f'{path} is not JSON ({error}); download it again') from None
    if type(values) is not dict:
        raise UserError(f'{path} must hold one JSON object; download it again')
    return values


def _licence(card: Path) -> str | None:
    """The licence that the head of a README.md names, which is a little YAML between two '---'."""
    if not card.is_file():
        return None
    with open(card, encoding='utf-8', errors='replace') as file:
        head = re.match(r'---\n(.*?)\n---', file.read(_MAX_CARD), re.DOTALL)
    lines = re.findall(_LICENCE, head[1], re.MULTILINE) if head else []
    # Behind a space, # begins a comment.
    words = {key: value.split(' #')[0].strip(' \'"')[:100] for key, value in lines}
    licence = words.get('license')
    return words.get('license_name', licence) if licence == 'other' else licence


# The hub.


def repository(source: str) -> str:
    """The ORGANISATION/NAME of 'hf-hub:ORGANISATION/NAME'.

    Raises:
        UserError: It is none.
    """
    name = source.removeprefix(_HUB)
    if not _REPOSITORY.fullmatch(name):
        raise UserError(f'{_HUB}{name} is no repository; expected {_HUB}ORGANISATION/NAME')
    return name


def _from_hub(repository: str) -> Resolved:
    import huggingface_hub as hub  # Slow to import, and most sources are files.

    origin = f'https://huggingface.co/{repository}'
    said = (CONFIG_FILE, TOKENIZER_FILE, CARD_FILE)
    # The client raises other errors in each of its versions, and for each way to be offline.
    try:
        info = hub.model_info(repository)
    except Exception as error:
        if type(error).__name__ in ('RepositoryNotFoundError', 'GatedRepoError'):
            raise UserError(
                f'{origin} does not exist or is not open to you; check the name, or ask for '
                'access there and log in with `hf auth login`'
            ) from None
        return _from_cache(hub, repository, error)
    names = [file.rfilename for file in info.siblings if re.fullmatch(r'[\w.-]+', file.rfilename)]
    try:
        chosen = choose(names, HUB_SUFFIXES)
    except ValueError as error:
        raise UserError(f'{origin} {error}') from None
    wanted = [name for name in (*said, chosen) if name in names]
    if chosen.endswith('.json'):
        stem, suffix = os.path.splitext(chosen.removesuffix('.index.json'))
        wanted += [n for n in names if n.startswith(f'{stem}-') and n.endswith(suffix)]
    try:
        folder = hub.snapshot_download(repository, revision=info.sha, allow_patterns=wanted)
    except Exception as error:
        raise UserError(
            f'{origin} could not be downloaded ({_first_line(error)}); run the same command again '
            'to go on from here'
        ) from None
    return _from_folder(Path(folder), f'{origin} at {info.sha}')


def _from_cache(hub: ModuleType, repository: str, reason: Exception) -> Resolved:
    """What was downloaded before, for want of a connection."""
    origin = f'https://huggingface.co/{repository}'
    try:
        folder = Path(hub.snapshot_download(repository, local_files_only=True))
    except Exception:
        raise UserError(
            f'{origin} cannot be reached ({_first_line(reason)}) and was not downloaded before; '
            'connect, or copy its files into a folder and give the folder'
        ) from None
    return _from_folder(folder, f'{origin} at {folder.name}')


def _first_line(error: Exception) -> str:
    return f'{type(error).__name__}: {" ".join(str(error).split())}'[:120]
