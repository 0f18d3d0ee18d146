"""Pre-training of the small CLIP on drawn worlds, in two runs (`config.task = 'clip'`).

First `python -m cpad_jax.train --config configs/small_clip.py`, then the same with
`configs/small_clip.py:alike`.
"""

import ml_collections


def get_config(stage: str = '') -> ml_collections.ConfigDict:
    """From nothing; or 'alike', which goes on with batches that only a close look tells apart."""
    if stage not in ('', 'alike'):
        raise ValueError(f"the stage is '' or 'alike', not {stage!r}")
    config = ml_collections.ConfigDict()
    config.name = 'small_clip'
    config.task = 'clip'
    config.seed = 0
    config.backbone = 'ViT-cast-16'
    config.init = ''  # folder of a CLIP to go on from
    config.dtype = 'bfloat16'

    config.data = ml_collections.ConfigDict()
    config.data.dir = ''  # of shards; empty: drawn into WORKDIR/captioned
    config.data.shards = 48  # of 2,048 pictures each
    config.data.held_out = 1  # of them, the last ones
    config.data.seed = 0
    config.data.famous = 300  # people of the seen pool who are often seen, and named

    config.train = ml_collections.ConfigDict()
    config.train.steps = 3000
    config.train.batch_size = 128
    config.train.alike = 0.0  # share of batches of pictures that only a close look tells apart
    config.train.learning_rate = 1e-3
    config.train.warmup_steps = 150
    config.train.weight_decay = 0.1
    config.train.log_every = 10
    config.train.checkpoint_every = 100
    config.train.evaluate_every = 500

    if stage == 'alike':
        config.name = 'small_clip_alike'
        config.init = 'runs/small_clip/model'
        config.data.dir = 'runs/small_clip/captioned'
        config.train.steps = 1150
        config.train.alike = 0.6
        config.train.learning_rate = 8e-4
        config.train.warmup_steps = 60
        config.train.evaluate_every = 575
    return config
