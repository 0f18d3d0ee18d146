"""The evaluation context: everything that protocols and methods share, made when first used."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from cpad_jax.data import build, detected_faces, readers, synthetic_cast
from cpad_jax.data.built_dataset import DatasetPaths, PersonEntry
from cpad_jax.features.face_tracks import FaceTrackFeatures
from cpad_jax.features.store import FeatureStore, IdentityFeatures
from cpad_jax.methods import querybank
from cpad_jax.methods.clip_pad import QueryEncoder
from cpad_jax.methods.face_similarity import ClipFaces, FaceSimilarity
from cpad_jax.models import clip_pad_api
from cpad_jax.models.clip_pad_api import PersonalizedCLIP
from cpad_jax.ranking import method, names_read
from cpad_jax.ranking import query as ranking_query
from cpad_jax.ranking.galleries import embed_galleries
from cpad_jax.ranking.references import Reference, photos_by_identity, read_people

T = TypeVar('T')


class EvalContext:
    """The data, the model and the features of an evaluation.

    Args:
        config: The configuration; a method has its keys in `config.eval.NAME`.
        workdir: The run's folder, of a finished training.
    """

    def __init__(self, config: Any, workdir: str | Path):
        self.config, self.workdir = config, Path(workdir)
        self._kept: dict[str, Any] = {}

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What a protocol keeps here under a name, made when first used."""
        if name not in self._kept:
            self._kept[name] = make()
        return self._kept[name]

    @functools.cached_property
    def model(self) -> PersonalizedCLIP:
        """The CLIP-PAD, and in it the CLIP."""
        return clip_pad_api.load(self.workdir, dtype=self.config.dtype)

    @functools.cached_property
    def store(self) -> FeatureStore:
        """Features by the CLIP itself."""
        return FeatureStore.of_run(self.config, self.workdir, self.model.clip)

    @functools.cached_property
    def image_store(self) -> FeatureStore:
        """Features by the image tower of the CLIP-PAD, which may have visual prompts."""
        return dataclasses.replace(self.store, clip=self.model.image_clip)

    # The data sets.

    @functools.cached_property
    def data(self) -> dict[str, Any]:
        """`config.data` of the data set that is searched."""
        return build.evaluation_data(self.config)

    @functools.cached_property
    def paths(self) -> DatasetPaths:
        """The data set that is searched."""
        return build.locate(self.data, self.workdir)

    @functools.cached_property
    def trained(self) -> DatasetPaths:
        """The data set that the model was trained on."""
        return build.locate(self.config.data, self.workdir)

    @functools.cached_property
    def clips(self) -> readers.ClipReader:
        """The gallery."""
        return readers.open_clips(self.paths)

    @functools.cached_property
    def labels(self) -> list[dict[str, Any]]:
        """The labels of each clip of the gallery: its record without the frames."""
        return [ranking_query.labels(self.clips[number]) for number in range(len(self.clips))]

    @functools.cached_property
    def reference_photos(self) -> readers.IdentityReader:
        """Photos that may stand for a person in a query."""
        return readers.open_photos(self.paths, 'references')

    @functools.cached_property
    def people(self) -> dict[str, PersonEntry]:
        """person_id → the person; `seen` says whether training saw them."""
        return read_people(self.paths, self.trained, self.model.names)

    @property
    def facts(self) -> dict[str, Any]:
        """What all rows of results state of the data and the model."""
        drawn = self.data['name'] == synthetic_cast.SYNTHETIC_CAST
        return {
            'dataset': self.data['name'],
            'dataset_version': self.paths.version,
            'split': 'test',
            'seed': self.data['world_seed'] if drawn else None,
            'backbone': self.model.clip.config.name,
            'face_feature': self.model.face_feature,
            'num_references': self.config.eval.num_references,
        }

    # Reference photos.

    @functools.cached_property
    def reference_features(self) -> IdentityFeatures:
        """Features of all reference photos, in their order."""
        return self.store.photos(self.reference_photos, 'embedding photos (references)')

    @functools.cached_property
    def photos(self) -> dict[str, np.ndarray]:
        """image_id → face feature [Df] of a reference photo."""
        features = self.reference_features
        faces = features.faces.astype(np.float32)
        return dict(zip(map(str, features.image_ids), faces, strict=True))

    @functools.cached_property
    def pictures(self) -> dict[str, np.ndarray]:
        """image_id → CLIP embedding [D] of the whole reference photo."""
        features = self.reference_features
        return dict(zip(map(str, features.image_ids), features.images, strict=True))

    @functools.cached_property
    def photos_of(self) -> dict[str, list[dict[str, str]]]:
        """person_id → `image_id` and `source` of each of their reference photos."""
        photos = photos_by_identity(self.reference_photos)
        return {
            person_id: photos.get(person['identity'], [])
            for person_id, person in self.people.items()
        }

    def references(
        self, person_ids: Sequence[str], titles: Collection[str]
    ) -> dict[str, Reference]:
        """The reference photos of people, none of them from a title of the gallery.

        Args:
            person_ids: Whose; those without photos are left out.
            titles: Of the gallery.

        Returns:
            person_id → photos.
        """
        ids = self.reference_features.image_ids
        numbers = {str(image_id): number for number, image_id in enumerate(ids)}
        references = {}
        for person_id in person_ids:
            if person_id not in self.people:
                continue
            photos, most = self.photos_of[person_id], self.config.eval.num_references
            chosen = ranking_query.choose_references(photos, set(titles), most)
            if chosen:
                references[person_id] = Reference(
                    person_id,
                    self.people[person_id]['name'],
                    [self.reference_photos[numbers[image_id]] for image_id in chosen],
                    np.stack([self.photos[image_id] for image_id in chosen]),
                    np.stack([self.pictures[image_id] for image_id in chosen]),
                )
        return references

    def names_read(self, person_ids: Collection[str]) -> dict[str, bool]:
        """Whether plain CLIP has read the names of people, see `ranking.names_read`."""
        return names_read.read(
            self.model.clip,
            self.data,
            {person_id: self.people[person_id]['name'] for person_id in person_ids},
            {
                person_id: [self.pictures[photo['image_id']] for photo in photos]
                for person_id, photos in self.photos_of.items()
            },
        )

    @functools.cached_property
    def training_photos(self) -> IdentityFeatures:
        """Features of the photos that training saw."""
        photos = readers.open_photos(self.trained, 'train')
        return self.store.photos(photos, 'embedding photos (train)')

    # Queries and clips as methods compare them.

    @functools.cached_property
    def encoder(self) -> QueryEncoder:
        """Embeds queries as CLIP and CLIP-PAD do."""
        return QueryEncoder(
            self.model,
            names={person_id: person['name'] for person_id, person in self.people.items()},
            photos=self.photos,
            references={
                person_id: [photo['image_id'] for photo in photos]
                for person_id, photos in self.photos_of.items()
            },
            num_references=self.config.eval.num_references,
        )

    def galleries(self, controls: Sequence[method.Method] = ()) -> dict[str | None, np.ndarray]:
        """The gallery as CLIP-PAD sees it, and as `controls` have it; see `embed_galleries`."""
        return embed_galleries(self.image_store, self.clips, controls, self.config.seed)

    @functools.cached_property
    def gallery(self) -> np.ndarray:
        """float32 [N, D], L2-normalised: the clips as CLIP-PAD sees them."""
        return self.image_store.clips(self.clips).embeddings

    @functools.cached_property
    def plain_gallery(self) -> np.ndarray:
        """The same by the CLIP itself; it differs where there are visual prompts."""
        prompted = self.model.image_clip is not self.model.clip
        return self.store.clips(self.clips).embeddings if prompted else self.gallery

    @functools.cached_property
    def face_tracks(self) -> FaceTrackFeatures:
        """Faces of the clips where their records mark them."""
        return self.store.faces(self.clips)

    @functools.cached_property
    def detected_tracks(self) -> FaceTrackFeatures:
        """Faces of the clips as a face detector finds them, whatever their records mark."""
        clips = detected_faces.DetectedFaces(self.clips, detected_faces.Detector())
        return self.store.faces(clips, stage='finding faces in clips')

    @functools.cached_property
    def faces(self) -> FaceSimilarity:
        """Similarity of the marked people in the gallery to those of queries."""
        return FaceSimilarity(ClipFaces(self.model, self.face_tracks), self.photos)

    @functools.cached_property
    def detected_faces(self) -> FaceSimilarity:
        """Similarity of the people that a detector finds to those of queries."""
        return FaceSimilarity(ClipFaces(self.model, self.detected_tracks), self.photos)

    @functools.cached_property
    def words(self) -> querybank.QueryBank:
        """Posteriors of actions and places by the open bank."""
        return self.word_bank(querybank.OPEN)

    def word_bank(self, kind: str) -> querybank.QueryBank:
        """Posteriors by a bank of a kind, at the temperature of `config.eval.word_bank`."""
        temperature = self.config.eval.word_bank[kind]
        return querybank.QueryBank(self.model, self.plain_gallery, kind, temperature)
