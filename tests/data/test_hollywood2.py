import shutil

import numpy as np
import pytest

from cpad_jax.data import hollywood2, video_clips
from cpad_jax.data.rejection_log import RejectionLog
from cpad_jax.data.video_clips import AnnotationTable
from cpad_jax.errors import UserError
from cpad_jax.media import images
from tests.support.clip_archives import FPS, Dropped, row, write_avi, write_hollywood2, write_table

NOBODY = AnnotationTable(None)


@pytest.fixture(scope='module')
def archive(tmp_path_factory):
    return write_hollywood2(tmp_path_factory.mktemp('manual'))


def test_lists_become_clips(archive):
    dropped = Dropped(archive)
    clips = hollywood2.read_clips(archive, 'actions', dropped)
    assert [(c.split, c.clip_id, c.actions, c.place) for c in clips] == [
        ('train', 'actioncliptrain00001', ('HugPerson', 'Kiss'), None),
        ('train', 'actioncliptrain00002', ('Run',), None),
        ('train', 'actioncliptrain00004', ('Eat',), None),
        ('test', 'actioncliptest00001', ('StandUp',), None),
        ('test', 'actioncliptest00002', (), None),
        ('autotrain', 'actionclipautoautotrain00001', ('DriveCar',), None),
    ]
    assert clips[0].video == archive / 'AVIClips' / 'actioncliptrain00001.avi'
    assert clips[0].file == archive / 'ClipSets' / 'AnswerPhone_train.txt'
    assert clips[0].line == 1


def test_everything_that_is_dropped_is_told(archive):
    dropped = Dropped(archive)
    hollywood2.read_clips(archive, 'actions', dropped)
    absent, twice = 'a clip whose video is not there', 'a clip that stands in the list already'
    assert sorted(dropped) == [
        ('AVIClips/actioncliptrain00099.avi', 'a video that no list names'),
        ('ClipSets', 'a list that is not there: SitUp of autotrain'),
        ('ClipSets/AnswerPhone_train.txt:3', f'{absent}: actioncliptrain00003'),
        ('ClipSets/Jump_train.txt', 'a list of no class that is known'),
        ('ClipSets/Kiss_train.txt:6', f'{twice}: actioncliptrain00002'),
        ('ClipSets/Kiss_train.txt:7', 'not a clip and 1 or -1: actioncliptrain00005 yes'),
        ('ClipSets/Kiss_train.txt:8', f'{absent}: ../../etc/passwd'),
        ('ClipSets/Run_test.txt:3', 'a clip of another split: actioncliptrain00001 is of train'),
    ]


def test_lists_that_are_not_there_are_told_once_a_split(archive, tmp_path):
    root = shutil.copytree(archive, tmp_path / 'copy')
    for path in (root / 'ClipSets').glob('*_autotrain.txt'):
        path.unlink()
    (root / 'ClipSets' / 'Eat_test.txt').unlink()
    with RejectionLog(tmp_path) as aside:
        hollywood2.read_clips(root, 'actions', aside)
    told = aside.groups()['a list that is not there']
    assert told.count == 13 and len(told.first) == 2 and not told.more
    assert told.first[0] == f'{root}/ClipSets: Eat of test'
    assert told.first[1].startswith(f'{root}/ClipSets: AnswerPhone, DriveCar, ')


def test_places_have_their_own_lists(archive):
    dropped = Dropped(archive)
    clips = hollywood2.read_clips(archive, 'scenes', dropped)
    assert [(c.split, c.clip_id, c.actions, c.place) for c in clips] == [
        ('test', 'scenecliptest00001', (), 'INT-kitchen'),
        ('test', 'scenecliptest00002', (), 'INT-bedroom'),
        ('autotrain', 'sceneclipautoautotrain00001', (), 'EXT-road'),
    ]
    assert dropped == [
        (
            'ClipSetsScenes/EXT-house_test.txt:2',
            'a second place of a clip: scenecliptest00002 is INT-bedroom, not INT-hotel',
        )
    ]


