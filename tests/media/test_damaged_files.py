"""Damaged copies of videos and pictures are read or refused; nothing crashes, hangs or is noisy.

Each kind of file is damaged 200 times in a process of its own, whose end would tell of a crash.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support import films

COPIES = 200
# In a process of its own it takes seconds.
PATIENCE = 120

SCRIPT = """
import collections, json, pathlib, sys
import numpy as np
from cpad_jax.errors import UserError
from cpad_jax.media import images, shots, video

source, copies = pathlib.Path(sys.argv[1]), int(sys.argv[2])
whole = source.read_bytes()
rng = np.random.default_rng(0)
copy = source.with_name('copy' + source.suffix)
if source.stem == 'picture':
    uses = [images.read_image]
else:
    uses = [
        video.probe,
        lambda path: video.sample_frames(path, count=3, size=16),
        lambda path: list(video.iterate_frames(path, [0.1, 2.3], size=16)),
    ]
ends = collections.Counter()
for number in range(copies):
    data = np.frombuffer(whole, np.uint8).copy()
    if number % 2:
        data = data[: rng.integers(len(data))]
    if number % 4 != 1:
        # Anywhere, or where the headers are.
        reach = len(data) if number % 3 else min(len(data), 400)
        places = rng.integers(0, max(reach, 1), int(rng.integers(1, 30)))
        data[places[places < len(data)]] ^= rng.integers(1, 256, dtype=np.uint8)
    copy.write_bytes(data.tobytes())
    for use in [*uses, shots.shots] if len(uses) > 1 and number % 5 == 0 else uses:
        try:
            use(copy)
            ends['read'] += 1
        except UserError as error:
            assert str(copy) in str(error) and chr(10) not in str(error), error
            ends['refused'] += 1
print(json.dumps(ends))
"""

VIDEOS = {
    'film.mp4': {},
    'film.mkv': {},
    'film.avi': {'codec': 'mpeg4', 'b_frames': 0},
    'film.webm': {'codec': 'libvpx-vp9', 'options': {'deadline': 'realtime', 'cpu-used': '8'}},
}
PICTURES = ('jpg', 'png', 'webp', 'tif', 'gif', 'bmp')


def _ends(path):
    """How often files that are damaged copies of one were read, and refused."""
    done = subprocess.run(
        [sys.executable, '-c', SCRIPT, str(path), str(COPIES)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        cwd=Path(__file__).parents[2],
    )
    assert (done.returncode, done.stderr) == (0, '')
    return json.loads(done.stdout)


@pytest.mark.parametrize('name', VIDEOS)
def test_damaged_videos(tmp_path, name):
    path = tmp_path / name
    films.write(path, np.arange(60) / 25, gop=15, **VIDEOS[name])
    ends = _ends(path)
    assert ends['read'] + ends['refused'] == 3 * COPIES + COPIES // 5
    # Both ends are seen, and often.
    assert min(ends.values()) > 40


@pytest.mark.parametrize('ending', PICTURES)
def test_damaged_pictures(tmp_path, ending):
    path = tmp_path / f'picture.{ending}'
    Image.fromarray(films.numbered_frame(5)).save(path)
    ends = _ends(path)
    assert ends.get('read', 0) + ends['refused'] == COPIES
    assert ends['refused'] > 40
    if ending in ('jpg', 'bmp', 'webp'):
        assert ends['read'] > 10
