"""TFDS's own checks of the builder, on tiny sources and a table that the tests write."""

import tensorflow_datasets as tfds

from cpad_jax.data import built_dataset
from tests.support import builder_case
from tests.support.clip_archives import write_celebrities

_builder = built_dataset.builder_module('celebrities_in_action')


class ClipsTest(builder_case.BuilderCase):
    """Builds the clips and reads them as TensorFlow does."""

    DATASET_CLASS = _builder.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ['clips']
    SPLITS = {'train': 2, 'validation': 1, 'test': 1}
    OPTIONS = {'processes': 1}
    write = staticmethod(write_celebrities)


class IdentitiesTest(ClipsTest):
    """Cuts out the faces and reads them as TensorFlow does."""

    BUILDER_CONFIG_NAMES_TO_TEST = ['identities']
    SPLITS = {'train': 1, 'references': 2}


if __name__ == '__main__':
    tfds.testing.test_main()
