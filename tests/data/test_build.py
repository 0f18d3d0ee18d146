from pathlib import Path

import pytest

from cpad_jax.data import build
from cpad_jax.errors import UserError
from cpad_jax.training import configs

CONFIGS = Path(__file__).parents[2] / 'configs'


def evaluated(file='quickstart.py', **keys):
    """(name, dir, seed of the world) of what is evaluated on, where training has 'here'."""
    config = configs.load(str(CONFIGS / file))
    config.data.dir = 'here'
    config.eval.data.update(keys)
    data = build.evaluation_data(config)
    assert set(data) == set(config.data)
    return data['name'], data['dir'], data['world_seed']


def test_what_is_empty_is_as_in_training():
    assert evaluated() == ('synthetic_cast', 'here', 0)
    assert evaluated(name='celebrities_in_action') == ('celebrities_in_action', 'here', 0)
    assert evaluated(dir='there') == ('synthetic_cast', 'there', 0)
    assert evaluated(name='hollywood2', dir='there') == ('hollywood2', 'there', 0)


def test_the_configuration_of_vggface2_is_complete_but_for_the_path():
    assert evaluated('vggface2.py') == ('celebrities_in_action', 'here', 0)
    config = configs.load(str(CONFIGS / 'vggface2.py'))
    quickstart = configs.load(str(CONFIGS / 'quickstart.py'))
    assert (config.data.name, config.data.dir) == ('vggface2', '')
    draws = config.train.steps * config.train.people_per_batch / 8631
    often = quickstart.train.steps * quickstart.train.people_per_batch / 600
    assert draws == pytest.approx(often, rel=0.01)


def test_an_unknown_data_set_is_named_by_its_key():
    with pytest.raises(UserError, match="^config.eval.data.name is 'x', expected one of synth"):
        evaluated(name='x')
