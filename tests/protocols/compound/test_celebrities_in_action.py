"""From archives to results: Celebrities in Action built, learned from and searched."""

import json

import pytest

from cpad_jax import eval as evaluation
from cpad_jax import train
from cpad_jax.data import build, readers
from cpad_jax.errors import UserError
from cpad_jax.protocols.compound import evaluate, queries
from cpad_jax.ranking.query import SCENARIOS
from cpad_jax.training import configs
from tests.support.clip_archives import row, write_avi, write_hollywood2_lists, write_table
from tests.support.photo_archives import write_vggface2

PEOPLE = [(f'n{number}', f'Person Number{number}') for number in range(5)]
TITLES = {'one': 'train', 'two': 'test', 'three': 'test'}
DOING = (('Kiss', 'INT-kitchen'), ('Eat', 'EXT-road'))
FACE = [0.25, 0.25, 0.75, 7 / 12]


@pytest.fixture(scope='module')
def manual(tmp_path_factory):
    """Everybody kisses in a kitchen and eats on a road, in each of three films."""
    manual = tmp_path_factory.mktemp('manual')
    clips, rows = {}, []
    for title in TITLES:
        for person_id, name in PEOPLE:
            for action, place in DOING:
                clip = f'actioncliptest{len(rows):05}'
                clips[clip] = {action}
                write_avi(manual / 'Hollywood2' / 'AVIClips' / f'{clip}.avi', frames=10)
                person = (person_id, name, {0.0: FACE}, {})
                rows.append(row(clip, title, [person], place=place))
    write_hollywood2_lists(manual / 'Hollywood2', {'test': clips}, {})
    write_table(manual / 'annotations.jsonl', rows)
    (manual / 'splits.json').write_text(json.dumps(TITLES))
    return manual


def built(manual, data, **options):
    build.prepare(build.CELEBRITIES_IN_ACTION, data, manual, processes=1, **options)
    return data


@pytest.fixture(scope='module')
def data(manual, tmp_path_factory):
    return built(manual, tmp_path_factory.mktemp('data'))


def test_queries_take_references_from_other_titles_than_their_clips(data):
    paths = build.locate({'name': 'celebrities_in_action', 'dir': str(data)}, '')
    clips = readers.ClipReader(paths.clips, 'test')
    photos = {}
    for photo in readers.IdentityReader(paths.identities, 'references'):
        photos.setdefault(f'n{photo["identity"]}', []).append(photo)
    people = {person['person_id']: person for person in paths.read_people()}
    asked = queries.build_queries(
        list(clips), people, photos, min_distractors=2,
        actions=clips.actions, places=clips.places, relevance=clips.relevance,
    )  # fmt: skip
    # Five people, and for each of them two actions, two places and two of both.
    assert len(asked) == 5 * 6
    found = {query.query_id: query for query in asked}
    query = found['action+place/n3/Kiss/INT-kitchen']
    assert (query.name, query.seen) == ('Person Number3', True)
    assert [(clips[n]['title'], clips[n]['place']) for n in query.relevant] == [
        ('two', 5), ('three', 5),
    ]  # fmt: skip
    sources = {p['image_id']: p['source'] for own in photos.values() for p in own}
    assert sorted(sources.values()) == ['one'] * 5 + ['three'] * 10 + ['two'] * 10
    for query in asked:
        assert [sources[image] for image in query.references] == ['one']


@pytest.mark.slow
def test_training_and_evaluation_take_the_data_set(manual, data, tmp_path, capsys):
    config = configs.load('configs/testing.py')
    config.data.name, config.data.dir = 'celebrities_in_action', str(data)
    config.train.images_per_person = 1
    train.train(config, tmp_path)
    rows = json.loads((tmp_path / 'eval' / 'results.json').read_text())
    assert {
        (r['dataset'], r['seed'], r['split'], r['relevance'], r['num_clips']) for r in rows
    } == {('celebrities_in_action', None, 'test', 'clip', 20)}
    assert {(r['scenario'], r['people'], r['num_queries']) for r in rows} == {
        (scenario, people, 10) for scenario in SCENARIOS for people in ('all', 'seen')
    }
    said = capsys.readouterr().out
    assert 'celebrities_in_action 1.0.0: 20 clips; queries: 10 action, 10 place' in said
    assert 'all people of a clip count as doing what is done in it' in said

    # Without titles of train nobody is seen, and the table is of the unseen.
    splits = tmp_path / 'splits.json'
    splits.write_text(json.dumps(TITLES | {'one': 'validation'}))
    config.data.dir = str(built(manual, tmp_path / 'data', splits=splits))
    evaluation.evaluate(config, tmp_path)
    rows = json.loads((tmp_path / 'eval' / 'results.json').read_text())
    assert {r['people'] for r in rows} == {'all', 'unseen'}


@pytest.fixture(scope='module')
def faces(tmp_path_factory):
    """Two of the five people by their names, two others; a third is in the split test."""
    copy = write_vggface2(
        tmp_path_factory.mktemp('vggface2'),
        {
            'n000002': 'Person_Number0', 'n000003': 'Other_One', 'n000004': 'PERSON_Number3',
            'n000005': 'Other_Two',
        },
        {'n000001': 'Person_Number1'},
    )  # fmt: skip
    data = tmp_path_factory.mktemp('faces')
    build.prepare('vggface2', data, copy)
    return data


def test_people_of_vggface2_are_searched_in_celebrities_in_action(
    data, faces, tmp_path, capsys, monkeypatch
):
    arguments = [
        '--config', 'configs/testing.py', '--config.train.steps=4', '--config.data.name=vggface2',
        f'--config.data.dir={faces}', '--config.eval.data.name=celebrities_in_action',
    ]  # fmt: skip
    # Said before anything is learned: it is not in the folder that training data lies in.
    with pytest.raises(
        UserError, match=r'celebrities_in_action.*cpad-build-dataset celeb'
    ) as error:
        train.train(configs.parse(arguments).config, tmp_path)
    assert '\n' not in str(error.value)
    assert {path.name for path in tmp_path.iterdir()} == {'config.json'}

    asked, rank_all = [], evaluate.rank_all
    monkeypatch.setattr(
        evaluate, 'rank_all', lambda *given: [asked.extend(given[1]), rank_all(*given)]
    )
    config = configs.parse([*arguments, f'--config.eval.data.dir={data}']).config
    train.train(config, tmp_path)
    said = capsys.readouterr()
    assert '5/5 evaluation on celebrities_in_action' in said.err
    assert (
        '2 of 5 people of celebrities_in_action are among the 4 learned from vggface2' in said.err
    )
    rows = json.loads((tmp_path / 'eval' / 'results.json').read_text())
    assert {(r['dataset'], r['seed'], r['num_clips']) for r in rows} == {
        ('celebrities_in_action', None, 20)
    }
    # Of each person two queries in each scenario. Whether a CLIP without learning has read a name
    # is chance, and differs between machines.
    people = {(r['people'], r['num_queries'], r['num_people']) for r in rows}
    assert people >= {('all', 10, 5), ('seen', 4, 2), ('unseen', 6, 3)}
    named = {r['people']: r['num_people'] for r in rows if r['people'] in ('read', 'unread')}
    assert sum(named.values()) == 2
    # As training wrote the name, under which the memory keeps the face.
    assert {q.name for q in asked if q.seen} == {'Person Number0', 'PERSON Number3'}
