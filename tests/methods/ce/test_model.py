import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.methods.ce import export
from cpad_jax.methods.ce import model as ce_model
from cpad_jax.models import seals

CONFIG = ce_model.CEConfig(clip_width=6, face_width=5, word_width=4, width=8, clusters=3, ghosts=1)
RNG = np.random.default_rng(0)


def batch(queries=4, clips=5):
    rng = np.random.default_rng(1)
    return {
        'words': rng.normal(size=(queries, 7, 4)).astype(np.float32),
        'word_mask': np.arange(7) < np.array([7, 3, 5, 1])[:queries, None],
        'photos': rng.normal(size=(queries, 2, 5)).astype(np.float32),
        'photo_weights': np.array([[1, 1], [1, 0], [0, 0], [1, 1]], np.float32)[:queries],
        'frames': rng.normal(size=(clips, 6)).astype(np.float32),
        'faces': rng.normal(size=(clips, 5)).astype(np.float32),
        'place': rng.normal(size=(clips, 6)).astype(np.float32),
        'present': np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1], [1, 0, 0], [1, 1, 1]], bool)[:clips],
    }


@pytest.fixture(scope='module')
def variables():
    """Drawn anew, with statistics that are not those of nothing."""
    drawn = ce_model.init(CONFIG, jax.random.key(0))
    rng = np.random.default_rng(2)
    stats = jax.tree.map(
        lambda a: jnp.asarray(rng.uniform(0.5, 1.5, a.shape), jnp.float32), drawn['batch_stats']
    )
    return {'params': drawn['params'], 'batch_stats': stats}


@functools.partial(jax.jit, static_argnames='train')
def scores_of(variables, given, train=False):
    if train:
        return ce_model.CE(CONFIG).apply(variables, given, train=True, mutable=['batch_stats'])[0]
    return ce_model.CE(CONFIG).apply(variables, given)


def test_netvlad_equals_numpy():
    x = RNG.normal(size=(2, 5, 4)).astype(np.float32)
    present = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], bool)
    layer = ce_model.NetVLAD(clusters=3, ghosts=2)
    variables = jax.jit(layer.init, static_argnums=3)(jax.random.key(3), x, present, False)
    params = jax.tree.map(np.asarray, variables['params'])
    stats = {
        'mean': RNG.normal(size=5).astype(np.float32),
        'var': RNG.uniform(0.5, 2, 5).astype(np.float32),
    }
    scale, bias = RNG.normal(size=5).astype(np.float32), RNG.normal(size=5).astype(np.float32)
    params['BatchNorm_0']['BatchNorm_0'] = {'scale': scale, 'bias': bias}
    result = jax.jit(layer.apply, static_argnums=3)(
        {'params': params, 'batch_stats': {'BatchNorm_0': {'BatchNorm_0': stats}}},
        x, present, False,
    )  # fmt: skip
    for row, length in enumerate((5, 3)):
        own = x[row, :length].astype(np.float64)
        logits = own @ params['Dense_0']['kernel']
        logits = (logits - stats['mean']) / np.sqrt(stats['var'] + 1e-5) * scale + bias
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        vlad = []
        for k in range(3):  # The two ghosts are dropped.
            residual = sum(shares[i, k] * (own[i] - params['centres'][k]) for i in range(length))
            vlad.append(residual / np.linalg.norm(residual))
        expected = np.concatenate(vlad) / np.sqrt(3)
        np.testing.assert_allclose(result[row], expected, atol=2e-5)


def test_similarity_is_the_weighted_mean_over_the_experts_that_both_have():
    queries = np.zeros((2, 3, 2), np.float32)
    queries[..., 0] = 1
    clips = np.zeros((2, 3, 2), np.float32)
    clips[0, :, 0] = [0.5, -1.0, 0.2]
    clips[1, :, 0] = [0.8, 0.9, 0.1]
    weights = np.array([[0.5, 0.3, 0.2], [0.6, 0.0, 0.4]], np.float32)
    present = np.array([[1, 1, 1], [1, 0, 0]], bool)
    expected = [
        [0.5 * 0.5 - 0.3 + 0.2 * 0.2, 0.8],
        [0.6 * 0.5 + 0.4 * 0.2, 0.8],
    ]  # fmt: skip
    result = ce_model.similarity(queries, weights, clips, present)
    np.testing.assert_allclose(result, expected, atol=1e-6)
    nothing = ce_model.similarity(queries, weights, clips, np.zeros_like(present))
    np.testing.assert_array_equal(nothing, 0)


