import collections
import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from cpad_jax.data import build, readers, records, video_clips
from cpad_jax.data import celebrities_in_action as celebrities
from cpad_jax.data import hollywood2 as data_hollywood2
from cpad_jax.data.video_clips import AnnotationTable
from cpad_jax.errors import UserError
from cpad_jax.media import images
from tests.support.clip_archives import (
    CELEBRITIES,
    FACE,
    LARGE,
    SPLITS,
    Dropped,
    row,
    write_avi,
    write_celebrities,
    write_hollywood2,
    write_table,
    write_tv,
)


@pytest.fixture(scope='module')
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp('manual')
    return (
        write_hollywood2(folder),
        write_tv(folder),
        write_table(folder / 'table.jsonl', CELEBRITIES),
    )


def plan(sources, splits=None):
    dropped = Dropped()
    hollywood2, tv, table = sources
    chosen = celebrities.Splits(Path('splits.json'), splits) if splits else None
    made = celebrities.plan(hollywood2, tv, AnnotationTable(table), chosen, dropped)
    return made, [(where.rsplit('/', 1)[-1], why) for where, why in dropped]


def test_both_sources_and_the_table_are_joined(sources):
    made, _ = plan(sources, SPLITS)
    names = celebrities.ACTIONS
    assert {
        split: [
            (c.clip_id, c.source, c.title, [names[a] for a in c.actions], c.place) for c in clips
        ]
        for split, clips in made.clips.items()
    } == {
        'train': [
            (
                'actioncliptrain00001',
                'movie',
                'casablanca',
                ['HugPerson', 'Kiss', 'HighFive'],
                2,
            ),
            ('scenecliptest00001', 'movie', 'casablanca', [], 5),
        ],
        'validation': [('handShake_0001', 'show', 'lost', ['HandShake'], -1)],
        'test': [('actioncliptest00001', 'movie', 'notorious', ['StandUp'], -1)],
    }
    assert made.people == [('n1', 'Ingrid Bergman'), ('n2', 'Humphrey Bogart'), ('n3', 'Kate')]
    people = {c.clip_id: c.people for clips in made.clips.values() for c in clips}
    assert [
        (p['person_id'], p['identity'], [names[a] for a in p['actions']], p['target'])
        for p in people['actioncliptrain00001']
    ] == [('n1', 0, ['Kiss', 'HighFive'], -1), ('n2', 1, ['HugPerson'], 0)]
    # Her partner in the handshake has no name, so nobody can ask for him, and he is no target.
    assert [
        (p['name'], [names[a] for a in p['actions']], p['target']) for p in people['handShake_0001']
    ] == [('Kate', ['HandShake'], -1)]


def test_clips_without_annotation_and_rows_without_clip_are_told(sources):
    _, dropped = plan(sources, SPLITS)
    told = dict(dropped)
    left_out = 'a clip that the annotation table leaves out: '
    assert told['AnswerPhone_train.txt:2'] == f'{left_out}actioncliptrain00002'
    assert told['hug_0002.avi'] == f'{left_out}hug_0002'
    assert told['table.jsonl:6'] == 'a row without its clip: nowhere'
    # Its labels were read off a script.
    assert told['table.jsonl:5'] == (
        'a row of a clip of autotrain, whose labels are unchecked: actionclipautoautotrain00001'
    )
    missing = sum(why.startswith(left_out) for _, why in dropped)
    assert missing == 3 + 1 + 4  # Of actions, of places and of TV.


def test_a_row_of_nobody_is_a_clip_of_nobody(sources, tmp_path):
    rows = [*CELEBRITIES, row('actioncliptest00002', 'notorious')]
    made, dropped = plan((*sources[:2], write_table(tmp_path / 'table.jsonl', rows)), SPLITS)
    assert [(clip.clip_id, len(clip.people)) for clip in made.clips['test']] == [
        ('actioncliptest00001', 1),
        ('actioncliptest00002', 0),
    ]
    assert not any('actioncliptest00002' in why for _, why in dropped)


def test_relevance_is_the_clips_where_anybodys_actions_are_unknown(sources, tmp_path):
    assert plan(sources, SPLITS)[0].relevance == 'clip'
    rows = [dict(line) for line in CELEBRITIES]
    rows[1] = row(
        'actioncliptest00001', 'notorious', [('n1', 'Ingrid Bergman', {}, {'actions': []})]
    )
    known = (*sources[:2], write_table(tmp_path / 'table.jsonl', rows))
    assert plan(known, SPLITS)[0].relevance == 'person'


