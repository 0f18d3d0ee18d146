"""An evaluation context for methods that read photos: drawn embeddings of a few people."""

import dataclasses
import functools
import types
from typing import Any

import numpy as np

from cpad_jax.ranking.query import Query
from tests.support import tiny_cpad

WIDTH = tiny_cpad.CLIP_CONFIG.embed_dim
PEOPLE = 5
ACTIONS = ('Eat', 'Run')


def photos_of(people, each, seed):
    """Embeddings [people, each, D]: photos of one person are alike."""
    rng = np.random.default_rng(seed)
    middle = rng.normal(size=WIDTH) + 0.7 * rng.normal(size=(people, 1, WIDTH))
    return (middle + 0.3 * rng.normal(size=(people, each, WIDTH))).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Drawn:
    """As much of a `EvalContext` as these methods read."""

    model: Any
    store: Any
    plain_gallery: Any
    pictures: Any
    training_photos: Any
    config: Any


# Reference photos of the people of queries, and further photos of them.
REFERENCES, UNSEEN = np.split(photos_of(PEOPLE, 8, 1), [4], axis=1)


def queries(count=3):
    """Two queries of each person by `count` photos."""
    return [
        Query(
            f'{who}/{action}', 'action', str(who), '', True, action, None, (who,),
            tuple(f'{who}/{n}' for n in range(count)),
        )
        for who in range(PEOPLE) for action in ACTIONS
    ]  # fmt: skip


@functools.cache
def model():
    return tiny_cpad.make()


def setting(cache, seed=0, photos=2):
    """The setting; `photos` is the seed of the training photos."""
    training = photos_of(40, 6, photos).reshape(-1, WIDTH).astype(np.float16)
    return Drawn(
        model=model(),
        store=types.SimpleNamespace(directory=cache),
        plain_gallery=np.eye(PEOPLE, WIDTH, dtype=np.float32),
        pictures={
            f'{who}/{n}': row for who in range(PEOPLE) for n, row in enumerate(REFERENCES[who])
        },
        training_photos=types.SimpleNamespace(images=training, labels=np.arange(240) // 6),
        config=types.SimpleNamespace(
            seed=seed, eval=types.SimpleNamespace(num_references=len(REFERENCES[0]))
        ),
    )


def nearness(texts):
    """Cosines [PEOPLE, PEOPLE] of text embeddings and unseen photos of people, centred."""
    photos = UNSEEN.mean(axis=1)
    photos = photos - photos.mean(axis=0)
    texts = texts - texts.mean(axis=0)
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (texts, photos)]
    return unit[0] @ unit[1].T
