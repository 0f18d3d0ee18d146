"""The recipes of CONTRIBUTING.md do what they promise, and name files that are there."""

import re
import types
from pathlib import Path

import jax
import numpy as np
import pytest

import cpad_jax
from cpad_jax import eval as evaluation
from cpad_jax.data import build, built_dataset, readers
from cpad_jax.media import images
from cpad_jax.methods import registry
from cpad_jax.methods.context import EvalContext
from cpad_jax.models import clip, zoo
from cpad_jax.ranking.query import Query
from tests.support import tiny_cpad

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / 'CONTRIBUTING.md').read_text(encoding='utf-8')
SECTIONS = {
    part.split('\n', 1)[0]: part for part in re.split(r'^## ', TEXT, flags=re.MULTILINE)[1:]
}


def run(section, name):
    """A module of the section's Python."""
    (block,) = re.findall(r'^```python\n(.*?)^```', SECTIONS[section], re.DOTALL | re.MULTILINE)
    module = types.ModuleType(name)
    module.__file__ = str(ROOT / f'{name}.py')
    exec(compile(block, f'CONTRIBUTING.md: {section}', 'exec'), vars(module))
    return module


def test_a_method_is_a_file_and_a_row(monkeypatch):
    module = run('A method', 'action_only')
    monkeypatch.setitem(registry.FURTHER, 'action_only', module.ROW)
    monkeypatch.setitem(registry.METHODS, 'action_only', module.ROW)
    assert registry.rows(['action_only']) == (module.METHOD,)
    model = tiny_cpad.make()
    texts = model.clip.tokenize(['a person eating', 'a person running'])
    gallery = np.asarray(model.clip.encode_text(texts, normalize=True))
    context = types.SimpleNamespace(model=model, plain_gallery=gallery)
    (scorer,) = registry.make(['action_only'], context)
    assert scorer.method == module.METHOD
    queries = [
        Query('q', 'action', 'p', 'Ada', True, action, None, (number,), ())
        for number, action in enumerate(('Eat', 'Run'))
    ]
    assert [ranks.tolist() for ranks in scorer.ranks(queries)] == [[1], [1]]


def test_a_protocol_is_a_file_and_a_row(monkeypatch, tmp_path, capsys):
    module = run('A protocol', 'gallery_size')
    monkeypatch.setitem(
        evaluation.PROTOCOLS, 'compound', evaluation.Row(lambda config: True, 'gallery_size')
    )
    monkeypatch.setattr(evaluation.importlib, 'import_module', lambda name: module)
    labels = [{'title': title} for title in ('b', 'a', 'b')]
    monkeypatch.setattr(EvalContext, 'labels', labels)
    config = types.SimpleNamespace(eval={}, task='identity')
    rows = evaluation.evaluate(config, tmp_path)
    assert rows == [{'title': 'a', 'num_clips': 1}, {'title': 'b', 'num_clips': 2}]
    assert (tmp_path / 'eval' / 'gallery_size.json').is_file()
    assert 'clips' in capsys.readouterr().out


def test_a_data_set_is_a_builder_and_a_row(monkeypatch, tmp_path):
    monkeypatch.setattr(build, 'MANUAL', dict(build.MANUAL))
    module = run('A data set', 'passport_dataset_builder')
    monkeypatch.setattr(built_dataset, 'builder_module', lambda name: module)
    photos = tmp_path / 'photos'
    photos.mkdir()
    for value, name in enumerate(('Ada Lovelace', 'Émilie du Châtelet')):
        picture = np.full((40, 30, 3), 100 * value, np.uint8)
        (photos / f'{name}.jpg').write_bytes(images.encode_jpeg(picture))
    paths = build.prepare('passport', tmp_path / 'data', photos)
    reader = readers.open_photos(paths, 'train')
    assert [reader[n]['name'] for n in range(len(reader))] == ['Ada Lovelace', 'Émilie du Châtelet']
    assert [person['seen'] for person in paths.read_people()] == [True, True]


def test_a_clip_family_is_a_row(monkeypatch):
    monkeypatch.setattr(zoo, 'CONFIGS', dict(zoo.CONFIGS))
    run('A CLIP family', 'family')
    config = zoo.get('ViT-XS-16')
    shapes = jax.eval_shape(
        clip.CLIP(config).init, jax.random.key(0), np.zeros((1, 64, 64, 3), np.float32),
        np.zeros((1, 77), np.int32),
    )  # fmt: skip
    # Width 192: 12 · 192² + 13 · 192 in each of 6 blocks of each tower, and what is around them.
    blocks = 2 * 6 * (12 * 192**2 + 13 * 192)
    assert blocks < sum(map(np.size, jax.tree.leaves(shapes))) < blocks + 1.1 * 49408 * 192
    assert 'ViT-XS-16' in zoo.CONFIGS and config.embed_dim == 128


def test_files_that_are_named_are_there():
    new = {
        'cpad_jax/methods/action_only.py', 'tests/methods/test_action_only.py',
        'cpad_jax/protocols/gallery_size.py', 'tests/protocols/test_gallery_size.py',
        'datasets/passport/passport_dataset_builder.py',
    }  # fmt: skip
    named = set(re.findall(r'`((?:cpad_jax|tests|tools|datasets|configs)/[\w/.]+)', TEXT)) - new
    named = {path for path in named if 'NAME' not in path}
    assert len(named) > 15
    assert not [path for path in named if not (ROOT / path).exists()]


def test_layers_are_those_of_the_test_of_imports():
    from tests.test_package import LAYERS

    drawn = re.search(r'^```\n(.*?)^```', SECTIONS['Layout'], re.DOTALL | re.MULTILINE).group(1)
    names = re.findall(r'^(\w+)(?: +(eval))? ', drawn, re.MULTILINE)
    assert [name for pair in names for name in pair if name] == list(LAYERS)


@pytest.mark.parametrize('name', sorted(cpad_jax.__all__))
def test_what_is_public_has_a_docstring(name):
    assert name.startswith('__') or getattr(cpad_jax, name).__doc__
