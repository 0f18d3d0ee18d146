from cpad_jax.training import validation_curve


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
