"""Pre-training of the small CLIP on drawn worlds, from nothing: `config.task = 'pretrain_clip'`."""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    """Makes the CLIP that comes with the package; its model card says what came of it."""
    config = ml_collections.ConfigDict()
    config.name = 'small_clip'
    config.task = 'pretrain_clip'
    config.seed = 0
    config.backbone = 'ViT-cast-16'
    config.dtype = 'bfloat16'

    config.data = ml_collections.ConfigDict()
    config.data.dir = ''  # of shards; empty: drawn into WORKDIR/captioned
    config.data.shards = 64  # of 2,048 pictures each
    config.data.held_out = 1  # of them, the last ones
    config.data.seed = 0
    config.data.famous = 150  # people of the seen pool who are often seen, and named
    config.data.people_per_shot = (20, 48, 32)  # of 100 shots: one, two, three

    config.train = ml_collections.ConfigDict()
    config.train.init_from = ''  # a shipped CLIP or a folder to go on from; empty: from nothing
    config.train.steps = 6000
    config.train.plain_steps = 400  # first ones, on plain captions of pictures drawn at random
    config.train.batch_size = 128
    config.train.alike = 0.5  # share of batches of pictures that only a close look tells apart
    config.train.optimiser = 'muon'  # or 'adamw'
    config.train.clip_norm = 1.0  # of the gradients of all parameters together
    config.train.model_parallel = 1  # devices that share each parameter; the others share batches
    config.train.learning_rate = 1e-3
    config.train.warmup_steps = 150
    config.train.weight_decay = 0.5
    config.train.remat = False  # compute blocks anew in the backward pass: slower, less memory
    config.train.log_every = 10
    config.train.checkpoint_every = 200
    config.train.evaluate_every = 500
    return config