def test_no_title_stands_in_two_splits(sources):
    made, _ = plan(sources)
    assert {title for clips in made.clips.values() for title in (c.title for c in clips)} == {
        *SPLITS
    }
    for split, clips in made.clips.items():
        assert {celebrities.split_of(clip.title) for clip in clips} <= {split}
    # The draw is of the title alone, so these never change.
    assert {title: celebrities.split_of(title) for title in TITLES} == TITLES
    count = collections.Counter(celebrities.split_of(f'movie{n}') for n in range(1000))
    assert {split: round(n / 1000, 1) for split, n in count.items()} == {
        'train': 0.4, 'validation': 0.1, 'test': 0.5,
    }  # fmt: skip


TITLES = {'casablanca': 'train', 'lost': 'validation', 'friends_s01': 'test', 'fargo': 'train'}


def test_splits_can_be_chosen(sources, tmp_path):
    path = tmp_path / 'splits.json'
    path.write_text(json.dumps(SPLITS))
    assert celebrities.read_splits(path) == celebrities.Splits(path, SPLITS)
    says = r"splits.json: the title 'lost' is not in it; add it .* validation, test$"
    with pytest.raises(UserError, match=says):
        plan(sources, {'casablanca': 'test', 'notorious': 'test'})
    with pytest.raises(UserError, match="'lost' is not in it; .* which no row has: 'lsot'"):
        plan(sources, {'casablanca': 'test', 'notorious': 'test', 'lsot': 'test'})
    # The rows of heat are without their clips, and that is told already.
    _, dropped = plan(sources, {**SPLITS, 'heat': 'test', 'lsot': 'test'})
    assert [why for where, why in dropped if where == 'splits.json'] == [
        'a title that no row of the annotation table has: lsot'
    ]
    for text, says in (
        ('{"lost": "dev"}', "'lost' is 'dev', expected one of train, validation, test"),
        ('[]', 'this is list, expected an object'),
        (
            '{"lost": "train", "heat": "test", "lost": "test"}',
            f"{path}: this is not JSON .the name 'lost' occurs twice",
        ),
        ('{', 'this is not JSON'),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=says):
            celebrities.read_splits(path)
    with pytest.raises(UserError, match='no such file of splits'):
        celebrities.read_splits(tmp_path / 'none.json')


def test_faces_are_cut_where_they_are_largest(sources):
    made, _ = plan(sources, SPLITS)
    dropped = Dropped()
    cut = {
        split: list(celebrities.Faces(photos, 1).records(dropped))
        for split, photos in made.photos.items()
    }
    # Two clips of one train title: the larger face is a reference, the other one to learn from.
    assert {
        split: [(r['image_id'], r['identity'], r['name'], r['source']) for r in own]
        for split, own in cut.items()
    } == {
        'train': [('scenecliptest00001/0', 0, 'Ingrid Bergman', 'casablanca')],
        'references': [
            ('actioncliptrain00001/0', 0, 'Ingrid Bergman', 'casablanca'),
            ('actioncliptest00001/0', 0, 'Ingrid Bergman', 'notorious'),
        ],
    }
    assert sorted(why for _, why in dropped) == [
        'a face smaller than 24 pixels: Humphrey Bogart in actioncliptrain00001, 12x13 pixels',
        'a face smaller than 24 pixels: Kate in handShake_0001, 10x6 pixels',
    ]
    largest = images.decode_jpeg(cut['references'][0]['image'])
    assert largest.shape == (224, 224, 3)
    # The middle of the box is that of the ramp (50), and at 1.0 s comes frame 25.
    assert abs(float(largest[112, 105:119].mean()) - (50 + 4 * 25)) < 4
    # 48x32 pixels in a square of 48 * 1.3.
    side = 48 * 1.3
    np.testing.assert_allclose(
        cut['references'][0]['bbox'],
        np.array([1 - 32 / side, 1 - 48 / side, 1 + 32 / side, 1 + 48 / side]) / 2,
        atol=1e-6,
    )
    assert made.is_seen() == [True, False, False]


