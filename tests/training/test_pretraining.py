import dataclasses
import json

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.models import clip, weights, zoo
from cpad_jax.training import loop, pretraining

COLOURS = {
    'red': (220, 30, 30), 'green': (30, 200, 30), 'blue': (30, 30, 220), 'white': (240, 240, 240),
    'black': (10, 10, 10), 'yellow': (230, 220, 20), 'pink': (250, 150, 190),
    'grey': (128, 128, 128),
}  # fmt: skip


def write_shards(directory, counts=(24, 16, 16), size=32):
    """Images of one colour, each with one to three captions; image 0 of a shard has only one.

    The groups: every fourth image a portrait, the others in place 0 with action 0 or 1.
    """
    names = list(COLOURS)
    for shard, count in enumerate(counts):
        rng = np.random.default_rng(shard)
        images, lines = [], []
        for number in range(count):
            name = names[number % len(names)]
            noise = rng.integers(-10, 11, (size, size, 3))
            images.append(np.clip(np.array(COLOURS[name]) + noise, 0, 255).astype(np.uint8))
            captions = [f'a {name} wall', f'everything is {name}', f'{name} all over']
            lines.append(json.dumps(captions[: 1 + number % 3]))
        np.save(directory / f'shard-{shard:05d}.images.npy', np.stack(images))
        kinds = np.array([[-1, -1], [0, 0], [0, 1], [0, 1]], np.int32)
        np.save(directory / f'shard-{shard:05d}.groups.npy', kinds[np.arange(count) % 4])
        (directory / f'shard-{shard:05d}.jsonl').write_text('\n'.join(lines) + '\n')
    return directory


def make_config(**train):
    return ml_collections.ConfigDict({
        'name': 'clip', 'task': 'clip', 'seed': 0, 'backbone': 'testing', 'dtype': 'float32',
        'init': '',
        'train': {'steps': 60, 'batch_size': 8, 'alike': 0.0, 'learning_rate': 2e-3,
                  'warmup_steps': 5, 'weight_decay': 0.1, 'checkpoint_every': 30,
                  'log_every': 10, **train},
    })  # fmt: skip


@pytest.fixture(scope='module')
def shards(tmp_path_factory):
    directory = write_shards(tmp_path_factory.mktemp('shards'))
    return pretraining.open_shards(directory, 32, held_out=1)


def test_shards_hold_images_and_numbered_captions(shards):
    training, held_out = shards
    assert (training.num_images, held_out.num_images) == (40, 16)
    images = training.images(np.array([0, 24, 1]))  # The second is the first of the second shard.
    assert images.dtype == np.uint8 and images.shape == (3, 32, 32, 3)
    np.testing.assert_allclose(images.mean(axis=(1, 2))[:2], [[220, 30, 30]] * 2, atol=3)
    np.testing.assert_allclose(images.mean(axis=(1, 2))[2], [30, 200, 30], atol=3)
    assert training.counts[:4].tolist() == [1, 2, 3, 1]
    texts = [[training.texts[c] for c in row if c >= 0] for row in training.captions]
    assert texts[1] == ['a green wall', 'everything is green']
    # The same words are the same caption, wherever they stand.
    assert training.captions[0, 0] == training.captions[24, 0]
    assert len(set(training.texts)) == len(training.texts)
    assert training.ids.shape == (len(training.texts), 8)  # The shortest that holds all.
    assert (training.ids == 49407).sum(axis=1).tolist() == [1] * len(training.texts)


def test_every_image_comes_once_an_epoch_and_a_step_is_its_own_function():
    epoch = [pretraining.batch_indices(40, 8, seed=1, step=step) for step in range(5)]
    assert sorted(np.concatenate(epoch)) == list(range(40))
    again = [pretraining.batch_indices(40, 8, seed=1, step=step) for step in range(5, 10)]
    assert sorted(np.concatenate(again)) == list(range(40))
    assert np.concatenate(epoch).tolist() != np.concatenate(again).tolist()
    np.testing.assert_array_equal(pretraining.batch_indices(40, 8, 1, 3), epoch[3])


def test_two_different_captions_of_the_images_own(shards):
    training, _ = shards
    drawn = np.stack([
        pretraining.draw_captions(training, np.arange(40), np.random.default_rng(seed))
        for seed in range(50)
    ])  # fmt: skip
    for image in range(40):
        own = set(training.captions[image, : training.counts[image]].tolist())
        assert set(drawn[:, image].ravel().tolist()) == own
        same = (drawn[:, image, 0] == drawn[:, image, 1]).mean()
        assert same == (1.0 if training.counts[image] == 1 else 0.0)


