import numpy as np
import pytest

from cpad_jax.data import tv_human_interactions as tv
from cpad_jax.data import tv_human_plans, video_clips
from cpad_jax.data.video_clips import AnnotationTable
from cpad_jax.errors import UserError
from cpad_jax.media import video
from tests.support.clip_archives import Dropped, row, write_table, write_tv

NOBODY = AnnotationTable(None)


@pytest.fixture(scope='module')
def archive(tmp_path_factory):
    return write_tv(tmp_path_factory.mktemp('manual'))


def collect(archive, call, *arguments):
    """What a function of the module gives, and what it leaves out, paths relative."""
    dropped = Dropped(archive[0].parent)
    given = call(*arguments, dropped)
    return given, [(where.replace('tv_human_interaction', ''), why) for where, why in dropped]


def test_the_two_sets_are_the_authors():
    set1 = {
        'handShake': '2,14,15,16,18,19,20,21,24,25,26,27,28,32,40,41,42,43,44,45,46,47,48,49,50',
        'highFive': '1,6,7,8,9,10,11,12,13,23,24,25,27,28,29,30,31,32,33,34,35,44,45,47,48',
        'hug': '2,3,4,11,12,15,16,17,18,20,21,27,29,30,31,32,33,34,35,36,42,44,46,49,50',
        'kiss': '1,7,8,9,10,11,12,13,14,16,17,18,22,23,24,26,29,31,35,36,38,39,40,41,42',
        'negative': ','.join(map(str, range(1, 51))),
    }
    for kind, numbers in set1.items():
        assert sorted(tv._SET1[kind]) == [int(number) for number in numbers.split(',')]


def test_clips_and_what_is_no_clip(archive):
    clips, dropped = collect(archive, tv.read_clips, *archive)
    assert [(c.split, c.clip_id, c.action, bool(c.annotation)) for c in clips] == [
        ('set1', 'hug_0002', 'hug', True),
        ('set1', 'kiss_0009', 'kiss', False),
        ('set1', 'negative_0050', None, True),
        ('set2', 'handShake_0001', 'handShake', True),
        ('set2', 'highFive_0002', 'highFive', True),
        ('set2', 'negative_0051', None, True),
    ]
    assert dropped == [
        ('_annotations/kiss_0009.annotations', 'an annotation that is not there'),
        ('s_videos/trailer.avi', 'a video of another name than handShake_0001.avi'),
        ('_annotations/kiss_0050.annotations', 'an annotation without its video'),
    ]


def test_an_annotation_frame_by_frame(archive):
    path = archive[1] / 'handShake_0001.annotations'
    annotation, dropped = collect(archive, tv.read_annotation, path)
    assert dropped == []
    assert annotation.pairs == ((1, 1, 2), (2, 1, 2))
    # Frames are counted from 1 there and from 0 here.
    assert annotation.bodies[:3] == (
        tv.Body(0, 1, 8, 8, 24, None, 'profile_right'),
        tv.Body(0, 2, 56, 8, 32, None, 'profile_left'),
        tv.Body(1, 1, 8, 8, 24, 'handShake', 'profile_right'),
    )
    people = tv.people_of(annotation)
    assert [(p.person, p.actions, p.target, len(p.bodies)) for p in people] == [
        (1, ('handShake',), 2, 3),
        (2, ('handShake',), 1, 3),
        (5, (), None, 1),
    ]


def test_lines_that_are_wrong_are_told_one_by_one(archive):
    path = archive[1] / 'hug_0002.annotations'
    annotation, dropped = collect(archive, tv.read_annotation, path)
    row, file = 'not id, x, y, size, label and head', '_annotations/hug_0002.annotations'
    assert dropped == [
        (f'{file}:4', f'{row}: 2 40 8 24 hug'),
        (f'{file}:10', 'a person twice in a frame: person 2'),
        (f'{file}:11', 'a person twice in a frame: person 2'),
        (f'{file}:12', f'{row}: 2 56 8 -3 hug profile_left'),
        (f'{file}:7', 'another number of boxes than announced: 4 are announced, 5 follow'),
        (f'{file}:13', 'not a header with #frame and #num_bbxs: #frame: 2'),
        (f'{file}:14', 'a box of no frame'),
        (f'{file}:9', 'a label that is unknown: dance, in 1 line'),
        (f'{file}:7', 'an interaction of others than two people: 1 - 9, in 1 line'),
    ]
    assert [(b.frame, b.person, b.action) for b in annotation.bodies] == [
        (0, 1, 'hug'), (0, 2, 'hug'), (1, 1, 'hug'), (1, 2, None),
    ]  # fmt: skip
    assert annotation.pairs == ((0, 1, 2),)


