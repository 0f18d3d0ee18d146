import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.models import pretrained, zoo
from cpad_jax.models.weights import folder
from cpad_jax.synthetic import attributes, caption_shards
from cpad_jax.training import captioned_shards, loop, pretraining
from tests.support.train_options import USUAL

COLOURS = {
    'red': (220, 30, 30), 'green': (30, 200, 30), 'blue': (30, 30, 220), 'white': (240, 240, 240),
    'black': (10, 10, 10), 'yellow': (230, 220, 20), 'pink': (250, 150, 190),
    'grey': (128, 128, 128),
}  # fmt: skip


PLACE, DOING, PERSON = (attributes.FIELDS.index(name) for name in ('place', 'doing', 'person'))
SUBJECTS, FIELDS = attributes.MAX_SUBJECTS, len(attributes.FIELDS)


def write_shards(directory, counts=(24, 16, 16), size=32):
    """Images of one colour, each with three captions of which two claim the colour.

    The colour stands in the field `person`; the third caption claims the place, or nothing of a
    portrait. Every fourth image is a portrait, the others in place 0 with action 0 or 1.
    """
    names = list(COLOURS)
    kinds = [(attributes.ABSENT, attributes.ABSENT), (0, 0), (0, 1), (0, 1)]
    for shard, count in enumerate(counts):
        rng = np.random.default_rng(shard)
        drawn = []
        for number in range(count):
            colour = number % len(names)
            name = names[colour]
            noise = rng.integers(-10, 11, (size, size, 3))
            image = np.clip(np.array(COLOURS[name]) + noise, 0, 255).astype(np.uint8)
            place, doing = kinds[number % 4]
            captions = [
                (f'a {name} wall', [{'person': colour}]),
                (f'everything is {name}', [{'person': colour}]),
                ('inside', [{'place': 0}]) if place == 0 else ('something', [{}]),
            ]
            facts = {'person': colour, 'place': place, 'doing': doing}
            drawn.append(caption_shards.CaptionedPicture(image, captions, [facts]))
        caption_shards.write_shard(directory, shard, drawn)
    return directory


def make_config(**train):
    return ml_collections.ConfigDict({
        'name': 'clip', 'task': 'pretrain_clip', 'seed': 0, 'backbone': 'testing',
        'dtype': 'float32',
        'train': {
            **USUAL,
            'steps': 60, 'batch_size': 8, 'alike': 0.0, 'plain_steps': 0, 'init_from': '',
                  'remat': False, 'learning_rate': 2e-3, 'warmup_steps': 5, 'weight_decay': 0.1,
                  'checkpoint_every': 30, 'log_every': 10, **train},
    })  # fmt: skip


@pytest.fixture(scope='module')
def shards(tmp_path_factory):
    directory = write_shards(tmp_path_factory.mktemp('shards'))
    return captioned_shards.open_shards(directory, 32, held_out=1)


def test_every_image_comes_once_an_epoch_and_a_step_is_its_own_function():
    epoch = [pretraining.batch_indices(40, 8, seed=1, step=step) for step in range(5)]
    assert sorted(np.concatenate(epoch)) == list(range(40))
    again = [pretraining.batch_indices(40, 8, seed=1, step=step) for step in range(5, 10)]
    assert sorted(np.concatenate(again)) == list(range(40))
    assert np.concatenate(epoch).tolist() != np.concatenate(again).tolist()
    np.testing.assert_array_equal(pretraining.batch_indices(40, 8, 1, 3), epoch[3])


