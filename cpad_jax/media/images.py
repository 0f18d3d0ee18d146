"""Still pictures: reading, JPEG, and the way from a picture to what an image tower takes.

A picture is uint8 [H, W, 3] RGB here and everywhere else.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from cpad_jax.errors import UserError
from cpad_jax.media import image_files
from cpad_jax.media.image_files import MAX_PIXELS

# Mean and spread of the RGB values in [0, 1] that OpenAI's CLIP was trained with.
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

_INTERPOLATIONS = {'bicubic': Image.Resampling.BICUBIC, 'bilinear': Image.Resampling.BILINEAR}

_STRIP = 1 << 22  # Pixels.

ImageLike = np.ndarray | Image.Image | str | os.PathLike


def read_image(source: str | os.PathLike[str] | bytes) -> np.ndarray:
    """Reads a picture file and turns it upright as its EXIF data say.

    Args:
        source: A path, or the bytes of a file: JPEG, PNG, WebP, BMP, TIFF, GIF, AVIF or HEIC.
            Transparency is dropped; of an animation the first picture is taken.

    Returns:
        uint8 [H, W, 3] RGB. A picture of more than 64 million pixels is reduced by a whole number.

    Raises:
        UserError: The file is missing, empty, no picture of these kinds, broken, or would take too
            much memory; see `image_files.MAX_PIXELS` and `MAX_JPEG_PIXELS`.
    """
    return _to_rgb(image_files.open_upright(source))


def encode_jpeg(image: np.ndarray, quality: int = 92) -> bytes:
    """Compresses a picture.

    Args:
        image: uint8 [H, W, 3] RGB.
        quality: 1 to 100.

    Returns:
        The bytes of a JPEG file; the same for the same picture on every run.
    """
    _check(image)
    ok, data = cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ValueError(f'OpenCV could not compress a picture of shape {image.shape}')
    return data.tobytes()


def decode_jpeg(data: bytes) -> np.ndarray:
    """Opens the bytes of a JPEG file: uint8 [H, W, 3] RGB, upright as its EXIF data say.

    Raises:
        UserError: The bytes are not a whole picture.
    """
    image = None
    if data and image_files.claimed_pixels(data) <= MAX_PIXELS:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise UserError(
            f'{len(data)} bytes that should be a JPEG picture cannot be decoded; '
            'the data set is damaged: build it again'
        )
    return image


def preprocess(
    images: np.ndarray | Sequence[ImageLike],
    size: int,
    *,
    resize: str = 'shortest',
    mean: Sequence[float] = CLIP_MEAN,
    std: Sequence[float] = CLIP_STD,
    interpolation: str = 'bicubic',
) -> np.ndarray:
    """Makes the pixels an image tower takes, exactly as open_clip and torchvision do.

    That is: with the same Pillow. Pillow 13 rounds tall pictures otherwise than 12, by 0.3 grey
    levels on average.

    A Pillow image or a file is resized in the mode that it is in and only then becomes RGB, as
    open_clip has it: transparent pixels weigh nothing, and of a palette the nearest pixel is taken.
    Unlike there, files are turned upright first, and 16 bits are scaled to 8 instead of cut off.

    Args:
        images: uint8 [B, H, W, 3] RGB, or a list of such [H, W, 3] arrays (sizes may differ),
            Pillow images or paths.
        size: S, the side of the square that the tower takes, in pixels.
        resize: 'shortest' brings the shorter side to S and cuts the middle out; 'squash' brings
            both sides to S whatever the aspect.
        mean: Of red, green and blue in [0, 1]; subtracted.
        std: Of red, green and blue in [0, 1]; divided by.
        interpolation: 'bicubic' or 'bilinear', Pillow's, with antialiasing.

    Returns:
        float32 [B, S, S, 3].

    Raises:
        UserError: A path that cannot be read (see `read_image`), or a picture so narrow that it
            would take more than `MAX_PIXELS` once its shorter side is S.
    """
    found = squares(images, size, resize=resize, interpolation=interpolation)
    return _normalise(found, mean, std)


def squares(
    images: np.ndarray | Sequence[ImageLike],
    size: int,
    *,
    resize: str = 'shortest',
    interpolation: str = 'bicubic',
) -> np.ndarray:
    """What `preprocess` makes of images before the mean is subtracted: uint8 [B, S, S, 3] RGB.

    For arguments and errors see there.
    """
    method = _method(interpolation)
    found = np.empty((len(images), size, size, 3), np.uint8)
    for square, image in zip(found, images, strict=True):
        if isinstance(image, np.ndarray):
            _check(image)
            picture = Image.fromarray(image)
        elif isinstance(image, Image.Image):
            picture = image
        else:
            picture = image_files.open_upright(image)
        if picture.mode.startswith('I;16'):
            picture = Image.fromarray(_to_rgb(picture))
        height, width = _resized(picture.height, picture.width, size, resize)
        if height * width > MAX_PIXELS:
            name = '' if isinstance(image, (np.ndarray, Image.Image)) else f'{image}: '
            raise UserError(
                f'{name}the picture of {picture.width}x{picture.height} pixels is too narrow to be '
                f'brought to {width}x{height}; cut out the part that matters'
            )
        top, left = _corner(height, width, size)
        small = picture.resize((width, height), method)
        square[:] = np.asarray(small.crop((left, top, left + size, top + size)).convert('RGB'))
    return found


def preprocess_frames(
    frames: np.ndarray,
    size: int,
    *,
    resize: str = 'shortest',
    mean: Sequence[float] = CLIP_MEAN,
    std: Sequence[float] = CLIP_STD,
    interpolation: str = 'bicubic',
) -> np.ndarray:
    """The quick way of `preprocess` for the frames of a video: only the middle is computed.

    Up to four times the size S it differs from `preprocess` in rounding only, mostly by nothing and
    by 0.3 grey levels of 255 on average at most (pure noise, enlarged, by 0.6). Beyond that, blocks
    of pixels are averaged first; the mean (largest) difference is then 0.2 (2) on smooth pictures,
    0.4 (10) on film and 1.7 (10) on pure noise. It takes a third of the time or less at 1920x1080,
    and two thirds to all of it on frames of 320x240.

    Args:
        frames: uint8 [T, H, W, 3] RGB.
        size: S, the side of the square that the tower takes, in pixels.
        resize: 'shortest' or 'squash', as in `preprocess`.
        mean: As in `preprocess`.
        std: As in `preprocess`.
        interpolation: As in `preprocess`.

    Returns:
        float32 [T, S, S, 3].
    """
    method = _method(interpolation)
    height, width = _resized(frames.shape[1], frames.shape[2], size, resize)
    top, left = _corner(height, width, size)
    across, down = frames.shape[2] / width, frames.shape[1] / height
    right = min((left + size) * across, frames.shape[2])  # Rounding must not lead out of it.
    bottom = min((top + size) * down, frames.shape[1])
    box = (left * across, top * down, right, bottom)
    found = np.empty((len(frames), size, size, 3), np.uint8)
    for square, frame in zip(found, frames, strict=True):
        _check(frame)
        # From four times the size on, blocks of pixels are averaged first, to at least twice the
        # size: that takes a third of the time.
        small = Image.fromarray(frame).resize((size, size), method, box, reducing_gap=2.0)
        square[:] = np.asarray(small)
    return _normalise(found, mean, std)


def scale_image(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Brings a picture [H, W, 3] uint8 to [height, width, 3], averaging where it shrinks."""
    if image.shape[:2] == (height, width):
        return image
    shrinks = height <= image.shape[0] and width <= image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(image, (width, height), interpolation=method)


