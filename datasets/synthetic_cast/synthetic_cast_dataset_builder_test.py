"""TFDS's own checks of the builder, on a world of two titles."""

import tempfile

import tensorflow_datasets as tfds

from cpad_jax.data import built_dataset, synthetic_cast
from cpad_jax.synthetic.world import WorldSpec

SPEC = WorldSpec(
    seed=3, movies=1, shows=1, clips_per_title=2, cast_size=3, train_people=3, cast_seen=3,
    cast_unseen=1, photos_per_person=(2,), reference_photos=1, seconds=0.5,
)  # fmt: skip
_builder = built_dataset.builder_module(synthetic_cast.SYNTHETIC_CAST)


class IdentitiesTest(tfds.testing.DatasetBuilderTestCase):
    """Builds the photos and reads them as TensorFlow does."""

    DATASET_CLASS = _builder.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ['identities']
    SPLITS = {'train': 6, 'references': 4}
    # Nothing is downloaded, so there is nothing to stand in for downloads.
    EXAMPLE_DIR = tempfile.gettempdir()
    SKIP_CHECKSUMS = True

    def _make_builder(self, config=None):
        return self.dataset_class(data_dir=self.tmp_dir, config=config, spec=SPEC, processes=1)


class ClipsTest(IdentitiesTest):
    """Builds the clips and reads them as TensorFlow does."""

    BUILDER_CONFIG_NAMES_TO_TEST = ['clips']
    SPLITS = {'test': 4}


if __name__ == '__main__':
    tfds.testing.test_main()
