"""Faces in pictures: finding them with YuNet (by OpenCV), cutting them out, insisting on one.

The detector's file does not come with the package; see `model_files`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from cpad_jax.errors import UserError
from cpad_jax.media import images, model_files, onnx_files
from cpad_jax.media.images import scale_image

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

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
    """YuNet. Not to be shared between threads.

    Attributes:
        path: The file.
        sha256: Of the file; another one finds other faces.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, min_score: float = 0.7):
        """Opens the detector's file.

        Args:
            path: A YuNet `.onnx` file; without it, the one that the environment variable
                CPAD_FACE_DETECTOR names, or that was fetched before.
            min_score: Faces the detector is less sure of are dropped, 0 to 1.

        Raises:
            UserError: No path is given, or there is no YuNet.
        """
        self.path = model_files.find(model_files.FACE_DETECTOR, path)
        data, self.sha256 = onnx_files.read(self.path, 'detector')
        try:
            # From memory: OpenCV opens no path that is not UTF-8.
            self._network = cv2.FaceDetectorYN.create(
                'onnx', np.frombuffer(data, np.uint8), np.zeros(0, np.uint8),
                (_SMALLEST_SIDE, _SMALLEST_SIDE), min_score,
            )  # fmt: skip
            # Another network than YuNet opens all the same, and fails when it is used.
            self.detect(np.zeros((_SMALLEST_SIDE, _SMALLEST_SIDE, 3), np.uint8))
        except cv2.error as error:
            raise UserError(
                f'{self.path}: this is not a YuNet face detector; {model_files.FACE_DETECTOR.where}'
            ) from error

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


def without_passers_by(found: Sequence[Face]) -> list[Face]:
    """The faces at least a quarter as high as the first one, which is the largest."""
    return [face for face in found if face.height >= _PASSER_BY * found[0].height]


def large_faces(found: Sequence[Face], path: str | os.PathLike[str]) -> list[Face]:
    """Chooses the faces of those whom a photo is of.

    Args:
        found: All faces of the photo, the largest first.
        path: Where the photo comes from, for the message.

    Returns:
        Faces, the largest first, at least one; no passers-by.

    Raises:
        UserError: There is no face.
    """
    if not found:
        raise UserError(
            f'{path}: no face was found, however the photo is turned; use one in which one face is '
            'in plain view'
        )
    return without_passers_by(found)


def place(face: Face) -> str:
    """Which face of a photo is spoken of, for messages: its size and its place in pixels."""
    left, top = max(face.box[1], 0), max(face.box[0], 0)
    return f'{face.width:.0f}x{face.height:.0f} pixels at x={left:.0f} y={top:.0f}'


def single_face(found: Sequence[Face], path: str | os.PathLike[str]) -> Face:
    """Chooses the one face of a photo of one person.

    Args:
        found: All faces of the photo, the largest first.
        path: Where the photo comes from, for the message.

    Returns:
        The face; passers-by do not count.

    Raises:
        UserError: There is no face, or there are several.
    """
    large = large_faces(found, path)
    if len(large) > 1:
        raise UserError(
            f'{path}: {len(large)} faces were found ({"; ".join(map(place, large))}), expected '
            'one; crop the photo to the person who is meant'
        )
    return large[0]


@dataclass(frozen=True)
class OnePerson:
    """Which faces of photos show the one person whom they should all show.

    Attributes:
        faces: For each photo the number of that face, from 0; None where none does, or where which
            does cannot be determined.
        likeness: For each photo the highest cosine of its faces with the person's.
        certain: False where no person is in more photos than any other. All photos of one face are
            then chosen, and those whose `likeness` is below the threshold show another person than
            the rest, as it seems.
    """

    faces: tuple[int | None, ...]
    likeness: tuple[float, ...]
    certain: bool


