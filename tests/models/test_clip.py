import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cpad_jax.models import clip, transformer, zoo
from cpad_jax.models.config import CLIPConfig, TextConfig, ViTConfig
from cpad_jax.models.weights import folder
from cpad_jax.text import tokenizer


def tiny(vision=(), text=(), **changes):
    """A small CLIP of the real vocabulary, with changes to the towers or to the whole."""
    towers = {
        'vision': ViTConfig(**{'image_size': 16, 'patch_size': 8, 'width': 16, 'layers': 2,
                               'heads': 2} | dict(vision)),
        'text': TextConfig(**{'context_length': 77, 'width': 16, 'layers': 2, 'heads': 2}
                           | dict(text)),
    }  # fmt: skip
    return CLIPConfig('tiny', 8, **towers | changes)


LAYERS = ('query', 'key', 'value', 'out', 'c_fc', 'c_proj')


class Jitted:
    def __init__(self, model):
        self.apply = jax.jit(model.apply, static_argnames='method')


@pytest.fixture(scope='module')
def small():
    """A CLIP of the real vocabulary whose biases, too, are random."""
    config = tiny()
    rng = np.random.default_rng(0)
    flat = {
        name: 0.3 * rng.standard_normal(shape, np.float32)
        for name, shape in folder.parameter_shapes(config).items()
    }
    return Jitted(clip.CLIP(config)), {'params': folder.unflatten(flat)}


TEXTS = ['a man eating', 'two people in a kitchen, one of them smiling', 'x']


def test_text_cut_at_its_own_length_is_the_same(small):
    model, variables = small
    whole = model.apply(variables, tokenizer.tokenize(TEXTS), method='encode_text')
    assert np.abs(whole).max() > 0.5
    padded = tokenizer.tokenize(TEXTS, cut=True)
    assert padded.shape[1] == 16
    cut = model.apply(variables, padded, method='encode_text')
    np.testing.assert_allclose(cut, whole, atol=1e-5)
    exact = padded[:1, : int((padded[0] == tokenizer.EOT).argmax()) + 1]
    assert exact.shape[1] == 5
    cut = model.apply(variables, exact, method='encode_text')
    np.testing.assert_allclose(cut, whole[:1], atol=1e-5)


def test_text_does_not_see_what_follows_its_end(small):
    model, variables = small
    ids = tokenizer.tokenize(TEXTS, 16)
    noise = np.where(np.cumsum(ids == tokenizer.EOT, axis=1) > 0, 1234, ids)
    noise[ids == tokenizer.EOT] = tokenizer.EOT
    assert (noise != ids).any()
    a, b = (model.apply(variables, i, method='encode_text') for i in (ids, noise))
    np.testing.assert_array_equal(a, b)


def test_pools_at_the_first_end_token_and_never_at_a_larger_id(small):
    model, variables = small
    ids = np.array([[tokenizer.SOT, 320, 1237, tokenizer.EOT, 0, 0]])
    right = model.apply(variables, ids, method='encode_text')
    twice = np.array([[tokenizer.SOT, 320, 1237, tokenizer.EOT, tokenizer.TOK, tokenizer.EOT]])
    np.testing.assert_array_equal(right, model.apply(variables, twice, method='encode_text'))
    embeddings = model.apply(variables, ids, method='embed_tokens')
    ends = [
        model.apply(variables, embeddings, np.array([end]), method='encode_embeddings')
        for end in (3, 2)
    ]
    np.testing.assert_array_equal(right, ends[0])
    assert np.abs(right - ends[1]).max() > 1e-2


def test_a_person_token_is_never_looked_up(small):
    model, variables = small
    ids = np.array([[tokenizer.SOT, tokenizer.TOK, tokenizer.TOK + 3, 320, tokenizer.EOT]])
    embeddings = np.asarray(model.apply(variables, ids, method='embed_tokens'))
    # Flax answers NaN, and other gathers the last row, where an index is out of range.
    table = variables['params']['text']['token_embedding']['embedding']
    assert np.isfinite(embeddings).all()
    np.testing.assert_array_equal(embeddings[0, 3:], table[[320, tokenizer.EOT]])
    assert not (embeddings[0, 1] == table[tokenizer.EOT]).all()


