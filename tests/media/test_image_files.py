"""Which files of pictures are opened, how large they may be, and what comes of odd ones."""

import builtins
import io
import os
import re
import resource
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from cpad_jax.errors import UserError
from cpad_jax.media import image_files, images

ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(5)
# Left to right darker, top to bottom redder, so that turns and reductions show.
RAMP = np.stack(np.meshgrid(np.linspace(255, 0, 64), np.linspace(0, 255, 48)), axis=-1)
RAMP = np.concatenate([RAMP[..., 1:], RAMP[..., :1], RAMP[..., :1]], axis=-1).astype(np.uint8)


def encoded(kind, picture=None, **options):
    file = io.BytesIO()
    picture = PIL.Image.fromarray(RAMP) if picture is None else picture
    picture.save(file, kind, **options)
    return file.getvalue()


def claimed(data, width, height):
    """A JPEG whose header says another size."""
    place = data.index(b'\xff\xc0') if b'\xff\xc0' in data else data.index(b'\xff\xc2')
    return data[: place + 5] + struct.pack('>HH', height, width) + data[place + 9 :]


def png(width, height, depth, colour, rows, extra=b''):
    def chunk(kind, data):
        body = kind + data
        return struct.pack('>I', len(data)) + body + struct.pack('>I', zlib.crc32(body))

    header = chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, depth, colour, 0, 0, 0))
    pixels = chunk(b'IDAT', zlib.compress(rows))
    return b'\x89PNG\r\n\x1a\n' + header + extra + pixels + chunk(b'IEND', b'')


def test_pictures_are_opened_in_one_place_and_by_listed_kinds():
    calls = re.compile(r'Image\.open\((?![^)]*formats=)')
    found = [
        f'{path.relative_to(ROOT)}: {line.strip()}'
        for folder in ('cpad_jax', 'tools', 'configs', 'datasets')
        for path in (ROOT / folder).rglob('*.py')
        for line in path.read_text(encoding='utf-8').splitlines()
        if calls.search(line) or re.search(r'cv2\.imread|ImageFile\.Parser', line)
    ]
    assert found == []


POSTSCRIPT = (
    b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(made) (w) file closefile\n'
)
HOSTILE = {
    'PostScript': POSTSCRIPT,
    'PostScript ': b'\xc5\xd0\xd3\xc6' + bytes(28) + POSTSCRIPT,
    'PDF': b'%PDF-1.4\n1 0 obj\n',
    'a Windows metafile': b'\xd7\xcd\xc6\x9a' + bytes(40),
    'Photoshop': b'8BPS\0\1' + bytes(40),
    'XML or SVG': b'<?xml version="1.0"?><svg/>',
    'JPEG XL': b'\xff\x0a' + bytes(40),
}


@pytest.mark.parametrize('kind', HOSTILE)
@pytest.mark.parametrize('name', ['a.jpg', 'a.eps', b'a\xff.png'])
def test_other_kinds_are_refused_by_name_and_run_nothing(tmp_path, monkeypatch, kind, name):
    monkeypatch.setattr(subprocess, 'Popen', lambda *_, **__: pytest.fail('a program was run'))
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(HOSTILE[kind])
    with pytest.raises(UserError) as raised:
        images.read_image(path)
    assert f': this is {kind.strip()}; expected JPEG, PNG, ' in str(raised.value)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize('kind', ['PPM', 'TGA', 'ICO', 'PCX', 'DDS', 'SGI'])
