import json
import sys

import numpy as np
import pytest
import safetensors.numpy

from cpad_jax.errors import UserError
from cpad_jax.models.weights import sources
from tests.support import fake_hub
from tests.support import hostile_files as hostile
from tests.support import weight_files as files

ONE = {'x': np.array([1, 2], np.float32)}
TWO = {'y': np.array([3], np.float16)}
CARD = '---\nlanguage: en\nlicense: mit\n---\n# A CLIP\nlicense: none\n'


def put(folder, name, content):
    folder.mkdir(exist_ok=True)
    if isinstance(content, dict) and name.endswith('.json'):
        content = json.dumps(content).encode()
    elif isinstance(content, dict):
        flat = name.endswith('.safetensors')
        content = safetensors.numpy.save(content) if flat else files.torch_file(content)
    elif isinstance(content, str):
        content = content.encode()
    (folder / name).write_bytes(content)
    return folder / name


def fill(folder, content):
    for name, value in content.items():
        put(folder, name, value)
    return folder


def values(resolved):
    return {name: array.tolist() for name, array in sources.read(resolved).items()}


# Files and folders.


@pytest.mark.parametrize('suffix', ['safetensors', 'bin', 'pt', 'pth'])
def test_a_file(tmp_path, suffix):
    path = put(tmp_path, f'x.{suffix}', ONE)
    put(tmp_path, 'README.md', CARD)
    # What lies beside it may belong to something else.
    assert sources.resolve(str(path)) == sources.Resolved((path,), str(path))
    assert values(sources.resolve(path)) == {'x': [1, 2]}


def test_a_file_beside_its_configuration(tmp_path):
    fill(tmp_path, {'x.bin': ONE, 'README.md': CARD, 'open_clip_config.json': {'model_cfg': {}}})
    put(tmp_path, 'tokenizer.json', {})
    resolved = sources.resolve(tmp_path / 'x.bin')
    assert resolved.licence == 'mit' and resolved.config == {'model_cfg': {}}
    assert resolved.tokenizer == tmp_path / 'tokenizer.json' and resolved.tag is None


BOTH = {'open_clip_model.safetensors': ONE, 'open_clip_pytorch_model.bin': TWO}
HF = {'model.safetensors': TWO, 'pytorch_model.bin': TWO}
INDEX = {'weight_map': {'x': 'm-00001-of-00002.safetensors', 'y': 'm-00002-of-00002.safetensors'}}
SHARDS = {
    'm-00001-of-00002.safetensors': ONE, 'm-00002-of-00002.safetensors': TWO,
    'm.safetensors.index.json': INDEX,
}  # fmt: skip


@pytest.mark.parametrize(
    'content, expected',
    [
        ({'any.pt': ONE, 'notes.txt': 'x', '._any.pt': 'x'}, {'x': [1, 2]}),
        (BOTH, {'x': [1, 2]}),
        (BOTH | HF, {'x': [1, 2]}),
        ({'open_clip_pytorch_model.bin': ONE} | HF, {'x': [1, 2]}),
        ({'model.safetensors': ONE, 'pytorch_model.bin': TWO}, {'x': [1, 2]}),
        (SHARDS, {'x': [1, 2], 'y': [3]}),
        ({name.replace('safetensors', 'bin'): value for name, value in SHARDS.items()} | {
            'm.bin.index.json': json.dumps(INDEX).replace('safetensors', 'bin').encode()},
         {'x': [1, 2], 'y': [3]}),
    ],
)  # fmt: skip
def test_a_folder(tmp_path, content, expected):
    resolved = sources.resolve(fill(tmp_path / 'x', content))
    assert values(resolved) == expected
    assert (resolved.origin, resolved.licence) == (str(tmp_path / 'x'), None)
    assert resolved.config is None and resolved.tokenizer is None


@pytest.mark.parametrize(
    'content, words',
    [
        ({'notes.txt': 'x'}, 'holds no weights, expected one file'),
        ({'a.pt': ONE, 'b.bin': TWO}, r'several files of weights: a\.pt, b\.bin; give the file'),
        ({'m-00001-of-00002.bin': ONE}, 'holds no weights'),
        ({'m.safetensors.index.json': {}}, 'has no weight_map'),
        ({'m.safetensors.index.json': '['}, 'is not JSON'),
        ({'m.safetensors.index.json': '[]'}, 'must hold one JSON object'),
        ({'m.safetensors.index.json': '{"a":' * 300_000}, 'nests too deeply'),
        ({'m.safetensors.index.json': '{"weight_map": {"x": "a", "x": "b"}}'}, 'occurs twice'),
        ({'m.safetensors.index.json': INDEX}, 'names m-00001-of-00002.safetensors, which is not'),
        ({'x.pt': ONE, 'open_clip_config.json': '{'}, 'is not JSON'),
        ({'x.pt': ONE, 'open_clip_config.json': ' ' * (5 << 20)}, 'has more than 4194304 bytes'),
    ],
)
def test_folders_that_are_refused(tmp_path, content, words):
    with pytest.raises(UserError, match=words) as error:
        sources.resolve(fill(tmp_path / 'x', content))
    assert str(tmp_path / 'x') in str(error.value) and str(error.value).isprintable()


