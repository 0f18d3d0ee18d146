import io

import numpy as np
from PIL import Image

from cpad_jax.protocols.compound import examples


def nearest(colour):
    palette = {'right': examples._RIGHT, 'wrong': examples._WRONG, 'empty': examples._BACKGROUND}
    distance = {k: np.abs(np.subtract(colour, v, dtype=float)).sum() for k, v in palette.items()}
    return min(distance, key=distance.get)


def test_frames_tell_right_from_wrong_in_the_order_of_the_ranking(tmp_path):
    grey = np.full((90, 120, 3), 128, np.uint8)
    rows = [
        examples.Example('a query', 'rank 2', grey[:, :90], [grey] * 3, [False, True, False]),
        examples.Example('another', 'rank 1', grey, [grey] * 2, [True, True]),
    ]
    sheet = np.asarray(Image.open(io.BytesIO(examples.render(rows))))
    width, height = examples._TILE
    left = examples._GAP * 3 + examples._PHOTO
    found = []
    for row in range(2):
        top = examples._GAP + row * (examples._HEAD + height + examples._GAP) + examples._HEAD
        for column in range(3):
            x = left + column * (width + examples._GAP)
            edge = sheet[top + height // 2, x + examples._FRAME // 2]
            found.append(nearest(edge))
            if found[-1] != 'empty':
                np.testing.assert_allclose(sheet[top + height // 2, x + width // 2], 128, atol=3)
    assert found == ['wrong', 'right', 'wrong', 'right', 'right', 'empty']


def test_pictures_keep_their_shapes():
    wide = np.zeros((100, 400, 3), np.uint8)
    wide[:, 150:250] = 255  # A square in the middle stays one.
    tile = np.asarray(examples._tile(wide, (224, 168)))[..., 0] > 128
    assert abs(int(tile[84].sum()) - 168) <= 2
