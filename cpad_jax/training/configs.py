"""Configurations: loading, overrides from the command line, checks, and the workdir's record.

A configuration is an `ml_collections.ConfigDict` from the function `get_config` of a Python file.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ml_collections

from cpad_jax import atomic, bounds, companions, strict_json
from cpad_jax.errors import UserError, expanded
from cpad_jax.models.config import DTYPES
from cpad_jax.training import checkpoints

# What may differ between two runs in one workdir: it changes what is reported, not what is learned.
FREE_KEYS = (
    'eval.',
    'features.dir',
    'train.log_every',
    'train.checkpoint_every',
    'train.evaluate_every',
)
# What a run leaves in its workdir that belongs to its configuration.
MADE = ('captioned', 'data', 'features', 'checkpoints', 'model')
TASKS = ('identity', 'pretrain_clip', 'ce', 'finetune_on_clips')
OPTIMISERS = ('adamw', 'muon')
_EXPECTED = '--config FILE, --workdir DIR or --config.KEY=VALUE'


class CommandLine(NamedTuple):
    """The configuration and workdir of a command."""

    config: ml_collections.ConfigDict
    workdir: Path


def flatten(config: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
    """The configuration as a flat dict, e.g. `{'train.steps': 100}`; tuples become lists."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping | ml_collections.ConfigDict):
            flat.update(flatten(value, f'{prefix}{key}.'))
        else:
            flat[prefix + key] = list(value) if isinstance(value, tuple) else value
    return flat


def _hash(flat: Mapping[str, Any]) -> str:
    text = json.dumps(flat, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def config_hash(config: Mapping[str, Any]) -> str:
    """The sha256 (64 hexadecimal digits) of the whole configuration."""
    return _hash(flatten(config))


def training_hash(config: Mapping[str, Any]) -> str:
    """The sha256 of the keys that decide what is learned: all but `FREE_KEYS`."""
    flat = {k: v for k, v in flatten(config).items() if not k.startswith(FREE_KEYS)}
    return _hash(flat)


def load(path: str) -> ml_collections.ConfigDict:
    """Loads a configuration file.

    Args:
        path: A file such as `configs/x.py`, or the bare name of one that comes with the package,
            such as `x`; `configs/x.py:argument` calls `get_config('argument')`.

    Returns:
        What its `get_config` returns.

    Raises:
        UserError: The file is missing, does not run, or has no `get_config`.
    """
    name, _, argument = path.partition(':')
    file = str(_find(name))
    spec = importlib.util.spec_from_file_location(f'config_{Path(file).stem}', file)
    try:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        if argument and not inspect.signature(module.get_config).parameters:
            raise UserError(
                f'{file} takes no argument, and {argument!r} was given behind the colon'
            )
        config = module.get_config(argument) if argument else module.get_config()
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f'{file} gives no configuration ({type(error).__name__}: {error}): it must define '
            'get_config(argument=None) that returns an ml_collections.ConfigDict'
        ) from error
    if not isinstance(config, ml_collections.ConfigDict):
        raise UserError(f'get_config of {file} must return an ml_collections.ConfigDict')
    return config.copy_and_resolve_references()


def _find(name: str) -> Path:
    """The file of a configuration; a bare name is one of `companions.folder('configs')`."""
    file, folder = expanded(name), companions.folder('configs')
    packaged = folder / f'{file.stem}.py'
    if file.is_file():
        return file
    if file.name == name == file.stem and packaged.is_file():
        return packaged
    beside = sorted(str(p) for p in file.parent.glob('*.py')) if file.parent.is_dir() else []
    bare = sorted(path.stem for path in folder.glob('*.py'))
    near = difflib.get_close_matches(str(file), beside, n=3, cutoff=0.5)
    near = near or difflib.get_close_matches(file.stem, bare, n=3, cutoff=0.5)
    hint = (
        f'did you mean {" or ".join(near)}?'
        if near
        else f'expected a file, or one of {", ".join(bare)}'
    )
    raise UserError(f'no configuration file {file}: {hint}')