def test_embeddings_are_those_of_the_ids(small):
    model, variables = small
    ids = tokenizer.tokenize(TEXTS, 16)
    embeddings = model.apply(variables, ids, method='embed_tokens')
    end = (ids == tokenizer.EOT).argmax(-1)
    np.testing.assert_array_equal(
        model.apply(variables, embeddings, end, method='encode_embeddings'),
        model.apply(variables, ids, method='encode_text'),
    )


def draw_low_rank(width=16, rank=2):
    rng = np.random.default_rng(1)
    sizes = {'c_fc': (width, 4 * width), 'c_proj': (4 * width, width)}

    def factors(layer):
        rows, columns = sizes.get(layer, (width, width))
        return {
            'a': rng.standard_normal((rows, rank), np.float32),
            'b': rng.standard_normal((rank, columns), np.float32),
        }

    return {f'resblocks.{i}': {layer: factors(layer) for layer in LAYERS} for i in range(2)}


def encode_updated(model, variables, ids, low_rank, gate):
    embeddings = model.apply(variables, ids, method='embed_tokens')
    end = (ids == tokenizer.EOT).argmax(-1)
    return model.apply(variables, embeddings, end, low_rank, gate, method='encode_embeddings')


def test_low_rank_applies_to_gated_rows_only(small):
    model, variables = small
    ids = tokenizer.tokenize(TEXTS, 16)
    plain = np.asarray(model.apply(variables, ids, method='encode_text'))
    gate = jnp.array([0.0, 1.0, 0.0])
    out = np.asarray(encode_updated(model, variables, ids, draw_low_rank(), gate))
    np.testing.assert_array_equal(out[[0, 2]], plain[[0, 2]])
    assert np.abs(out[1] - plain[1]).max() > 0.1


@pytest.mark.parametrize('layer', LAYERS)
def test_low_rank_is_an_addition_to_the_kernel(small, layer):
    model, variables = small
    ids = tokenizer.tokenize(TEXTS, 16)
    low_rank = draw_low_rank()
    for block in low_rank.values():
        for name in LAYERS:
            block[name]['b'] *= name == layer
    flat = dict(folder.flatten(variables['params']))
    for block, layers in low_rank.items():
        part = 'mlp' if layer.startswith('c_') else 'attn'
        name = f'text/transformer/{block}/{part}/{layer}/kernel'
        delta = layers[layer]['a'] @ layers[layer]['b']
        flat[name] = flat[name] + delta.reshape(flat[name].shape)
    merged = model.apply({'params': folder.unflatten(flat)}, ids, method='encode_text')
    out = encode_updated(model, variables, ids, low_rank, jnp.ones(3))
    plain = model.apply(variables, ids, method='encode_text')
    assert np.abs(merged - plain).max() > 0.01
    np.testing.assert_allclose(out, merged, atol=2e-5)


def test_low_rank_without_gate_is_refused(small):
    model, variables = small
    with pytest.raises(ValueError, match='gate'):
        encode_updated(model, variables, tokenizer.tokenize(TEXTS, 16), draw_low_rank(), None)


def test_product_by_hand():
    x, y = jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([[5.0], [6.0]])
    np.testing.assert_array_equal(
        transformer.einsum_f32('ab,bc->ac', x, y, jnp.bfloat16), [[17.0], [39.0]]
    )
    # 1 + 2⁻⁸ has one bit too many for bfloat16; as a factor it is rounded, as a sum it is not.
    fine = jnp.array([[1.0, 2.0**-8]])
    ones = jnp.ones((2, 1))
    assert transformer.einsum_f32('ab,bc->ac', fine, ones, jnp.bfloat16)[0, 0] == 1 + 2.0**-8
    rounded = transformer.einsum_f32(
        'ab,bc->ac', jnp.array([[1 + 2.0**-8]]), ones[:1], jnp.bfloat16
    )
    assert rounded[0, 0] == 1
    exact = transformer.einsum_f32('ab,bc->ac', jnp.array([[1 + 2.0**-8]]), ones[:1], jnp.float32)
    assert exact[0, 0] == 1 + 2.0**-8


