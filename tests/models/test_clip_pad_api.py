import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import cpad_jax
from cpad_jax.errors import UserError
from cpad_jax.media import faces, images
from cpad_jax.models import clip_pad, clip_pad_api, clip_pad_export, face_features, zoo
from cpad_jax.models.clip import CLIP
from cpad_jax.models.pretrained import load_clip
from cpad_jax.models.weights import folder as weights_folder

CLIP_CONFIG = zoo.get('testing')
CONFIG = clip_pad.CPADConfig('clip', 32, num_tokens=2, adapter_width=16, rank=3, token_norm=0.5)
NAMES = ['Orla Brandt', 'Anton Voss', 'Orla Brand']


def randomise(params, seed):
    leaves, tree = jax.tree.flatten(params)
    rng = np.random.default_rng(seed)
    drawn = [np.asarray(x + 0.1 * rng.normal(size=np.shape(x)), np.float32) for x in leaves]
    return jax.tree.unflatten(tree, drawn)


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
    """A workdir as training leaves it, and the folder of its CLIP."""
    folder = tmp_path_factory.mktemp('personalised')
    clip = CLIP(CLIP_CONFIG)
    inputs = jnp.zeros((1, 32, 32, 3)), jnp.zeros((1, 8), int)
    params = jax.jit(clip.init)(jax.random.key(0), *inputs)
    weights_folder.save_clip(folder / 'clip', CLIP_CONFIG, randomise(params['params'], 0))
    model = clip_pad.CPAD(CONFIG, CLIP_CONFIG)
    params = jax.jit(model.init)(jax.random.key(1), jnp.ones((1, 1, 32)), jnp.ones((1, 1)))
    memory = np.random.default_rng(2).normal(size=(3, 2, 64)).astype(np.float32)
    saved = clip_pad_export.SavedCPAD(
        CONFIG, randomise(params['params'], 1), str(folder / 'clip'),
        weights_folder.file_sha256(folder / 'clip' / weights_folder.WEIGHTS_FILE), NAMES, memory,
    )  # fmt: skip
    clip_pad_export.save_model(folder / 'run' / 'model', saved)
    (folder / 'run' / 'checkpoints').mkdir()
    return folder


@pytest.fixture(scope='module')
def model(workdir):
    return cpad_jax.load(workdir / 'run')


def photos(seed, count=2):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (40, 50, 3), dtype=np.uint8) for _ in range(count)]


def test_loads_a_workdir_or_an_export(workdir, model):
    export = cpad_jax.load(workdir / 'run' / 'model', clip=model.clip)
    text = 'Orla Brandt [TOK] in a park'
    np.testing.assert_array_equal(
        model.encode_query(text, model.person('Orla Brandt')),
        export.encode_query(text, export.person('Orla Brandt')),
    )
    assert model.names == sorted(NAMES) and model.face_feature == 'clip'


def test_a_model_that_reads_histograms_is_given_histograms(model):
    config = dataclasses.replace(CONFIG, face_feature='colour_histogram', face_width=512)
    params = clip_pad.CPAD(config, CLIP_CONFIG).init(
        jax.random.key(1), jnp.ones((1, 1, 512)), jnp.ones((1, 1))
    )['params']
    saved = clip_pad_export.SavedCPAD(config, params, 'x', 'a' * 64, NAMES, None)
    histograms = clip_pad_api.PersonalizedCLIP(model.clip, saved)
    found = histograms.face_features(photos(1), cropped=True)
    np.testing.assert_array_equal(found, [face_features.colour_histogram(p) for p in photos(1)])
    assert histograms.person(images=photos(1), cropped=True).tokens.shape == (2, 64)


