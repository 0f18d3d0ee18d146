"""Readers of pictures, videos and subtitles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from cpad_jax.labelling import subtitles
from cpad_jax.media import face_embedding, images, shots, video
from cpad_jax.media.image_files import jpeg_size
from tests.support import drawn_faces, films
from tools.fuzzing.reader import Reader, below

_SUBTITLES = {
    'a.srt': (
        '1\n00:00:01,000 --> 00:00:02,500\nANNA: Where is <i>Bob</i>?\n\n'
        '2\n00:00:03,000 --> 00:00:04,000\n- (BOB) Here, Zoë.\n- Come!\n\n'
        '3\n01:00:03,000 --> 01:00:04,000\n[door closes]\n'
    ),
    'b.srt': '1\n0:0:1.0 --> 0:0:2.5\nНина: Привет!\n\n2\n00:00:03,5 --> 00:00:04,1\nx\n',
}


def _pictures(folder: Path) -> list[str]:
    picture = Image.fromarray(films.numbered_frame(5))
    for name, options in {
        'a.jpg': {}, 'progressive.jpg': {'progressive': True}, 'a.png': {}, 'a.webp': {},
        'lossless.webp': {'lossless': True}, 'a.bmp': {}, 'a.gif': {}, 'a.tif': {},
        'lzw.tif': {'compression': 'tiff_lzw'}, 'zip.tif': {'compression': 'tiff_adobe_deflate'},
        'jpeg.tif': {'compression': 'jpeg'}, 'a.avif': {'speed': 10},
    }.items():  # fmt: skip
        picture.save(folder / name, **options)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x8769] = 6, 'Maker', {0x9003: '2020:01:01 00:00:00'}
    picture.save(folder / 'exif.jpg', exif=exif)
    picture.save(folder / 'exif.png', exif=exif)
    picture.convert('CMYK').save(folder / 'cmyk.jpg')
    picture.quantize(30).save(folder / 'palette.png', transparency=2)
    picture.convert('LA').save(folder / 'clear.png')
    picture.convert('1').save(folder / 'fax.tif', compression='group4')
    deep = np.asarray(picture.convert('L')).astype(np.uint16) * 257
    Image.fromarray(deep).save(folder / 'deep.png')
    Image.fromarray(deep).save(folder / 'deep.tif')
    others = [Image.fromarray(films.numbered_frame(number)) for number in (6, 7)]
    for ending in ('gif', 'webp', 'png', 'avif', 'tif'):
        picture.save(folder / f'moving.{ending}', save_all=True, append_images=others)
    return below(folder, '*')


def _read_picture(folder: Path, name: str) -> None:
    images.read_image(folder / name)
    images.squares([folder / name], 16)


def _jpegs(folder: Path) -> list[str]:
    for number in range(4):
        data = images.encode_jpeg(films.numbered_frame(number), 50 + 10 * number)
        (folder / f'{number}.jpg').write_bytes(data)
    return below(folder, '*')


def _read_jpeg(folder: Path, name: str) -> None:
    data = (folder / name).read_bytes()
    images.decode_jpeg(data)
    jpeg_size(data)


def _videos(folder: Path) -> list[str]:
    times, plain = np.arange(12) / 25, {'b_frames': 0, 'gop': 25}
    for name, options in {
        'a.mp4': {'gop': 6}, 'a.mkv': {'gop': 6}, 'a.mov': {'gop': 6},
        'a.avi': {'codec': 'mpeg4', **plain}, 'a.ts': {},
        'a.mpg': {'codec': 'mpeg2video', **plain}, 'a.wmv': {'codec': 'wmv2', **plain},
        'a.webm': {'codec': 'libvpx', 'options': {'deadline': 'realtime', 'cpu-used': '8'}},
    }.items():  # fmt: skip
        films.write(folder / name, times, **options)
    return below(folder, '*')


def _read_video(folder: Path, name: str) -> None:
    path = folder / name
    video.probe(path)
    video.sample_frames(path, count=3, size=16)
    list(video.iterate_frames(path, [0.1, 0.4], size=16))
    shots.shots(path)


def _subtitles(folder: Path) -> list[str]:
    for name, text in _SUBTITLES.items():
        (folder / name).write_text(text, encoding='utf-8')
    (folder / 'c.srt').write_text(_SUBTITLES['b.srt'], encoding='utf-16')
    return below(folder, '*')


def _embedders(folder: Path) -> list[str]:
    (folder / 'faces.onnx').write_bytes(drawn_faces.network())
    return ['faces.onnx']


READERS = (
    Reader('pictures', _pictures, _read_picture, False),
    Reader('jpeg_records', _jpegs, _read_jpeg, False),
    Reader('videos', _videos, _read_video, False),
    Reader(
        'subtitles', _subtitles, lambda folder, name: subtitles.read_subtitles(folder / name), True
    ),
    Reader(
        'onnx', _embedders, lambda folder, name: face_embedding.FaceEmbedder(folder / name), False
    ),
)