def test_records_of_whole_clips_and_the_broken_one_set_aside(archive):
    dropped = Dropped(archive)
    plans = hollywood2.plan_clips(archive, 'actions', NOBODY, Dropped())
    made = list(video_clips.Clips(plans['train'], 12, 10, 1).records(dropped))
    assert [(r['clip_id'], r['actions'], r['place'], r['title'], r['source']) for r in made] == [
        ('actioncliptrain00001', [6, 7], -1, 'unknown', 'movie'),
        ('actioncliptrain00002', [8], -1, 'unknown', 'movie'),
    ]
    assert [where for where, _ in dropped] == ['ClipSets/AnswerPhone_train.txt:4']
    assert 'actioncliptrain00004.avi' in dropped[0][1]
    # Two seconds at two frames a second, in the middles of equal parts: 0.25, 0.75, … s.
    first = made[0]
    np.testing.assert_allclose(first['times'], np.array([6, 18, 31, 43]) / FPS, atol=1e-5)
    shown = [images.decode_jpeg(frame) for frame in first['frames']]
    assert [frame.shape for frame in shown] == [(64, 96, 3)] * 4
    np.testing.assert_allclose(
        [frame[:, 10].mean() for frame in shown],
        np.array([24, 72, 124, 172]) + 100 * 10 / 95,
        atol=3,
    )


def test_large_and_long_videos_give_small_and_few_frames(tmp_path):
    write_avi(tmp_path / 'long.avi', frames=25 * 20, width=32, height=16)
    frames, times = video_clips.sample_clip(tmp_path / 'long.avi')
    assert len(frames) == len(times) == 32
    np.testing.assert_allclose(np.diff(times), 20 / 32, atol=0.041)
    write_avi(tmp_path / 'large.avi', frames=5, width=768, height=512)
    frames, times = video_clips.sample_clip(tmp_path / 'large.avi')
    assert [images.decode_jpeg(frame).shape for frame in frames] == [(256, 384, 3)]
    np.testing.assert_allclose(times, [2 / FPS], atol=1e-5)


def test_the_annotation_table_adds_titles_and_people(archive, tmp_path):
    table = write_table(
        tmp_path / 'table.jsonl',
        [
            row('actioncliptrain00001', 'casablanca', [
                ('n1', 'Ingrid Bergman', {0.0: [0.1, 0.2, 0.5, 0.4]},
                 {'actions': ['Kiss'], 'target': 1}),
                ('n2', 'Humphrey Bogart', {}, {'actions': ['Eat']}),
            ], place='INT-office'),
            row('actioncliptest00001', 'friends_s01', [('n2', 'Humphrey Bogart', {}, {})], 'show'),
        ],
    )  # fmt: skip
    table = AnnotationTable(table)
    plans = hollywood2.plan_clips(archive, 'actions', table, Dropped())
    clip = plans['train'][0]
    assert (clip.title, clip.source, clip.actions) == ('casablanca', 'movie', (2, 6, 7))
    assert (clip.place, clip.who_does_what) == (7, True)
    assert [(p['person_id'], p['actions'], p['target']) for p in clip.people] == [
        ('n1', [7], 1),
        ('n2', [2], -1),
    ]
    np.testing.assert_allclose(clip.people[0]['tracks']['boxes'], [[0.1, 0.2, 0.5, 0.4]])
    # Of this one only the clip's actions are known, so of the whole set only clips can be asked.
    clip = plans['test'][0]
    assert (clip.title, clip.source, clip.actions) == ('friends_s01', 'show', (11,))
    assert [p['actions'] for p in clip.people] == [[]] and not clip.who_does_what
    assert video_clips.relevance(plans['train'][:1]) == 'person'
    assert video_clips.relevance(plans['train'][:1] + plans['test']) == 'clip'
    everybody = [plan for own in plans.values() for plan in own]
    assert video_clips.number_people(everybody) == [
        ('n1', 'Ingrid Bergman'),
        ('n2', 'Humphrey Bogart'),
    ]
    assert plans['test'][0].people[0]['identity'] == 1


def shot(number, start, people, **more):
    return row(
        f'clips_actioncliptrain00001_{number:04}', 'casablanca', people,
        video='clips/actioncliptrain00001.avi', start=start, end=start + 1, **more,
    )  # fmt: skip