def test_kinds_that_pillow_reads_but_nobody_photographs_in_are_refused(kind):
    with pytest.raises(UserError, match=r'^a picture of \d+ bytes: this is not a picture that'):
        images.read_image(encoded(kind))


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'WEBP', 'BMP', 'GIF', 'TIFF', 'AVIF', 'MPO'])
def test_paths_and_bytes_of_every_kind_are_read_whatever_their_name(tmp_path, kind):
    options = {} if kind in ('PNG', 'BMP', 'GIF', 'TIFF') else {'quality': 95}
    path = tmp_path / os.fsdecode(b'caf\xe9 \xff.dat')
    path.write_bytes(encoded(kind, **options))
    read = images.read_image(path)
    assert read.shape == RAMP.shape
    assert np.abs(read.astype(int) - RAMP).mean() < (8 if kind == 'GIF' else 3)
    np.testing.assert_array_equal(images.read_image(path.read_bytes()), read)
    np.testing.assert_array_equal(
        images.read_image(os.fsencode(path).decode(errors='surrogateescape')), read
    )


def test_the_first_picture_of_an_animation_is_taken():
    pictures = [PIL.Image.new('RGB', (20, 10), colour) for colour in ('red', 'blue', 'lime')]
    for kind in ('GIF', 'WEBP', 'PNG', 'TIFF', 'AVIF', 'MPO'):
        data = encoded(kind, pictures[0], save_all=True, append_images=pictures[1:])
        read = images.read_image(data)
        assert read.shape == (10, 20, 3)
        assert read[..., 0].min() > 230 and read[..., 1:].max() < 30, kind


def test_depths_and_colours_of_all_kinds_become_eight_bits():
    grey = RAMP[..., 0]
    deep = PIL.Image.fromarray(grey.astype(np.uint16) * 257)
    for kind in ('PNG', 'TIFF'):
        np.testing.assert_array_equal(images.read_image(encoded(kind, deep))[..., 1], grey)
    # Sixteen bits of colour, and of grey with transparency; high bytes are what is seen.
    rgb = (RAMP.astype('>u2') * 257).tobytes()
    rows = b''.join(b'\0' + rgb[n : n + 64 * 6] for n in range(0, len(rgb), 64 * 6))
    np.testing.assert_array_equal(images.read_image(png(64, 48, 16, 2, rows)), RAMP)
    clear = np.stack([grey.astype('>u2') * 257, np.full_like(grey, 7, '>u2')], -1).tobytes()
    rows = b''.join(b'\0' + clear[n : n + 64 * 4] for n in range(0, len(clear), 64 * 4))
    np.testing.assert_array_equal(images.read_image(png(64, 48, 16, 4, rows))[..., 2], grey)
    clear = PIL.Image.merge('LA', [PIL.Image.fromarray(grey), PIL.Image.new('L', (64, 48), 9)])
    np.testing.assert_array_equal(images.read_image(encoded('PNG', clear))[..., 0], grey)
    ink = PIL.Image.fromarray(RAMP).convert('CMYK')
    for kind in ('TIFF', 'JPEG'):
        read = images.read_image(encoded(kind, ink))
        assert np.abs(read.astype(int) - RAMP).mean() < 4, kind
    palette = PIL.Image.fromarray(RAMP).quantize(200)
    read = images.read_image(encoded('PNG', palette, transparency=3))
    np.testing.assert_array_equal(read, np.asarray(palette.convert('RGB')))


@pytest.mark.parametrize('mode', ['I', 'F'])
def test_numbers_of_which_none_is_white_are_refused(mode):
    data = encoded('TIFF', PIL.Image.new(mode, (8, 8), 1))
    with pytest.raises(UserError, match='32-bit numbers, of which none is white; save it with 8'):
        images.read_image(data)


@pytest.mark.parametrize('held', range(1, 9))
def test_a_picture_is_turned_upright_however_the_camera_was_held(held):
    turned = {
        1: RAMP, 2: RAMP[:, ::-1], 3: RAMP[::-1, ::-1], 4: RAMP[::-1],
        5: RAMP.transpose(1, 0, 2), 6: np.rot90(RAMP, -1),
        7: np.rot90(RAMP, 2).transpose(1, 0, 2), 8: np.rot90(RAMP),
    }[held]  # fmt: skip
    exif = PIL.Image.Exif()
    exif[0x0112] = held
    for kind in ('PNG', 'TIFF', 'WEBP'):
        options = {'lossless': True} if kind == 'WEBP' else {}
        read = images.read_image(encoded(kind, exif=exif, **options))
        np.testing.assert_array_equal(read, turned)
    data = encoded('JPEG', exif=exif, quality=95)
    assert image_files.jpeg_size(data) == images.decode_jpeg(data).shape[:2] == turned.shape[:2]


