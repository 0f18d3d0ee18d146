"""The CLIP of the judged benchmark: the small CLIP goes on at 128 pixels, with more names."""

from pathlib import Path

import ml_collections

from cpad_jax.training import configs


def get_config() -> ml_collections.ConfigDict:
    """Makes ViT-cast-16-128 of ViT-cast-16; its model card says what came of it."""
    config = configs.load(str(Path(__file__).with_name('small_clip.py')))
    config.name = 'benchmark_clip'
    config.backbone = 'ViT-cast-16-128'

    config.data.shards = 40
    config.data.seed = 1
    config.data.famous = 600
    config.data.people_per_shot = (55, 30, 15)

    config.train.init_from = 'ViT-cast-16'
    config.train.steps = 2600
    config.train.plain_steps = 0
    config.train.learning_rate = 7e-4
    config.train.warmup_steps = 100
    return config
