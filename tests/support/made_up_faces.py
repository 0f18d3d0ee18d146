"""Face tracks of made-up people, whose features are a direction of their own and some noise."""

import numpy as np

from cpad_jax.media.tracks import FaceTrack

WIDTH = 64
BOX = (0.2, 0.3, 0.5, 0.5)
ELSEWHERE = (0.2, 0.6, 0.5, 0.8)


def unit(rows):
    rows = np.asarray(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def directions(count, seed=0):
    """What `count` people look like: [count, WIDTH] at right angles."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(WIDTH, WIDTH)))[0][:count]


def faces(direction, count, noise=0.5, seed=0):
    """Faces of one person, [count, WIDTH]: the cosine of two is about 1 / (1 + noise²)."""
    rng = np.random.default_rng(seed)
    return unit(direction + noise / np.sqrt(WIDTH) * rng.normal(size=(count, WIDTH)))


def track(feature, times=(0.1, 0.3, 0.5), box=BOX):
    """A face that stays where it is."""
    return FaceTrack(
        np.array(times, np.float32), np.tile(np.array(box, np.float32), (len(times), 1)),
        np.linspace(0.5, 0.6, len(times), dtype=np.float32), unit(feature),
        np.full((112, 112, 3), 90, np.uint8),
    )  # fmt: skip
