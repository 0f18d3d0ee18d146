"""What the values of a configuration may be: one table, looked at before any work."""

from __future__ import annotations

import fnmatch
import numbers
from collections.abc import Mapping
from typing import Any, NamedTuple

from cpad_jax.errors import UserError


class Bound(NamedTuple):
    """Which numbers are allowed.

    Attributes:
        kind: int for whole numbers, float for any.
        least: The smallest.
        most: The largest.
        above: Whether `least` itself is too small.
    """

    kind: type
    least: float
    most: float
    above: bool = False


_SEED = Bound(int, 0, 2**31 - 1)
_COUNT = Bound(int, 1, 1_000_000)
_STEPS = Bound(int, 1, 1_000_000_000)
_SIZE = Bound(int, 1, 65_536)
_SIZE_OR_NONE = Bound(int, 0, 65_536)
_PEOPLE = Bound(int, 0, 10_000)  # So many names are there to draw.
_SHARE = Bound(float, 0, 1)
_WEIGHT = Bound(float, 0, 1e6)
_ABOVE_0 = Bound(float, 0, 1e6, above=True)

# A drawn world, wherever a configuration or a command line describes one.
WORLD = {
    'world_seed': _SEED,
    'movies': Bound(int, 0, 10_000),
    'shows': Bound(int, 0, 10_000),
    'clips_per_title': Bound(int, 1, 10_000),
    'cast_size': Bound(int, 3, 1000),
    'places_per_title': Bound(int, 1, 100),
    'people_per_shot': Bound(int, 0, 100),
    'push_ins': Bound(int, 0, 100),
    'habits': Bound(int, 0, 12),
    'seen_people': _PEOPLE,
    'cast_seen': _PEOPLE,
    'stars': _PEOPLE,
    'cast_stars': _PEOPLE,
    'unseen_people': Bound(int, 0, 2500),  # A fourth of the names of theirs.
    'photos_per_person': Bound(int, 1, 10_000),
    'reference_photos': Bound(int, 0, 10_000),
    'seconds': Bound(float, 0, 600, above=True),
    # Of captioned pictures.
    'shards': Bound(int, 1, 100_000),
    'held_out': Bound(int, 1, 100_000),
    'seed': _SEED,
    'famous': _PEOPLE,
}
_WORLDS = ('data.', 'clips.training.', 'clips.validation.', 'eval.two_people.world.')