@pytest.mark.parametrize(
    'spec, left, right',
    [
        ('ab,bc->ac', (3, 4), (4, 5)),
        ('bhqd,bhkd->bhqk', (2, 3, 4, 5), (2, 3, 6, 5)),
        ('bhqk,bhkd->bhqd', (2, 3, 4, 6), (2, 3, 6, 5)),
    ],
)
def test_product_has_the_gradient_of_einsum(spec, left, right):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(left, np.float32), rng.standard_normal(right, np.float32)

    def through(function):
        return jax.grad(lambda x, y: jnp.sin(function(x, y)).sum(), argnums=(0, 1))(x, y)

    right_answer = through(lambda x, y: jnp.einsum(spec, x, y))
    for dtype, tolerance in ((jnp.float32, 1e-5), (jnp.bfloat16, 0.1)):
        answer = through(lambda x, y, d=dtype: transformer.einsum_f32(spec, x, y, d))
        for a, b in zip(answer, right_answer, strict=True):
            np.testing.assert_allclose(a, b, atol=tolerance)


def test_layer_normalisation_by_hand():
    # Mean 2 and variance 5e-6: over the square root of 5e-6 + 1e-5 it is 1/√3 of what it would be
    # over the deviation alone. All but SigLIP and CLIPA have 1e-5.
    x = np.array([2 - 3e-3, 2 - 1e-3, 2 + 1e-3, 2 + 3e-3], np.float64)
    config = tiny()
    assert config.vision.epsilon == config.text.epsilon == 1e-5
    for tower in (config.vision, config.text):
        norm = transformer.layer_norm(tower.epsilon)
        scale, bias = np.array([1, 2, 3, -1.0]), np.array([0, 0, 1, 0.5])
        found = norm.apply({'params': {'scale': scale, 'bias': bias}}, jnp.asarray(x, jnp.float32))
        expected = scale * np.array([-3, -1, 1, 3]) / np.sqrt(15) + bias
        np.testing.assert_allclose(found, expected, atol=2e-3)


def test_every_layer_normalisation_has_the_epsilon_of_its_tower(monkeypatch):
    used = []
    monkeypatch.setattr(
        transformer.nn, 'LayerNorm',
        lambda epsilon, real=transformer.nn.LayerNorm, **options:
        used.append(epsilon) or real(epsilon=epsilon, **options),
    )  # fmt: skip
    model = clip.CLIP(tiny({'epsilon': 3e-5}, {'epsilon': 7e-5}))
    inputs = jnp.zeros((1, 16, 16, 3)), jnp.zeros((1, 8), jnp.int32)
    jax.eval_shape(model.init, jax.random.key(0), *inputs)
    # Two in each of two layers, ln_pre and ln_post; two in each of two layers, and ln_final.
    assert sorted(used) == [3e-5] * 6 + [7e-5] * 5


@pytest.mark.parametrize('shape', [(5, 4, 3), (300, 64, 96)])
def test_affine_has_the_gradient_of_its_formula(shape):
    rows, inputs, outputs = shape
    rng = np.random.default_rng(0)
    x, bias = (rng.standard_normal(s, np.float32) for s in ((rows, inputs), (outputs,)))
    kernel = 0.1 * rng.standard_normal((inputs, outputs), np.float32)

    def through(function):
        total = lambda *a: jnp.sin(function(*a)).sum()  # noqa: E731
        return jax.jit(jax.value_and_grad(total, argnums=(0, 1, 2)))(x, kernel, bias)

    right_value, right = through(lambda x, kernel, bias: x @ kernel + bias)
    for dtype, tolerance in ((jnp.float32, 1e-5), (jnp.bfloat16, 0.02)):
        value, answer = through(lambda *a, d=dtype: transformer.dense(*a, d))
        assert float(value) == pytest.approx(float(right_value), rel=tolerance, abs=100 * tolerance)
        for a, b in zip(answer, right, strict=True):
            np.testing.assert_allclose(a, b, atol=tolerance * float(np.abs(b).max()))


def test_every_large_product_of_a_bfloat16_step_takes_bfloat16_and_sums_in_float32():
    model = clip.CLIP(tiny(), jnp.bfloat16)
    pixels, ids = jnp.zeros((2, 16, 16, 3)), jnp.full((2, 8), tokenizer.EOT)
    shapes = jax.eval_shape(model.init, jax.random.key(0), pixels, ids)

    def loss(variables):
        out = model.apply(variables, pixels, ids)
        return (out['image'] * out['text']).sum()

    found = []

    def walk(jaxpr):
        for equation in jaxpr.eqns:
            if equation.primitive.name == 'dot_general':
                found.append({v.aval.dtype.name for v in equation.invars})
                assert equation.outvars[0].aval.dtype == jnp.float32
            for value in equation.params.values():
                if hasattr(value, 'eqns') or hasattr(value, 'jaxpr'):
                    walk(getattr(value, 'jaxpr', value))

    walk(jax.make_jaxpr(jax.grad(loss))(shapes).jaxpr)
    # 8 products per block and tower, patches, two projections; each with two in the backward
    # pass, but for the pixels, to which nobody asks a gradient.
    assert len(found) >= 3 * (4 * 8 + 3) - 1
    assert all(types == {'bfloat16'} for types in found)