@pytest.mark.parametrize(
    'exif',
    [
        b'Exif\0\0', b'Exif\0\0II*\0', b'Exif\0\0MM\0*\xff\xff\xff\xff',
        b'Exif\0\0II*\0\x08\0\0\0\xff\xff' + b'\x12\x01\x05\0\x01\0\0\0\xff\xff\xff\xff' * 3,
        b'Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x2a\0\0\0\0\0\0\0', b'nonsense',
    ],
)  # fmt: skip
def test_broken_exif_data_turn_nothing(exif):
    read = images.read_image(encoded('JPEG', exif=exif, quality=95))
    assert read.shape == RAMP.shape and np.abs(read.astype(int) - RAMP).mean() < 3


def test_pictures_that_are_cut_off_are_broken():
    for kind in ('JPEG', 'PNG', 'WEBP', 'BMP', 'TIFF', 'AVIF'):
        data = encoded(kind)
        with pytest.raises(UserError, match='the picture is broken|not a picture') as raised:
            images.read_image(data[: len(data) * 2 // 3])
        assert '\n' not in str(raised.value) and len(str(raised.value)) < 400


HEIC = b'\0\0\0\x18ftypheic\0\0\0\0mif1heic' + bytes(40)


@pytest.mark.parametrize('brand', [b'heic', b'heix', b'mif1'])
def test_heic_without_its_package_says_what_to_install(tmp_path, monkeypatch, brand):
    real = builtins.__import__

    def absent(name, *arguments, **options):
        if name == 'pillow_heif':
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, '__import__', absent)
    (tmp_path / 'IMG_1.HEIC').write_bytes(HEIC.replace(b'heic', brand, 1))
    with pytest.raises(UserError) as raised:
        images.read_image(tmp_path / 'IMG_1.HEIC')
    assert str(raised.value) == (
        f"{tmp_path}/IMG_1.HEIC: to read this HEIC picture, pip install 'cpad_jax[heic]'; or save "
        'it as JPEG'
    )


def test_heic_is_read_where_its_package_is():
    pillow_heif = pytest.importorskip('pillow_heif')
    pillow_heif.register_heif_opener()
    read = images.read_image(encoded('HEIF', quality=90))
    assert read.shape == RAMP.shape and np.abs(read.astype(int) - RAMP).mean() < 4
    with pytest.raises(UserError, match='broken|not a picture'):
        images.read_image(HEIC)


def test_bombs_are_refused_before_they_are_decoded():
    whole, progressive = encoded('JPEG'), encoded('JPEG', progressive=True)
    bombs = [
        claimed(whole, 20_000, 20_000), claimed(whole, 65_500, 65_500),
        # Every scan of it passes over all pixels.
        claimed(progressive, 15_000, 12_000) + b'\xff\xda' * 100,
        png(60_000, 60_000, 8, 2, b''), png(20_000, 20_000, 1, 3, b''),
        encoded('BMP')[:18] + struct.pack('<II', 40_000, 40_000) + encoded('BMP')[26:],
        b'GIF89a' + struct.pack('<HH', 65_535, 65_535) + encoded('GIF')[10:],
    ]  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for bomb in bombs:
        with pytest.raises(UserError, match='the picture is too large'):
            images.read_image(bomb)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 50_000  # kB
    for bomb in bombs[:2]:
        with pytest.raises(UserError, match='cannot be decoded'):
            images.decode_jpeg(bomb)
        with pytest.raises(UserError, match='is too large'):
            image_files.jpeg_size(bomb)


def test_a_tile_larger_than_its_picture_is_refused():
    data = encoded('TIFF', compression='tiff_lzw')
    tags = struct.pack('<HHII', 322, 4, 1, 1 << 20) + struct.pack('<HHII', 323, 4, 1, 1 << 20)
    ifd = struct.unpack('<I', data[4:8])[0]
    count = struct.unpack('<H', data[ifd : ifd + 2])[0]
    entries = data[ifd + 2 : ifd + 2 + 12 * count]
    start = len(data)
    data = data[:4] + struct.pack('<I', start) + data[8:]
    data += struct.pack('<H', count + 2) + entries + tags + bytes(4)
    with pytest.raises(UserError, match='too large|broken'):
        images.read_image(data)


@pytest.mark.parametrize('kind', ['JPEG', 'PNG'])
@pytest.mark.parametrize('mode', ['RGB', 'L', 'RGBA', 'P', 'I;16', 'CMYK'])
def test_what_is_larger_than_is_kept_is_reduced_while_it_is_read(monkeypatch, kind, mode):
    picture = PIL.Image.fromarray(RAMP).resize((640, 480), PIL.Image.Resampling.BILINEAR)
    if mode == 'I;16':
        picture = PIL.Image.fromarray(np.asarray(picture.convert('L')).astype(np.uint16) * 257)
    else:
        picture = picture.convert(mode)
    if (kind, mode) in {('JPEG', 'RGBA'), ('JPEG', 'P'), ('JPEG', 'I;16'), ('PNG', 'CMYK')}:
        pytest.skip('there is no such file')
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    data = encoded(kind, picture, exif=exif)
    full = images.read_image(data).astype(int)
    monkeypatch.setattr(image_files, '_KEPT_PIXELS', 640 * 480 // 3)
    half = images.read_image(data).astype(int)
    assert (full.shape, half.shape) == ((640, 480, 3), (320, 240, 3))
    mean = full.reshape(320, 2, 240, 2, 3).mean(axis=(1, 3))
    assert np.abs(mean - half).mean() < 2 and np.abs(mean - half).max() < (
        90 if mode == 'P' else 16
    )


def test_no_device_and_no_pipe_is_read(tmp_path):
    os.mkfifo(tmp_path / 'pipe.jpg')
    for path in (tmp_path / 'pipe.jpg', '/dev/zero'):
        with pytest.raises(UserError, match='a device or a pipe'):
            images.read_image(path)
    for path in (tmp_path / ('x' * 300), tmp_path / 'a\0b'):
        with pytest.raises(UserError, match='cannot be read|no such file'):
            images.read_image(path)


# Not by `resource`: a process begins with the peak of the one that starts it.
PEAK = """
import sys
from cpad_jax.media import images
image = images.read_image(sys.argv[1])
with open('/proc/self/status') as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith('VmHWM'))
print(*image.shape, peak // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'size', 'mode', 'shape'),
    [
        ('phone.jpg', (16_320, 12_240), 'RGB', (6120, 8160)),
        ('progressive.jpg', (16_320, 12_240), 'RGB', (6120, 8160)),
        ('large.png', (11_313, 11_313), 'RGBA', (5657, 5657)),
        ('large.tif', (9500, 9500), 'RGB', (4750, 4750)),
        ('whole.png', (8000, 8000), 'RGBA', (8000, 8000)),
    ],
)
def test_the_largest_pictures_take_less_than_a_gigabyte(tmp_path, name, size, mode, shape):
    picture = PIL.Image.new(mode, size, (10, 200, 90, 255)[: len(mode)])
    options = {'progressive': True} if name.startswith('progressive') else {}
    picture.save(tmp_path / name, compress_level=1, **options)
    run = subprocess.run(
        [sys.executable, '-c', PEAK, tmp_path / name], capture_output=True, text=True, cwd=ROOT
    )
    assert run.stderr == ''
    height, width, _, peak = map(int, run.stdout.split())
    assert (height, width) == shape and peak < 1000, run.stdout
