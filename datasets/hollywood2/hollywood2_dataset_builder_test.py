"""TFDS's own checks of the builder, on a tiny Hollywood2 that the tests write."""

import tempfile

import tensorflow_datasets as tfds
from clip_archives import write_hollywood2

from cpad_jax.data import built_dataset

_builder = built_dataset.builder_module('hollywood2')


class ActionsTest(tfds.testing.DatasetBuilderTestCase):
    """Builds the clips of actions and reads them as TensorFlow does."""

    DATASET_CLASS = _builder.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ['actions']
    SPLITS = {'train': 2, 'test': 2, 'autotrain': 1}
    # Nothing is downloaded, so there is nothing to stand in for downloads.
    SKIP_CHECKSUMS = True

    @classmethod
    def setUpClass(cls):
        """Writes the archive."""
        cls._manual = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls._manual.cleanup)
        cls.EXAMPLE_DIR = cls._manual.name
        write_hollywood2(cls._manual.name)
        super().setUpClass()

    def _make_builder(self, config=None):
        return self.dataset_class(data_dir=self.tmp_dir, config=config, processes=1)


class ScenesTest(ActionsTest):
    """Builds the clips of places and reads them as TensorFlow does."""

    BUILDER_CONFIG_NAMES_TO_TEST = ['scenes']
    SPLITS = {'test': 2, 'autotrain': 1}


if __name__ == '__main__':
    tfds.testing.test_main()