def test_a_model_may_read_faces_by_another_clip(workdir, model, tmp_path):
    other = randomise(model.clip.params, 7)
    weights_folder.save_clip(tmp_path / 'other', CLIP_CONFIG, other)
    sha256 = weights_folder.file_sha256(tmp_path / 'other' / weights_folder.WEIGHTS_FILE)
    feature = {'face_feature': str(tmp_path / 'other'), 'face_sha256': sha256}
    saved = dataclasses.replace(model.saved, config=dataclasses.replace(CONFIG, **feature))
    clip_pad_export.save_model(tmp_path / 'model', saved)
    found = cpad_jax.load(tmp_path / 'model').face_features(photos(1), cropped=True)
    reader = load_clip(tmp_path / 'other')
    np.testing.assert_array_equal(found, reader.encode_image(reader.preprocess(photos(1))))
    assert np.abs(found - model.face_features(photos(1), cropped=True)).max() > 0.05

    weights_folder.save_clip(tmp_path / 'other', CLIP_CONFIG, randomise(other, 8))
    with pytest.raises(UserError, match='faces read by .* put that one there, or train again'):
        cpad_jax.load(tmp_path / 'model').face_features(photos(1), cropped=True)


def test_another_person_is_another_query(model):
    text = '[TOK] in a park'
    one, other = (model.person(images=photos(s), cropped=True) for s in (1, 2))
    known = model.person('Orla Brandt', memory=True)
    embedded = [model.encode_query(text, person) for person in (one, other, known)]
    assert all(np.linalg.norm(e) == pytest.approx(1, abs=1e-5) for e in embedded)
    gram = np.stack(embedded) @ np.stack(embedded).T - 2 * np.eye(3)
    assert gram.max() < 1 - 1e-4
    # The name in the text says who, besides the token.
    one, other = (
        model.encode_query(f'{name} [TOK] in a park', model.person(name))
        for name in ('Anton Voss', 'Orla Brandt')
    )
    assert np.abs(one - other).max() > 1e-3


def test_forms(model):
    text = model.person(' '.join(['orla', 'BRANDT']))
    assert (text.name, text.form) == ('Orla Brandt', 'text')
    np.testing.assert_array_equal(text.tokens, model.saved.params['default_token'])
    memory = model.person('Anton Voss', memory=True)
    np.testing.assert_array_equal(memory.tokens, model.saved.memory[1])
    # A stranger's name is free as long as there are photos.
    stranger = model.person('Nobody Inparticular', photos(3), cropped=True)
    assert (stranger.form, stranger.num_images) == ('image', 2)
    features = model.clip.encode_image(model.clip.preprocess(photos(3)))
    expected = model.tokens(features[None], np.ones((1, 2)))[0]
    np.testing.assert_allclose(stranger.tokens, expected, rtol=1e-6)


def test_one_photo_need_not_be_in_a_list(model, tmp_path):
    photo = photos(4, 1)[0]
    path = tmp_path / 'a.png'
    images.Image.fromarray(photo).save(path)
    for image in (photo, path, str(path), [path]):
        person = model.person(images=image, cropped=True)
        np.testing.assert_allclose(
            person.tokens, model.person(images=[photo], cropped=True).tokens, rtol=1e-5
        )


def test_query_without_token_is_plain_clip(model):
    text = 'a person in a park'
    plain = model.clip.encode_text(model.clip.tokenize([text]), normalize=True)[0]
    np.testing.assert_array_equal(model.encode_query(text), plain)
    texts = [text, '[TOK] in a park', 'a person in a park']
    tokens = np.random.default_rng(0).normal(size=(3, 2, 64)).astype(np.float32)
    mixed = model.encode_queries(texts, tokens)
    again = model.encode_queries(texts, tokens * [[[9]], [[1]], [[9]]])
    np.testing.assert_array_equal(mixed, again)
    np.testing.assert_allclose(mixed[[0, 2]], [plain, plain], atol=1e-5)


