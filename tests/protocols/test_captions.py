import json

import numpy as np
import pytest

from cpad_jax import eval as evaluation
from cpad_jax import train
from cpad_jax.commands import build_dataset
from cpad_jax.errors import UserError
from cpad_jax.methods.conditions import Condition
from cpad_jax.protocols import captions
from cpad_jax.ranking import method
from cpad_jax.training import configs
from tests.support.named_instances import write_this_is_my

PEOPLE = [{'person_id': 'i0', 'name': 'Bob'}, {'person_id': 'i1', 'name': "Ann's dog"},
          {'person_id': 'i2', 'name': 'Unseen'}]  # fmt: skip
CLIPS = [
    {'clip_id': clip_id, 'people': [{'person_id': who} for who in shown]}
    for clip_id, shown in (('a', ['i1']), ('b', ['i0', 'i1']), ('c', []), ('d', ['i0']))
]
CAPTIONS = [
    {'caption': 'a man is holding * near a tree', 'person_id': 'i1', 'clip_id': 'b'},
    {'caption': '* is crossing a road', 'person_id': 'i0', 'clip_id': 'd'},
    {'caption': '* is gone', 'person_id': 'i0', 'clip_id': 'unreadable'},
]
CATEGORIES = {'i0': 'man', 'i1': 'dog', 'i2': 'hat'}


def asked():
    return captions.build_queries(CLIPS, PEOPLE, CAPTIONS, CATEGORIES, 'an image of *')


def test_instances_are_asked_for_alone_and_in_captions():
    assert [(q.query_id, q.relevant) for q in asked()] == [
        ('named instance/i0', (1, 3)), ('named instance/i1', (0, 1)),
        ('caption/i1/b', (1,)), ('caption/i0/d', (3,)),
    ]  # fmt: skip
    query = asked()[2]
    assert query.text(True, True) == "a man is holding Ann's dog [TOK] near a tree"
    assert query.text(False, True) == 'a man is holding [TOK] near a tree'
    assert query.text(True, False) == "a man is holding Ann's dog near a tree"
    assert query.text(False, False) == 'a man is holding dog near a tree'
    assert asked()[0].text(False, True) == 'an image of [TOK]'


class Model:
    """Finds clip 0 for plain words, and for [TOK] the clip that stands behind it."""

    def encode_query(self, text, person):
        assert (person is None) != ('[TOK]' in text)
        return np.eye(4, dtype=np.float32)[0 if person is None else person]


CONDITIONS = [
    Condition(method.CLIP, False, lambda person_id: None),
    Condition(method.PAD_IMAGE, True, {'i0': 3, 'i1': 1}.get),
]


def test_metrics_by_hand():
    ranks = captions.search(Model(), np.eye(4, dtype=np.float32), asked(), CONDITIONS)
    # Clips that are no nearer than others stand behind them.
    assert [own.tolist() for own in ranks['CLIP/text']] == [[3, 4], [1, 4], [4], [4]]
    assert [own.tolist() for own in ranks['CLIP-PAD/image fine-tuned']] == [
        [1, 4], [1, 4], [1], [1],
    ]  # fmt: skip
    rows = captions.result_rows(asked(), CONDITIONS, ranks, {'num_clips': 4}, 50, 0)
    cells = {(row['scenario'], row['method']): row for row in rows}
    assert cells['named instance', 'CLIP']['mrr'] == pytest.approx((1 / 3 + 1) / 2)
    assert cells['named instance', 'CLIP']['map'] == pytest.approx(
        ((1 / 3 + 2 / 4) / 2 + (1 + 2 / 4) / 2) / 2
    )
    assert cells['caption', 'CLIP']['mrr'] == 0.25 and cells['caption', 'CLIP']['hit@5'] == 1
    assert cells['caption', 'CLIP-PAD']['mrr'] == 1 and cells['caption', 'CLIP-PAD']['fine_tuned']
    assert cells['caption', 'CLIP']['num_people'] == 2
    text = '\n'.join(table.text() for table in captions.tables(rows))
    (line,) = [line for line in text.splitlines() if line.startswith('CLIP, text')][1:]
    assert line.split()[-3:] == ['25.0±0.0', '100.0±0.0', '25.0±0.0']
    assert 'caption: 2 queries, 4 clips' in text


def parsed(*overrides):
    return configs.parse(['--config', 'configs/this_is_my.py:testing', *overrides]).config


def test_words_without_a_place_for_the_instance_are_refused(tmp_path):
    with pytest.raises(UserError, match="named is 'a photo', expected words with"):
        evaluation.evaluate(parsed('--config.eval.captioned.named=a photo'), tmp_path)


def test_it_searches_with_what_another_configuration_learned():
    config = configs.parse(['--config', 'configs/this_is_my.py']).config
    assert (config.name, config.eval.data.name) == ('vggface2', 'this_is_my')


@pytest.mark.slow
def test_from_end_to_end(tmp_path, capsys):
    manual = write_this_is_my(tmp_path / 'manual')
    arguments = f'this_is_my --manual_dir {manual} --data_dir {tmp_path / "data"} --processes 1'
    build_dataset.main(arguments.split())
    workdir = ['--workdir', str(tmp_path / 'run')]
    train.main(['--config', 'configs/testing.py', *workdir])
    command = ['--config', 'configs/this_is_my.py:testing', *workdir,
               f'--config.eval.data.dir={tmp_path / "data"}']  # fmt: skip
    evaluation.main(command)
    rows = json.loads((tmp_path / 'run' / 'eval' / 'captioned.json').read_text())
    assert {(row['scenario'], row['num_queries'], row['num_clips']) for row in rows} == {
        ('named instance', 2, 3), ('caption', 2, 3),
    }  # fmt: skip
    assert 'CLIP-PAD, text+image, fine-tuned' in capsys.readouterr().out
    with pytest.raises(UserError, match='has no captions; give one that has'):
        evaluation.main([*command[:4], '--config.eval.data.name=synthetic_cast'])