def test_a_word_that_is_wrong_all_through_a_file_is_told_once(archive, tmp_path):
    path = tmp_path / 'hug_0002.annotations'
    frame = '#frame: {0}  #num_bbxs: 2\n1 8 8 24 hugs left\n2 40 8 24 {1} left\n'
    path.write_text(''.join(frame.format(n, 'hug' if n < 300 else 'hugged') for n in range(1, 301)))
    dropped = Dropped(tmp_path)
    annotation = tv.read_annotation(path, dropped)
    assert dropped == [
        ('hug_0002.annotations:2', 'a label that is unknown: hugs, in 300 lines'),
        ('hug_0002.annotations:900', 'a label that is unknown: hugged, in 1 line'),
    ]
    assert [(b.frame, b.person, b.action) for b in annotation.bodies[-2:]] == [
        (299, 1, None), (299, 2, None),
    ]  # fmt: skip
    assert len(annotation.bodies) == 600


def test_an_unknown_label_leaves_the_box_and_the_target(tmp_path):
    path, dropped = tmp_path / 'kiss_0001.annotations', Dropped(tmp_path)
    frame = (
        '#frame: {}  #num_bbxs: 2  #interactions: 1 - 2 2 - 7\n1 8 8 24 kiss l\n2 40 8 24 kis r\n'
    )
    path.write_text(''.join(frame.format(n) for n in range(1, 26)))
    people = tv.people_of(tv.read_annotation(path, dropped))
    assert dropped == [
        ('kiss_0001.annotations:3', 'a label that is unknown: kis, in 25 lines'),
        (
            'kiss_0001.annotations:1',
            'an interaction of others than two people: 2 - 7, in 25 lines',
        ),
    ]
    assert [(p.person, p.actions, p.target, len(p.bodies)) for p in people] == [
        (1, ('kiss',), 2, 25),
        (2, (), None, 25),
    ]


def test_an_empty_file_is_told(archive):
    path = archive[1] / 'highFive_0002.annotations'
    annotation, dropped = collect(archive, tv.read_annotation, path)
    assert (annotation.bodies, annotation.pairs) == ((), ())
    assert [why for _, why in dropped] == ['an annotation without frames']


def test_records(archive):
    plans, dropped = collect(archive, tv_human_plans.plan_clips, *archive, NOBODY)
    everybody = [plan for own in plans.values() for plan in own]
    (unread,) = [why for where, why in dropped if where == 's_videos/highFive_0002.avi']
    assert unread.startswith('a video that cannot be read: ') and 'the file is empty' in unread
    assert [name for name, _ in video_clips.number_people(everybody)] == [
        'handShake_0001/1', 'handShake_0001/2', 'handShake_0001/5', 'hug_0002/1', 'hug_0002/2',
        'negative_0050/1', 'negative_0051/1',
    ]  # fmt: skip
    dropped = Dropped()
    made = list(video_clips.Clips(plans['set2'], 4, 10, 1).records(dropped))
    assert dropped == []
    assert [(r['clip_id'], r['title'], r['source'], r['actions'], r['place']) for r in made] == [
        ('handShake_0001', 'unknown', 'show', [0], -1),
        ('negative_0051', 'unknown', 'show', [], -1),
    ]
    people = made[0]['people']
    assert [(p['name'], p['identity'], p['actions'], p['target']) for p in people] == [
        ('unknown', 0, [0], 1),
        ('unknown', 1, [0], 0),
        ('unknown', 2, [], -1),
    ]
    tracks = people[1]['tracks']
    np.testing.assert_allclose(tracks['times'], [0, 0.04, 0.08], atol=1e-6)
    # Of a picture of 96x64: x 56, y 8 and size 32 in the first frame, x 54 in the last.
    np.testing.assert_allclose(
        tracks['boxes'][[0, 2]],
        [[8 / 64, 56 / 96, 40 / 64, 88 / 96], [8 / 64, 54 / 96, 40 / 64, 86 / 96]],
        atol=1e-6,
    )
    assert [(p.clip_id, p.actions, p.who_does_what) for p in plans['set1']] == [
        ('hug_0002', (2,), True),
        ('kiss_0009', (3,), False),
        ('negative_0050', (), True),
    ]


