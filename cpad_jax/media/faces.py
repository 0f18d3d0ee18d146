"""Faces in pictures: finding them with YuNet (by OpenCV), cutting them out, insisting on one.

The detector's file does not come with the package; `FaceDetector` says where to get it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from cpad_jax.errors import UserError
from cpad_jax.media.images import scale_image

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

DETECTOR_VARIABLE = 'CPAD_FACE_DETECTOR'
_SOURCE = (
    'get face_detection_yunet_2023mar.onnx (MIT licence, 232589 bytes, sha256 '
    '8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4) from '
    'https://github.com/opencv/opencv_zoo/tree/main/models/face_detection_yunet and give its path, '
    f'or set {DETECTOR_VARIABLE} to it'
)

# YuNet knows faces of about 10 to 300 pixels: pictures are brought to where theirs fall into that.
_LARGEST_SIDE = 640
_SMALLEST_SIDE = 320

# Faces below this share of the largest one's height are passers-by in a portrait.
_PASSER_BY = 0.25


@dataclass(frozen=True)
class Face:
    """A face that was found.

    Attributes:
        box: float32 [4], ymin xmin ymax xmax in pixels; may reach over the edge of the picture.
        landmarks: float32 [5, 2], (x, y) in pixels of the eye, the other eye, the tip of the nose
            and the corners of the mouth; of each pair the one further left in an upright picture
            of a face comes first.
        score: How sure the detector is, 0 to 1.
    """

    box: np.ndarray
    landmarks: np.ndarray
    score: float

    @property
    def height(self) -> float:
        """Pixels."""
        return float(self.box[2] - self.box[0])

    @property
    def width(self) -> float:
        """Pixels."""
        return float(self.box[3] - self.box[1])


class FaceDetector:
    """YuNet. Not to be shared between threads."""

    def __init__(self, path: str | os.PathLike[str] | None = None, min_score: float = 0.7):
        """Opens the detector's file.

        Args:
            path: A YuNet `.onnx` file; without it, the one that the environment variable
                CPAD_FACE_DETECTOR names.
            min_score: Faces the detector is less sure of are dropped, 0 to 1.

        Raises:
            UserError: No path is given, or there is no YuNet.
        """
        path = path or os.environ.get(DETECTOR_VARIABLE)
        if not path:
            raise UserError(f'no face detector is given; {_SOURCE}')
        self.path = Path(path)
        if not self.path.is_file():
            raise UserError(f'{self.path}: there is no such face detector; {_SOURCE}')
        try:
            self._network = cv2.FaceDetectorYN.create(
                str(self.path), '', (_SMALLEST_SIDE, _SMALLEST_SIDE), min_score
            )
            # Another network than YuNet opens all the same, and fails when it is used.
            self.detect(np.zeros((_SMALLEST_SIDE, _SMALLEST_SIDE, 3), np.uint8))
        except cv2.error as error:
            raise UserError(f'{self.path}: this is not a YuNet face detector; {_SOURCE}') from error

    def detect(self, image: np.ndarray) -> list[Face]:
        """Finds the faces in a picture.

        Args:
            image: uint8 [H, W, 3] RGB, upright, of any size: its longer side is brought to between
                320 and 640 pixels, so a face below 1/50 of it is not found.

        Returns:
            Faces, the largest first.
        """
        height, width = image.shape[:2]
        longest = max(height, width)
        scale = np.clip(longest, _SMALLEST_SIDE, _LARGEST_SIDE) / longest
        size = max(1, round(height * scale)), max(1, round(width * scale))
        scaled = cv2.cvtColor(scale_image(image, *size), cv2.COLOR_RGB2BGR)
        self._network.setInputSize((size[1], size[0]))
        rows = self._network.detect(scaled)[1]  # [N, 15]: x y w h, 5 × (x y), score
        # Not exactly `scale`, because the size is whole pixels.
        back = np.array([width / size[1], height / size[0]], np.float32)
        found = []
        for row in rows if rows is not None else ():
            corner, extent = row[:2] * back, row[2:4] * back
            box = np.concatenate([corner[::-1], (corner + extent)[::-1]])
            found.append(Face(box, row[4:14].reshape(5, 2) * back, float(row[14])))
        return sorted(found, key=lambda face: face.height * face.width, reverse=True)


def single_face(image: np.ndarray, detector: FaceDetector, path: str | os.PathLike[str]) -> Face:
    """Finds the one face of a photo of one person.

    Args:
        image: uint8 [H, W, 3] RGB.
        detector: What finds faces.
        path: Where the photo comes from, for the message.

    Returns:
        The face. Faces less than a quarter as high as the largest one are taken for passers-by.

    Raises:
        UserError: There is no face, or there are several.
    """
    found = detector.detect(image)
    found = [face for face in found if face.height >= _PASSER_BY * found[0].height]
    if not found:
        raise UserError(
            f'{path}: no face was found; use an upright photo in which one face is in plain view'
        )
    if len(found) > 1:
        places = '; '.join(
            f'{face.width:.0f}x{face.height:.0f} pixels at x={max(face.box[1], 0):.0f} '
            f'y={max(face.box[0], 0):.0f}'
            for face in found
        )
        raise UserError(
            f'{path}: {len(found)} faces were found ({places}), expected one; '
            'crop the photo to the person who is meant'
        )
    return found[0]


def crop_face(
    image: np.ndarray, box: np.ndarray, enlarge: float = 0.3, size: int = 224
) -> np.ndarray:
    """Cuts a square around a face.

    Args:
        image: uint8 [H, W, 3] RGB.
        box: float [4], ymin xmin ymax xmax in pixels; may reach over the edge.
        enlarge: By what share the longer side of the box grows, as VGGFace2's authors do.
        size: S, the side of the result in pixels.

    Returns:
        uint8 [S, S, 3]; where the square reaches over the edge, the edge's pixels are repeated.

    Raises:
        ValueError: The box is empty or not finite.
    """
    ymin, xmin, ymax, xmax = (float(value) for value in box)
    extent = max(ymax - ymin, xmax - xmin)
    if not (ymax > ymin and xmax > xmin and np.isfinite(extent)):
        raise ValueError(f'expected a box ymin xmin ymax xmax, got {box}')
    side = max(1, round(extent * (1 + enlarge)))
    top = round((ymin + ymax - side) / 2)
    left = round((xmin + xmax - side) / 2)
    rows = np.clip(np.arange(top, top + side), 0, image.shape[0] - 1)
    columns = np.clip(np.arange(left, left + side), 0, image.shape[1] - 1)
    return scale_image(image[rows][:, columns], size, size)
