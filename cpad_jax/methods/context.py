"""What an evaluation offers to further methods: other ways to say who is asked for."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cpad_jax.data import detected_faces as data_detected_faces
from cpad_jax.data import readers
from cpad_jax.data.built_dataset import DatasetPaths
from cpad_jax.features import store
from cpad_jax.features.face_tracks import FaceTrackFeatures
from cpad_jax.methods import face_similarity, querybank
from cpad_jax.methods.clip_pad import QueryEncoder
from cpad_jax.models.clip_pad_api import PersonalizedCLIP


@dataclasses.dataclass(frozen=True)
class Setting:
    """An evaluation, as a method sees it that is not CLIP-PAD itself.

    Attributes:
        config: The configuration; a method has its own keys in `config.eval.NAME`.
        cache: Folder of features, for what takes long.
        model: The CLIP-PAD, and in it the CLIP.
        trained: Where the photos are from that identity learning saw.
        paths: Where the gallery is from.
        clips: The gallery.
        gallery: float32 [N, D] of length 1, its clips as CLIP-PAD sees them.
        plain_gallery: The same by CLIP itself; it differs where there are visual prompts.
        encoder: Embeds queries as CLIP-PAD and CLIP do.
        photos: image_id → face feature [Df] of a reference photo.
        pictures: image_id → CLIP embedding [D] of the whole reference photo.
    """

    config: Any
    cache: Path
    model: PersonalizedCLIP
    trained: DatasetPaths
    paths: DatasetPaths
    clips: readers.ClipReader
    gallery: np.ndarray
    plain_gallery: np.ndarray
    encoder: QueryEncoder
    photos: Mapping[str, np.ndarray]
    pictures: Mapping[str, np.ndarray]

    @functools.cached_property
    def training_photos(self) -> store.IdentityFeatures:
        """Of the photos that identity learning saw, from the cache where that was done here."""
        photos = readers.IdentityReader(self.trained.part('identities'), 'train')
        return store.photo_features(self.config, self.trained, photos, self.model.clip, self.cache)

    @functools.cached_property
    def face_tracks(self) -> FaceTrackFeatures:
        """Faces of the clips where their records say that they are."""
        return face_similarity.clip_tracks(
            self.config, self.cache, self.model.clip, self.clips, self._fingerprint
        )

    @functools.cached_property
    def detected_tracks(self) -> FaceTrackFeatures:
        """Faces of the clips as a face detector finds them, whatever their records say."""
        return face_similarity.clip_tracks(
            self.config, self.cache, self.model.clip, self.clips, self._fingerprint,
            detector=data_detected_faces.Detector(),
        )  # fmt: skip

    @property
    def _fingerprint(self) -> str:
        return f'{self.paths.fingerprint}/clips/test'

    @functools.cached_property
    def faces(self) -> face_similarity.FaceSimilarity:
        """How alike people in the gallery are to those asked for, for all methods that ask."""
        return face_similarity.FaceSimilarity(
            face_similarity.ClipFaces(self.model, self.face_tracks), self.photos
        )

    @functools.cached_property
    def detected_faces(self) -> face_similarity.FaceSimilarity:
        """The same of the faces that a detector finds."""
        return face_similarity.FaceSimilarity(
            face_similarity.ClipFaces(self.model, self.detected_tracks), self.photos
        )

    @functools.cached_property
    def words(self) -> querybank.QueryBank:
        """How likely what a query says of anybody is of the clips, by the open bank."""
        return self.word_bank(querybank.OPEN)

    def word_bank(self, kind: str) -> querybank.QueryBank:
        """The same by a bank of a kind, at the temperature of `config.eval.word_bank`."""
        temperature = self.config.eval.word_bank[kind]
        return querybank.QueryBank(self.model, self.plain_gallery, kind, temperature)