def test_batches_of_images_that_are_alike(shards):
    groups = shards[0].groups
    assert groups.shape == (40, 2)
    kinds = set()
    for seed in range(60):
        indices = pretraining.alike_indices(groups, 8, np.random.default_rng(seed))
        assert len(set(indices.tolist())) == 8
        kinds.add(tuple(sorted({tuple(groups[i]) for i in indices})))
    # Portraits only, one action only, and a place with whatever is done there.
    assert {((-1, -1),), ((0, 0),), ((0, 1),), ((0, 0), (0, 1))} == kinds


def test_alike_images_are_told_apart_by_looks(shards):
    training, _ = shards
    drawn = [
        pretraining.draw_captions(training, np.arange(40), np.random.default_rng(s), but_last=True)
        for s in range(20)
    ]
    for image in range(40):
        count = max(training.counts[image] - 1, 1)
        own = set(training.captions[image, :count].tolist())
        assert {int(row[image, draw]) for row in drawn for draw in (0, 1)} == own


def test_share_of_alike_batches(shards):
    training, _ = shards
    for share, expected in ((0.0, 0), (1.0, 30)):
        task = pretraining.Pretraining(make_config(alike=share), training)
        alike = 0
        for _, batch in zip(range(30), task.batches(0), strict=False):
            rows = [tuple(row) for row in training.captions.tolist()]
            shown = training.groups[[rows.index(tuple(row)) for row in batch['captions'].tolist()]]
            alike += len(set(map(tuple, shown.tolist()))) < 3
        # A batch of 8 drawn at random from 40 shows all three kinds nearly always.
        assert abs(alike - expected) <= 6


def test_batches_start_anywhere(shards):
    task = pretraining.Pretraining(make_config(alike=0.5), shards[0])
    from_start, later = task.batches(0), task.batches(3)
    for _ in range(3):
        next(from_start)
    for _ in range(4):
        a, b = next(from_start), next(later)
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


def test_augmentation_by_hand():
    images = np.zeros((64, 16, 16, 3), np.uint8)
    images[:, 5, 6] = 100  # One bright pixel.
    out = np.asarray(jax.jit(pretraining.augment)(images, jax.random.key(0)))
    assert out.shape == images.shape and out.dtype == np.float32
    found = set()
    for image in out:
        (row,), (column,) = np.nonzero(image[..., 0])
        assert 80 <= image[row, column, 0] <= 120
        found.add((row - 5, column))
    assert {row for row, _ in found} <= set(range(-4, 5)) and len({row for row, _ in found}) > 4
    # Mirrored, column 6 is column 9: ±4 around either.
    columns = {column for _, column in found}
    assert columns <= set(range(2, 14)) and min(columns) < 5 and max(columns) > 10
    assert len({round(float(v), 3) for v in out.max(axis=(1, 2, 3))}) > 32


def test_augmentation_repeats_the_edge():
    ramp = np.arange(10, 90, 10, dtype=np.uint8)[:, None, None]
    images = np.broadcast_to(ramp, (32, 8, 8, 3))
    out = np.asarray(pretraining.augment(images, jax.random.key(1)))[:, :, 0, 0]
    assert (np.diff(out, axis=1) >= 0).all()  # Nothing comes in again from the other side.
    assert (np.diff(out, axis=1) == 0).any()


def test_captions_that_say_the_same_are_no_negatives(shards, monkeypatch):
    training, _ = shards
    task = pretraining.Pretraining(make_config(batch_size=2), training)
    monkeypatch.setattr(task, '_encode', lambda params, inputs, method: jnp.ones((len(inputs), 1)))
    params = {'logit_scale': jnp.float32(1.0)}

    def accuracy(indices):
        texts = training.captions[indices][:, [0, 0]]
        batch = {
            'images': training.images(indices), 'ids': training.ids[texts], 'texts': texts,
            'captions': training.captions[indices],
        }  # fmt: skip
        loss, metrics = task.loss(params, batch, jax.random.key(1))
        assert float(loss) == pytest.approx(np.log(2))
        return float(metrics['accuracy'])

    # All embeddings are equal, so the first caption is the best of each image: right for both if
    # both are red, for one if the second is green.
    assert accuracy(np.array([0, 24])) == 1.0
    assert accuracy(np.array([0, 1])) == 0.5


