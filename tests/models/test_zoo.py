import dataclasses
import math

import pytest

from cpad_jax.errors import UserError
from cpad_jax.models import zoo
from cpad_jax.models.weights import folder

# Those of OpenAI's and open_clip's models of the same names.
PARAMETERS = {
    'ViT-S-32': 63_085_825,
    'ViT-S-16': 62_257_537,
    'ViT-S-32-alt': 43_224_449,
    'ViT-S-16-alt': 42_396_161,
    'ViT-M-32': 103_119_873,
    'ViT-M-16': 102_015_489,
    'ViT-M-32-alt': 80_070_273,
    'ViT-B-32': 151_277_313,
    'ViT-B-32-256': 151_288_833,
    'ViT-B-16': 149_620_737,
    'ViT-B-32-plus-256': 210_297_473,
    'ViT-B-16-plus': 208_351_361,
    'ViT-B-16-plus-240': 208_377_345,
    'ViT-L-16': 427_739_393,
    'ViT-L-16-320': 427_948_289,
    'ViT-L-14': 427_616_513,
    'ViT-L-14-280': 427_763_969,
    'ViT-L-14-336': 427_944_193,
    'ViT-H-16': 986_263_041,
    'ViT-H-14': 986_109_441,
    'ViT-H-14-378': 986_714_881,
    'ViT-g-14': 1_366_678_273,
    'ViT-bigG-14': 2_539_567_105,
    'ViT-e-14': 4_581_086_465,
    'ViT-B-32-quickgelu': 151_277_313,
    'ViT-B-16-quickgelu': 149_620_737,
    'ViT-L-14-quickgelu': 427_616_513,
    'ViT-L-14-336-quickgelu': 427_944_193,
    'ViT-H-14-quickgelu': 986_109_441,
    'ViT-H-14-378-quickgelu': 986_714_881,
    'ViT-bigG-14-quickgelu': 2_539_567_105,
    'ViT-M-16-alt': 78_978_177,
    'ViT-L-14-worldwide': 581_747_969,
    'ViT-H-14-worldwide': 1_858_783_745,
    'ViT-H-14-worldwide-378': 1_859_389_185,
    'ViT-bigG-14-worldwide': 3_630_409_985,
    'ViT-bigG-14-worldwide-378': 3_631_197_057,
    'ViT-L-14-worldwide-quickgelu': 581_747_969,
    'ViT-H-14-worldwide-quickgelu': 1_858_783_745,
    'ViT-L-14-CLIPA': 414_210_561,
    'ViT-L-14-CLIPA-336': 414_538_241,
    'ViT-H-14-CLIPA': 968_235_009,
    'ViT-H-14-CLIPA-336': 968_644_609,
    'ViT-bigG-14-CLIPA': 2_517_223_937,
    'ViT-bigG-14-CLIPA-336': 2_517_756_417,
    'RN50': 102_060_385,
    'RN101': 119_793_505,
    'RN50x4': 178_410_361,
    'RN50x16': 291_173_137,
    'RN50x64': 623_668_929,
    'RN50-quickgelu': 102_060_385,
    'RN101-quickgelu': 119_793_505,
    'RN50x4-quickgelu': 178_410_361,
    'RN50x16-quickgelu': 291_173_137,
    'RN50x64-quickgelu': 623_668_929,
    'ViT-B-16-SigLIP': 203_155_970,
    'ViT-B-16-SigLIP-256': 203_202_050,
    'ViT-B-16-SigLIP-384': 203_447_810,
    'ViT-B-16-SigLIP-512': 203_791_874,
    'ViT-L-16-SigLIP-256': 652_150_786,
    'ViT-L-16-SigLIP-384': 652_478_466,
    'ViT-SO400M-14-SigLIP': 877_360_306,
    'ViT-SO400M-14-SigLIP-378': 877_960_498,
    'ViT-SO400M-14-SigLIP-384': 877_960_498,
    'ViT-B-16-SigLIP-i18n-256': 370_626_050,
    'ViT-SO400M-16-SigLIP-i18n-256': 1_127_430_706,
    'ViT-B-32-SigLIP2-256': 376_856_066,
    'ViT-B-16-SigLIP2': 375_187_970,
    'ViT-B-16-SigLIP2-256': 375_234_050,
    'ViT-B-16-SigLIP2-384': 375_479_810,
    'ViT-B-16-SigLIP2-512': 375_823_874,
    'ViT-L-16-SigLIP2-256': 881_526_786,
    'ViT-L-16-SigLIP2-384': 881_854_466,
    'ViT-L-16-SigLIP2-512': 882_313_218,
    'ViT-SO400M-14-SigLIP2': 1_135_463_602,
    'ViT-SO400M-14-SigLIP2-378': 1_136_008_498,
    'ViT-SO400M-16-SigLIP2-256': 1_135_670_962,
    'ViT-SO400M-16-SigLIP2-384': 1_136_039_602,
    'ViT-SO400M-16-SigLIP2-512': 1_136_555_698,
    'ViT-gopt-16-SigLIP2-256': 1_871_393_906,
    'ViT-gopt-16-SigLIP2-384': 1_871_885_426,
    'ViT-cast-16': 16_331_393,
    'ViT-cast-16-128': 16_338_561,
    'testing': 3_382_017,
}


def test_every_model_is_listed():
    counts = {family: len(configs) for family, configs in zoo.FAMILIES.items()}
    assert counts == {'native': 32, 'worldwide': 7, 'CLIPA': 6, 'ResNet': 10, 'SigLIP': 26}
    assert len(zoo.CONFIGS) == sum(counts.values()) + len(zoo.OWN) == 84
    assert all(config.name == name for name, config in zoo.CONFIGS.items())


def test_every_configuration_has_its_number_of_parameters():
    assert list(PARAMETERS) == list(zoo.CONFIGS)


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
