"""TFDS's own checks of the builder, on a copy of a few drawn pictures."""

from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from cpad_jax.data import built_dataset
from cpad_jax.media import images
from tests.support import builder_case

_builder = built_dataset.builder_module('vggface')


def _write_copy(folder: Path) -> None:
    for name in ('Ada_Example', 'Bob_Example'):
        lines = folder / 'vgg_face_dataset' / 'files' / f'{name}.txt'
        lines.parent.mkdir(parents=True, exist_ok=True)
        row = '{:08d} http://a.example/{}.jpg 4.0 4.0 12.0 12.0 1.00 2.5 1\n'
        lines.write_text(''.join(row.format(number, number) for number in range(1, 5)))
        for number in (1, 3):
            file = folder / 'images' / name / f'{number:08d}.jpg'
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(images.encode_jpeg(np.full((20, 30, 3), 40 * number, np.uint8)))


class IdentitiesTest(builder_case.BuilderCase):
    """Builds the photos and reads them as TensorFlow does."""

    DATASET_CLASS = _builder.Builder
    SPLITS = {'train': 4}
    write = staticmethod(_write_copy)


if __name__ == '__main__':
    tfds.testing.test_main()
