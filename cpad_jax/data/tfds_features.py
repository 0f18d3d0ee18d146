"""The fields of records, as TFDS describes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow_datasets as tfds


def clip_features(actions: Sequence[str], places: Sequence[str]) -> tfds.features.FeaturesDict:
    """The fields of `records.ClipRecord`.

    Args:
        actions: What the numbers of actions mean.
        places: What the numbers of places mean.
    """
    done = tfds.features.Sequence(tfds.features.ClassLabel(names=list(actions)))
    frame = tfds.features.Image(shape=(None, None, 3), encoding_format='jpeg')
    box = tfds.features.Tensor(shape=(4,), dtype=np.float32)
    return tfds.features.FeaturesDict(
        {
            'clip_id': tfds.features.Text(),
            'source': tfds.features.Text(),
            'title': tfds.features.Text(),
            'frames': tfds.features.Sequence(frame),
            'times': tfds.features.Sequence(np.float32),
            'actions': done,
            'place': tfds.features.ClassLabel(names=list(places)),
            'people': tfds.features.Sequence(
                {
                    'person_id': tfds.features.Text(),
                    'name': tfds.features.Text(),
                    'identity': np.int64,
                    'actions': done,
                    'target': np.int32,
                    'tracks': {
                        'times': tfds.features.Sequence(np.float32),
                        'boxes': tfds.features.Sequence(box),
                    },
                }
            ),
        }
    )


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