def test_learns_colours_and_leaves_unused_words(shards, tmp_path):
    training, held_out = shards
    task = pretraining.Pretraining(make_config(), training)
    initial = task.init_params(jax.random.key(0))
    task.init_params = lambda rng: initial
    evaluate = task.evaluator(held_out)
    before = evaluate(0, initial)['retrieval@1']
    params = loop.run(task, make_config(), tmp_path, evaluate)
    assert evaluate(60, params)['retrieval@1'] > 0.7 > before
    drawn, learned = (p['text']['token_embedding']['embedding'] for p in (initial, params))
    task.export(params, tmp_path / 'model')
    clip_config, loaded = weights.load_clip_variables(tmp_path / 'model')
    assert clip_config == task.clip_config
    exact = jax.tree.map(lambda a, b: np.allclose(a, b, rtol=1e-3, atol=1e-6), params, loaded)
    assert all(jax.tree.leaves(exact))
    config = make_config()
    config.init = str(tmp_path / 'model')
    onward = pretraining.Pretraining(config, training).init_params(jax.random.key(5))
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, onward, loaded)))
    # The padding stands behind the end, where no position of interest looks.
    used = set(np.unique(training.ids)) - {0}
    assert set(np.flatnonzero(np.asarray(drawn != learned).any(axis=1))) == used


def test_logit_scale_stays_at_or_below_100(shards):
    task = pretraining.Pretraining(make_config(), shards[0])
    constrained = task.constrain({'logit_scale': jnp.float32(5.0), 'other': 1})
    assert np.exp(float(constrained['logit_scale'])) == pytest.approx(100, rel=1e-6)
    assert float(task.constrain({'logit_scale': jnp.float32(2.0)})['logit_scale']) == 2.0


def test_too_few_images(shards, tmp_path):
    with pytest.raises(UserError, match='40 images are fewer than config.train.batch_size .64'):
        pretraining.Pretraining(make_config(batch_size=64), shards[0])
    with pytest.raises(UserError, match='has 0 shards'):
        pretraining.open_shards(tmp_path, 32, held_out=1)


def test_a_beginning_of_another_shape_is_refused(shards, tmp_path):
    other = dataclasses.replace(zoo.get('testing'), context_length=16)
    pixels, ids = jnp.zeros((1, 32, 32, 3)), jnp.zeros((1, 8), jnp.int32)
    params = clip.CLIP(other).init(jax.random.key(0), pixels, ids)['params']
    weights.save_clip(tmp_path, other, params)
    config = make_config()
    config.init = str(tmp_path)
    with pytest.raises(UserError, match='config.init'):
        pretraining.Pretraining(config, shards[0]).init_params(jax.random.key(0))


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('["a"]\n', r'shard-00000.jsonl has 1 lines for 2 images'),
        ('["a"]\nb\n', 'shard-00000.jsonl:2 is not JSON'),
        ('["a"]\n[]\n', 'shard-00000.jsonl:2 must be a list of one or more captions'),
        ('["a"]\n[1]\n', 'shard-00000.jsonl:2 must be a list'),
        (None, 'needs its captions beside it'),
    ],
)
def test_bad_captions_are_named(tmp_path, content, message):
    path = tmp_path / 'shard-00000.images.npy'
    np.save(path, np.zeros((2, 8, 8, 3), np.uint8))
    np.save(tmp_path / 'shard-00000.groups.npy', np.zeros((2, 2), np.int32))
    if content is not None:
        (tmp_path / 'shard-00000.jsonl').write_text(content)
    with pytest.raises(UserError, match=message):
        pretraining.Shards([path], 32)


def test_bad_images_are_named(tmp_path):
    path = tmp_path / 'shard-00000.images.npy'
    np.save(path, np.zeros((2, 8, 8), np.float32))
    with pytest.raises(UserError, match=r'float32\[2, 8, 8\], expected uint8'):
        pretraining.Shards([path], 32)
    path.write_bytes(b'broken')
    with pytest.raises(UserError, match='cannot be read'):
        pretraining.Shards([path], 32)
    np.save(path, np.zeros((2, 8, 8, 3), np.uint8))
    with pytest.raises(UserError, match='shard-00000.groups.npy cannot be read'):
        pretraining.Shards([path], 32)
    np.save(tmp_path / 'shard-00000.groups.npy', np.zeros((3, 2), np.int32))
    with pytest.raises(UserError, match=r'int32\[3, 2\], expected int32 \[2, 2\]'):
        pretraining.Shards([path], 32)