def test_a_title_gives_few_references_and_trains_on_the_rest(tmp_path):
    def clip(number, title, size):
        person = video_clips.person_in_clip('n1', 'Ada', (), -1, [0], [[0, 0, size, size]])
        return video_clips.ClipPlan(
            tmp_path, tmp_path, None, f'{title}{number:02}', 'movie', title, (), -1, (person,), True
        )

    clips = [clip(n, title, 0.1 + 0.01 * n) for title in ('a', 'b') for n in range(14)]
    chosen = celebrities._choose_photos(clips, {'a': 'train', 'b': 'test'})
    ids = {split: [face.plan.clip_id for face in own] for split, own in chosen.items()}
    assert ids['references'] == [
        'a13', 'a11', 'a09', 'a07', 'a05', 'b13', 'b12', 'b11', 'b10', 'b09',
    ]  # fmt: skip
    assert ids['train'] == ['a12', 'a10', 'a08', 'a06', 'a04', 'a03', 'a02', 'a01', 'a00']


def test_the_fingerprint_is_of_what_the_data_are(sources, tmp_path):
    made, _ = plan(sources, SPLITS)
    assert plan(sources, SPLITS)[0].fingerprint == made.fingerprint
    assert plan(sources, {**SPLITS, 'lost': 'train'})[0].fingerprint != made.fingerprint
    rows = json.loads(json.dumps(CELEBRITIES))
    rows[0]['people'][0]['boxes'][0][0] = 0.3
    moved = (*sources[:2], write_table(tmp_path / 'table.jsonl', rows))
    assert plan(moved, SPLITS)[0].fingerprint != made.fingerprint


def test_a_table_of_other_clips_is_refused(sources, tmp_path):
    table = write_table(tmp_path / 'table.jsonl', CELEBRITIES[-1:])
    with pytest.raises(UserError, match='none of the 12 clips is in the annotation table; write'):
        plan((*sources[:2], table))


def test_one_source_is_enough(sources):
    made, _ = plan((None, *sources[1:]))
    assert [c.clip_id for clips in made.clips.values() for c in clips] == ['handShake_0001']


def test_processes_make_the_same(sources, tmp_path):
    made, _ = plan(sources, SPLITS)
    clips = made.clips['train']
    broken = tmp_path / 'broken.avi'
    write_avi(broken)
    broken.write_bytes(broken.read_bytes()[:2000])
    clips = [clips[0], dataclasses.replace(clips[1], video=broken, file='list', line=3), clips[1]]

    def made_by(processes):
        dropped = Dropped()
        return repr(list(video_clips.Clips(clips, 13, 10, processes).records(dropped))), dropped

    assert made_by(1) == made_by(2)
    assert [where for where, _ in made_by(1)[1]] == ['list:3']


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    """The data set as the builder writes it: (folder of archives, folder of data sets)."""
    manual = write_celebrities(tmp_path_factory.mktemp('archives'))
    data = tmp_path_factory.mktemp('data')
    build.prepare('celebrities_in_action', data, manual, processes=1)
    return manual, data


def test_what_was_built_is_found_and_read(built):
    manual, data = built
    paths = build.locate({'name': 'celebrities_in_action', 'dir': str(data)}, manual)
    assert [(p['person_id'], p['name'], p['seen'], p['gender']) for p in paths.read_people()] == [
        ('n1', 'Ingrid Bergman', True, ''),
        ('n2', 'Humphrey Bogart', False, ''),
        ('n3', 'Kate', False, ''),
    ]
    clips = readers.ClipReader(paths.clips, 'train')
    assert (clips.relevance, clips.actions, len(clips)) == ('clip', celebrities.ACTIONS, 2)
    record = clips[0]
    records.check_clip(record, 13, 10)
    assert (record['clip_id'], record['actions'], record['place']) == (
        'actioncliptrain00001', [6, 7, 12], 2,
    )  # fmt: skip
    np.testing.assert_allclose(record['people'][0]['tracks']['boxes'], [FACE, LARGE])
    assert readers.ClipReader(paths.clips, 'validation')[0]['place'] == -1
    photos = readers.IdentityReader(paths.identities, 'references')
    assert [(photo['image_id'], photo['source']) for photo in photos] == [
        ('actioncliptrain00001/0', 'casablanca'),
        ('actioncliptest00001/0', 'notorious'),
    ]
    listed = (paths.clips / 'rejection_log.txt').read_text().splitlines()
    line = f'{manual}/Hollywood2/ClipSets/Kiss_train.txt:7: not a clip and 1 or -1: '
    assert f'{line}actioncliptrain00005 yes' in listed and len(listed) == len(set(listed))
    # Two faces are too small.
    assert len((paths.identities / 'rejection_log.txt').read_text().splitlines()) == len(listed) + 2
    assert photos.features['identity'].names == ['n1', 'n2', 'n3']


