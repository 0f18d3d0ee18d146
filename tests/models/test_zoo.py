import dataclasses
import math

import pytest

from cpad_jax.errors import UserError
from cpad_jax.models import zoo
from cpad_jax.models.weights import folder

# Those of OpenAI's and open_clip's models of the same names.
PARAMETERS = {
    'ViT-B-32': 151_277_313,
    'ViT-B-32-quickgelu': 151_277_313,
    'ViT-B-16': 149_620_737,
    'ViT-B-16-quickgelu': 149_620_737,
    'ViT-L-14': 427_616_513,
    'ViT-L-14-quickgelu': 427_616_513,
    'ViT-cast-16': 16_331_393,
    'ViT-cast-16-128': 16_338_561,
    'testing': 3_382_017,
}


def test_every_model_is_listed():
    counts = {family: len(configs) for family, configs in zoo.FAMILIES.items()}
    assert counts == {'native': 32, 'worldwide': 7, 'CLIPA': 6, 'ResNet': 10, 'SigLIP': 26}
    assert len(zoo.CONFIGS) == sum(counts.values()) + len(zoo.OWN) == 84
    assert all(config.name == name for name, config in zoo.CONFIGS.items())


@pytest.mark.parametrize('name', PARAMETERS)
def test_number_of_parameters(name):
    shapes = folder.parameter_shapes(zoo.get(name))
    assert sum(math.prod(shape) for shape in shapes.values()) == PARAMETERS[name]


def test_number_of_parameters_by_hand():
    # One block of width w: attention 4(w² + w), MLP 8w² + 5w, two LayerNorms 4w.
    def tower(width, layers):
        return layers * (12 * width**2 + 13 * width)

    vision = 16 * 16 * 3 * 256 + 256 + 37 * 256 + 4 * 256 + 256 * 256 + tower(256, 6)
    text = 49408 * 192 + 24 * 192 + 2 * 192 + 192 * 256 + tower(192, 4)
    assert PARAMETERS['ViT-cast-16'] == vision + text + 1


def test_quickgelu_differs_in_nothing_else():
    quick = [name for name in zoo.CONFIGS if name.endswith('-quickgelu')]
    assert len(quick) == 14
    for name in quick:
        ours, plain = zoo.get(name), zoo.get(name.removesuffix('-quickgelu'))
        back = {
            tower: dataclasses.replace(config, activation='gelu')
            for tower, config in (('vision', ours.vision), ('text', ours.text))
            if hasattr(config, 'activation')
        }
        assert ours.text.activation == 'quick_gelu'
        assert dataclasses.replace(ours, name=plain.name, **back) == plain


@pytest.mark.parametrize('wrong, near', [('ViT-B32', 'ViT-B-32'), ('vit_l_14', 'ViT-L-14')])
def test_unknown_names_are_refused_with_the_nearest(wrong, near):
    with pytest.raises(UserError, match=near) as error:
        zoo.get(wrong)
    assert wrong in str(error.value) and '\n' not in str(error.value)
    with pytest.raises(UserError, match='testing'):
        zoo.get('zzz')
