"""Opening picture files: which kinds, how large, and in how much memory (by Pillow).

Pillow by itself opens some forty kinds, PostScript among them, which it hands to another program.
This is the only place where files of pictures are opened, and only the kinds in `KINDS` are.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import stat
import warnings
from collections.abc import Iterator
from typing import BinaryIO, NoReturn

import numpy as np
from PIL import Image, JpegImagePlugin, features

from cpad_jax.errors import UserError

# Pillow's log of damaged files would come out on stderr where a program sets up no logging; the
# errors raised here say it once.
logging.getLogger('PIL').addHandler(logging.NullHandler())

# What is taken for a picture in a folder; a file that is named is opened whatever its ending.
ENDINGS = (
    '.jpg', '.jpeg', '.jfif', '.mpo', '.png', '.webp', '.bmp', '.tif', '.tiff', '.gif', '.avif',
    '.heic', '.heif',
)  # fmt: skip
KINDS = 'JPEG, PNG, WebP, BMP, TIFF, GIF, AVIF or HEIC'

# A file of a few kilobytes can claim to hold a picture that fills the memory.
MAX_PIXELS = 128_000_000
# A JPEG is made smaller while it is decoded. Phones make them of 200 million pixels.
MAX_JPEG_PIXELS = 256_000_000
# More pixels than these are not kept: by then a photo has been reduced to half its size or less.
_KEPT_PIXELS = 64_000_000
# What decoding may take, in bytes.
_MEMORY = 768 << 20
# Pixels times passes over them, of a progressive JPEG, which has about ten.
_PASSED_PIXELS = 4_000_000_000

# The most that decoding takes per pixel, in bytes, measured: Pillow keeps RGB in four, and some
# libraries hold the whole picture several times over. For kinds that are not here it is four.
_BYTES_PER_PIXEL = {'WEBP': 17, 'AVIF': 10, 'HEIF': 12}
_FORMATS = ('PNG', 'WEBP', 'BMP', 'GIF', 'TIFF')

# The brands of High Efficiency Image Files, at byte 8, and of those that hold AVIF.
_HEIC_BRANDS = (b'heic', b'heix', b'hevc', b'hevx', b'heim', b'heis', b'hevm', b'hevs')
_COMMON_BRANDS = (b'mif1', b'msf1')
_OTHERS = {
    b'%!PS': 'PostScript', b'\xc5\xd0\xd3\xc6': 'PostScript', b'%PDF': 'PDF', b'8BPS': 'Photoshop',
    b'\xd7\xcd\xc6\x9a': 'a Windows metafile', b'<svg': 'SVG', b'<?xml': 'XML or SVG',
    b'\0\0\0\x0cJXL ': 'JPEG XL', b'\xff\x0a': 'JPEG XL', b'\0\0\0\x0cjP  ': 'JPEG 2000',
}  # fmt: skip

ORIENTATION = 0x0112  # EXIF's number of it.
# EXIF's number of how the camera was held, and what turns the picture upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def open_upright(source: str | os.PathLike[str] | bytes) -> Image.Image:
    """Opens a picture and turns it upright as its EXIF data say; broken EXIF data turn nothing.

    Args:
        source: A path, or the bytes of a file. Of an animation the first picture is taken.

    Returns:
        The whole picture in the mode that it is stored in, but colours of a palette as RGB or RGBA
        where it had more than 64 million pixels: then it is reduced by a whole number.

    Raises:
        UserError: The file is missing, empty, no picture of `KINDS`, broken, or would take too much
            memory.
    """
    if isinstance(source, bytes):
        name = f'a picture of {len(source)} bytes'
        return _decode(io.BytesIO(source), name)
    name = os.fspath(source)
    with _regular_file(name) as file:
        return _decode(file, name)


@contextlib.contextmanager
def _regular_file(path: str) -> Iterator[BinaryIO]:
    """A file opened to be read. Pillow never sees its name, which may be in any encoding."""
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise UserError(f'{path}: this is a folder; expected one picture file')
        if not stat.S_ISREG(status.st_mode):
            raise UserError(f'{path}: this is a device or a pipe; expected one picture file')
        if status.st_size == 0:
            raise UserError(f'{path}: the file is empty; copy or download the picture again')
        file = open(path, 'rb')
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise UserError(f'{path}: there is no such file; expected a picture ({KINDS})') from error
    except OSError as error:
        raise UserError(
            f'{path}: the file cannot be read ({error.strerror}); see who may read it'
        ) from error
    with file:
        yield file


def _decode(file: BinaryIO, name: str) -> Image.Image:
    start = file.read(32)
    file.seek(0)
    try:
        with warnings.catch_warnings():
            # Pillow warns at a lower size than the one refused here, and of damaged entries of
            # pictures that it then reads or refuses.
            warnings.simplefilter('ignore')
            with _identified(file, start, name) as image:
                factor = _bounded(image, file, name)
                image.load()
                if image.mode in ('I', 'F'):
                    raise UserError(
                        f'{name}: the picture holds 32-bit numbers, of which none is white; save '
                        'it with 8 or 16 bits per channel'
                    )
                upright = _reduced(image, factor) if factor > 1 else image
                turn = _TURNS.get(orientation(image))
                if turn is not None:
                    upright = upright.transpose(turn)
                elif upright is image:
                    upright = image.copy()
            # Some kinds of file (TIFF in Lab colours) open but never become RGB.
            upright.crop((0, 0, 1, 1)).convert('RGB')
            return upright
    except UserError:
        raise
    # Whatever Pillow and its plugins raise of a file is the file's fault: OSError, SyntaxError and
    # ValueError by intent, and struct.error, KeyError, EOFError and others by omission.
    except Exception as error:
        why = ' '.join(str(error).split())[:120] or type(error).__name__
        raise UserError(
            f'{name}: the picture is broken ({why}); copy or download it again'
        ) from error


def _identified(file: BinaryIO, start: bytes, name: str) -> Image.Image:
    """The picture of a file of which nothing but the header has been read."""
    if start.startswith(b'\xff\xd8\xff'):
        # Not through Image.open, which refuses what a draft makes small.
        return JpegImagePlugin.JpegImageFile(file)
    formats = _FORMATS
    if start[4:8] == b'ftyp':
        brand = start[8:12]
        if brand in _HEIC_BRANDS or (brand in _COMMON_BRANDS and b'avif' not in start):
            formats = (_heif(name),)
        elif brand not in (b'avif', b'avis', *_COMMON_BRANDS):
            _refuse(start, name)
        elif not features.check('avif'):
            raise UserError(
                f'{name}: this is an AVIF picture, which the Pillow that is installed cannot read; '
                'pip install --upgrade pillow, or save it as JPEG'
            )
        else:
            formats = ('AVIF',)
    try:
        return Image.open(file, formats=formats)
    except Image.DecompressionBombError:
        raise UserError(
            f'{name}: the picture is too large; at most {MAX_PIXELS // 10**6} million pixels are '
            'read: save a smaller copy'
        ) from None
    except Image.UnidentifiedImageError:
        _refuse(start, name)


def _heif(name: str) -> str:
    """Pillow's name of HEIC once it can read that."""
    try:
        import pillow_heif
    except ImportError:
        raise UserError(
            f"{name}: to read this HEIC picture, pip install 'cpad_jax[heic]'; or save it as JPEG"
        ) from None
    pillow_heif.register_heif_opener(thumbnails=False)
    return 'HEIF'