def named(archive, tmp_path, *people):
    """The handshake with people of an annotation table."""
    table = write_table(tmp_path / 'table.jsonl', [row('handShake_0001', 'lost', people, 'show')])
    plans = tv_human_plans.plan_clips(*archive, AnnotationTable(table), Dropped())
    (clip,) = (plan for plan in plans['set2'] if plan.clip_id == 'handShake_0001')
    return clip


LEFT, RIGHT = [0.2, 0.15, 0.3, 0.25], [0.2, 0.7, 0.3, 0.8]  # Faces in bodies 1 and 2.


def test_faces_with_names_take_over_what_bodies_do(archive, tmp_path):
    clip = named(
        archive, tmp_path,
        ('n2', 'Kate', {0.04: RIGHT, 0.08: RIGHT}, {}),
        ('n1', 'Jack', {0.0: LEFT, 0.04: LEFT, 0.08: RIGHT}, {}),
    )  # fmt: skip
    assert (clip.title, clip.source, clip.actions, clip.who_does_what) == (
        'lost', 'show', (0,), True,
    )  # fmt: skip
    assert [(p['person_id'], p['name'], p['actions'], p['target']) for p in clip.people] == [
        ('n2', 'Kate', [0], 1),
        ('n1', 'Jack', [0], 0),
        ('handShake_0001/5', 'unknown', [], -1),
    ]
    np.testing.assert_allclose(clip.people[0]['tracks']['boxes'], [RIGHT, RIGHT])


def test_a_face_after_the_end_of_the_video_is_set_aside(archive, tmp_path):
    line = row('handShake_0001', 'lost', [('n2', 'Kate', {0.04: RIGHT, 50: RIGHT}, {})], 'show')
    table, dropped = write_table(tmp_path / 'table.jsonl', [line]), Dropped(tmp_path)
    plans = tv_human_plans.plan_clips(*archive, AnnotationTable(table), dropped)
    (clip,) = (plan for plan in plans['set2'] if plan.clip_id == 'handShake_0001')
    assert clip.people[0]['actions'] == [0] and len(clip.people[0]['tracks']['times']) == 1
    assert dict(dropped)['table.jsonl:1'] == (
        'a face after the end of its video: Kate in handShake_0001 at 50 s of 1 s'
    )


def test_what_the_table_says_of_somebody_counts(archive, tmp_path):
    clip = named(archive, tmp_path, ('n2', 'Kate', {0.04: RIGHT}, {'actions': []}))
    assert [(p['person_id'], p['actions'], p['target']) for p in clip.people] == [
        ('n2', [], -1),
        ('handShake_0001/1', [0], 0),
        ('handShake_0001/5', [], -1),
    ]
    assert clip.who_does_what


@pytest.mark.parametrize('boxes', [
    {},  # No face.
    {0.04: [0.9, 0.4, 0.95, 0.45]},  # In nobody.
    {0.0: LEFT, 0.04: [0.9, 0.4, 0.95, 0.45], 0.08: [0.9, 0.4, 0.95, 0.45]},  # Mostly in nobody.
])  # fmt: skip
def test_a_face_in_no_body_leaves_open_what_it_does(archive, tmp_path, boxes):
    clip = named(archive, tmp_path, ('n2', 'Kate', boxes, {}))
    assert [p['person_id'] for p in clip.people][1:] == [f'handShake_0001/{n}' for n in (1, 2, 5)]
    assert clip.people[0]['actions'] == [] and not clip.who_does_what


def test_a_face_in_two_bodies_says_nothing():
    info = video.VideoInfo('x', 100, 100, 25.0, 10, 0.4)
    bodies = [tv.Body(0, 1, 0, 0, 60, None, ''), tv.Body(1, 1, 0, 0, 30, None, '')]
    others = [tv.Body(0, 2, 30, 0, 60, None, ''), tv.Body(1, 2, 60, 0, 30, None, '')]
    people = [tv.Person(1, (), None, tuple(bodies)), tv.Person(2, (), None, tuple(others))]
    both, left = (0.1, 0.4, 0.2, 0.5), (0.1, 0.1, 0.2, 0.2)
    assert tv_human_plans.same_person(people, info, [0.0], [both]) is None
    assert tv_human_plans.same_person(people, info, [0.0, 0.04], [both, left]) == 0