def test_image_embedding_by_hand():
    """With one patch and silent blocks only the class token is left."""
    config = tiny(vision={'image_size': 8})
    flat = {k: np.zeros(s, np.float32) for k, s in folder.parameter_shapes(config).items()}
    for name in ('ln_pre', 'ln_post'):
        flat[f'visual/{name}/scale'][:] = 1
    flat['visual/class_embedding'][0] = 4.0
    flat['visual/positional_embedding'][0, 1] = -4.0
    flat['visual/proj/kernel'][:8] = np.eye(8)
    out = Jitted(clip.CLIP(config)).apply(
        {'params': folder.unflatten(flat)}, jnp.ones((1, 8, 8, 3)), method='encode_image'
    )
    # [4, −4, 0 … 0] of 16 has mean 0 and variance 2; so it becomes ±√8, which is kept.
    np.testing.assert_allclose(out, [[8**0.5, -(8**0.5), *[0] * 6]], rtol=1e-4)


def test_normalised_embeddings_have_length_one(small):
    model, variables = small
    ids = tokenizer.tokenize(TEXTS, 16)
    pixels = np.random.default_rng(0).standard_normal((3, 16, 16, 3), np.float32)
    out = model.apply(variables, pixels, ids)
    plain = model.apply(variables, pixels, method='encode_image')
    np.testing.assert_allclose(np.linalg.norm(out['image'], axis=-1), 1, rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(out['text'], axis=-1), 1, rtol=1e-6)
    np.testing.assert_allclose(
        out['image'], plain / np.linalg.norm(plain, axis=-1, keepdims=True), rtol=1e-5
    )
    assert out['logit_scale'] == variables['params']['logit_scale']


def test_first_parameters():
    config = zoo.get('testing')
    pixels, ids = jnp.zeros((1, 32, 32, 3)), jnp.zeros((1, 32), jnp.int32)
    params = jax.jit(clip.CLIP(config).init)(jax.random.key(0), pixels, ids)['params']
    assert params['logit_scale'] == pytest.approx(np.log(1 / 0.07))
    tokens = params['text']['token_embedding']['embedding']
    # NumPy's own constant for this stream: the first of RandomState(0).standard_normal().
    assert tokens[0, 0] == np.float32(1.764052345967664 * 0.02)
    np.testing.assert_array_equal(tokens, clip.initial_token_embedding(49408, 64))
    block = params['visual']['transformer']['resblocks.0']
    for kernel, std in (
        (block['attn']['query']['kernel'], 64**-0.5),
        (block['attn']['out']['kernel'], 64**-0.5 * 4**-0.5),
        (block['mlp']['c_fc']['kernel'], 128**-0.5),
        (block['mlp']['c_proj']['kernel'], 64**-0.5 * 4**-0.5),
    ):
        assert np.std(kernel) == pytest.approx(std, rel=0.05)


@pytest.mark.parametrize(
    'changes, words',
    [
        ({'vision': {'heads': 3}}, 'vision.heads must divide width'),
        ({'text': {'heads': 3}}, 'text.heads must divide width'),
        ({'vision': {'activation': 'relu'}}, "vision.activation must be one of gelu.*not 'relu'"),
        ({'vision': {'class_token': False}}, "vision.pooling 'class' needs class_token"),
        ({'vision': {'projection': 'none'}}, "vision.projection 'none' needs a width of 8"),
        ({'vision': {'patch_size': 17}}, 'patch_size must not be larger than image_size'),
        ({'text': {'end_token': 49408}}, 'text.end_token must be 0'),
        ({'resize': 'stretch'}, 'resize'),
    ],
)
def test_impossible_configurations_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        tiny(**changes)


def test_wrong_inputs_are_refused(small):
    model, variables = small
    with pytest.raises(ValueError, match='takes pixels'):
        model.apply(variables, jnp.zeros((1, 3, 16, 16)), method='encode_image')
    with pytest.raises(ValueError, match='at most 77 tokens'):
        model.apply(variables, jnp.zeros((1, 78), jnp.int32), method='encode_text')
