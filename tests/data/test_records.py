import copy

import numpy as np
import pytest

from cpad_jax.data import records
from cpad_jax.errors import UserError

JPEG = b'\xff\xd8\xff\xe0'
PHOTO = {
    'image': JPEG, 'image_id': 'n000001/0001_01', 'identity': 0, 'name': 'Ada',
    'bbox': np.array([0.1, 0.2, 0.5, 0.6], np.float32), 'landmarks': np.zeros((5, 2), np.float32),
    'source': '',
}  # fmt: skip
CLIP = {
    'clip_id': 'movie001_0001', 'source': 'movie', 'title': 'movie001', 'frames': [JPEG, JPEG],
    'times': np.array([0.1, 0.5], np.float32), 'actions': [2, 6], 'place': -1,
    'people': [
        {
            'person_id': 'n000001', 'name': 'Ada', 'identity': 0, 'actions': [6], 'target': 1,
            'tracks': {'times': np.array([0, 0.1]), 'boxes': np.tile([0.1, 0.1, 0.4, 0.3], (2, 1))},
        },
        {
            'person_id': 'n000002', 'name': 'Bo', 'identity': 1, 'actions': [], 'target': -1,
            'tracks': {'times': np.zeros(0), 'boxes': np.zeros((0, 4))},
        },
    ],
}  # fmt: skip


def test_whole_records_pass():
    records.check_identity(PHOTO)
    records.check_identity({**PHOTO, 'bbox': np.full(4, -1.0), 'landmarks': np.full((5, 2), -1.0)})
    records.check_clip(CLIP, 12, 10)
    records.check_clip({**CLIP, 'place': 9, 'people': []}, 12, 10)


@pytest.mark.parametrize(
    ('field', 'value', 'says'),
    [
        ('image', b'\x89PNG', 'JPEG'),
        ('image_id', '', 'image_id'),
        ('identity', -1, 'from 0 up'),
        ('identity', '3', 'identity'),
        ('name', None, 'name'),
        ('bbox', [0.5, 0.2, 0.1, 0.6], 'bbox'),
        ('bbox', [0.1, 0.2, 0.5], 'bbox'),
        ('bbox', [0.1, np.nan, 0.5, 0.6], 'bbox'),
        ('landmarks', np.zeros((4, 2)), 'landmarks'),
    ],
)
def test_photos_that_are_wrong(field, value, says):
    with pytest.raises(UserError, match=says) as raised:
        records.check_identity({**PHOTO, field: value})
    assert 'photo' in str(raised.value)


@pytest.mark.parametrize(
    ('path', 'value', 'says'),
    [
        (('clip_id',), '', 'clip_id'),
        (('source',), 'film', "'movie', 'show'"),
        (('frames',), [], 'no frames'),
        (('frames', 1), b'', 'frame 1'),
        (('times',), [0.5, 0.1], 'ascending'),
        (('times',), [0.1], 'times'),
        (('times',), [0.1, np.nan], 'times'),
        (('actions',), [6, 2], 'ascending'),
        (('actions',), [2, 2, 6], 'each once'),
        (('actions',), [2, 6, 12], 'from 0 to 11'),
        (('actions',), [2], 'leave out'),
        (('place',), 10, 'from -1 to 9'),
        (('people', 0, 'target'), 0, 'itself'),
        (('people', 0, 'target'), 2, 'from -1 to 1'),
        (('people', 1, 'person_id'), '', 'person 1'),
        (('people', 1, 'actions'), [-1], 'person 1: actions'),
        (('people', 0, 'tracks', 'boxes'), np.zeros((1, 4)), 'tracks'),
        (('people', 0, 'tracks', 'boxes'), np.tile([0.4, 0, 0.1, 1], (2, 1)), 'tracks'),
    ],
)
def test_clips_that_are_wrong(path, value, says):
    record = copy.deepcopy(CLIP)
    inner = record
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(UserError, match=says) as raised:
        records.check_clip(record, 12, 10)
    assert 'clip' in str(raised.value)


def test_missing_and_unknown_fields_are_named():
    record = {**PHOTO, 'label': 3}
    del record['source']
    with pytest.raises(UserError, match=r"missing: \['source'\], not expected: \['label'\]"):
        records.check_identity(record)