def _refuse(start: bytes, name: str) -> NoReturn:
    kinds = (kind for magic, kind in _OTHERS.items() if start.startswith(magic))
    it = next(kinds, 'not a picture that can be read')
    raise UserError(f'{name}: this is {it}; expected {KINDS}')


def _bounded(image: Image.Image, file: BinaryIO, name: str) -> int:
    """By how much a picture is reduced once it is decoded; a JPEG is prepared to be smaller.

    Raises:
        UserError: It has too many pixels, or takes too much memory or too long.
    """
    pixels = image.width * image.height
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        most, scale, needed = MAX_JPEG_PIXELS, *_jpeg_scale(image, file)
        if pixels <= most and needed <= _MEMORY and scale > 1:
            image.draft(None, (image.width // scale, image.height // scale))
    else:
        most, needed = MAX_PIXELS, _BYTES_PER_PIXEL.get(image.format or '', 4) * pixels
        needed += _read_at_once(image, file)
    if pixels > most or needed > _MEMORY:
        raise UserError(
            f'{name}: the picture is too large ({image.width}x{image.height} pixels, '
            f'{image.format}); at most {min(most, most * _MEMORY // needed) // 10**6} million '
            'pixels of this kind are read: save a smaller copy'
        )
    kept = image.width * image.height  # After the draft.
    return 1 if kept <= _KEPT_PIXELS else int(np.ceil(np.sqrt(kept / _KEPT_PIXELS)))


def _jpeg_scale(image: JpegImagePlugin.JpegImageFile, file: BinaryIO) -> tuple[int, int]:
    """(By how much to reduce a JPEG while it is decoded, the bytes that this takes)."""
    pixels = image.width * image.height
    layers = [(across, down) for _, across, down, _ in image.layer]
    whole = max((across for across, _ in layers), default=1) * max(
        (down for _, down in layers), default=1
    )
    # Several passes over the picture need all of its coefficients, two bytes each.
    buffered = 2 * pixels * sum(across * down for across, down in layers) // max(whole, 1)
    passes = _passes(file)
    if passes <= 1:
        buffered = 0
    elif passes * pixels > _PASSED_PIXELS:
        return 1, _MEMORY * passes * pixels // _PASSED_PIXELS + 1
    needed = 0
    for scale in (1, 2, 4, 8):
        kept = pixels // scale**2
        needed = buffered + 4 * kept
        if kept <= _KEPT_PIXELS and needed <= _MEMORY:
            return scale, needed
    return 1, needed


def _passes(file: BinaryIO) -> int:
    """How many scans a JPEG has at most: also those of thumbnails inside are counted."""
    place = file.tell()
    file.seek(0)
    count, last = 0, b''
    while piece := file.read(1 << 20):
        # A marker may lie across two pieces.
        count += piece.count(b'\xff\xda') + ((last + piece[:1]) == b'\xff\xda')
        last = piece[-1:]
    file.seek(place)
    return count


def _read_at_once(image: Image.Image, file: BinaryIO) -> int:
    """Bytes of a TIFF that are held beside the picture: its file, and the tile being decoded."""
    if image.format != 'TIFF':
        return 0
    tags = image.tag_v2
    bits = sum(tags.get(258, (8,)))
    # A tile, or a strip, may be larger than the picture.
    tile = tags.get(322, 0) * tags.get(323, 0)
    place = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(place)
    return size + tile * max(bits, 8) // 8


def orientation(image: Image.Image) -> int:
    """EXIF's number of how the camera was held; 1, upright, where the data are broken or absent."""
    try:
        held = image.getexif().get(ORIENTATION, 1)
    except Exception:  # A picture is none the worse for what is written beside it.
        return 1
    return held if isinstance(held, int) else 1


def _reduced(image: Image.Image, factor: int) -> Image.Image:
    """A picture of a `factor`-th of the size, made strip by strip."""
    rows = factor * 64
    whole = None
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        if strip.mode.startswith('I;16'):
            strip = Image.fromarray(eight_bits(strip))
        elif strip.mode in ('P', 'PA', '1'):
            clear = strip.mode == 'PA' or 'transparency' in image.info
            strip = strip.convert('RGBA' if clear else 'RGB')
        small = strip.reduce(factor)
        if whole is None:
            whole = Image.new(small.mode, (small.width, -(-image.height // factor)))
        whole.paste(small, (0, top // factor))
    return whole


def eight_bits(image: Image.Image) -> np.ndarray:
    """Grey values of 16 bits as uint8 [H, W]. Pillow would cut them off at 255."""
    return (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Makes sure that bytes are a whole JPEG picture, without the cost of all its pixels.

    Args:
        data: A JPEG file.

    Returns:
        Height and width in pixels, of the picture turned upright.

    Raises:
        UserError: It is no JPEG, broken, cut short, or claims more than `MAX_PIXELS`.
    """
    if not data.startswith(b'\xff\xd8\xff'):
        raise UserError('not a JPEG picture')
    try:
        file = io.BytesIO(data)
        with JpegImagePlugin.JpegImageFile(file) as image:
            width, height = image.size
            if width * height > MAX_PIXELS or _jpeg_scale(image, file)[1] > _MEMORY:
                raise UserError(f'a picture of {width}x{height} pixels is too large')
            turned = orientation(image) in (5, 6, 7, 8)
            # An eighth of the size: every byte is still read, little is computed.
            image.draft(None, (max(width // 8, 1), max(height // 8, 1)))
            image.load()
    except UserError:
        raise
    except Exception as error:  # As in `_decode`.
        raise UserError(f'a broken JPEG picture ({error})') from error
    return (width, height) if turned else (height, width)


def claimed_pixels(data: bytes) -> int:
    """How many pixels the header of a JPEG file speaks of, in microseconds; 0 where it has none."""
    place = 2
    while (place := data.find(b'\xff', place)) >= 0 and place + 9 <= len(data):
        marker = data[place + 1]
        if marker == 0xFF or not 0xC0 <= marker <= 0xFE or 0xD0 <= marker <= 0xD8:
            place += 1 if marker == 0xFF else 2
        elif marker in (0xD9, 0xDA):  # The end, or the pixels.
            break
        elif marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = data[place + 5 : place + 7], data[place + 7 : place + 9]
            return int.from_bytes(height) * int.from_bytes(width)
        else:
            place += 2 + int.from_bytes(data[place + 2 : place + 4])
    return 0
