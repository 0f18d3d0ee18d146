"""TFDS's own checks of a builder that is fed with an archive which the test writes."""

import tempfile
from pathlib import Path

import tensorflow_datasets as tfds


class BuilderCase(tfds.testing.DatasetBuilderTestCase):
    """Import the module, not this class: pytest would collect it."""

    # Nothing is downloaded, so there is nothing to stand in for downloads.
    SKIP_CHECKSUMS = True
    OPTIONS = {}  # Of the builder.

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.EXAMPLE_DIR = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.write(Path(cls.EXAMPLE_DIR))

    @staticmethod
    def write(folder):
        """Writes the archive."""
        raise NotImplementedError

    def _make_builder(self, config=None):
        return self.dataset_class(data_dir=self.tmp_dir, config=config, **self.OPTIONS)