def test_many_queries_equal_one_at_a_time(model):
    rng = np.random.default_rng(0)
    tokens = rng.normal(size=(70, 2, 64)).astype(np.float32)
    texts = [f'[TOK] number {i}' if i % 7 else f'number {i}' for i in range(70)]
    together = model.encode_queries(texts, tokens)
    for i in (0, 1, 63, 64, 69):
        alone = model.encode_queries(texts[i : i + 1], tokens[i : i + 1])[0]
        np.testing.assert_allclose(together[i], alone, atol=2e-5)
    assert model.encode_queries([], tokens[:0]).shape == (0, 32)
    assert model.tokens(np.zeros((0, 1, 32)), np.zeros((0, 1))).shape == (0, 2, 64)


def test_encode_clip_is_the_mean_direction(model):
    frames = np.random.default_rng(5).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    each = np.stack([model.encode_clip(frame[None]) for frame in frames])
    mean = each.mean(axis=0)
    np.testing.assert_allclose(model.encode_clip(frames), mean / np.linalg.norm(mean), atol=1e-5)
    assert np.linalg.norm(each[0]) == pytest.approx(1, abs=1e-5)
    for bad in (frames[:0], frames[0], frames.astype(np.float32)):
        with pytest.raises(UserError, match='a clip must be uint8'):
            model.encode_clip(bad)


def test_an_end_that_is_not_seen_is_told(model):
    text = 'a person ' + 'very ' * 40
    for person, query in ((None, text), (model.person('Anton Voss'), f'Anton Voss [TOK] {text}')):
        with pytest.warns(UserWarning, match='takes .* tokens, of which this CLIP reads 32'):
            model.encode_query(query, person)


def test_people_are_printed_without_their_numbers(model):
    assert str(model.person('Anton Voss')) == (
        "Person(name='Anton Voss', form='text', num_images=0)"
    )


def test_token_and_person_go_together(model):
    person = model.person('Orla Brandt')
    with pytest.raises(UserError, match=r'has a \[TOK\] and no person: give one'):
        model.encode_query('[TOK] in a park')
    with pytest.raises(UserError, match=r"has no \[TOK\].*write e.g. 'Orla Brandt \[TOK\]'"):
        model.encode_query('Orla Brandt in a park', person)
    with pytest.raises(UserError, match=r'is too long: its \[TOK\] lies beyond the 32 tokens'):
        model.encode_query('Orla Brandt is ' + 'very ' * 40 + '[TOK]', person)
    with pytest.raises(UserError, match='takes one text and what model.person.* not str and str'):
        model.encode_query('[TOK] in a park', 'Orla Brandt')
    # Nothing else says who it is.
    with pytest.raises(UserError, match=r"does not name Orla Brandt.*'Orla Brandt \[TOK\]'"):
        model.encode_query('[TOK] in a park', person)
    assert model.encode_query('the orla brandt [TOK] in a park', person).shape == (32,)


def test_unknown_names_are_answered_with_near_ones(model):
    with pytest.raises(UserError, match=r"'Orla Brant' is none of the 3 names.*Orla Brandt") as e:
        model.person('Orla Brant')
    assert 'Anton' not in str(e.value) and '\n' not in str(e.value)
    with pytest.raises(UserError, match='3 names this model knows: check the spelling'):
        model.person('Xyzzy')
    with pytest.raises(UserError, match='needs a name, photos, or both'):
        model.person()
    with pytest.raises(UserError, match='an empty list of photos'):
        model.person('Orla Brandt', images=[])


def test_model_without_memory(model):
    without = clip_pad_api.PersonalizedCLIP(
        model.clip, dataclasses.replace(model.saved, memory=None)
    )
    with pytest.raises(UserError, match='has no name memory'):
        without.person('Orla Brandt', memory=True)


def test_photos_need_a_detector(model, monkeypatch, tmp_path):
    monkeypatch.delenv('CPAD_FACE_DETECTOR', raising=False)
    monkeypatch.setenv('CPAD_CACHE', str(tmp_path))
    with pytest.raises(UserError, match='cropped=True .* --fetch.* or set CPAD_FACE_DETECTOR'):
        model.person(images=photos(1))
    monkeypatch.setenv('CPAD_FACE_DETECTOR', str(tmp_path / 'none.onnx'))
    with pytest.raises(UserError, match='none.onnx'):
        model.person(images=photos(1))