def agreeing_faces(features: Sequence[np.ndarray], threshold: float) -> OnePerson:
    """Chooses from each photo the face of the person whom most photos show.

    Photos with one face decide who that is; where there are none, all do. The face that agrees with
    a face in the most of them is the middle one. The person is the mean of the faces that agree
    with it, and a face that agrees with either is the person's, unless two of one photo do.

    Args:
        features: For each photo float32 [N, F], L2-normalised: its faces', N >= 1.
        threshold: Cosine from which on two faces agree, such as `FaceEmbedder.threshold`.

    Returns:
        What was chosen.

    Raises:
        ValueError: There is no photo, or one without a face.
    """
    if not features or not all(map(len, features)):
        raise ValueError('expected at least one photo, and a face in each')
    deciding = [rows for rows in features if len(rows) == 1] or list(features)
    candidates = np.concatenate(deciding)  # [K, F]
    # Of each photo the face most like each candidate: [K, photos].
    alike = np.stack([(candidates @ rows.T).max(axis=1) for rows in deciding], axis=1)
    votes = (alike >= threshold).sum(axis=1)
    middle = int(np.lexsort([alike.sum(axis=1), votes])[-1])
    others = candidates @ candidates[middle] < threshold
    certain = votes[middle] > votes[others].max(initial=0)
    person = candidates[middle : middle + 1]
    if certain:
        own = [rows[int((rows @ person[0]).argmax())] for rows in deciding]
        mean = np.mean([row for row in own if row @ person[0] >= threshold], axis=0)
        person = np.stack([person[0], mean / np.linalg.norm(mean)])
    chosen: list[int | None] = []
    likeness = [(rows @ person.T).max(axis=1) for rows in features]
    for near in likeness:
        agree = np.flatnonzero(near >= threshold) if certain else np.arange(len(near))
        chosen.append(int(agree[0]) if len(agree) == 1 else None)
    return OnePerson(tuple(chosen), tuple(float(near.max()) for near in likeness), bool(certain))


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


# Where the landmarks of a frontal face lie in a picture of 112 x 112 pixels, (x, y): what face
# embedders are trained on (ArcFace, Deng et al., CVPR 2019; InsightFace's `arcface_dst`).
ALIGNED_SIZE = 112
ALIGNED_LANDMARKS = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655],
     [70.7299, 92.2041]]
)  # fmt: skip
ALIGNED_LANDMARKS.setflags(write=False)


def alignment(landmarks: np.ndarray) -> np.ndarray:
    """Turn, scale and shift that bring landmarks nearest to `ALIGNED_LANDMARKS`.

    The least-squares similarity transform of Umeyama (PAMI 1991), in closed form for the plane and
    without mirroring.

    Args:
        landmarks: float [5, 2], (x, y).

    Returns:
        float64 [2, 3], which takes (x, y, 1) to the place in the aligned picture.

    Raises:
        ValueError: All landmarks lie on one point, or are not finite.
    """
    source = np.asarray(landmarks, np.float64)
    middle, target = source.mean(axis=0), ALIGNED_LANDMARKS.mean(axis=0)
    x, y = (source - middle).T
    u, v = (ALIGNED_LANDMARKS - target).T
    spread = (x * x + y * y).sum()
    if not (np.isfinite(spread) and spread > 1e-6):
        raise ValueError(f'expected five landmarks of a face, got {source.tolist()}')
    cosine, sine = (x * u + y * v).sum() / spread, (x * v - y * u).sum() / spread
    turn = np.array([[cosine, -sine], [sine, cosine]])
    return np.column_stack([turn, target - turn @ middle])


def align_face(image: np.ndarray, face: Face) -> np.ndarray:
    """Cuts a face out, upright and of one size: the picture that face embedders take.

    Args:
        image: uint8 [H, W, 3] RGB.
        face: A face in it.

    Returns:
        uint8 [112, 112, 3]; over the edge of the picture, the edge's pixels are repeated.

    Raises:
        ValueError: As `alignment`.
    """
    matrix = alignment(face.landmarks)
    scale = float(np.hypot(*matrix[:, 0]))
    if scale < 0.5:
        # A strong reduction would skip pixels: average them first, where they are needed.
        corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]) * ALIGNED_SIZE - matrix[:, 2]
        corners = corners @ np.linalg.inv(matrix[:, :2]).T
        left, top = np.clip(np.floor(corners.min(axis=0)), 0, None).astype(int)
        right, bottom = np.ceil(corners.max(axis=0)).astype(int)
        part = image[top:bottom, left:right]
        if part.size:
            height, width = (max(1, round(side * scale / 0.75)) for side in part.shape[:2])
            back = np.array([part.shape[1] / width, part.shape[0] / height])
            matrix[:, 2] += matrix[:, :2] @ (left, top)
            matrix[:, :2] *= back
            # Pixels count from their middles.
            matrix[:, 2] += matrix[:, :2] @ (0.5 - 0.5 / back)
            image = scale_image(part, height, width)
    return images.warp(image, matrix, ALIGNED_SIZE, ALIGNED_SIZE)
