import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.features import embedding, pixels
from cpad_jax.features.store import FeatureStore
from cpad_jax.media import faces, images
from cpad_jax.models import face_features, zoo
from cpad_jax.models.clip import CLIP
from cpad_jax.models.pretrained import CLIPModel, load_clip
from cpad_jax.models.weights import folder as weights_folder
from tests.support.sources import Records

CONFIG = zoo.get('testing')


@pytest.fixture(scope='module')
def clip():
    model = CLIP(CONFIG)
    inputs = jnp.zeros((1, 32, 32, 3)), jnp.zeros((1, 8), int)
    params = jax.jit(model.init)(jax.random.key(0), *inputs)
    return CLIPModel(CONFIG, params['params'], 'a' * 64)


@pytest.fixture(scope='module')
def other_clip(tmp_path_factory):
    """A folder."""
    inputs = jnp.zeros((1, 32, 32, 3)), jnp.zeros((1, 8), int)
    params = jax.jit(CLIP(CONFIG).init)(jax.random.key(1), *inputs)
    folder = tmp_path_factory.mktemp('clip')
    weights_folder.save_clip(folder, CONFIG, params['params'])
    return folder


def draw_jpeg(rng):
    return images.encode_jpeg(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))


def make_photos(count=5):
    rng = np.random.default_rng(0)
    boxes = [[0.1, 0.2, 0.8, 0.7], [-1] * 4]
    return [
        {
            'image': draw_jpeg(rng), 'image_id': f'photo{i}', 'identity': [7, 3, 7][i % 3],
            'name': {7: 'Orla Brandt', 3: 'Al'}[[7, 3, 7][i % 3]],
            'bbox': np.array(boxes[i % 2], np.float32),
        }
        for i in range(count)
    ]  # fmt: skip


def embed_photos(source, clip, directory, fingerprint='f', **kwargs):
    if not isinstance(source, Records):
        source = Records(source)
    source.fingerprint = fingerprint
    kwargs.setdefault('batch_size', 4)
    return FeatureStore(clip, directory, **kwargs).photos(source)


def test_photos_equal_clip_itself(clip, tmp_path):
    records = make_photos()
    found = embed_photos(records, clip, tmp_path)
    pictures = [images.decode_jpeg(record['image']) for record in records]
    whole = clip.encode_image(clip.preprocess(pictures), normalize=True)
    np.testing.assert_allclose(found.images, whole, atol=1e-3)
    box = np.array([0.1 * 30, 0.2 * 40, 0.8 * 30, 0.7 * 40])
    crops = [
        picture if i % 2 else faces.crop_face(picture, box, enlarge=0.3, size=32)
        for i, picture in enumerate(pictures)
    ]
    expected = clip.encode_image(clip.preprocess(crops))
    np.testing.assert_allclose(found.faces, expected, atol=2e-3, rtol=2e-3)
    assert np.abs(found.faces[0] - clip.encode_image(clip.preprocess(pictures))[0]).max() > 0.05
    assert found.image_ids.tolist() == [f'photo{i}' for i in range(5)]
    assert found.names.tolist() == ['Al', 'Orla Brandt']
    assert found.identities.tolist() == [3, 7]
    assert found.labels.tolist() == [1, 0, 1, 1, 0]


def test_a_colour_histogram_takes_the_place_of_the_face(clip, tmp_path):
    records = make_photos()
    found = embed_photos(records, clip, tmp_path, face_feature='colour_histogram')
    usual = embed_photos(records, clip, tmp_path)
    np.testing.assert_array_equal(found.images, usual.images)
    assert found.faces.shape == (5, 512)
    for i, record in enumerate(records):
        picture = images.decode_jpeg(record['image'])
        box = None if i % 2 else np.array([0.1 * 30, 0.2 * 40, 0.8 * 30, 0.7 * 40])
        expected = face_features.colour_histogram(picture, box)
        np.testing.assert_allclose(found.faces[i], expected, atol=1e-3)


def test_another_clip_may_read_the_faces(clip, other_clip, tmp_path):
    records = make_photos()
    found = embed_photos(records, clip, tmp_path, face_feature=str(other_clip))
    np.testing.assert_array_equal(found.images, embed_photos(records, clip, tmp_path).images)
    expected = embed_photos(records, load_clip(other_clip), tmp_path)
    np.testing.assert_array_equal(found.faces, expected.faces)
    assert np.abs(found.faces - embed_photos(records, clip, tmp_path).faces).max() > 0.05