def _method(interpolation: str) -> Image.Resampling:
    if interpolation not in _INTERPOLATIONS:
        raise ValueError(f"interpolation must be 'bicubic' or 'bilinear', got {interpolation!r}")
    return _INTERPOLATIONS[interpolation]


def _check(image: np.ndarray) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f'expected a picture uint8 [H, W, 3], got {image.dtype} {image.shape}')


def _to_rgb(image: Image.Image) -> np.ndarray:
    if image.mode.startswith('I;16'):
        return np.repeat(image_files.eight_bits(image)[..., None], 3, axis=-1)
    found = np.empty((image.height, image.width, 3), np.uint8)
    # Strip by strip: of a large picture Pillow would hold two copies more.
    rows = max(1, _STRIP // max(image.width, 1))
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        found[top : top + rows] = np.asarray(strip.convert('RGB'))
    return found


def _resized(height: int, width: int, size: int, resize: str) -> tuple[int, int]:
    """Height and width before the middle is cut out; torchvision rounds the longer side down."""
    if resize == 'squash':
        return size, size
    if resize != 'shortest':
        raise ValueError(f"resize must be 'shortest' or 'squash', got {resize!r}")
    if height <= width:
        return size, int(size * width / height)
    return int(size * height / width), size


def _corner(height: int, width: int, size: int) -> tuple[int, int]:
    """Top and left of the middle square."""
    # `round` is half-to-even on purpose: torchvision's CenterCrop does the same.
    return int(round((height - size) / 2.0)), int(round((width - size) / 2.0))


def _normalise(squares: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    # In this order and in float32 the result equals torchvision's to the last bit.
    pixels = squares.astype(np.float32)
    pixels /= np.float32(255)
    pixels -= np.asarray(mean, np.float32)
    pixels /= np.asarray(std, np.float32)
    return pixels


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur; `sigma` in pixels. Returns a new picture."""
    return cv2.GaussianBlur(image, (0, 0), sigma)


def warp(image: np.ndarray, matrix: np.ndarray, height: int, width: int) -> np.ndarray:
    """Maps `image` by a [2, 3] affine matrix (source to target); edges are repeated outwards."""
    return cv2.warpAffine(
        image, np.asarray(matrix, np.float64), (width, height),
        flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
