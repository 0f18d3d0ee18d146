"""TFDS's own checks of the builder, on tiny sources and a table that the tests write."""

import tempfile

import tensorflow_datasets as tfds
from clip_archives import write_celebrities

from cpad_jax.data import built_dataset

_builder = built_dataset.builder_module('celebrities_in_action')


class ClipsTest(tfds.testing.DatasetBuilderTestCase):
    """Builds the clips and reads them as TensorFlow does."""

    DATASET_CLASS = _builder.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ['clips']
    SPLITS = {'train': 2, 'validation': 1, 'test': 1}
    # Nothing is downloaded, so there is nothing to stand in for downloads.
    SKIP_CHECKSUMS = True

    @classmethod
    def setUpClass(cls):
        """Writes the archive."""
        cls._manual = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls._manual.cleanup)
        cls.EXAMPLE_DIR = cls._manual.name
        write_celebrities(cls._manual.name)
        super().setUpClass()

    def _make_builder(self, config=None):
        return self.dataset_class(data_dir=self.tmp_dir, config=config, processes=1)


class IdentitiesTest(ClipsTest):
    """Cuts out the faces and reads them as TensorFlow does."""

    BUILDER_CONFIG_NAMES_TO_TEST = ['identities']
    SPLITS = {'train': 1, 'references': 2}


if __name__ == '__main__':
    tfds.testing.test_main()
