"""Collaborative Experts, the baseline, with queries by photos (`config.task = 'ce'`).

It learns from clips of two worlds of their own, and is tested on the judged benchmark's validation
world: no title is in two of them. `--config.eval.ce=WORKDIR` of this run then makes it a row of
CLIP-PAD's evaluation.
"""

from pathlib import Path

import ml_collections

from cpad_jax.training import configs


def get_config() -> ml_collections.ConfigDict:
    """As configs/synthetic_cast.py in what is searched and by which CLIP."""
    config = configs.load(str(Path(__file__).with_name('synthetic_cast.py')))
    config.name = 'ce'
    config.task = 'ce'

    config.features.faces_per_clip = 4

    # In what the worlds that are learned from differ from config.data. Only people with training
    # photos act in them, and more of them, so that faces are not learned by heart.
    worlds = {'dir': '', 'cast_seen': 500, 'stars': 0, 'cast_stars': 0, 'unseen_people': 0}
    config.clips = ml_collections.ConfigDict()
    config.clips.training = ml_collections.ConfigDict({**worlds, 'world_seed': 301})
    config.clips.validation = ml_collections.ConfigDict({
        **worlds, 'world_seed': 302, 'clips_per_title': 20,
    })  # fmt: skip

    config.model = ml_collections.ConfigDict()
    config.model.width = 256  # of an expert's vector; 768 in the paper
    config.model.clusters = 16
    config.model.ghosts = 1

    config.train = ml_collections.ConfigDict()
    config.train.steps = 3000
    config.train.people_per_batch = 32
    config.train.clips_per_person = 4
    config.train.max_references = 5
    config.train.no_person = 0.25  # share of captions without a person
    config.train.margin = 0.0938
    config.train.optimiser = 'adamw'  # or 'muon'
    config.train.clip_norm = 1.0  # of the gradients of all parameters together
    config.train.model_parallel = 1  # devices that share each parameter; the others share batches
    config.train.learning_rate = 1e-3
    config.train.weight_decay = 0.1
    config.train.warmup_steps = 100
    config.train.evaluate_every = 200
    config.train.checkpoint_every = 200  # what is to be chosen must be kept
    config.train.log_every = 25
    return config
