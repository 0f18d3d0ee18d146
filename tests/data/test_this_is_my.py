import json
import shutil

import numpy as np
import pytest

from cpad_jax.commands import build_dataset
from cpad_jax.data import build, readers, this_is_my
from cpad_jax.errors import UserError
from cpad_jax.media import images
from tests.support.clip_archives import Dropped
from tests.support.films import read_number
from tests.support.named_instances import write_this_is_my


@pytest.fixture(scope='module')
def archive(tmp_path_factory):
    return write_this_is_my(tmp_path_factory.mktemp('manual'))


def test_segments_of_the_anchors_videos_are_photos_and_the_others_are_searched(archive):
    made = this_is_my.plan(archive, Dropped(archive))
    assert [(i.person_id, i.name, i.category) for i in made.instances] == [
        ('instance00', "Ann's friend bob", 'man'), ('instance01', "Ann's dog", 'dog'),
    ]  # fmt: skip
    assert {(p.segment.segment_id, p.instance, p.rank) for p in made.photos} == {
        ('a-0', 0, 0), ('d-0', 0, 1), ('b-0', 1, 0), ('i-0', 1, 1),
    }  # fmt: skip
    clips = {
        c.clip_id: (c.title, [(p['person_id'], p['identity']) for p in c.people])
        for c in made.clips
    }
    # f-0 shows both.
    assert clips == {
        'e-0': ('v3', [('instance01', 1)]),
        'f-0': ('v3', [('instance00', 0), ('instance01', 1)]),
        'g-0': ('v4', [('instance00', 0)]),
    }
    assert made.captions == [
        {'caption': '* is crossing a road', 'person_id': 'instance00', 'clip_id': 'g-0'},
        {'caption': 'a man is holding * near a tree', 'person_id': 'instance01',
         'clip_id': 'f-0'},
    ]  # fmt: skip


def test_everything_that_is_left_out_is_told(archive):
    dropped = Dropped(archive / 'this-is-my-dataset')
    this_is_my.plan(archive, dropped)
    captions = 'this-is-my_eval-captions.csv'
    assert sorted(dropped) == [
        ('segments.csv:4', "an anchor that nothing is annotated of: Ann's hat"),
        ('segments.csv:9', 'a segment whose video is not there: h-0'),
        (f'{captions}:5', 'a caption without *: a dog sleeps'),
        (f'{captions}:6', 'a caption of a segment that is not searched: h-0'),
        (f'{captions}:7', "a caption of nothing that is known: Ann's hat"),
        ('this-is-my_test-set.json', 'a segment that segments.csv has not: z-0'),
        ('this-is-my_test-set.json', 'an anchor that segments.csv has not: y-0'),
    ]


@pytest.mark.parametrize(
    ('file', 'old', 'new', 'says'),
    [
        ('segments.csv', 'i-0,False', 'b-0,False', r'segments.csv:10: segment b-0 .* line 3'),
        ('segments.csv', 'i-0,False', '../i,False', r"segments.csv:10: segment_id is '../i'"),
        ('segments.csv', "Ann's dog", '', 'segments.csv:3: an anchor needs'),
        ('segments.csv', 'video_id', 'video', "column 'video_id' is missing"),
        ('this-is-my_test-set.json', '"i-0"', '7', 'a list of segments for each anchor'),
        ('this-is-my_test-set.json', '{', '', 'this is not JSON'),
    ],
)
def test_damaged_lists_are_one_line(archive, tmp_path, file, old, new, says):
    root = shutil.copytree(archive, tmp_path / 'copy')
    path = root / 'this-is-my-dataset' / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(UserError, match=says):
        this_is_my.plan(root, Dropped())


def test_what_is_missing_is_told_with_where_it_belongs(archive, tmp_path):
    root = shutil.copytree(archive, tmp_path / 'copy')
    shutil.rmtree(root / 'eval_segment')
    with pytest.raises(UserError, match='eval_segment: there is no video of any .* --MODE eval'):
        this_is_my.plan(root, Dropped())
    (root / 'this-is-my-dataset' / 'segments.csv').unlink()
    with pytest.raises(UserError, match='segments.csv: there is no such file'):
        this_is_my.plan(root, Dropped())


def test_it_is_built_and_read(archive, tmp_path, capsys):
    arguments = f'this_is_my --manual_dir {archive} --data_dir {tmp_path} --processes 1'.split()
    build_dataset.main(arguments)
    assert 'clips, test: 3 clips' in capsys.readouterr().out
    paths = build.find('this_is_my', tmp_path)
    assert [person['seen'] for person in paths.read_people()] == [False, False]
    photos = readers.IdentityReader(paths.identities, 'references')
    by_id = {photos[n]['image_id']: photos[n] for n in range(len(photos))}
    assert sorted(by_id) == [
        'instance00/0_a-0', 'instance00/1_d-0', 'instance01/0_b-0', 'instance01/1_i-0',
    ]  # fmt: skip
    photo = by_id['instance01/0_b-0']
    assert (photo['name'], photo['source'], photo['identity']) == ("Ann's dog", 'v2', 1)
    np.testing.assert_array_equal(photo['bbox'], -1)
    # The second video is 1.34 s long, and a frame is shown for a tenth of a second.
    assert read_number(images.decode_jpeg(photo['image'])) == 6
    clips = readers.ClipReader(paths.clips, 'test')
    assert clips.captions[0]['clip_id'] == 'g-0'
    assert clips.categories == {'instance00': 'man', 'instance01': 'dog'}
    assert json.loads((paths.clips / 'provenance.json').read_text()).keys() == {
        'segments.csv', 'this-is-my_test-set.json', 'this-is-my_eval-captions.csv',
    }  # fmt: skip
    with pytest.raises(UserError, match='says itself what its clips show'):
        build_dataset.main([*arguments, '--annotations', 'a.jsonl'])


@pytest.mark.parametrize('end', ['\n', '\r\n', '\r'])
def test_lists_as_other_systems_write_them(archive, tmp_path, end):
    root, expected = tmp_path / 'copy', this_is_my.plan(archive, Dropped(archive))
    lists = archive / 'this-is-my-dataset'
    for name in this_is_my.find(archive):
        text = (lists / name).read_text()
        if name == this_is_my.SEGMENTS:  # The columns in another order.
            rows = [line.split(',')[::-1] for line in text.splitlines()]
            text = '\n'.join(','.join(row) for row in rows)
        root.mkdir(exist_ok=True)
        # A mark before the text, and no line end after it.
        data = '\ufeff' + text.rstrip('\n').replace('\n', end)
        (root / name).write_bytes(data.encode())
    for path in archive.glob('*_segment/*.mp4'):
        (root / path.parent.name).mkdir(exist_ok=True)
        (root / path.parent.name / f'{path.stem}.MP4').symlink_to(path)
    found = this_is_my.plan(root, Dropped(root))
    assert found.instances == expected.instances and found.captions == expected.captions
    assert [photo.segment for photo in found.photos] == [p.segment for p in expected.photos]
    assert [c.clip_id for c in found.clips] == [c.clip_id for c in expected.clips]
    assert {clip.video.suffix for clip in found.clips} == {'.MP4'}
