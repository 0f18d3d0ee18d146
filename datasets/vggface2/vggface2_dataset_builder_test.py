"""TFDS's own checks of the builder, on a copy of a few drawn pictures."""

import io
import tarfile
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from cpad_jax.data import built_dataset
from cpad_jax.media import images
from tests.support import builder_case

_builder = built_dataset.builder_module('vggface2')


def _write_copy(folder: Path) -> None:
    (folder / 'identity_meta.csv').write_text(
        'Class_ID, Name, Sample_Num, Flag, Gender\n'
        'n000001, "Test_Person",2,0, m,\nn000002, "Train_Person",3,1, f,\n'
    )
    (folder / 'loose_bb_train.csv').write_text('NAME_ID,X,Y,W,H\n"n000002/0001_01",4,4,8,8\n')
    for split, person, count in (('train', 'n000002', 3), ('test', 'n000001', 2)):
        with tarfile.open(folder / f'vggface2_{split}.tar.gz', 'w:gz') as tar:
            for number in range(1, count + 1):
                data = images.encode_jpeg(np.full((20, 30, 3), 40 * number, np.uint8))
                info = tarfile.TarInfo(f'{split}/{person}/{number:04d}_01.jpg')
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


class IdentitiesTest(builder_case.BuilderCase):
    """Builds the photos and reads them as TensorFlow does."""

    DATASET_CLASS = _builder.Builder
    SPLITS = {'train': 3, 'test': 2}
    write = staticmethod(_write_copy)


if __name__ == '__main__':
    tfds.testing.test_main()