@pytest.mark.parametrize(
    'name',
    ['../secret.safetensors', '/etc/x.safetensors', 'a/../../secret.safetensors', '..', '', 7, None,
     'C:\\x.safetensors', '..\\secret.safetensors', 'x\n.safetensors', '.x.safetensors', 'm.bin',
     ['m'], 'sub/m.safetensors'],
)  # fmt: skip
def test_an_index_does_not_lead_out_of_its_folder(tmp_path, name):
    put(tmp_path, 'secret.safetensors', ONE)
    put(tmp_path / 'x', 'm.safetensors.index.json', {'weight_map': {'x': name}})
    put(tmp_path / 'x', 'm.bin', ONE).rename(tmp_path / 'x' / 'm.bin.kept')
    with pytest.raises(UserError, match='names the file .* expected .safetensors files') as error:
        sources.resolve(tmp_path / 'x')
    assert str(error.value).isprintable()


def test_a_name_in_two_shards_is_refused(tmp_path):
    fill(tmp_path, SHARDS | {'m-00002-of-00002.safetensors': ONE})
    with pytest.raises(UserError, match=r'm-00002-of-00002\.safetensors holds x, which another'):
        sources.read(sources.resolve(tmp_path))


def test_every_shard_is_checked(tmp_path):
    fill(tmp_path, SHARDS | {'m-00002-of-00002.safetensors': b'version https://git-lfs'})
    with pytest.raises(UserError, match='Git LFS pointer'):
        sources.read(sources.resolve(tmp_path))


@pytest.mark.parametrize(
    'card, licence',
    [
        (CARD, 'mit'),
        (CARD.replace('\n', '\r\n'), 'mit'),
        ('---\nlicense: other\nlicense_name: apple-ascl # see LICENSE\n---\n', 'apple-ascl'),
        ("---\nlicense:\n- 'cc-by-nc-4.0'\n- mit\ntags: [a]\n---\n", 'cc-by-nc-4.0'),
        ('---\nlicense:\nlanguage: en\n---\n', None),
        ('# No head\nlicense: mit\n', None),
        ('---\nlicense: mit\n', None),
        ('', None),
    ],
)
def test_licence(tmp_path, card, licence):
    fill(tmp_path, {'x.pt': ONE, 'README.md': card})
    assert sources.resolve(tmp_path).licence == licence


@pytest.mark.parametrize(
    'source, words',
    [
        ('nowhere.safetensors', 'there is no file nowhere.safetensors; expected a file'),
        ('ViT-B-32', 'is a model, not its weights: add one of its tags, such as ViT-B-32/'),
        ('ViT-B32/openai', 'did you mean the model ViT-B-32'),
        ('ViT-B-32/nothing', 'ViT-B-32 has no tag nothing; its tags are .*laion2b_s34b_b79k'),
        ('ViT-e-14/openai', 'open_clip has no weights of it'),
        ('coca_ViT-B-32/laion2b_s13b_b90k', 'there is no coca_ViT-B-32'),
        ('hf-hub:', 'is no repository'),
        ('hf-hub:laion', 'is no repository'),
        ('hf-hub:../x', 'is no repository'),
        ('hf-hub:a/../../x', 'is no repository'),
        (
            'ViT-B-16-plus-240/laion400m_e32',
            r'download https://github\.com/.*-699c4b84\.pt and give',
        ),
    ],
)
def test_sources_that_are_refused(tmp_path, monkeypatch, source, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=words) as error:
        sources.resolve(source)
    assert str(error.value).isprintable()


def test_a_file_of_another_kind_is_refused(tmp_path):
    with pytest.raises(UserError, match="has the suffix '.h5'; expected a file"):
        sources.resolve(put(tmp_path, 'x.h5', 'x'))


# The hub.


@pytest.fixture
def hub(tmp_path, monkeypatch):
    module = fake_hub.Hub(tmp_path / 'hub')
    monkeypatch.setitem(sys.modules, 'huggingface_hub', module)
    return module


def repository(hub, name, content):
    folder = hub.root / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    return fill(folder, content)


def test_a_repository(hub):
    extras = {'training.py': 'import os', 'weights.pkl': 'x', 'config.json': {}, 'README.md': CARD}
    extras |= {'open_clip_config.json': {'model_cfg': {'embed_dim': 4}}, 'tokenizer.json': {}}
    folder = repository(hub, 'laion/clip', BOTH | HF | extras)
    put(folder / 'sub', 'open_clip_model.safetensors', TWO)
    resolved = sources.resolve('hf-hub:laion/clip')
    # Half a dozen files of weights and a program stay where they are.
    assert hub.fetched == [
        'README.md', 'open_clip_config.json', 'open_clip_model.safetensors', 'tokenizer.json',
    ]  # fmt: skip
    assert values(resolved) == {'x': [1, 2]}
    assert resolved.origin == 'https://huggingface.co/laion/clip at abc123'
    assert resolved.licence == 'mit' and resolved.config == {'model_cfg': {'embed_dim': 4}}
    assert resolved.tokenizer.name == 'tokenizer.json'
    hub.online = False
    assert sources.resolve('hf-hub:laion/clip') == resolved


