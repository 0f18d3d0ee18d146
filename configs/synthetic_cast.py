"""The judged benchmark: 9,000 people to learn, and worlds whose difficulty CLIP alone has set.

docs/benchmark.md says how it was made and what came out; tools/judge.py runs it.
"""

from pathlib import Path

import ml_collections

from cpad_jax.ranking.method import CONTROL_NAMES
from cpad_jax.training import configs

VALIDATION_WORLD = 100


def get_config() -> ml_collections.ConfigDict:
    """Learns from the pool of people, and searches the validation world."""
    config = configs.load(str(Path(__file__).with_name('quickstart.py')))
    config.name = 'synthetic_cast'
    config.backbone = 'ViT-cast-16-128'

    config.data.world_seed = VALIDATION_WORLD
    config.data.clips_per_title = 86
    config.data.places_per_title = (7, 10)
    config.data.people_per_shot = (75, 20, 5)
    config.data.push_ins = 80
    config.data.habits = 7
    config.data.seen_people = 9000
    config.data.stars = 600  # whose names ViT-cast-16-128 has met
    config.data.cast_seen = 146
    config.data.cast_stars = 123
    config.data.unseen_people = 40
    config.data.photos_per_person = (2, 5, 12, 24)

    config.train.steps = 3000
    config.train.people_per_batch = 64
    config.train.loss.name_distillation = 1.0

    config.eval.controls = CONTROL_NAMES
    # What looks at faces from near, with the open and the closed bank of words, and with faces as
    # the records mark them and as a detector finds them (where there is one).
    config.eval.methods = (
        'clip_name_on_faces', 'late_fusion', 'with_faces',
        'clip_name_on_faces_closed', 'late_fusion_closed', 'with_faces_closed',
        'clip_name_on_faces_detected', 'late_fusion_detected', 'with_faces_detected',
    )  # fmt: skip
    return config
