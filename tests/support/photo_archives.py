"""Writes VGGFace2 in its own layout, as small as can be."""

import numpy as np

from cpad_jax.media import images


def write_vggface2(folder, train, test, photos=3):
    """Noise for everybody; `train` and `test` are person_id → name, spaces as `_`."""
    rows = ['Class_ID, Name, Sample_Num, Flag, Gender']
    for split, flag, people in (('train', 1, train), ('test', 0, test)):
        for person_id, name in people.items():
            rows.append(f'{person_id}, "{name}",{photos},{flag}, f,')
            own = folder / split / person_id
            own.mkdir(parents=True)
            for photo in range(1, photos + 1):
                rng = np.random.default_rng((int(person_id[1:]), photo))
                noise = rng.integers(0, 255, (40, 30, 3)).astype(np.uint8)
                (own / f'{photo:04d}_01.jpg').write_bytes(images.encode_jpeg(noise))
    (folder / 'identity_meta.csv').write_text('\n'.join(rows))
    return folder