# Keys of a configuration; a star stands for anything.
KEYS: dict[str, Bound | type] = {
    'name': str,
    'task': str,
    'seed': _SEED,
    'backbone': str,
    'start_from': str,
    'features.dir': str,
    'features.face': str,
    'features.batch_size': Bound(int, 2, 65_536),
    'features.frames_per_clip': Bound(int, 1, 1024),
    'features.faces_per_clip': Bound(int, 1, 1024),
    'model.num_tokens': Bound(int, 1, 64),
    'model.adapter_width': _SIZE,
    'model.adapter_layers': Bound(int, 0, 64),
    'model.rank': Bound(int, 0, 4096),
    'model.default_token': bool,
    'model.name_memory': bool,
    'model.name_width': _SIZE_OR_NONE,
    'model.clip_width': _SIZE_OR_NONE,
    'model.visual_prompts': Bound(int, 0, 1024),
    'model.width': _SIZE,
    'model.clusters': Bound(int, 1, 4096),
    'model.ghosts': Bound(int, 0, 4096),
    'train.steps': _STEPS,
    'train.plain_steps': Bound(int, 0, 1_000_000_000),
    'train.warmup_steps': Bound(int, 0, 1_000_000_000),
    'train.name_steps': _STEPS,
    'train.word_steps': _STEPS,
    'train.log_every': _STEPS,
    'train.checkpoint_every': _STEPS,
    'train.evaluate_every': Bound(int, 0, 1_000_000_000),
    'train.batch_size': _COUNT,
    'train.people_per_batch': _COUNT,
    'train.images_per_person': _COUNT,
    'train.clips_per_person': _COUNT,
    'train.max_references': _COUNT,
    'train.model_parallel': _SIZE,
    'train.remat': bool,
    'train.optimiser': str,
    'train.init_from': str,
    'train.learning_rate': _ABOVE_0,
    'train.low_rank_learning_rate': _ABOVE_0,
    'train.temperature': _ABOVE_0,
    'train.clip_norm': _ABOVE_0,
    'train.weight_decay': _WEIGHT,
    'train.remember': _WEIGHT,
    'train.margin': _WEIGHT,
    'train.loss.*': _WEIGHT,
    'train.forms.*': _WEIGHT,
    'train.no_person': _SHARE,
    'train.alike': _SHARE,
    'eval.num_references': _COUNT,
    'eval.min_distractors': _COUNT,
    'eval.bootstrap_samples': _COUNT,
    'eval.late_fusion*': _WEIGHT,
    'eval.with_faces*': _WEIGHT,
    'eval.clip_name_on_faces*': _WEIGHT,
    'eval.word_bank*': _ABOVE_0,
    'eval.season.seed': _SEED,
    'eval.season.episodes': Bound(int, 1, 1000),
    'eval.season.minutes': Bound(float, 0, 600, above=True),
    'eval.season.cast': Bound(int, 4, 10_000),
    'eval.season.clips_per_minute': Bound(float, 0, 600, above=True),
    'eval.season.frame_rate': Bound(float, 0, 240, above=True),
    'eval.season.moment': Bound(float, 0, 3600),
    'eval.season.min_share': Bound(float, 0, 1, above=True),
    'eval.season.relevant': _COUNT,
    'eval.two_people.min_others': Bound(int, 0, 1_000_000),
    'eval.two_people.cohort': Bound(int, 1, 5000),
}
_EXAMPLE = {int: 'a whole number', float: 'a number', bool: 'true or false', str: 'text'}
_SHOWN = 40  # Characters of a value in a message.


def check(flat: Mapping[str, Any], prefix: str = 'config.') -> None:
    """Makes sure that all values are of their types, and numbers within bounds.

    Args:
        flat: Key → value; a list is looked at item by item. Of keys that are not in the table
            numbers must be finite.
        prefix: What messages put before a key.

    Raises:
        UserError: One is not; it is named.
    """
    for key, value in flat.items():
        bound = _bound(key)
        for item in value if isinstance(value, list | tuple) else (value,):
            if wrong := _expected(item, bound):
                raise UserError(f'{prefix}{key} is {_shown(value)}, expected {wrong}')


def _bound(key: str) -> Bound | type | None:
    for world in _WORLDS:
        if key.startswith(world):
            return WORLD.get(key.removeprefix(world))
    if key in KEYS or key in WORLD:
        return KEYS.get(key, WORLD.get(key))
    return next((KEYS[known] for known in KEYS if fnmatch.fnmatchcase(key, known)), None)


def _expected(value: Any, bound: Bound | type | None) -> str:
    """What is expected in place of a value; empty where it is right."""
    if bound in (bool, str):
        return '' if isinstance(value, bound) else _EXAMPLE[bound]
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if bound is None:
        finite = not number or float('-inf') < value < float('inf')
        return '' if finite else 'a finite number'
    if not number or (bound.kind is int and not isinstance(value, numbers.Integral)):
        return _EXAMPLE[bound.kind]
    if value < bound.least or (bound.above and value == bound.least):
        return f'more than {bound.least:g}' if bound.above else f'{bound.least:g} or more'
    if not value <= bound.most:
        return f'{bound.most:.10g} at most'
    return ''


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # A whole number of thousands of digits.
        text = 'a number of thousands of digits'
    return text if len(text) <= _SHOWN else f'{text[:_SHOWN]}…'
