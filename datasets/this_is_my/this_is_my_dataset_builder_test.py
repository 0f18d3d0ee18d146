"""TFDS's own checks of the builder, on tiny lists and segments that the tests write."""

import tensorflow_datasets as tfds

from cpad_jax.data import built_dataset
from tests.support import builder_case
from tests.support.named_instances import write_this_is_my

_builder = built_dataset.builder_module('this_is_my')


class ClipsTest(builder_case.BuilderCase):
    """Builds the segments and reads them as TensorFlow does."""

    DATASET_CLASS = _builder.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ['clips']
    SPLITS = {'test': 3}
    OPTIONS = {'processes': 1}
    write = staticmethod(write_this_is_my)


class IdentitiesTest(ClipsTest):
    """Takes the photos and reads them as TensorFlow does."""

    BUILDER_CONFIG_NAMES_TO_TEST = ['identities']
    SPLITS = {'references': 4}


if __name__ == '__main__':
    tfds.testing.test_main()
