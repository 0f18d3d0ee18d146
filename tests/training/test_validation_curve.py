import numpy as np
import pytest

from cpad_jax.training import validation_curve


def test_scores_by_hand():
    true = np.array([[True, False, True, False], [False, True, False, False]])
    scores = np.array([[0.9, 0.8, 0.7, 0.1], [0.5, 0.4, 0.3, 0.2]])
    # Right at 1 and 3 of the first query, at 2 of the second.
    found = validation_curve.retrieval(scores, true)
    assert found['hit@1'] == 0.5
    assert found['map'] == pytest.approx(((1 + 2 / 3) / 2 + 1 / 2) / 2)


def test_a_tie_counts_against_right_clips_wherever_they_stand():
    # Whoever says the same of every clip finds nothing, in every order of the clips.
    true = np.eye(5, dtype=bool)
    found = validation_curve.retrieval(np.zeros((5, 5)), true)
    assert found == {'map': pytest.approx(1 / 5), 'hit@1': 0}
    # Two of four share the best score; the right one is in front or behind.
    for right in (0, 1):
        true = np.zeros((1, 4), bool)
        true[0, right] = True
        found = validation_curve.retrieval(np.array([[0.5, 0.5, 0.1, 0.2]]), true)
        assert found == {'map': 0.5, 'hit@1': 0}


def test_entries_after_a_step_that_is_run_again_go(tmp_path):
    for step, score in ((10, 0.1), (20, 0.4), (30, 0.3), (20, 0.2)):
        validation_curve.add(tmp_path, step, {'map': score})
    assert validation_curve.read(tmp_path) == [
        {'step': 10, 'map': 0.1}, {'step': 20, 'map': 0.2},
    ]  # fmt: skip
    # Only steps whose checkpoint is kept can be chosen.
    assert validation_curve.chosen_step(tmp_path) is None
    (tmp_path / 'checkpoints' / '10').mkdir(parents=True)
    assert validation_curve.chosen_step(tmp_path) == 10
    (tmp_path / 'checkpoints' / '20').mkdir()
    assert validation_curve.chosen_step(tmp_path) == 20