class OneFace:
    """Finds as many faces as it is told, where it is told."""

    def __init__(self, *boxes):
        self.boxes = boxes

    def detect(self, image):
        return [
            faces.Face(np.array(box, np.float32), np.zeros((5, 2), np.float32), 0.9)
            for box in self.boxes
        ]


def test_photo_must_show_one_face(model):
    photo = photos(6, 1)[0]
    box = (5, 10, 25, 30)
    person = model.person(images=[photo], detector=OneFace(box))
    crop = faces.crop_face(photo, np.array(box, np.float32), enlarge=0.3, size=32)
    np.testing.assert_array_equal(person.tokens, model.person(images=[crop], cropped=True).tokens)
    assert np.abs(person.tokens - model.person(images=[photo], cropped=True).tokens).max() > 1e-4
    with pytest.raises(UserError, match='photo 2: no face was found'):
        model.person(images=[photo, np.zeros_like(photo)], detector=OfBright(box))
    with pytest.raises(UserError, match='photo 1'):
        model.person(images=[photo], detector=OneFace(box, (20, 30, 39, 49)))


class OfBright(OneFace):
    """Finds its boxes in pictures that are not black, and nothing in the others."""

    def detect(self, image):
        found = super().detect(image)
        return found if image.any() else found[:0]


def test_what_cannot_be_loaded(workdir, model, tmp_path):
    with pytest.raises(UserError, match='there is no folder'):
        cpad_jax.load(tmp_path / 'nothing')
    (tmp_path / 'checkpoints').mkdir()
    with pytest.raises(UserError, match='there is no CLIP-PAD in .*model'):
        cpad_jax.load(tmp_path)
    other = clip_pad_api.CLIPModel(CLIP_CONFIG, model.clip.params, 'f' * 64)
    with pytest.raises(UserError, match='trained on the CLIP'):
        cpad_jax.load(workdir / 'run', clip=other)


def test_two_people_in_one_query(model):
    text = '[TOK] hugging [TOK]'
    one, other = (model.person(images=photos(s), cropped=True) for s in (1, 2))
    both, swapped = model.encode_query(text, [one, other]), model.encode_query(text, [other, one])
    same = model.encode_query(text, [one, one])
    assert min(np.abs(both - x).max() for x in (swapped, same)) > 1e-3
    tokens = np.stack([[one.tokens, other.tokens], [other.tokens, one.tokens]])
    many = model.encode_queries([text] * 2, tokens)
    np.testing.assert_allclose(many, [both, swapped], atol=2e-5)
    # What one of them was fine-tuned by holds for the query, whoever stands first.
    b = np.random.default_rng(0).normal(size=(1, 64))
    update = {'resblocks.0': {'out': {'a': np.ones((64, 1)), 'b': b}}}
    tuned = dataclasses.replace(other, update=update)
    changed = [model.encode_query(text, people) for people in ([one, tuned], [tuned, one])]
    assert np.abs(changed[0] - both).max() > 1e-3 and np.abs(changed[1] - swapped).max() > 1e-3


def test_as_many_tokens_as_people(model):
    one, known = model.person(images=photos(1), cropped=True), model.person('Anton Voss')
    for text in ('[TOK] running', '[TOK] and [TOK] and [TOK]'):
        with pytest.raises(UserError, match=r'\[TOK\] for 2 people: write one for each'):
            model.encode_query(text, [one, one])
    with pytest.raises(UserError, match=r'has 2 \[TOK\] for one person: .* \[person, person\]'):
        model.encode_query('[TOK] hugging [TOK]', one)
    with pytest.raises(UserError, match='does not name Anton Voss'):
        model.encode_query('[TOK] hugging [TOK]', [one, known])
    with pytest.raises(UserError, match='or a list of that, not str and list'):
        model.encode_query('[TOK] hugging [TOK]', [one, 'Anton Voss'])