def parse(argv: Sequence[str]) -> CommandLine:
    """Reads `--config FILE [--workdir DIR] [--config.key=value …]`.

    Args:
        argv: The arguments, without the program's name.

    Returns:
        The configuration with the overrides in it, and the workdir (`runs/<config.name>` unless
        given).

    Raises:
        UserError: An argument is unknown, or a value is not of the key's type.
    """
    options: dict[str, str] = {}
    words = list(argv)
    while words:
        word = words.pop(0)
        if not word.startswith('--'):
            raise UserError(f'unexpected argument {word!r}: expected {_EXPECTED}')
        name, equals, value = word[2:].partition('=')
        if name not in ('config', 'workdir') and not name.startswith('config.'):
            raise UserError(f'unknown option --{name}: expected {_EXPECTED}')
        if not equals:
            if not words or words[0].startswith('--'):
                raise UserError(f'--{name} needs a value: --{name}=VALUE')
            value = words.pop(0)
        if name in ('config', 'workdir') and not value.strip():
            raise UserError(f'--{name} is empty: expected a path; is a shell variable not set?')
        options[name] = value
    if 'config' not in options:
        raise UserError('which configuration? --config configs/quickstart.py')
    config = load(options['config'])
    for name, value in options.items():
        if name.startswith('config.'):
            override(config, name.removeprefix('config.'), value)
    _expand(config)
    check(config)
    config.lock()
    return CommandLine(config, expanded(options.get('workdir', f'runs/{config.name}')))


def _expand(config: ml_collections.ConfigDict) -> None:
    """Puts the home folder in place of `~` in every path of a configuration."""
    for key, value in config.items():
        if isinstance(value, ml_collections.ConfigDict):
            _expand(value)
        elif isinstance(value, str) and value.startswith('~'):
            config[key] = str(expanded(value))


def override(config: ml_collections.ConfigDict, key: str, text: str) -> None:
    """Sets `key` (e.g. `train.steps`) to `text`, as a value of the type it has now.

    Args:
        config: Changed in place.
        key: Dotted name of a key that exists and is not a section.
        text: `3`, `1e-3`, `true`, `bfloat16`, or items split by commas for a tuple.

    Raises:
        UserError: The key is unknown (the nearest ones are named), or `text` is of another type.
    """
    flat = flatten(config)
    if key not in flat:
        section = sorted(name for name in flat if name.startswith(f'{key}.'))
        if section:
            keys = ', '.join(section)
            raise UserError(f'--config.{key} is a section: set one of its keys, {keys}')
        # The last part alone as well, so that --config.steps leads to train.steps.
        tails = [name for name in flat if name.split('.')[-1] == key.split('.')[-1]]
        near = list(dict.fromkeys(tails + difflib.get_close_matches(key, flat, n=3, cutoff=0.5)))
        known = f'known: {", ".join(sorted(flat))}'
        hint = f'did you mean {" or ".join(near[:3])}?' if near else known
        raise UserError(f'unknown configuration key {key!r}: {hint}')
    *sections, last = key.split('.')
    place = config
    for section in sections:
        place = place[section]
    with place.ignore_type():
        place[last] = _value(key, text, place[last])


def _value(key: str, text: str, now: Any) -> Any:
    """`text` as a value of the type of `now`."""
    kind = type(now)
    try:
        if isinstance(now, bool):
            return {'true': True, '1': True, 'false': False, '0': False}[text.lower()]
        if isinstance(now, tuple | list):
            items = [item.strip() for item in text.strip('()[]').split(',') if item.strip()]
            return kind(_value(key, item.strip('\'"'), now[0]) if now else item for item in items)
        if isinstance(now, int):
            number = float(text)  # So that 1e5 is a whole number too.
            if number != int(number):
                raise ValueError
            return int(number)
        if isinstance(now, float):
            return float(text)
        return text
    except (ValueError, KeyError, OverflowError):
        raise UserError(
            f'--config.{key}={text}: expected a value like {now!r} ({kind.__name__})'
        ) from None


