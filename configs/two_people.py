"""Two people, and rejection: `python -m cpad_jax.eval --config configs/two_people.py`.

docs/two_people.md describes queries and results.
"""

from pathlib import Path

import ml_collections

from cpad_jax.training import configs


def get_config(learned: str = 'synthetic_cast') -> ml_collections.ConfigDict:
    """As configs/LEARNED.py, whose workdir it evaluates, and the gallery of pairs."""
    config = configs.load(str(Path(__file__).with_name(f'{learned}.py')))
    config.eval.controls, config.eval.methods = (), ()

    two = config.eval.two_people = ml_collections.ConfigDict()
    two.dir = ''  # of the drawn gallery of pairs; empty: WORKDIR/two_people/data
    # In what its world differs from the one that is evaluated on; the cast is the same.
    two.world = ml_collections.ConfigDict()
    two.world.movies = 14
    two.world.shows = 3
    two.world.clips_per_title = 86
    two.world.people_per_shot = (20, 48, 32)
    two.world.push_ins = 0
    two.world.habits = 0
    two.min_others = 4  # clips that show each of the two with others
    two.cohort = 64  # people in no clip, for background queries
    two.scenarios = ('action', 'place')  # that may have no answer
    return config
