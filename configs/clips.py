"""CLIP-PAD fine-tuned on the clips of Collaborative Experts.

The task is `config.task = 'finetune_on_clips'`. Both then have the same supervision: photos of
people, and clips with compound captions. Training starts from the model of
configs/synthetic_cast.py, and the evaluation searches the same clips as the evaluation of that.
"""

from pathlib import Path

import ml_collections

from cpad_jax.training import configs


def get_config() -> ml_collections.ConfigDict:
    """As configs/ce.py in what is learned from, and by how much of it."""
    config = configs.load(str(Path(__file__).with_name('ce.py')))
    config.name = 'clips'
    config.task = 'finetune_on_clips'
    config.start_from = 'runs/synthetic_cast'  # a workdir, or an export

    config.model = ml_collections.ConfigDict()  # other sizes are those of what is started from
    config.model.clip_width = 512  # of the clip adapter; 0 for none
    config.train = ml_collections.ConfigDict()
    config.train.steps = 600
    config.train.people_per_batch = 64
    config.train.clips_per_person = 2
    config.train.max_references = 5
    config.train.temperature = 0.03
    config.train.remember = 10.0  # weight of what "a photo of [TOK]" was
    config.train.word_steps = 3000  # of the clip adapter, after that
    config.train.optimiser = 'adamw'  # or 'muon'
    config.train.clip_norm = 1.0  # of the gradients of all parameters together
    config.train.model_parallel = 1  # devices that share each parameter; the others share batches
    config.train.learning_rate = 5e-4
    config.train.weight_decay = 0.1
    config.train.warmup_steps = 50
    config.train.evaluate_every = 50
    config.train.checkpoint_every = 50  # what is to be chosen must be kept
    config.train.log_every = 25
    return config