@pytest.mark.parametrize(
    'slip', ['[tok]', '[Tok]', '[ TOK ]', '[TOK\u00a0]', '［ＴＯＫ］', '[T\u200bOK]']
)
def test_what_is_nearly_a_token_is_told(model, slip):
    one = model.person(images=photos(1), cropped=True)
    for people in (one, None):
        with pytest.raises(UserError, match='which is no .TOK.: write .TOK. for the person'):
            model.encode_query(f'{slip} running', people)
    with pytest.raises(UserError, match='which is no .TOK.'):
        model.encode_queries([f'[TOK] hugging {slip}'], one.tokens[None])


@pytest.mark.parametrize('spelt', ['anton voss', 'ANTÖN VOSS', 'Anton  Voss', 'Anto\u0308n_Voss'])
def test_names_are_known_however_they_are_spelt(model, spelt):
    known = model.person(spelt)
    assert known.name == 'Anton Voss'
    assert np.isfinite(model.encode_query(f'{spelt} [TOK] running', known)).all()
    with pytest.raises(UserError, match=r'none of the 3 names .*\(near: Anton Voss\)'):
        model.person('Anton Vos')


def test_a_name_within_another_word_names_nobody(model):
    with pytest.raises(UserError, match='does not name Anton Voss'):
        model.encode_query('Santon Voss [TOK]', model.person('Anton Voss'))


def test_repr_says_what_it_is(model):
    learned = sum(np.size(leaf) for leaf in jax.tree.leaves(model.saved.params))
    assert repr(model) == (
        f'PersonalizedCLIP({model.clip!r}, names=3, tokens_per_person=2, '
        f'learned_parameters={learned:_})'
    )
    assert "CLIPModel('testing', embed_dim=32, image_size=32, dtype='float32'" in repr(model)


def test_queries_may_be_jitted_and_differentiated(model):
    texts = ['Orla Brandt [TOK] in a park', 'a kitchen', '[TOK] eating']
    tokens = np.stack([model.person(images=photos(i), cropped=True).tokens for i in range(3)])
    expected = model.encode_queries(texts, tokens)
    traced = jax.jit(lambda tokens: model.encode_queries(texts, tokens))(tokens)
    assert isinstance(traced, jax.Array)
    np.testing.assert_allclose(traced, expected, atol=1e-5)

    def similarity(tokens):
        return (model.encode_queries(texts, tokens)[:2] * expected[2]).sum()

    gradient = np.asarray(jax.grad(similarity)(jnp.asarray(tokens)))
    # The second query has no [TOK], and the third does not enter.
    assert np.abs(gradient[0]).max() > 1e-4 and not gradient[1:].any()
    step = 1e-2 * gradient / np.linalg.norm(gradient)
    slope = (similarity(tokens + step) - similarity(tokens - step)) / 2e-2
    np.testing.assert_allclose(slope, np.linalg.norm(gradient), rtol=0.02)


def test_tokens_may_be_jitted(model):
    features = np.stack([model.face_features(photos(i), cropped=True) for i in range(2)])
    weights = np.array([[1, 1], [1, 0]], np.float32)
    np.testing.assert_allclose(
        jax.jit(model.tokens)(features, weights), model.tokens(features, weights), atol=1e-5
    )


def test_what_cannot_be_traced_is_refused_in_one_line(model):
    person = model.person(images=photos(0), cropped=True)
    for call, words in (
        (lambda x: model.encode_clip(x), r'image_clip\.encode_image\(pixels, normalize=True\)'),
        (lambda x: model.encode_query(
            '[TOK] eating', dataclasses.replace(person, tokens=person.tokens + x.sum())
        ), r'encode_query does not work inside jax\.jit.*use encode_queries\(texts, tokens\)'),
    ):  # fmt: skip
        with pytest.raises(UserError, match=words) as error:
            jax.jit(call)(np.zeros((2, 8, 8, 3), np.uint8))
        assert '\n' not in str(error.value) and len(str(error.value)) < 400
