"""The hash of the judged benchmark, which stays fixed after the first result of CLIP-PAD on it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

from cpad_jax.data.synthetic_cast import world_spec
from cpad_jax.models.pretrained import find_clip
from cpad_jax.models.weights.folder import WEIGHTS_FILE, file_sha256
from cpad_jax.synthetic.world import RENDERER_VERSION, World

# Fixed before any number of CLIP-PAD on it was known.
VERSION = 1
HASH = '3608de0abcc82f5f0fbe4463d7a251ff51f75ce5ff4bdbcd36f88455cf05daa6'


def benchmark_hash(config: Any) -> str:
    """The sha256 of everything that determines queries, clips, and the CLIP.

    Args:
        config: The benchmark's configuration. The training of CLIP-PAD is no part of it; the seed
            of the world is, by which all worlds are named.

    Returns:
        64 hexadecimal digits.
    """
    spec = world_spec(config.data)
    # The values alone: classes and fields may be renamed, and NumPy may print a number differently.
    plans = json.dumps([dataclasses.astuple(clip) for clip in World(spec).clips])
    value = {
        'renderer': RENDERER_VERSION,
        'world': dataclasses.asdict(spec),
        'plans': hashlib.sha256(plans.encode()).hexdigest(),
        'backbone': file_sha256(find_clip(config.backbone) / WEIGHTS_FILE),
        'frames_per_clip': config.features.frames_per_clip,
        'protocol': {
            key: config.eval[key] for key in ('num_references', 'min_distractors', 'scenarios')
        },
    }
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def describe(config: Any) -> str:
    """Whether a configuration is the fixed benchmark, in one line."""
    sha256 = benchmark_hash(config)
    if sha256 == HASH:
        return f'judged benchmark, version {VERSION} ({sha256[:12]})'
    return f"NOT the judged benchmark of version {VERSION}: its hash is {HASH}, this one's {sha256}"