def test_cached_features_read_no_photo(clip, tmp_path):
    first = embed_photos(make_photos(), clip, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    source = Records(make_photos())
    again = embed_photos(source, clip, tmp_path)
    assert not source.read
    for name, array in vars(first).items():
        np.testing.assert_array_equal(getattr(again, name), array)
    other_clip = CLIPModel(CONFIG, clip.params, 'b' * 64)
    for number, (c, fingerprint, dtype) in enumerate(
        [(clip, 'g', 'float32'), (other_clip, 'f', 'float32'), (clip, 'f', 'bfloat16')], start=2
    ):
        embed_photos(source, c, tmp_path, fingerprint, dtype=dtype)
        assert len(list(tmp_path.iterdir())) == number


def test_what_was_done_is_not_lost(clip, tmp_path, monkeypatch):
    monkeypatch.setattr(embedding, 'PART', 2)
    whole = embed_photos(make_photos(9), clip, tmp_path / 'whole')
    with pytest.raises(UserError, match='record 6 is damaged'):
        embed_photos(Records(make_photos(9), broken=6), clip, tmp_path / 'broken')
    assert len(list((tmp_path / 'broken').glob('*.part-*'))) == 2
    source = Records(make_photos(9))
    resumed = embed_photos(source, clip, tmp_path / 'broken')
    assert sorted(source.read) == [4, 5, 6, 7, 8]
    for name, array in vars(whole).items():
        np.testing.assert_array_equal(getattr(resumed, name), array)
    assert len(list((tmp_path / 'broken').iterdir())) == 5


def _flip(path, rng):
    data = bytearray(path.read_bytes())
    data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    path.write_bytes(data)


def test_only_the_damaged_part_is_made_again_and_it_is_told(clip, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(embedding, 'PART', 2)
    first = embed_photos(make_photos(9), clip, tmp_path)
    part = sorted(tmp_path.iterdir())[2]
    whole, told = part.read_bytes(), 0
    rng = np.random.default_rng(0)
    damages = [lambda data: data[:-100], lambda data: b'', None, None]
    for damage in damages:
        if damage:
            part.write_bytes(damage(whole))
        else:
            part.write_bytes(whole)
            _flip(part, rng)
        capsys.readouterr()
        source = Records(make_photos(9))
        again = embed_photos(source, clip, tmp_path)
        said = [line for line in capsys.readouterr().err.splitlines() if 'damaged' in line]
        if said:
            assert len(said) == 1 and len(said[0]) < 400
            assert said[0].startswith(f'{part} is damaged (')
            assert said[0].endswith('): what it held is made anew')
            assert sorted(source.read) == [4, 5]
            assert part.read_bytes() == whole
            told += 1
        else:  # A date or a checksum that nobody reads.
            assert not source.read
        for name, array in vars(first).items():
            np.testing.assert_array_equal(getattr(again, name), array)
    assert told >= 2


def test_parts_of_another_size_are_used(clip, tmp_path, monkeypatch):
    monkeypatch.setattr(embedding, 'PART', 4)
    first = embed_photos(make_photos(9), clip, tmp_path)
    sorted(tmp_path.iterdir())[1].unlink()
    monkeypatch.setattr(embedding, 'PART', 6)
    source = Records(make_photos(9))
    again = embed_photos(source, clip, tmp_path)
    assert sorted(source.read) == [4, 5, 6, 7]
    np.testing.assert_array_equal(again.image_ids, first.image_ids)
    assert len(list(tmp_path.iterdir())) == 3


def test_features_that_one_file_holds_are_read(clip, tmp_path):
    first = embed_photos(make_photos(3), clip, tmp_path)
    (part,) = tmp_path.iterdir()
    with np.load(part) as file:
        arrays = {name: file[name] for name in file.files if name != 'sha256'}
    np.savez(part.with_name(part.name.split('.')[0] + '.npz'), **arrays)
    part.unlink()
    source = Records(make_photos(3))
    again = embed_photos(source, clip, tmp_path)
    assert not source.read
    np.testing.assert_array_equal(again.faces, first.faces)


def test_errors(clip, tmp_path):
    with pytest.raises(UserError, match="is 'x', expected 'clip', .* or another CLIP: there is no"):
        embed_photos(make_photos(), clip, tmp_path, face_feature='x')
    with pytest.raises(UserError, match='there are no photos'):
        embed_photos([], clip, tmp_path)
    broken = make_photos()
    broken[2]['image'] = b'nothing'
    with pytest.raises(UserError, match='cannot be decoded'):
        embed_photos(broken, clip, tmp_path)
    with pytest.raises(UserError, match='clip c has no frames'):
        FeatureStore(clip, tmp_path).clips(Records([{'clip_id': 'c', 'frames': []}]))


def test_clips_are_the_mean_of_their_frames(clip, tmp_path):
    rng = np.random.default_rng(1)
    records = [
        {'clip_id': f'clip{i}', 'frames': [draw_jpeg(rng) for _ in range(n)]}
        for i, n in enumerate([7, 2, 3])
    ]
    found = FeatureStore(clip, tmp_path, batch_size=6, frames_per_clip=3).clips(Records(records))
    assert found.counts.tolist() == [3, 2, 3]
    assert found.clip_ids.tolist() == ['clip0', 'clip1', 'clip2']
    for record, chosen, embedded, frames in zip(
        records, [[1, 3, 5], [0, 1], [0, 1, 2]], found.embeddings, found.frames, strict=True
    ):
        pictures = np.stack([images.decode_jpeg(record['frames'][i]) for i in chosen])
        each = clip.encode_image(pixels.frame_pixels(pictures, CONFIG), normalize=True)
        np.testing.assert_allclose(frames[: len(chosen)], each, atol=1e-3)
        assert not frames[len(chosen) :].any()
        mean = each.mean(axis=0)
        np.testing.assert_allclose(embedded, mean / np.linalg.norm(mean), atol=1e-5)
