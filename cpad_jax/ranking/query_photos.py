"""The photos that queries ask by, spoiled on purpose for the controls.

A control that finds as much by hair alone as by whole photos shows that faces were not needed.
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
    asked: Sequence[Query],
    controls: Sequence[method.Method],
    model: PersonalizedCLIP,
    cache: Path,
) -> dict[str, dict[str, np.ndarray]]:
    """Face features of the photos that queries ask by, as `method.SPOILED_PHOTOS` have them.

    Returns:
        Control → image_id → face feature [Df]; empty where none of the controls is wanted, or
        where a photo's eyes, nose and mouth are not marked, which standard error then says.
    """
    wanted = [control for control in method.SPOILED_PHOTOS if control in controls]
    used = {image_id for query in asked for image_id in query.references}
    if not wanted:
        return {}
    shown = [photos[n] for n in range(len(photos)) if photos[n]['image_id'] in used]
    if not all(map(flattened_photos.marked, shown)):
        names = ' and '.join(repr(control.control) for control in wanted)
        print(
            f'left out: the controls {names}: eyes, nose and mouth are not marked in all photos of '
            f'{paths.folder.name}',
            file=sys.stderr,
        )
        return {}
    which = hashlib.sha256('\n'.join(sorted(used)).encode()).hexdigest()[:16]
    found = {}
    for control in wanted:
        kept = control.control
        features = store.identity_features(
            flattened_photos.FlattenedPhotos(shown, kept),
            f'{paths.fingerprint}/identities/{photos.split}/{which}/{kept} '
            f'{flattened_photos.VERSION}',
            model.clip, cache, face_feature=config.features.face,
            batch_size=store.at_once(config.features.batch_size, 2), dtype=config.dtype,
            stage=f'embedding photos ({kept})',
        )  # fmt: skip
        ids = map(str, features.image_ids)
        found[kept] = dict(zip(ids, features.faces.astype(np.float32), strict=True))
    return found
