"""The feature store: embeddings of photos, clips and faces, computed once and kept in files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from cpad_jax.errors import UserError
from cpad_jax.features import embedding, face_tracks, pooling
from cpad_jax.features.array_store import Arrays
from cpad_jax.features.embedding import Source
from cpad_jax.features.face_tracks import FaceTrackFeatures
from cpad_jax.features.pixels import face_crop, frame_pixels, pixel_box
from cpad_jax.media import images as media_images
from cpad_jax.models import face_features
from cpad_jax.models.person_adapter import FACE_MARGIN, unit
from cpad_jax.models.pretrained import CLIPModel, preprocessing


@dataclasses.dataclass(frozen=True)
class IdentityFeatures:
    """Features of photos of people.

    Attributes:
        faces: float16 [M, Df], the face feature of each photo, of any length.
        images: float16 [M, D], the L2-normalised CLIP embedding of each whole photo.
        labels: int64 [M], the identity of each photo: a row of `names`.
        image_ids: str [M].
        names: str [N], the name of each identity that occurs.
        identities: int64 [N], its number in the dataset, ascending.
    """

    faces: np.ndarray
    images: np.ndarray
    labels: np.ndarray
    image_ids: np.ndarray
    names: np.ndarray
    identities: np.ndarray


@dataclasses.dataclass(frozen=True)
class ClipFeatures:
    """Features of clips.

    Attributes:
        clip_ids: str [N].
        embeddings: float32 [N, D], the L2-normalised mean of the L2-normalised frames.
        frames: float16 [N, T, D], the frames' embeddings; zeros beyond `counts`.
        counts: int64 [N], frames taken of each clip, 1 to T.
    """

    clip_ids: np.ndarray
    embeddings: np.ndarray
    frames: np.ndarray
    counts: np.ndarray


@dataclasses.dataclass(frozen=True)
class FeatureStore:
    """Embeddings by one CLIP, from files or computed.

    Attributes:
        clip: The CLIP; its image tower embeds.
        directory: Where the files lie; created if need be.
        batch_size: Images embedded at once, a multiple of the number of devices times the images
            of an item: 2 of a photo, T of a clip.
        dtype: Compute dtype, 'float32' or 'bfloat16'.
        frames_per_clip: T, how many frames of a clip are taken, evenly spread; of a clip with
            fewer, all.
        face_feature: What reads the faces of photos, as `face_features.tower` takes it.
        pool: [N, T, D] frames, zeros where a clip has fewer → [N, D] embeddings of the clips.
    """

    clip: CLIPModel
    directory: Path
    batch_size: int = 64
    dtype: str = 'float32'
    frames_per_clip: int = 4
    face_feature: str = face_features.CLIP
    pool: Callable[[np.ndarray], np.ndarray] = pooling.mean_direction

    @classmethod
    def of_run(cls, config: Any, workdir: str | Path, clip: CLIPModel) -> FeatureStore:
        """The store of a run, in `config.features.dir` or `WORKDIR/features`.

        Args:
            config: The configuration; `features` and `dtype` are read.
            workdir: The run's folder.
            clip: The CLIP.
        """
        options = config.features
        directory = Path(options.dir) if options.dir else Path(workdir) / 'features'
        return cls(
            clip, directory, options.batch_size, config.dtype, options.frames_per_clip, options.face
        )

    def photos(self, source: Source, stage: str = 'embedding photos') -> IdentityFeatures:
        """Features of photos of people.

        Args:
            source: Records of the `identities` schema: `image` (JPEG), `image_id`, `identity`,
                `name`, `bbox` [4] (ymin xmin ymax xmax in fractions of the image; −1 where the
                photo is a face crop already).
            stage: Name on the progress bar.

        Returns:
            The features, in the order of `source`.

        Raises:
            UserError: The face feature is unknown, there are no photos, or one is damaged.
        """
        tower = face_features.tower(self.face_feature, self.clip)
        if tower is not None and tower is not self.clip:
            images, faces = (
                dataclasses.replace(self, clip=clip, face_feature=face_features.CLIP).photos(
                    source, f'{stage} by {clip.config.name}'
                )
                for clip in (self.clip, tower)
            )
            return dataclasses.replace(images, faces=faces.faces)
        by_clip, config = tower is not None, self.clip.config

        def prepare(record: Mapping[str, Any]) -> tuple[np.ndarray, Arrays]:
            image = media_images.decode_jpeg(record['image'])
            fields = {
                'image_id': np.array(str(record['image_id'])),
                'identity': np.int64(record['identity']),
                'name': np.array(str(record['name'])),
            }
            pictures = [image]
            if by_clip:
                pictures.append(face_crop(image, record['bbox'], config.image_size))
            else:
                box = pixel_box(image, record['bbox'])
                fields['faces'] = face_features.colour_histogram(image, box)
            pixels = media_images.preprocess(pictures, config.image_size, **preprocessing(config))
            return pixels, fields

        def finish(embedded: jax.Array) -> dict[str, jax.Array]:
            features = {'images': unit(embedded[:, 0])}
            return features | {'faces': embedded[:, 1]} if by_clip else features

        facts = {'face': self.face_feature, 'margin': FACE_MARGIN}
        arrays = self._embed('identities', facts, source, prepare, finish, 2, stage, 'photo')
        numbers = arrays['identity']
        identities, first, labels = np.unique(numbers, return_index=True, return_inverse=True)
        return IdentityFeatures(
            faces=arrays['faces'].astype(np.float16),
            images=arrays['images'].astype(np.float16),
            labels=labels,
            image_ids=arrays['image_id'],
            names=arrays['name'][first],
            identities=identities,
        )

    def clips(self, source: Source, stage: str = 'embedding clips') -> ClipFeatures:
        """Features of clips.

        Args:
            source: Records of the `clips` schema; `clip_id` and `frames` (a list of one or more
                JPEGs) are read.
            stage: Name on the progress bar.

        Returns:
            The features, in the order of `source`.

        Raises:
            UserError: There are no clips, one has no frames, or an image is damaged.
        """
        most, config = self.frames_per_clip, self.clip.config

        def prepare(record: Mapping[str, Any]) -> tuple[np.ndarray, Arrays]:
            data = record['frames']
            if not len(data):
                raise UserError(f'clip {record["clip_id"]} has no frames; build the dataset again')
            chosen = pooling.spread_evenly(len(data), most)
            frames = np.stack([media_images.decode_jpeg(data[i]) for i in chosen])
            pixels = np.zeros((most, config.image_size, config.image_size, 3), np.float32)
            pixels[: len(chosen)] = frame_pixels(frames, config)
            return pixels, {
                'clip_id': np.array(str(record['clip_id'])),
                'count': np.array(len(chosen), np.int64),
            }

        def finish(embedded: jax.Array) -> dict[str, jax.Array]:
            return {'frames': unit(embedded)}

        arrays = self._embed('clips', {'frames': most}, source, prepare, finish, most, stage)
        counts = arrays['count']
        present = np.arange(most)[None, :] < counts[:, None]  # [N, T]
        frames = np.where(present[..., None], arrays['frames'], 0)
        return ClipFeatures(
            clip_ids=arrays['clip_id'],
            embeddings=self.pool(frames),
            frames=frames.astype(np.float16),
            counts=counts,
        )

    def faces(
        self,
        source: Source,
        faces_per_clip: int = face_tracks.FACES_PER_CLIP,
        stage: str = 'embedding faces of clips',
    ) -> FaceTrackFeatures:
        """Features of the faces in clips by the image tower.

        Args:
            source: Records of the `clips` schema.
            faces_per_clip: C, faces of a clip at most; see `face_tracks.choose_faces`.
            stage: Name on the progress bar.

        Returns:
            The features, in the order of `source`.

        Raises:
            UserError: There are no clips, or an image is damaged.
        """
        config = self.clip.config

        def prepare(record: Mapping[str, Any]) -> tuple[np.ndarray, Arrays]:
            crops, people = face_tracks.crop_faces(record, faces_per_clip, config.image_size)
            pixels = np.zeros((faces_per_clip, config.image_size, config.image_size, 3), np.float32)
            tracks = np.full(faces_per_clip, -1, np.int64)
            if crops:
                pixels[: len(crops)] = media_images.preprocess(
                    crops, config.image_size, **preprocessing(config)
                )
                tracks[: len(crops)] = people
            return pixels, {'clip_id': np.array(str(record['clip_id'])), 'tracks': tracks}

        def finish(embedded: jax.Array) -> dict[str, jax.Array]:
            return {'faces': embedded}

        facts = {
            'faces': faces_per_clip,
            'face': face_features.CLIP,
            'margin': FACE_MARGIN,
            'apart': face_tracks.MOST_APART,
            'choice': face_tracks.CHOICE,
        }
        arrays = self._embed('clip-faces', facts, source, prepare, finish, faces_per_clip, stage)
        return FaceTrackFeatures(
            clip_ids=arrays['clip_id'],
            faces=arrays['faces'].astype(np.float16),
            tracks=arrays['tracks'],
        )

    def _embed(
        self,
        kind: str,
        facts: Mapping[str, Any],
        source: Source,
        prepare: Callable[[Mapping[str, Any]], tuple[np.ndarray, Arrays]],
        finish: Callable[[jax.Array], dict[str, jax.Array]],
        images_per_item: int,
        stage: str,
        unit_name: str = 'clip',
    ) -> Arrays:
        conditions = embedding.conditions(self.clip, self.dtype, len(source))
        return embedding.cached(
            self.directory,
            kind,
            {'data': source.fingerprint, **facts, **conditions},
            source,
            prepare,
            embedding.encoder(self.clip, self.dtype, finish),
            max(1, self.batch_size // images_per_item),
            stage,
            unit_name,
        )
