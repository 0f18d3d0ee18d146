"""Learns the people of VGGFace2, then searches Celebrities in Action: complete but for the path.

Both data sets lie in one folder, `--config.data.dir=DIR`; docs/datasets.md says how they get there.
"""

from pathlib import Path

import ml_collections

from cpad_jax.training import configs


def get_config() -> ml_collections.ConfigDict:
    """As configs/quickstart.py, with a ViT-B-32 and batches for 8,631 people."""
    config = configs.load(str(Path(__file__).with_name('quickstart.py')))
    config.name = 'vggface2'
    config.backbone = 'weights/vit_b32'  # cpad-convert writes it
    config.data.name = 'vggface2'
    config.eval.data.name = 'celebrities_in_action'

    # Everybody is drawn 128 times, as often as in the quickstart.
    config.train.people_per_batch = 128
    config.train.steps = 8600
    return config