@pytest.mark.parametrize('train', [False, True])
@pytest.mark.parametrize('junk', [7.0, np.nan])
def test_missing_inputs_change_nothing(variables, train, junk):
    given = batch()
    spoiled = {name: array.copy() for name, array in given.items()}
    spoiled['faces'][[1, 3]] = junk
    spoiled['place'][3] = junk
    spoiled['photos'][1, 1] = spoiled['photos'][2] = junk
    if np.isfinite(junk):  # Words come from a text tower, which is finite.
        spoiled['words'][~given['word_mask']] = junk
    before = scores_of(variables, given, train)
    np.testing.assert_allclose(scores_of(variables, spoiled, train), before, atol=1e-5)
    # What is there does change something.
    given['faces'][0] = 7.0
    assert np.abs(scores_of(variables, given, train) - before).max() > 1e-3


def test_without_a_person_the_faces_have_no_weight(variables):
    given = batch()
    encode = jax.jit(functools.partial(ce_model.CE(CONFIG).apply, method='encode_query'))
    _, weights = encode(
        variables, *(given[n] for n in ('words', 'word_mask', 'photos', 'photo_weights'))
    )
    weights = np.asarray(weights)
    assert weights[2, ce_model.FACES] == 0 and (weights[[0, 1, 3], ce_model.FACES] > 0).all()
    np.testing.assert_allclose(weights[[0, 1, 3]].sum(axis=1), 1, rtol=1e-5)


def test_a_batch_without_any_person_or_face_is_finite(variables):
    given = batch()
    given['photo_weights'][:] = 0
    given['present'][:, ce_model.FACES] = False
    loss = lambda params: scores_of({**variables, 'params': params}, given, train=True).sum()  # noqa: E731
    gradients = jax.jit(jax.grad(loss))(variables['params'])
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradients))


def test_scores_do_not_depend_on_other_clips(variables):
    given = batch()
    encoder = ce_model.Encoder(CONFIG, variables)
    queries, weights = encoder.queries(
        *(given[n] for n in ('words', 'word_mask', 'photos', 'photo_weights'))
    )
    assert queries.shape == (4, 3, 8) and weights.shape == (4, 3)
    clips = encoder.clips({n: given[n] for n in ce_model.EXPERTS}, given['present'])
    assert clips.shape == (5, 3, 8)
    np.testing.assert_array_equal(clips[3, 1:], 0)
    np.testing.assert_allclose(np.linalg.norm(clips[0], axis=-1), 1, rtol=1e-4)
    together = ce_model.similarity(queries, weights, clips, given['present'])
    np.testing.assert_allclose(together, scores_of(variables, given), atol=1e-5)
    alone = encoder.clips({n: given[n][1:2] for n in ce_model.EXPERTS}, given['present'][1:2])
    np.testing.assert_allclose(alone[0], clips[1], atol=1e-6)


def test_saved_files_load_equal(variables, tmp_path):
    saved = export.SavedCE(CONFIG, variables, 'tiny', 'a' * 64, 4, 2)
    export.save_model(tmp_path / 'model', saved)
    result = export.load_model(tmp_path / 'model', 'a' * 64)
    assert (result.config, result.frames_per_clip, result.faces_per_clip) == (CONFIG, 4, 2)
    given = batch()
    np.testing.assert_array_equal(scores_of(result.variables, given), scores_of(variables, given))
    with pytest.raises(UserError, match="trained on the CLIP 'tiny' with sha256 aaaaaaaaaaaa"):
        export.load_model(tmp_path / 'model', 'b' * 64)
    with pytest.raises(UserError, match='no Collaborative Experts in'):
        export.load_model(tmp_path, 'a' * 64)
    path = tmp_path / 'model' / 'config.json'
    values = json.loads(path.read_text().replace('"width": 8', '"width": 9'))
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match='is damaged, or was changed by hand'):
        export.load_model(tmp_path / 'model', 'a' * 64)
    path.write_text(json.dumps(seals.bare(values)))
    with pytest.raises(UserError, match='expected'):
        export.load_model(tmp_path / 'model', 'a' * 64)
    path.write_text('{}')
    with pytest.raises(UserError, match='is damaged'):
        export.load_model(tmp_path / 'model', 'a' * 64)
