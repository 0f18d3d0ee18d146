"""Reference photos of queries, altered for the controls.

A control with as many hits by hair alone as by whole photos shows that faces are not used.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cpad_jax.data import flattened_photos, readers
from cpad_jax.data.built_dataset import DatasetPaths
from cpad_jax.features import store
from cpad_jax.models.clip_pad_api import PersonalizedCLIP
from cpad_jax.ranking import method
from cpad_jax.ranking.query import Query


def spoiled(
    config: Any,
    paths: DatasetPaths,
    photos: readers.IdentityReader,
    queries: Sequence[Query],
    controls: Sequence[method.Method],
    model: PersonalizedCLIP,
    cache: Path,
) -> dict[str, dict[str, np.ndarray]]:
    """Face features of the reference photos of queries, altered as by `method.SPOILED_PHOTOS`.

    Returns:
        Control → image_id → face feature [Df]; empty without any of these controls, or, with a line
        on standard error, where the eyes, nose and mouth of a photo are not marked.
    """
    wanted = [control for control in method.SPOILED_PHOTOS if control in controls]
    used = {image_id for query in queries for image_id in query.references}
    if not wanted:
        return {}
    references = [photos[n] for n in range(len(photos)) if photos[n]['image_id'] in used]
    if not all(map(flattened_photos.marked, references)):
        names = ' and '.join(repr(control.control) for control in wanted)
        print(
            f'left out: the controls {names}: eyes, nose and mouth are not marked in all photos of '
            f'{paths.folder.name}',
            file=sys.stderr,
        )
        return {}
    which = hashlib.sha256('\n'.join(sorted(used)).encode()).hexdigest()[:16]
    by_control = {}
    for control in wanted:
        kept = str(control.control)  # What is left of the photo.
        features = store.identity_features(
            flattened_photos.FlattenedPhotos(references, kept),
            f'{paths.fingerprint}/identities/{photos.split}/{which}/{kept} '
            f'{flattened_photos.VERSION}',
            model.clip, cache, face_feature=config.features.face,
            batch_size=store.at_once(config.features.batch_size, 2), dtype=config.dtype,
            stage=f'embedding photos ({kept})',
        )  # fmt: skip
        ids = map(str, features.image_ids)
        by_control[kept] = dict(zip(ids, features.faces.astype(np.float32), strict=True))
    return by_control
