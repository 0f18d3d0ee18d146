"""docs/clip_in_flax.md does what it says."""

import re
from pathlib import Path

import jax
import numpy as np
from PIL import Image

from cpad_jax.models import catalogue, zoo
from cpad_jax.models.weights import folder

PAGE = Path(__file__).parents[2] / 'docs' / 'clip_in_flax.md'


def test_every_block_of_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    # A smaller model in the place of the one that the page loads, because it compiles sooner.
    config = zoo.get('testing')
    shapes = folder.parameter_shapes(config).items()
    flat = {name: 0.05 * rng.standard_normal(shape, np.float32) for name, shape in shapes}
    monkeypatch.setattr(catalogue, 'SHIPPED', tmp_path / 'shipped')
    folder.save_clip(tmp_path / 'shipped' / 'ViT-cast-16', config, folder.unflatten(flat))
    for name in ('beach.jpg', 'kitchen.jpg'):
        Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(name)
    blocks = re.findall(r'^```python\n(.*?)^```', PAGE.read_text('utf-8'), re.DOTALL | re.MULTILINE)
    page = {}
    for block in blocks:
        exec(compile(block, str(PAGE), 'exec'), page)
    assert len(blocks) == 6
    np.testing.assert_allclose(page['similarities'], page['images'] @ page['texts'].T, atol=1e-5)
    assert np.abs(page['to_pixels'][0]).max() > 0 and not page['to_pixels'][1].any()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("CLIPModel('testing', embed_dim=32, image_size=32, dtype='float32'")
    assert '(2, 32)' in lines and any("'data'" in line for line in lines)
    losses = [float(line) for line in lines[-3:]]
    assert losses[0] > losses[1] > losses[2]
    before, after = page['clip'].params, page['tuned'].params
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), before, after)
    assert changed['visual']['proj']['kernel']
    equal = jax.tree.map(np.array_equal, page['params'], after)
    assert all(jax.tree.leaves(equal))
