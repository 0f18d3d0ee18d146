"""The reference photos of queries, spoiled on purpose for the controls.

A control with as many hits by hair alone as by whole photos shows that faces are not used.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from cpad_jax.data import flattened_photos, readers
from cpad_jax.data.built_dataset import DatasetPaths
from cpad_jax.features.store import FeatureStore
from cpad_jax.ranking import method
from cpad_jax.ranking.query import Query


def spoiled(
    store: FeatureStore,
    paths: DatasetPaths,
    photos: readers.IdentityReader,
    queries: Sequence[Query],
    controls: Sequence[method.Method],
) -> dict[str, dict[str, np.ndarray]]:
    """Face features of the reference photos of queries, as `method.SPOILED_PHOTOS` have them.

    Args:
        store: Embeds them.
        paths: Where the photos are from.
        photos: The reference photos.
        queries: The queries.
        controls: The controls that are wanted.

    Returns:
        Control → image_id → face feature [Df]; empty without any of these controls, or, with a line
        on standard error, where the eyes, nose and mouth of a photo are not marked.
    """
    wanted = [control for control in method.SPOILED_PHOTOS if control in controls]
    used = {image_id for query in queries for image_id in query.references}
    if not wanted:
        return {}
    records = [photos[n] for n in range(len(photos)) if photos[n]['image_id'] in used]
    if not all(map(flattened_photos.marked, records)):
        names = ' and '.join(repr(control.control) for control in wanted)
        print(
            f'left out: the controls {names}: eyes, nose and mouth are not marked in all photos of '
            f'{paths.folder.name}',
            file=sys.stderr,
        )
        return {}
    spoiled_photos = {}
    for control in wanted:
        kept = control.control or ''
        source = flattened_photos.FlattenedPhotos(records, kept, photos.fingerprint)
        features = store.photos(source, stage=f'embedding photos ({kept})')
        ids = map(str, features.image_ids)
        spoiled_photos[kept] = dict(zip(ids, features.faces.astype(np.float32), strict=True))
    return spoiled_photos