def test_a_repository_of_shards(hub):
    repository(hub, 'a/b', SHARDS | {'n-00001-of-00001.safetensors': TWO})
    assert values(sources.resolve('hf-hub:a/b')) == {'x': [1, 2], 'y': [3]}
    assert hub.fetched == sorted(SHARDS)


def test_a_repository_with_other_kinds_of_files_only(hub):
    repository(hub, 'a/b', {'model.pt': ONE, 'model.ckpt': 'x', 'model.h5': 'x'})
    with pytest.raises(UserError, match=r'https://huggingface\.co/a/b holds no weights'):
        sources.resolve('hf-hub:a/b')
    assert hub.fetched is None


def test_a_repository_of_hostile_files(hub, tmp_path):
    canary = put(tmp_path, 'canary', 'alive')
    case = hostile.CASES['system']
    repository(hub, 'a/b', {'open_clip_pytorch_model.bin': case.write(canary)})
    with pytest.raises(UserError, match=r'asks for posix\.system'):
        sources.read(sources.resolve('hf-hub:a/b'))
    assert canary.read_text() == 'alive'


def test_hubs_that_cannot_be_used(hub):
    with pytest.raises(UserError, match='does not exist or is not open to you'):
        sources.resolve('hf-hub:a/b')
    repository(hub, 'a/b', BOTH)
    info = hub.model_info('a/b')
    hub.online = False
    with pytest.raises(
        UserError, match=r'cannot be reached \(ConnectionError: Name or service not'
    ):
        sources.resolve('hf-hub:a/b')
    hub.model_info = lambda name: info
    with pytest.raises(UserError, match=r'could not be downloaded \(TimeoutError: too slow\)'):
        sources.resolve('hf-hub:a/b')


# Tags of open_clip.


def test_a_tag(hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    repository(hub, 'timm/vit_base_patch32_clip_224.laion400m_e32', BOTH)
    resolved = sources.resolve('ViT-B-32/laion400m-E32')
    assert resolved.tag == sources.find_tag('ViT-B-32', 'laion400m_e32')
    assert resolved.tag.quick_gelu and values(resolved) == {'x': [1, 2]}
    # A folder of that name goes before it.
    fill(tmp_path / 'ViT-B-32', {})
    (tmp_path / 'ViT-B-32').mkdir(exist_ok=True)
    fill(tmp_path / 'ViT-B-32' / 'laion400m-E32', {'x.pt': TWO})
    assert values(sources.resolve('ViT-B-32/laion400m-E32')) == {'y': [3]}


def test_tags():
    tags = sources.tags()
    rows = [tag for rows in tags.values() for tag in rows.values()]
    assert (len(tags), len(rows), sum(not rows for rows in tags.values())) == (81, 134, 17)
    assert all((tag.hub is None) != (tag.url is None) for tag in rows)
    assert all(sources._REPOSITORY.fullmatch(tag.hub) for tag in rows if tag.hub)
    # From open_clip 3.3.0: its defaults, OpenAI's activation, SigLIP's and CLIPA's preprocessing.
    plain = sources.Tag('ViT-B-32', 'laion2b_s34b_b79k', 'laion/CLIP-ViT-B-32-laion2B-s34B-b79K')
    assert tags['ViT-B-32']['laion2b_s34b_b79k'] == plain
    quick = {f'{t.model}/{t.tag}' for t in rows if t.quick_gelu and 'quick' not in t.model}
    assert {'ViT-L-14/openai', 'ViT-B-32/laion400m_e31', 'ViT-H-14/dfn5b', 'RN50/cc12m'} <= quick
    assert not {'ViT-L-14/dfn2b_s39b', 'ViT-B-16/laion400m_e31', 'ViT-B-32/laion2b_e16'} & quick
    assert all(t.quick_gelu for t in rows if t.tag == 'openai' or t.model.endswith('-quickgelu'))
    half = (0.5, 0.5, 0.5)
    for tag in (t for t in rows if 'SigLIP' in t.model):
        assert (tag.mean, tag.std, tag.resize_mode) == (half, half, 'squash')
    clipa = tags['ViT-H-14-CLIPA-336']['laion2b']
    assert (clipa.mean, clipa.interpolation) == ((0.485, 0.456, 0.406), 'bilinear')
    assert tags['ViT-L-14']['laion2b_s32b_b82k'].mean == half
    assert tags['ViT-H-14-378']['dfn5b'].resize_mode == 'squash'
