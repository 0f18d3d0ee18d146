"""The quickstart in a moment, on a world of four titles: to see that everything works."""

from pathlib import Path

import ml_collections

from cpad_jax.training import configs


def get_config() -> ml_collections.ConfigDict:
    """As configs/quickstart.py, only smaller; its numbers mean nothing."""
    config = configs.load(str(Path(__file__).with_name('quickstart.py')))
    config.name = 'testing'

    config.data.movies = 3
    config.data.shows = 1
    config.data.clips_per_title = 6
    config.data.cast_size = 4
    config.data.seen_people = 8
    config.data.cast_seen = 8
    config.data.unseen_people = 4
    config.data.photos_per_person = (4,)
    config.data.reference_photos = 3
    config.data.seconds = 1.0

    config.features.batch_size = 8
    config.features.frames_per_clip = 2

    config.model.adapter_width = 16
    config.model.rank = 2
    config.model.name_width = 16

    config.train.steps = 20
    config.train.people_per_batch = 4
    config.train.max_references = 2
    config.train.warmup_steps = 2
    config.train.name_steps = 20
    config.train.checkpoint_every = 10
    config.train.log_every = 5

    config.eval.num_references = 2
    config.eval.min_distractors = 1
    config.eval.bootstrap_samples = 20
    config.eval.methods = ()
    return config
