"""Pre-training of a small CLIP on drawn worlds (`config.task = 'clip'`)."""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    """About an hour on two cores; render the shards first."""
    config = ml_collections.ConfigDict()
    config.name = 'small_clip'
    config.task = 'clip'
    config.seed = 0
    config.backbone = 'ViT-cast-16'
    config.dtype = 'bfloat16'

    config.data = ml_collections.ConfigDict()
    config.data.shards = 'data/captions'  # shard-NNNNN.images.npy and shard-NNNNN.jsonl
    config.data.held_out = 1  # of the last shards

    config.train = ml_collections.ConfigDict()
    config.train.steps = 3000
    config.train.batch_size = 128
    config.train.learning_rate = 1e-3
    config.train.warmup_steps = 150
    config.train.weight_decay = 0.1
    config.train.log_every = 10
    config.train.checkpoint_every = 100
    config.train.evaluate_every = 500
    return config