def test_folders_are_found_under_the_names_that_go_about(archive, tmp_path):
    assert tv.find(archive[0].parent) == archive
    assert tv.find(tmp_path, required=False) is None
    for name in ('tv_human_interaction_videos', 'tv_human_interactions_annotations'):
        assert tv.find(tmp_path, required=False) is None
        (tmp_path / 'tv_human_interactions' / name).mkdir(parents=True)
    found = tv.find(tmp_path)
    assert [path.name for path in found] == [
        'tv_human_interaction_videos', 'tv_human_interactions_annotations',
    ]  # fmt: skip


def test_without_the_data_the_user_is_told_where_to_get_it(archive, tmp_path):
    for folders in ((tmp_path, archive[1]), (archive[0], tmp_path)):
        with pytest.raises(UserError, match='there are no .* files; get the videos and the annot'):
            tv.read_clips(*folders, Dropped())


PLAIN = (
    '#num_frames: 2\n#frame: 1  #num_bbxs: 2\n1 8 8 24 no_interaction left\n'
    '2 56 8 32.5 no_interaction right\n#frame: 2  #num_bbxs: 2  #interactions: 1 - 2\n'
    '1 8 8 24 hand_shake left\n2 56 8 32.5 hand_shake right\n'
)


@pytest.mark.parametrize(
    'text',
    [
        PLAIN,
        PLAIN.rstrip('\n').replace('\n', '\r\n'),
        '\ufeff' + PLAIN.replace('\n', '\r'),
        PLAIN.replace(' ', '   '),
        PLAIN.replace(' ', '\t'),
        PLAIN.replace('#frame: ', '# frame : ').replace(': 1 - 2', ':1-2'),
        PLAIN.replace('#frame: 2  #num', '#frame:2#num').replace('\n', '  \n\n'),
        PLAIN.replace('#', '  #').upper().replace('LEFT', 'left').replace('RIGHT', 'right'),
    ],
)  # fmt: skip
def test_annotations_with_other_spaces(tmp_path, text):
    path, dropped = tmp_path / 'handShake_0001.annotations', Dropped(tmp_path)
    path.write_bytes(text.encode())
    annotation = tv.read_annotation(path, dropped)
    assert dropped == []
    assert annotation.pairs == ((1, 1, 2),)
    assert annotation.bodies == (
        tv.Body(0, 1, 8, 8, 24, None, 'left'), tv.Body(0, 2, 56, 8, 32.5, None, 'right'),
        tv.Body(1, 1, 8, 8, 24, 'handShake', 'left'),
        tv.Body(1, 2, 56, 8, 32.5, 'handShake', 'right'),
    )  # fmt: skip


def test_files_of_other_spelling(tmp_path):
    videos = tmp_path / 'tv_human_interactions_videos'
    annotations = tmp_path / 'tv_human_interaction_annotations'
    for path in (
        videos / 'handShake_0002.AVI', videos / 'handshake_0001.avi', videos / '.hug_0001.avi',
        videos / 'HUG_0001.avi', videos / 'kiss_1.avi', annotations / 'handShake_0002.Annotations',
        annotations / 'handshake_0001.annotations', annotations / 'hug_0001.ANNOTATIONS',
    ):  # fmt: skip
        path.parent.mkdir(exist_ok=True)
        path.touch()
    dropped = Dropped(tmp_path)
    clips = tv.read_clips(*tv.find(tmp_path), dropped)
    assert [(c.split, c.clip_id, c.action, c.annotation.name) for c in clips] == [
        ('set1', 'handShake_0002', 'handShake', 'handShake_0002.Annotations'),
        ('set2', 'handShake_0001', 'handShake', 'handshake_0001.annotations'),
        ('set2', 'hug_0001', 'hug', 'hug_0001.ANNOTATIONS'),
    ]
    assert [where for where, _ in dropped] == ['tv_human_interactions_videos/kiss_1.avi']
