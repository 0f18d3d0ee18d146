"""Who is in videos of interlaced and progressive pictures, with the real detector and embedder."""

import json

import av
import numpy as np
import pytest
from PIL import Image, ImageOps

from cpad_jax.commands import find_person

SIZE = (640, 360)
FIELDS = {'flags': '+ildct+ilme'}
# Eight that are interlaced and eight that are not: (name, codec, options of the encoder).
KINDS = (
    ('1.mp4', 'libx264', {'x264-params': 'tff=1'}),
    ('2.mts', 'libx264', {'x264-params': 'bff=1'}),
    ('3.mkv', 'libx264', {'x264-params': 'tff=1'}),
    ('4.mpg', 'mpeg2video', FIELDS),
    ('5.ts', 'mpeg2video', FIELDS),
    ('6.avi', 'mpeg4', FIELDS),
    ('7.mp4', 'mpeg4', FIELDS),
    ('8.mov', 'libx264', {'x264-params': 'tff=1'}),
    ('a.mp4', 'libx264', {}),
    ('b.mts', 'libx264', {}),
    ('c.mkv', 'libx264', {}),
    ('d.mpg', 'mpeg2video', {}),
    ('e.ts', 'mpeg2video', {}),
    ('f.avi', 'mpeg4', {}),
    ('g.mp4', 'mpeg4', {}),
    ('h.mov', 'mjpeg', {}),
)


def write(path, codec, options, picture):
    """A second of a picture that moves sideways; None for colours without anybody."""
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    with av.open(str(path), 'w') as target:
        stream = target.add_stream(codec, rate=25)
        stream.width, stream.height = SIZE
        stream.pix_fmt = 'yuvj420p' if codec == 'mjpeg' else 'yuv420p'
        stream.codec_context.bit_rate = 6_000_000
        stream.options = options
        for number in range(25):
            frame = np.stack([rows // 2, columns // 3, (rows + columns + number) // 4], -1)
            frame = frame.astype(np.uint8)
            if picture is not None:
                left = 40 + 8 * number
                frame[10:350, left : left + picture.shape[1]] = picture
            target.mux(stream.encode(av.VideoFrame.from_ndarray(frame, 'rgb24')))
        target.mux(stream.encode())


def portrait(path):
    image = ImageOps.fit(Image.open(path).convert('RGB'), (260, 340), centering=(0.5, 0.2))
    return np.asarray(image)


@pytest.mark.slow
def test_the_right_videos_are_found_ten_times_of_ten(real_data, tmp_path):
    people, models = real_data / 'people', real_data / 'models'
    seen = [portrait(people / 'obama' / '2.jpg'), portrait(people / 'biden' / '1.jpg'), None]
    videos = tmp_path / 'videos'
    videos.mkdir()
    right = set()
    for number, (name, codec, options) in enumerate(KINDS):
        who = number % 3
        write(videos / name, codec, options, seen[who])
        if who == 0:
            right.add(name)
    found = []
    for _ in range(10):
        find_person.main([
            '--photos', str(people / 'obama' / '1.jpg'), '--videos', str(videos),
            '--detector', str(models / 'face_detection_yunet_n_320.onnx'),
            '--embedder', str(models / 'face_embedding_mobileface_v2.onnx'),
            '--json', str(tmp_path / 'found.json'),
        ])  # fmt: skip
        rows = json.loads((tmp_path / 'found.json').read_text(encoding='utf-8'))
        found.append([(row['video'], row['start'], row['end'], row['score']) for row in rows])
    assert {row[0].rsplit('/', 1)[-1] for row in found[0]} == right
    assert len(found[0]) == len(right) == 6
    assert all(run == found[0] for run in found)
