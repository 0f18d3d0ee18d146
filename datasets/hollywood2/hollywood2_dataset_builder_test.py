"""TFDS's own checks of the builder, on a tiny Hollywood2 that the tests write."""

import tensorflow_datasets as tfds

from cpad_jax.data import built_dataset
from tests.support import builder_case
from tests.support.clip_archives import write_hollywood2

_builder = built_dataset.builder_module('hollywood2')


class ActionsTest(builder_case.BuilderCase):
    """Builds the clips of actions and reads them as TensorFlow does."""

    DATASET_CLASS = _builder.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ['actions']
    SPLITS = {'train': 2, 'test': 2, 'autotrain': 1}
    OPTIONS = {'processes': 1}
    write = staticmethod(write_hollywood2)


class ScenesTest(ActionsTest):
    """Builds the clips of places and reads them as TensorFlow does."""

    BUILDER_CONFIG_NAMES_TO_TEST = ['scenes']
    SPLITS = {'test': 2, 'autotrain': 1}


if __name__ == '__main__':
    tfds.testing.test_main()
