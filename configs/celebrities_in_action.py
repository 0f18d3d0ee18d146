"""Learns and searches Celebrities in Action alone: complete but for the path, `config.data.dir`.

Who is learned are the people of its training titles; docs/datasets.md says how it is built. With
more people to learn, configs/vggface2.py searches the same clips.
"""

from pathlib import Path

import ml_collections

from cpad_jax.training import configs


def get_config() -> ml_collections.ConfigDict:
    """As configs/quickstart.py, with a ViT-B-32 and the data set in place of the drawn world."""
    config = configs.load(str(Path(__file__).with_name('quickstart.py')))
    config.name = 'celebrities_in_action'
    config.backbone = 'weights/vit_b32'  # cpad-convert writes it
    config.data.name = 'celebrities_in_action'
    return config