def test_two_different_captions_of_the_images_own(shards):
    training, _ = shards
    seen = [set() for _ in range(40)]
    for seed in range(30):
        ids, said = pretraining.draw_captions(training, np.arange(40), np.random.default_rng(seed))
        assert ids.shape == (80, training.ids.shape[1]) and said.shape == (80, SUBJECTS, FIELDS)
        for image in range(40):
            own = [tuple(row) for row in ids[2 * image : 2 * image + 2].tolist()]
            assert len(set(own)) == 2
            seen[image].update(own)
        # Whatever is claimed of an image is true of it.
        true = np.asarray(attributes.caption_matches(said, training.facts))
        assert true[np.arange(80), np.arange(80) // 2].all()
    for image, captions in enumerate(seen):
        expected = training.ids[training.captions[image]].tolist()
        assert captions == {tuple(row) for row in expected}


def test_batches_of_images_that_are_alike(shards):
    facts = shards[0].facts
    kinds = set()
    for seed in range(60):
        indices = pretraining.alike_indices(facts, 8, np.random.default_rng(seed))
        assert len(set(indices.tolist())) == 8
        kinds.add(tuple(sorted({(int(facts[i, 0, PLACE]), int(facts[i, 0, DOING]))
                                for i in indices})))  # fmt: skip
    # Portraits only, one action only, and a place with whatever is done there.
    nothing = (attributes.ABSENT, attributes.ABSENT)
    assert {(nothing,), ((0, 0),), ((0, 1),), ((0, 0), (0, 1))} == kinds


def test_share_of_alike_batches(shards):
    training, _ = shards
    for share, expected in ((0.0, 0), (1.0, 30)):
        task = pretraining.Pretraining(make_config(alike=share), training)
        alike = 0
        for _, batch in zip(range(30), task.batches(0), strict=False):
            shown = batch['facts'][:, 0][:, [PLACE, DOING]].tolist()
            alike += len(set(map(tuple, shown))) < 3
        # A batch of 8 drawn at random from 40 shows all three kinds nearly always.
        assert abs(alike - expected) <= 6


def test_first_steps_take_the_plain_caption_of_images_drawn_at_random(shards):
    training, _ = shards
    task = pretraining.Pretraining(make_config(alike=1.0, plain_steps=2), training)
    batches = [batch for _, batch in zip(range(3), task.batches(0), strict=False)]
    for step, batch in enumerate(batches[:2]):
        indices = pretraining.batch_indices(training.num_images, 8, seed=0, step=step)
        np.testing.assert_array_equal(batch['facts'], training.facts[indices])
        np.testing.assert_array_equal(batch['ids'], training.ids[training.captions[indices, -1]])
        np.testing.assert_array_equal(batch['claims'], training.claims[indices, -1])
    assert len(batches[2]['ids']) == 2 * 8


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


def test_a_caption_counts_as_one_of_every_image_that_it_is_true_of(shards, monkeypatch):
    training, _ = shards
    task = pretraining.Pretraining(make_config(batch_size=2), training)
    monkeypatch.setattr(task, '_encode', lambda params, inputs, method: jnp.ones((len(inputs), 1)))
    params = {'logit_scale': jnp.float32(1.0)}

    def precision(indices):
        batch = {
            'images': training.images(indices), 'facts': training.facts[indices],
            'ids': training.ids[training.captions[indices, 0]],
            'claims': training.claims[indices, 0],
        }  # fmt: skip
        loss, metrics = task.loss(params, batch, jax.random.key(1))
        assert float(loss) == pytest.approx(np.log(2))
        return float(metrics['precision@1'])

    # All embeddings are equal, so the first image is the best of each caption: right for both if
    # both are red, for one if the second is green.
    assert precision(np.array([0, 24])) == 1.0
    assert precision(np.array([0, 1])) == 0.5


def test_learns_colours_and_leaves_unused_words(shards, tmp_path):
    training, held_out = shards
    task = pretraining.Pretraining(make_config(), training)
    initial = task.init_params(jax.random.key(0))
    task.init_params = lambda rng: initial
    evaluate = task.evaluator(held_out)
    before = evaluate(0, initial)['precision@1']
    params = loop.run(task, make_config(), tmp_path, evaluate)
    after = evaluate(60, params)
    assert after['precision@1'] > 0.8 > before and 0.75 < after['map'] <= 1
    drawn, learned = (p['text']['token_embedding']['embedding'] for p in (initial, params))
    task.export(params, tmp_path / 'model')
    clip_config, loaded = folder.load_clip_variables(tmp_path / 'model')
    assert clip_config == task.clip_config
    exact = jax.tree.map(lambda a, b: np.allclose(a, b, rtol=1e-3, atol=1e-6), params, loaded)
    assert all(jax.tree.leaves(exact))
    # The padding stands behind the end, where no position of interest looks.
    used = set(np.unique(training.ids)) - {0}
    assert set(np.flatnonzero(np.asarray(drawn != learned).any(axis=1))) == used


def test_whoever_says_the_same_of_every_image_finds_what_is_true_of_all(shards):
    training, held_out = shards
    task = pretraining.Pretraining(make_config(), training)
    task._encode = lambda params, inputs, method: jnp.full((len(inputs), 4), 0.5)
    found = task.evaluator(held_out)(0, None)
    rng = np.random.default_rng((task.config.seed, 3))
    asked = rng.integers(held_out.num_images, size=-(-512 // pretraining.CAPTIONS))
    _, said = pretraining.draw_captions(held_out, asked, rng)
    true = np.asarray(pretraining.attributes.caption_matches(said, held_out.facts))
    assert found['precision@1'] == pytest.approx(true.all(axis=1).mean())
    assert true[:, 0].mean() > found['precision@1']  # What the order of the images would give.


def test_remat_reaches_the_blocks_of_both_towers(shards):
    def blocks_computed_anew(remat):
        task = pretraining.Pretraining(make_config(remat=remat), shards[0])
        params = jax.eval_shape(task.init_params, jax.random.key(0))
        batch = next(task.batches(0))
        grad = jax.grad(task.loss, has_aux=True)
        return str(jax.make_jaxpr(grad)(params, batch, jax.random.key(0))).count('prevent_cse=True')

    sizes = zoo.get('testing')
    assert blocks_computed_anew(False) == 0
    assert blocks_computed_anew(True) == sizes.vision.layers + sizes.text.layers


def test_logit_scale_stays_at_or_below_100(shards):
    task = pretraining.Pretraining(make_config(), shards[0])
    constrained = task.constrain({'logit_scale': jnp.float32(5.0), 'other': 1})
    assert np.exp(float(constrained['logit_scale'])) == pytest.approx(100, rel=1e-6)
    assert float(task.constrain({'logit_scale': jnp.float32(2.0)})['logit_scale']) == 2.0


def test_too_few_images(shards):
    with pytest.raises(UserError, match='40 images are fewer than config.train.batch_size .64'):
        pretraining.Pretraining(make_config(batch_size=64), shards[0])


def test_goes_on_from_a_clip_that_saw_smaller_pictures(shards):
    config = make_config(init_from='ViT-cast-16')
    config.backbone = 'ViT-cast-16-128'
    params = folder.flatten(
        pretraining.Pretraining(config, shards[0]).init_params(jax.random.key(0))
    )
    before = folder.flatten(pretrained.load_clip('ViT-cast-16').params)
    positions = 'visual/positional_embedding'
    assert {name for name in before if not np.array_equal(before[name], params[name])} == {
        positions
    }
    old, new = before[positions], params[positions]
    assert (old.shape, new.shape) == ((37, 256), (65, 256))
    np.testing.assert_array_equal(new[0], old[0])
    # A place is told by nearly the same vector as before: corners by the corners'.
    grid, finer = old[1:].reshape(6, 6, 256), new[1:].reshape(8, 8, 256)
    for corner in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        similar = np.corrcoef(finer[corner], grid.reshape(36, 256))[0, 1:]
        assert similar.argmax() == np.arange(36).reshape(6, 6)[corner]


def test_does_not_go_on_from_towers_of_other_sizes(shards):
    task = pretraining.Pretraining(make_config(init_from='ViT-cast-16'), shards[0])
    with pytest.raises(UserError, match='ViT-cast-16'):
        task.init_params(jax.random.key(0))
