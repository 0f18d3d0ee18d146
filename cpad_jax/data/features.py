"""What TFDS is told about the fields of a record."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow_datasets as tfds


def identity_features(person_ids: Sequence[str] | None = None) -> tfds.features.FeaturesDict:
    """The fields of `records.IdentityRecord`.

    Args:
        person_ids: The names of the identities; None where they are set once they are known.
    """
    return tfds.features.FeaturesDict(
        {
            'image': tfds.features.Image(shape=(None, None, 3), encoding_format='jpeg'),
            'image_id': tfds.features.Text(),
            'identity': tfds.features.ClassLabel(names=person_ids),
            'name': tfds.features.Text(),
            'bbox': tfds.features.Tensor(shape=(4,), dtype=np.float32),
            'landmarks': tfds.features.Tensor(shape=(5, 2), dtype=np.float32),
            'source': tfds.features.Text(),
        }
    )