def check(config: ml_collections.ConfigDict) -> None:
    """Checks what every task needs.

    Raises:
        UserError: A key is missing, of another type or out of range; it is named.
    """
    flat = flatten(config)
    for key in ('name', 'task', 'seed', 'train.steps', 'train.learning_rate'):
        if key not in flat:
            raise UserError(f'the configuration has no key {key!r}')
    if config.task not in TASKS:
        raise UserError(f'config.task is {config.task!r}, expected one of {", ".join(TASKS)}')
    bounds.check(flat)
    optimiser = flat.get('train.optimiser', OPTIMISERS[0])
    if optimiser not in OPTIMISERS:
        raise UserError(
            f'config.train.optimiser is {optimiser!r}, expected {" or ".join(OPTIMISERS)}'
        )
    if flat.get('dtype', DTYPES[0]) not in DTYPES:
        raise UserError(f'config.dtype is {config.dtype!r}, expected {" or ".join(DTYPES)}')


def record(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Writes `WORKDIR/config.json`, or makes sure that the one there is of the same training.

    Args:
        config: The resolved configuration.
        workdir: The run's folder, created if need be.

    Raises:
        UserError: The workdir belongs to another configuration; the keys that differ are named.
            Or it cannot be written to.
    """
    path = workdir / 'config.json'
    # A run that stopped before it made anything may be put right and started again.
    if path.is_file() and _made_anything(workdir):
        _compare(config, workdir)
    written = {'sha256': config_hash(config), 'config': json.loads(config.to_json())}
    try:
        atomic.write_json(path, written)
    except OSError as error:
        raise UserError(
            f'--workdir {workdir} cannot be written to ({error.strerror}): expected a folder, or '
            'where one can be made; give another'
        ) from error


def require(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Makes sure that a workdir holds what a configuration has learned.

    Args:
        config: The resolved configuration.
        workdir: The run's folder.

    Raises:
        UserError: It is not there, belongs to another configuration, or has not come to its end.
    """
    if (workdir / 'config.json').is_file() and not _made_anything(workdir):
        raise UserError(
            f'{workdir} is of a training that was refused or stopped before it made anything: run '
            'python -m cpad_jax.train with the same --config and --workdir first'
        )
    _compare(config, workdir)
    done = checkpoints.latest_step(workdir / 'checkpoints')
    if done != config.train.steps or not (workdir / 'model').is_dir():
        state = 'no checkpoint' if done is None else f'a checkpoint of step {done}'
        raise UserError(
            f'{workdir} holds {state} and no finished model of {config.train.steps} steps: run '
            'python -m cpad_jax.train with the same --config and --workdir first'
        )


def _made_anything(workdir: Path) -> bool:
    """Whether a run left anything in its workdir that belongs to its configuration."""
    return any((workdir / made).exists() for made in MADE)


def _compare(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Raises a `UserError` that names the keys in which a workdir's training differs."""
    there, now = stored(workdir), flatten(config)
    differing = [
        f'{key} (there {there.get(key)!r}, now {now.get(key)!r})'
        for key in sorted(set(there) | set(now))
        if there.get(key) != now.get(key) and not key.startswith(FREE_KEYS)
    ]
    if differing:
        listed = ', '.join(differing[:5]) + (', …' if len(differing) > 5 else '')
        raise UserError(
            f'{workdir} was made with another configuration, which differs in {listed}: '
            'use another --workdir, or remove that folder'
        )


def stored(workdir: Path) -> dict[str, Any]:
    """The flat configuration that a workdir was made with.

    Raises:
        UserError: `WORKDIR/config.json` is missing, or is not as it was written: its sha256 is that
            of another configuration.
    """
    path = Path(workdir) / 'config.json'
    try:
        values = strict_json.read(path)
        if values.keys() != {'sha256', 'config'}:
            raise ValueError("it has other keys than 'sha256' and 'config'")
        flat = flatten(values['config'])
        if _hash(flat) != values['sha256']:
            raise ValueError('its configuration is not that of its sha256')
        return flat
    except FileNotFoundError:
        raise UserError(f'no {path}: train first, or name the right --workdir') from None
    except (ValueError, AttributeError, TypeError, OSError) as error:
        raise UserError(
            f'{path} is damaged, or was changed by hand ({error}): put a copy of it back, or train '
            'again in another --workdir'
        ) from error