def test_another_table_is_refused(built, tmp_path):
    manual, data = built[0], shutil.copytree(built[1], tmp_path / 'data')
    folder = data / 'celebrities_in_action'
    rows = json.loads(json.dumps(CELEBRITIES))
    rows[0]['title'] = 'notorious'
    table = write_table(tmp_path / 'other.jsonl', rows)
    both = f'delete {folder}/identities/1.0.0 and {folder}/clips/1.0.0 to build it again'
    with pytest.raises(UserError, match=both):
        build.prepare('celebrities_in_action', data, manual, annotations=table)
    shutil.rmtree(folder / 'identities')
    with pytest.raises(UserError, match=f'delete {folder}/clips/1.0.0 to build it again'):
        build.prepare('celebrities_in_action', data, manual, annotations=table)
    # A part alone, beside one of another table.
    with pytest.raises(UserError, match='this was built of other clips, another annotation table'):
        build.prepare(
            'celebrities_in_action', data, manual, parts=('identities',), annotations=table
        )
    assert not (folder / 'identities').exists() and (folder / 'clips').exists()
    with pytest.raises(
        UserError, match='the data set is not there, or was not finished; .cpad-build-dataset'
    ):
        build.locate({'name': 'celebrities_in_action', 'dir': str(data)}, manual)


def test_what_is_missing_is_told(tmp_path):
    (tmp_path / 'manual').mkdir()
    (tmp_path / 'manual' / 'x').touch()
    for name, says in (
        ('hollywood2', 'Hollywood2 is not there; get Hollywood2-actions'),
        ('tv_human_interactions', 'TV Human Interactions is not there; get the videos'),
        ('celebrities_in_action', 'neither clips of films nor of shows; this data set is'),
    ):
        with pytest.raises(UserError, match='nothing: there is no such folder. '):
            build.prepare(name, tmp_path / 'data', tmp_path / 'nothing')
        with pytest.raises(UserError, match=says):
            build.prepare(name, tmp_path / 'data', tmp_path / 'manual')
    write_tv(tmp_path / 'manual')
    with pytest.raises(UserError, match='annotations.jsonl: there is no annotation table; name an'):
        build.prepare(name, tmp_path / 'data', tmp_path / 'manual')
    with pytest.raises(UserError, match='has clips, which are not built by Apache Beam'):
        build.prepare(name, tmp_path / 'data', tmp_path / 'manual', 'runner=DirectRunner')


def test_an_interrupted_build_goes_on_with_what_was_decoded(sources, tmp_path, monkeypatch):
    hollywood2, tv, _ = sources
    manual, data = hollywood2.parent, tmp_path / 'data'
    whole, decoded = video_clips.sample_clip, []

    def breaks(path):
        if len(decoded) == 2:
            raise KeyboardInterrupt
        decoded.append(path.stem)
        return whole(path)

    monkeypatch.setattr(video_clips, 'sample_clip', breaks)
    with pytest.raises(KeyboardInterrupt):
        build.prepare('tv_human_interactions', data, manual, processes=1)
    assert decoded == ['hug_0002', 'kiss_0009']
    decoded.append('')  # From now on nothing breaks.
    paths = build.prepare('tv_human_interactions', data, manual, processes=1)
    assert decoded[3:] == ['negative_0050', 'handShake_0001', 'negative_0051']
    kept = readers.ClipReader(paths.clips, 'set1')[1]
    frames, times = whole(tv[0] / 'kiss_0009.avi')
    assert kept['frames'] == frames
    np.testing.assert_array_equal(kept['times'], times)
    assert not build.unfinished(paths.folder, 'clips').exists()
    data = {'name': 'tv_human_interactions', 'dir': str(data)}
    assert build.locate(data, '') == paths and paths.part('clips') == paths.clips
    with pytest.raises(UserError, match='has no identities, only clips; give another one as conf'):
        paths.part('identities')


