import json

import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.synthetic import attributes, caption_shards
from cpad_jax.training import captioned_shards

SAID = [
    [('a red wall', [{'person': 1}]), ('a wall', [{}])],
    [('a blue wall', [{'person': 2}]), ('a wall', [{}])],
]


def write(directory, number, greys):
    drawn = [
        caption_shards.CaptionedPicture(
            np.full((8, 8, 3), grey, np.uint8), SAID[i % 2], [{'person': 1 + i % 2}]
        )
        for i, grey in enumerate(greys)
    ]  # fmt: skip
    caption_shards.write_shard(directory, number, drawn)


def test_shards_hold_images_captions_and_the_truth(tmp_path):
    for number, greys in enumerate([(10, 20, 30), (40, 50), (60,)]):
        write(tmp_path, number, greys)
    training, held_out = captioned_shards.open_shards(tmp_path, 32, held_out=1)
    assert (training.num_images, held_out.num_images) == (5, 1)
    images = training.images(np.array([0, 3, 1, 4]))  # The second is the next shard's first.
    assert images.dtype == np.uint8 and images[:, 0, 0, 0].tolist() == [10, 40, 20, 50]
    assert training.texts == ['a red wall', 'a wall', 'a blue wall']
    # The same words are the same caption, wherever they stand.
    assert training.captions.tolist() == [[0, 1], [2, 1], [0, 1], [0, 1], [2, 1]]
    assert training.ids.shape == (3, 8)  # The shortest that holds all.
    assert (training.ids == 49407).sum(axis=1).tolist() == [1, 1, 1]
    assert training.facts.shape == (5, attributes.MAX_PEOPLE, len(attributes.FIELDS))
    true = np.asarray(attributes.caption_matches(training.claims[:2, 0], training.facts))
    assert true.tolist() == [[True, False, True, True, False], [False, True, False, False, True]]


def test_too_few_shards(tmp_path):
    with pytest.raises(UserError, match='has 0 shards'):
        captioned_shards.open_shards(tmp_path, 32, held_out=1)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('["a", "b"]\n', r'shard-00000.jsonl has 1 lines for 2 images'),
        ('["a", "b"]\nb\n', 'shard-00000.jsonl:2 is not JSON'),
        ('["a", "b"]\n["a"]\n', 'shard-00000.jsonl:2 must be a list of 2 captions'),
        ('["a", "b"]\n["a", 1]\n', 'shard-00000.jsonl:2 must be a list'),
        (None, 'needs its captions beside it'),
    ],
)
def test_bad_captions_are_named(tmp_path, content, message):
    write(tmp_path, 0, (1, 2))
    (tmp_path / 'shard-00000.jsonl').unlink()
    if content is not None:
        (tmp_path / 'shard-00000.jsonl').write_text(content)
    with pytest.raises(UserError, match=message):
        captioned_shards.Shards([tmp_path / 'shard-00000.images.npy'], 32)


def test_bad_arrays_are_named(tmp_path):
    write(tmp_path, 0, (1, 2))
    path = tmp_path / 'shard-00000.images.npy'
    facts = tmp_path / 'shard-00000.facts.npy'
    np.save(facts, np.load(facts)[:1])
    with pytest.raises(UserError, match=r'facts.npy is int32\[1, 3, 16\], expected int32 \[2, 3'):
        captioned_shards.Shards([path], 32)
    facts.unlink()
    with pytest.raises(UserError, match='shard-00000.facts.npy cannot be read'):
        captioned_shards.Shards([path], 32)
    np.save(path, np.zeros((2, 8, 8), np.float32))
    with pytest.raises(UserError, match=r'float32\[2, 8, 8\], expected uint8'):
        captioned_shards.Shards([path], 32)
    path.write_bytes(b'broken')
    with pytest.raises(UserError, match='cannot be read'):
        captioned_shards.Shards([path], 32)


def test_shards_of_unlike_captions_are_refused(tmp_path):
    write(tmp_path, 0, (1, 2))
    write(tmp_path, 1, (1, 2))
    path = tmp_path / 'shard-00001.claims.npy'
    np.save(path, np.load(path)[:, :1])
    (tmp_path / 'shard-00001.jsonl').write_text((json.dumps(['a wall']) + '\n') * 2)
    with pytest.raises(UserError, match='not all shards have equally many captions'):
        captioned_shards.Shards(sorted(tmp_path.glob('*.images.npy')), 32)
