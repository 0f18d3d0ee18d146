"""Faces of photos that lie on their side, stand on their head, or are held at a slant.

A face detector knows faces that are upright by 30 degrees or so. Beyond that it finds none, or puts
the eyes where they would be in an upright face, and the face's feature then matches no person.
"""

from __future__ import annotations

import math

import numpy as np

from cpad_jax.media import faces, images
from cpad_jax.media.images import scale_image

# A detector's score hardly falls up to a slant of 30 degrees, and differs from face to face: the
# highest one does not say which turn is upright. The middle of all turns with a high score does. It
# was chosen by simulation on 19 photos of real people at 36 slants each.
_STEP = 20  # Degrees between two turns.
_AROUND = 45  # Degrees on either side of a turn that count for it, the less the further.
_LEAST = 0.6  # What a score must be above to count.
_UPRIGHT = 15  # Degrees by which a photo may be off and stay as it is.
_RIGHT = 10  # And by which a turn is taken for a right angle, which keeps every pixel.
_BETTER = 1.05  # Times as much that a turn must count than none.
_SIZES = (
    320,
    640,
)  # Pixels of the longer side in which turns are tried; the second for small faces.
_LARGE = 4096  # And to which a picture is reduced that is turned by other than right angles.


def upright_faces(
    image: np.ndarray, detector: faces.FaceDetector
) -> tuple[np.ndarray, list[faces.Face], int]:
    """Finds the faces of a photo, and turns it so that they are upright.

    All turns by 20 degrees are tried in a small copy. A photo that is off by 15 degrees or less
    stays as it is.

    Args:
        image: uint8 [H, W, 3] RGB.
        detector: What finds faces.

    Returns:
        (the photo, turned or as it was; its faces, the largest first; by how many degrees clockwise
        it was turned).
    """
    degrees = 0
    for size in _SIZES:
        small = _reduced(image, size)
        scores = [_best(detector.detect(_turned(small, turn))) for turn in range(0, 360, _STEP)]
        if max(scores) > _LEAST:
            degrees = _upright_turn(scores)
            break
    found = detector.detect(image)
    if not degrees:
        return image, found, 0
    turned = _turned(image if degrees % 90 == 0 else _reduced(image, _LARGE), degrees)
    again = detector.detect(turned)
    return (turned, again, degrees) if again else (image, found, 0)


def _upright_turn(scores: list[float]) -> int:
    """By how many degrees to turn a photo clockwise.

    Args:
        scores: For each turn by `_STEP` degrees, from none on, how sure the detector is of a face.
    """
    count, reach = len(scores), _AROUND // _STEP
    shifts = np.arange(-reach, reach + 1)
    around = np.maximum(np.array(scores) - _LEAST, 0)[(np.arange(count)[:, None] + shifts) % count]
    sums = around @ (1 - abs(shifts) / (reach + 1))
    best = int(sums.argmax())
    if sums[best] <= _BETTER * sums[0]:
        best = 0
    if not around[best].any():
        return 0
    middle = _STEP * (best + around[best] @ shifts / around[best].sum())
    if (middle + _UPRIGHT) % 360 <= 2 * _UPRIGHT:
        return 0
    right = 90 * round(middle / 90)
    return (right if abs(middle - right) <= _RIGHT else round(middle)) % 360


def _best(found: list[faces.Face]) -> float:
    """The highest score of the large faces; 0 where there are none."""
    return max((face.score for face in faces.without_passers_by(found)), default=0.0)


def _reduced(image: np.ndarray, longest: int) -> np.ndarray:
    scale = longest / max(image.shape[:2])
    if scale >= 1:
        return image
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return scale_image(image, height, width)


def _turned(image: np.ndarray, degrees: int) -> np.ndarray:
    """A picture turned clockwise, whole; around a slanted one its edges are repeated."""
    if degrees % 90 == 0:
        return np.ascontiguousarray(np.rot90(image, -degrees // 90))
    height, width = image.shape[:2]
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    tall = math.ceil(abs(height * cosine) + abs(width * sine))
    wide = math.ceil(abs(width * cosine) + abs(height * sine))
    turn = np.array([[cosine, -sine], [sine, cosine]])
    shift = np.array([wide, tall]) / 2 - turn @ np.array([width, height]) / 2
    return images.warp(image, np.column_stack([turn, shift]), tall, wide)
