"""TFDS's own checks of the builder, on a tiny TV Human Interactions that the tests write."""

import tensorflow_datasets as tfds

from cpad_jax.data import built_dataset
from tests.support import builder_case
from tests.support.clip_archives import write_tv

_builder = built_dataset.builder_module('tv_human_interactions')


class ClipsTest(builder_case.BuilderCase):
    """Builds the clips and reads them as TensorFlow does."""

    DATASET_CLASS = _builder.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ['clips']
    SPLITS = {'set1': 3, 'set2': 2}
    OPTIONS = {'processes': 1}
    write = staticmethod(write_tv)


if __name__ == '__main__':
    tfds.testing.test_main()
