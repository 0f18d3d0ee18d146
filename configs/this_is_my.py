"""Searches This-Is-My by named instances and captions: complete but for the path.

`python -m cpad_jax.eval --config configs/this_is_my.py --config.data.dir=DIR` searches with what
configs/vggface2.py learned, both data sets in DIR (or this one in `--config.eval.data.dir`);
docs/datasets.md says how they get there.
"""

from pathlib import Path

import ml_collections

from cpad_jax.training import configs


def get_config(learned: str = 'vggface2') -> ml_collections.ConfigDict:
    """As configs/LEARNED.py, whose workdir it searches with, on the other data set."""
    config = configs.load(str(Path(__file__).with_name(f'{learned}.py')))
    config.eval.data.name = 'this_is_my'

    config.eval.captioned = ml_collections.ConfigDict()
    config.eval.captioned.named = 'an image of *'  # the query about an instance alone
    return config
