"""What the person adapter may read of a face, beside the CLIP image tower itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cpad_jax.errors import UserError
from cpad_jax.media import face_turns
from cpad_jax.media import faces as media_faces
from cpad_jax.media import images as media_images
from cpad_jax.models.person_adapter import FACE_MARGIN
from cpad_jax.models.pretrained import CLIPModel, find_clip, load_clip

# 'clip' is the image tower on the face crop; a name or folder of another CLIP stands for the image
# tower of that one. The histogram is a control: it holds colours of skin, hair and clothes, and
# nothing else.
CLIP, COLOUR_HISTOGRAM = 'clip', 'colour_histogram'

Photo = np.ndarray | str | os.PathLike[str]

_LEVELS = 8  # Per channel.
# The box of the face grows so far that hair and shoulders are in it.
_AROUND = 2.0


def other_clip(face_feature: str) -> Path | None:
    """The folder of another CLIP that reads faces; None for 'clip' and 'colour_histogram'.

    Raises:
        UserError: It is neither of these, nor is there such a CLIP.
    """
    if face_feature in (CLIP, COLOUR_HISTOGRAM):
        return None
    try:
        return find_clip(face_feature)
    except UserError as error:
        raise UserError(
            f'features.face is {face_feature!r}, expected {CLIP!r}, {COLOUR_HISTOGRAM!r} or '
            f'another CLIP: {error}'
        ) from error


def tower(face_feature: str, clip: CLIPModel) -> CLIPModel | None:
    """The CLIP whose image tower reads faces.

    Args:
        face_feature: 'clip', 'colour_histogram', or another CLIP as `load_clip` takes it.
        clip: The CLIP that reads everything else.

    Returns:
        `clip` itself for 'clip', None for the histogram.

    Raises:
        UserError: See `other_clip`.
    """
    folder = other_clip(face_feature)
    if folder is not None:
        return load_clip(folder, dtype=np.dtype(clip.model.dtype).name)
    return clip if face_feature == CLIP else None


def of_photos(
    photos: Sequence[Photo], tower: CLIPModel | None, detector: Any, cropped: bool
) -> np.ndarray:
    """Face features of photos that show one person each.

    Args:
        photos: Paths, or uint8 arrays [H, W, 3] RGB.
        tower: See `tower`; None for histograms.
        detector: A `media.faces.FaceDetector`, the path of its YuNet model, or None for the path in
            the environment variable `CPAD_FACE_DETECTOR`, or what was fetched before.
        cropped: They are face crops already, so that no detector is needed.

    Returns:
        float32 [R, Df].

    Raises:
        UserError: A photo cannot be read or shows no face or several, or there is no detector.
    """
    if not cropped:
        detector = _open_detector(detector)
    crops = []
    for number, photo in enumerate(photos, start=1):
        array = isinstance(photo, np.ndarray)
        source = f'photo {number}' if array else str(photo)
        pixels = photo if array else media_images.read_image(photo)
        box = None
        if not cropped:
            pixels, detections, _ = face_turns.upright_faces(pixels, detector)
            box = media_faces.single_face(detections, source).box
        if tower is None:
            crops.append(colour_histogram(pixels, box))
        elif box is None:
            crops.append(pixels)
        else:
            size = tower.config.image_size
            crops.append(media_faces.crop_face(pixels, box, enlarge=FACE_MARGIN, size=size))
    return np.stack(crops) if tower is None else tower.encode_image(tower.preprocess(crops))


def _open_detector(detector: Any) -> Any:
    """The detector itself, opened from a path if need be."""
    if isinstance(detector, (str, os.PathLike)):
        return media_faces.FaceDetector(detector)
    if detector is None:
        try:
            return media_faces.FaceDetector()
        except UserError as error:
            raise UserError(
                f'photos need a face detector, unless they are face crops and cropped=True is '
                f'given: {error}'
            ) from None
    return detector


def colour_histogram(
    image: np.ndarray, box: Sequence[float] | np.ndarray | None = None
) -> np.ndarray:
    """How often each of 512 colours occurs around a face.

    Args:
        image: uint8 [H, W, 3] RGB.
        box: float [4], ymin xmin ymax xmax of the face in pixels; None for the whole picture.

    Returns:
        float32 [512], L2-normalised: roots of the shares, so that common colours do not dominate.
    """
    if box is not None:
        image = media_faces.crop_face(image, np.asarray(box), enlarge=_AROUND, size=112)
    levels = (image // (256 // _LEVELS)).astype(np.int64)
    codes = (levels[..., 0] * _LEVELS + levels[..., 1]) * _LEVELS + levels[..., 2]
    counts = np.bincount(codes.ravel(), minlength=_LEVELS**3)
    return np.sqrt(counts / counts.sum()).astype(np.float32)