def test_shots_that_the_labelling_writes_become_one_clip(archive, tmp_path):
    left, right = [0.1, 0.1, 0.5, 0.4], [0.1, 0.6, 0.5, 0.9]
    lines = [
        shot(2, 1.0, [
            ('n2', 'Humphrey', {0.0: right}, {'actions': ['Eat']}),
            ('n1', 'Ingrid', {0.25: left}, {'actions': ['Kiss'], 'target': 0}),
        ], place='INT-car'),
        shot(1, 0.0, [('n1', 'Ingrid', {0.5: left}, {'actions': ['HugPerson']})]),
        shot(3, 1.5, []),
    ]  # fmt: skip
    table = AnnotationTable(write_table(tmp_path / 'table.jsonl', lines))
    clip = hollywood2.plan_clips(archive, 'actions', table, Dropped())['train'][0]
    assert (clip.clip_id, clip.actions, clip.place) == ('actioncliptrain00001', (2, 6, 7), 3)
    assert [(p['person_id'], p['actions'], p['target']) for p in clip.people] == [
        ('n1', [6, 7], 1),
        ('n2', [2], -1),
    ]
    tracks = [person['tracks'] for person in clip.people]
    np.testing.assert_allclose(tracks[0]['times'], [0.5, 1.25])
    np.testing.assert_allclose(tracks[1]['times'], [1.0])
    np.testing.assert_allclose(tracks[1]['boxes'], [right])
    assert clip.who_does_what
    # What somebody does in one of the shots only is not known of the whole.
    del lines[1]['people'][0]['actions']
    table = AnnotationTable(write_table(tmp_path / 'table.jsonl', lines))
    clip = hollywood2.plan_clips(archive, 'actions', table, Dropped())['train'][0]
    assert [p['actions'] for p in clip.people] == [[], [2]] and not clip.who_does_what
    lines[2]['title'] = 'notorious'
    says = (
        "jsonl:3: clips/actioncliptrain00001.avi is of movie 'notorious' here and of movie 'casab"
    )
    with pytest.raises(UserError, match=says):
        AnnotationTable(write_table(tmp_path / 'table.jsonl', lines))


def test_faces_after_the_end_of_the_video_are_set_aside(archive, tmp_path):
    box = [0.1, 0.1, 0.5, 0.4]
    people = [('n1', 'Ingrid', {0.5: box, 1.2: box, 3.0: box, 50: box}, {'actions': ['Kiss']})]
    line = row('actioncliptest00001', 'notorious', people)
    table = AnnotationTable(write_table(tmp_path / 'table.jsonl', [line]))
    dropped = Dropped(tmp_path)
    clip = hollywood2.plan_clips(archive, 'actions', table, dropped)['test'][0]
    assert (
        'table.jsonl:1',
        'a face after the end of its video: Ingrid in actioncliptest00001 at 3 s of 1 s',
    ) in dropped
    assert [p['actions'] for p in clip.people] == [[7]]
    np.testing.assert_allclose(clip.people[0]['tracks']['times'], [0.5, 1.2])
    assert clip.people[0]['tracks']['boxes'].shape == (2, 4)


@pytest.mark.parametrize(('person', 'clip', 'says'), [
    ({'actions': ['Jump']}, {}, r"jsonl:1: person 0: actions has 'Jump', expected some of Ans"),
    ({}, {'place': 'Mars'}, r"table.jsonl:1: place is 'Mars', expected one of EXT-house"),
])  # fmt: skip
def test_words_of_the_table_that_are_unknown(archive, tmp_path, person, clip, says):
    line = row('actioncliptrain00001', 'casablanca', [('n1', 'Ingrid Bergman', {}, person)], **clip)
    table = AnnotationTable(write_table(tmp_path / 'table.jsonl', [line]))
    with pytest.raises(UserError, match=says):
        hollywood2.plan_clips(archive, 'actions', table, Dropped())


def test_shot_bounds(archive):
    read = hollywood2.read_shot_bounds
    assert read(archive, 'actions', 'actioncliptrain00001') == (12, 30)
    assert read(archive, 'actions', 'actioncliptrain00002') == ()
    assert read(archive, 'scenes', 'scenecliptest00001') == (7,)
    with pytest.raises(UserError, match=r"actioncliptest00001.sht:1: '12', expected ascending"):
        read(archive, 'actions', 'actioncliptest00001')
    with pytest.raises(UserError, match='no such file of shot bounds'):
        read(archive, 'actions', 'actioncliptest00002')


