"""Provenance of a run besides the data: code, machine, versions, seeds, time."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from cpad_jax.report.page import text
from cpad_jax.training import configs

_PACKAGES = ('jax', 'flax', 'optax', 'numpy', 'opencv-python-headless', 'pillow')
_PACKAGE = Path(__file__).resolve().parents[1]


def commit(root: Path) -> str | None:
    """The git commit of a folder with the mark '-dirty' if files were changed, or None."""
    if not (root / '.git').exists():
        return None  # A folder above it may be another repository.
    command = ['git', '-C', str(root), 'describe', '--always', '--dirty', '--abbrev=40',
               '--exclude=*']  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _processor() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines()
        model = next(line for line in lines if line.startswith('model name')).split(':')[1].strip()
    except (OSError, StopIteration, IndexError):
        model = platform.processor() or platform.machine()
    return f'{model}, {os.cpu_count()} cores'


def _memory() -> str | None:
    try:
        size = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    except (ValueError, OSError):
        return None
    return f'{size / 2**30:.1f} GiB'


def _versions() -> str:
    versions = [f'Python {platform.python_version()}']
    for package in _PACKAGES:
        try:
            versions.append(f'{package} {importlib.metadata.version(package)}')
        except importlib.metadata.PackageNotFoundError:
            continue
    return ', '.join(versions)


def collect(config: Any, facts: Mapping[str, Any], seconds: float) -> dict[str, str]:
    """Facts about a run, by name.

    Args:
        config: Its configuration.
        facts: The entries that all rows of `results.json` share.
        seconds: Duration of the evaluation.
    """
    devices = jax.devices()
    run = {
        'Configuration': f'{config.name}, sha256 {configs.config_hash(config)}',
        'Data': f'{facts["dataset"]} {facts["dataset_version"]}, split {facts["split"]}'
        + ('' if facts['seed'] is None else f', world {facts["seed"]}'),
        'Backbone': facts['backbone'],
        'Face feature': facts['face_feature'],
        'Seed': config.seed,
        'Commit': commit(_PACKAGE.parent),
        'Devices': f'{len(devices)} × {devices[0].device_kind}',
        'Processor': _processor(),
        'Memory': _memory(),
        'System': f'{platform.system()} {platform.release()}',
        'Versions': _versions(),
        'Evaluated': f'{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC, in '
        f'{seconds:.0f} s',
    }
    return {name: str(value) for name, value in run.items() if value is not None}


def render(facts: Mapping[str, str], config: Any) -> str:
    """The facts as HTML, with the whole configuration folded."""
    items = ''.join(f'<dt>{text(k)}</dt><dd>{text(v, 400)}</dd>' for k, v in facts.items())
    written = json.dumps(configs.flatten(config), indent=2, ensure_ascii=False, default=str)
    return (
        f'<dl>{items}</dl><details><summary>The whole configuration</summary>'
        f'<pre tabindex="0">{text(written, 50_000)}</pre></details>'
    )
