import types

import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.methods.fusion import FusedScorer
from cpad_jax.ranking import method
from cpad_jax.ranking.query import Query
from cpad_jax.ranking.zscore import zscore
from tools import calibrate_fusion

# Six clips; words like the first three best, faces the last three.
WORDS = np.array([1.0, 0.9, 0.8, 0.2, 0.1, 0.0])
SEEN = np.array([0.0, 0.2, 0.9, 0.9, 0.8, 1.0])


def query(number, seen, scenario='action'):
    return Query(str(number), scenario, 'ada', 'Ada', seen, 'Eat', None, (number,), ())


def saying(scores):
    return lambda some: np.tile(zscore(scores), (len(some), 1))


ROW = FusedScorer(
    method.Method('late fusion', method.IMAGE), (saying(WORDS), saying(SEEN)), (1.0, 99.0)
)


def test_every_weight_is_tried_and_hits_are_counted_by_cell():
    queries = [query(2, True), query(0, True), query(5, False), query(5, True, 'place')]
    tried = calibrate_fusion.try_all(ROW, queries, (0.0, 1.0, 50.0))
    listed = {
        weights: {name: hits.tolist() for name, hits in result.items()}
        for weights, result in tried.items()
    }
    assert listed == {
        # By words alone the first clip stands first, and the last one sixth.
        (0.0,): {'action, seen': [0.5, 1], 'action, unseen': [0, 0], 'place, seen': [0, 0]},
        (1.0,): {'action, seen': [0.5, 1], 'action, unseen': [0, 1], 'place, seen': [0, 1]},
        (50.0,): {'action, seen': [0, 0.5], 'action, unseen': [1, 1], 'place, seen': [1, 1]},
    }  # fmt: skip
    text, options = calibrate_fusion.render('late_fusion', tried)
    assert options == '--config.eval.late_fusion.faces=50.0'
    name, head, *lines = text.splitlines()
    assert name == 'late_fusion' and head.split() == (
        'faces action, seen action, unseen place, seen mean @1 mean @5'.split()
    )
    assert [line.split() for line in lines] == [
        ['0.00', '0.500', '0.000', '0.000', '0.167', '0.333'],
        ['1.00', '0.500', '0.000', '0.000', '0.167', '1.000'],
        ['50.00', '0.000', '1.000', '1.000', '0.667', '0.833', 'best'],
    ]
    assert len({len(line.removesuffix('  best')) for line in (head, *lines)}) == 1


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(UserError, match='train first'):
        calibrate_fusion.main(['--config', 'configs/testing.py', '--workdir', str(tmp_path)])


def test_keys_are_those_of_the_configuration():
    config = calibrate_fusion.configs.load('configs/quickstart.py')
    for name, keys in calibrate_fusion.KEYS.items():
        assert tuple(sorted(keys)) == tuple(sorted(config.eval[name]))


def test_the_temperature_with_the_greatest_sum_is_chosen(monkeypatch):
    queries = [query(2, True), query(5, False)]

    def bank(model, gallery, kind, temperature):
        # At 0.5 what is done tells the answer; else it says nothing.
        assert kind == 'closed'
        printed = np.eye(6) if temperature == 0.5 else np.zeros((6, 6))
        return lambda some: np.stack([zscore(printed[q.relevant[0]]) for q in some])

    monkeypatch.setattr(calibrate_fusion.querybank, 'QueryBank', bank)
    row = types.SimpleNamespace(make=lambda context: ROW)
    monkeypatch.setattr(calibrate_fusion.fusion, 'ROWS', {'late_fusion_closed': row})
    setting = types.SimpleNamespace(model=None, plain_gallery=None)
    text, best = calibrate_fusion.best_temperature(setting, 'closed', queries, (0.1, 0.5, 0.9))
    assert best == 0.5 and len(text.splitlines()) == 4