def test_without_the_data_the_user_is_told_where_to_get_it(tmp_path):
    with pytest.raises(UserError, match='AVIClips: there is no such folder; get Hollywood2-act'):
        hollywood2.read_clips(tmp_path, 'actions', Dropped())
    (tmp_path / 'AVIClips').mkdir()
    (tmp_path / 'ClipSets').mkdir()
    with pytest.raises(UserError, match='no .avi files'):
        hollywood2.read_clips(tmp_path, 'actions', Dropped())
    (tmp_path / 'AVIClips' / 'a.avi').touch()
    with pytest.raises(UserError, match='there are no lists'):
        hollywood2.read_clips(tmp_path, 'actions', Dropped())


def test_lists_that_are_no_text_cost_no_more_than_a_line(archive, tmp_path):
    root = write_hollywood2(tmp_path)
    path = root / 'ClipSets' / 'Kiss_train.txt'
    path.write_bytes(b'\xff\x00' * 200_000 + b'\nactioncliptrain00002 1\n')
    dropped = Dropped(root)
    clips = hollywood2.read_clips(root, 'actions', dropped)
    assert [c.actions for c in clips[:2]] == [('HugPerson',), ('Kiss', 'Run')]
    assert dict(dropped)['ClipSets/Kiss_train.txt:1'].startswith('not a clip and 1 or -1: \ufffd\0')


def lines_of(folder, **lists):
    """Lists of actions, and empty videos of four clips; nobody looks at these."""
    (folder / 'AVIClips').mkdir(parents=True)
    (folder / 'ClipSets').mkdir()
    for name in ('a1.avi', 'a2.AVI', 'A3.Avi', 'a4.avi'):
        (folder / 'AVIClips' / name).touch()
    for name, data in lists.items():
        (folder / 'ClipSets' / name.replace('__', '.')).write_bytes(data)
    dropped = Dropped(folder)
    clips = hollywood2.read_clips(hollywood2.find(folder), 'actions', dropped)
    told = [entry for entry in dropped if 'a list that is not there' not in entry[1]]
    return {(c.split, c.clip_id): c.actions for c in clips}, told


@pytest.mark.parametrize(
    'lines',
    [
        b'a1  1\na2 -1\na3  1\na4 -1\n',
        b'a1\t1\na2\t-1\na3\t\t1\na4\t-1',  # Tabs, and no line end at the end.
        b'\xef\xbb\xbfa1 1\r\na2 -1\r\n\r\na3 1\r\na4 -1',
        b'a1 1\ra2 -1\ra3 1\ra4 -1\r',
        b'a1.avi +1\n A2.AVI   -1  \na3.avi, 1\nA4 -1\n',
        b'A1;1\na2;-1\na3; 1\na4;-1',
    ],
)
def test_lists_as_other_systems_write_them(tmp_path, lines):
    found, told = lines_of(
        tmp_path, Kiss_train__txt=lines, Run_train__TXT=b'a2 1\na1 -1', EAT_Train__txt=b'a2  1\n'
    )
    assert told == []
    # Clips are called as their videos are.
    assert found == {
        ('train', 'A3'): ('Kiss',), ('train', 'a1'): ('Kiss',), ('train', 'a2'): ('Eat', 'Run'),
        ('train', 'a4'): (),
    }  # fmt: skip


def test_lines_that_say_something_else_are_rejected_one_by_one(tmp_path):
    lines = b'a1 1\na2\na3 2\n1 a4\na4 1 1\na2 1\n'
    found, told = lines_of(tmp_path, Kiss_test__txt=lines)
    assert found == {('test', 'a1'): ('Kiss',), ('test', 'a2'): ('Kiss',)}
    assert [entry for entry in told if 'Kiss' in entry[0]] == [
        (f'ClipSets/Kiss_test.txt:{line}', f'not a clip and 1 or -1: {text}')
        for line, text in ((2, 'a2'), (3, 'a3 2'), (4, '1 a4'), (5, 'a4 1 1'))
    ]
    assert [entry[0] for entry in told[4:]] == ['AVIClips/A3.Avi', 'AVIClips/a4.avi']