def test_kept_frames_are_of_the_same_video(sources, tmp_path, capsys):
    made, _ = plan(sources, SPLITS)
    (clip,) = made.clips['test']
    video = tmp_path / 'video.avi'
    clip = dataclasses.replace(clip, video=video)
    counts = []
    for frames in (25, 50):
        write_avi(video, frames)
        (record,) = video_clips.Clips([clip], 13, 10, 1, tmp_path / 'keep').records(Dropped())
        counts.append(len(record['frames']))
    assert counts == [2, 4]
    # Damaged, they are decoded again, and it is told.
    (kept,) = (tmp_path / 'keep').iterdir()
    whole = kept.read_bytes()
    for damaged in (b'', whole[:-50], whole.replace(b'times', b'timed')):
        kept.write_bytes(damaged)
        capsys.readouterr()
        (again,) = video_clips.Clips([clip], 13, 10, 1, tmp_path / 'keep').records(Dropped())
        assert again['frames'] == record['frames']
        said = capsys.readouterr().err
        assert said.startswith(f'{kept} is damaged (') and said.count('\n') == 1
        assert kept.read_bytes() == whole


@pytest.mark.parametrize('end', ['\n', '\r\n', '\n\n  \n'])
def test_tables_as_other_systems_write_them(tmp_path, end):
    manual = write_celebrities(tmp_path)
    for name in ('annotations.jsonl', 'splits.json'):
        text = (manual / name).read_text().replace('Ingrid', 'I\u00f1grid').rstrip('\n')
        (manual / name).write_bytes(('\ufeff' + text.replace('\n', end)).encode())
    for path in (manual / 'Hollywood2' / 'AVIClips').glob('actioncliptrain00001.avi'):
        path.rename(path.with_suffix('.AVI'))
    made = celebrities.plan(
        data_hollywood2.find(manual), None, AnnotationTable(manual / 'annotations.jsonl'),
        celebrities.read_splits(manual / 'splits.json'), Dropped(manual),
    )  # fmt: skip
    assert [name for _, name in made.people] == ['I\u00f1grid Bergman', 'Humphrey Bogart']
    assert [clip.clip_id for clip in made.clips['train']] == [
        'actioncliptrain00001', 'scenecliptest00001',
    ]  # fmt: skip
    assert made.clips['train'][0].video.suffix == '.AVI'
    assert [clip.clip_id for clip in made.clips['test']] == ['actioncliptest00001']


def test_nobody_is_seen_whose_photos_to_learn_from_could_not_be_had(tmp_path):
    manual = write_celebrities(tmp_path / 'archives')
    # The only face that Ingrid would be learned from is in a video that is cut off.
    video = manual / 'Hollywood2' / 'AVIClipsScenes' / 'scenecliptest00001.avi'
    video.write_bytes(video.read_bytes()[:1000])
    rows = [dict(row) for row in CELEBRITIES]
    # And somebody else is learned, or there would be no split to learn from.
    rows.append(row('scenecliptest00002', 'casablanca', [('n3', 'Kate', {0.0: FACE}, {})]))
    rows.append(row('actioncliptrain00002', 'casablanca', [('n3', 'Kate', {0.0: FACE}, {})]))
    write_table(manual / 'annotations.jsonl', rows)
    paths = build.prepare('celebrities_in_action', tmp_path / 'data', manual, processes=1)
    expected = [('Ingrid Bergman', False), ('Humphrey Bogart', False), ('Kate', True)]
    for part in paths.parts.values():
        people = json.loads((part / 'people.json').read_text())
        assert [(person['name'], person['seen']) for person in people] == expected


@pytest.mark.parametrize('other', ['Casablanca', 'casablanca ', 'Casa_Blanca', 'casablancá'])
def test_a_title_that_is_spelled_in_two_ways_is_refused(sources, tmp_path, other):
    rows = [dict(row) for row in CELEBRITIES]
    rows[2]['title'] = other
    table = AnnotationTable(write_table(tmp_path / 'table.jsonl', rows))
    says = (
        r"table.jsonl: '[Cc]asa.*' and '[Cc]asa.*' seem to be one title, whose clips could be in "
    )
    with pytest.raises(UserError, match=says):
        celebrities.plan(sources[0], None, table, None, Dropped())
    # Numbers tell seasons apart.
    rows[2]['title'], rows[1]['title'] = 'casablanca 1 2', 'casablanca 12'
    table = AnnotationTable(write_table(tmp_path / 'table.jsonl', rows))
    assert celebrities.plan(sources[0], None, table, None, Dropped()).clips
