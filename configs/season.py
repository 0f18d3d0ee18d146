"""Searches a season with what was learned: `python -m cpad_jax.eval --config configs/season.py`.

docs/season.md describes queries and metrics, and how to search a season of one's own.
"""

from pathlib import Path

import ml_collections

from cpad_jax.protocols.season.segmentation import CUTS
from cpad_jax.training import configs


def get_config(learned: str = 'synthetic_cast') -> ml_collections.ConfigDict:
    """As configs/LEARNED.py, whose workdir it searches with, and the season."""
    config = configs.load(str(Path(__file__).with_name(f'{learned}.py')))

    season = config.eval.season = ml_collections.ConfigDict()
    season.videos = ''  # folder of the episodes; empty: drawn
    season.annotations = ''  # table of who does what in them
    season.dir = ''  # of a drawn season; empty: WORKDIR/season1 (of seed 1)
    # Of a drawn season, as what follows. Season 0 is for choosing (`moment` was), others report.
    season.seed = 1
    season.episodes = 12
    season.minutes = 20.0
    season.cast = 24

    season.clips_per_minute = (2.0, 4.0)
    season.cuts = CUTS
    season.frame_rate = 2.0  # frames per second that are looked at
    season.moment = 2.0  # seconds of a clip's moments, the best of which counts; 0: whole clips
    season.min_share = 0.1  # of a clip for which the person does it, at least
    season.relevant = (5, 25)  # clips that answer a query: the fewest and the most
    return config
