"""The validation scores of a method during training, and its best step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cpad_jax import digests
from cpad_jax.errors import UserError
from cpad_jax.models import sharding
from cpad_jax.training import checkpoints, loop

FILE = 'curve.json'


def read(workdir: Path) -> list[dict[str, float]]:
    """What `add` wrote so far: entries with `step` and the scores, by step.

    Raises:
        UserError: It is damaged.
    """
    path = workdir / FILE
    try:
        return digests.read(path)['entries'] if path.is_file() else []
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f'{path} is damaged ({error}), and it says which step is best: put a copy of it back, '
            'or learn again in another --workdir'
        ) from error


def add(workdir: Path, step: int, scores: Mapping[str, float]) -> None:
    """Writes an entry of `WORKDIR/curve.json`; later ones, of a run that was stopped, go."""
    past = [entry for entry in read(workdir) if entry['step'] < step]
    digests.write(workdir / FILE, {'entries': [*past, {'step': step, **scores}]})


def chosen_step(workdir: Path) -> int | None:
    """The step of the best `map` among the checkpoints that are kept; None without any."""
    there = set(checkpoints.steps_in(workdir / 'checkpoints'))
    curve = [entry for entry in read(workdir) if entry['step'] in there]
    return max(curve, key=lambda entry: entry['map'])['step'] if curve else None


def best(task: loop.Task, config: Any, workdir: Path, last: Any) -> tuple[int, Any]:
    """The step whose checkpoint is best on validation, and its parameters.

    Args:
        task: What was learned.
        config: Its configuration.
        workdir: Of the finished training.
        last: The parameters at the last step.
    """
    with checkpoints.Checkpoints(workdir / 'checkpoints', loop.metadata(task, config)) as saved:
        while (step := chosen_step(workdir)) not in (None, config.train.steps):
            state, _ = loop.create_state(task, config, sharding.make_mesh())
            try:
                return step, saved.restore(state, step)[1].params
            except checkpoints.Damaged as error:
                saved.quarantine(error)
    return config.train.steps, last
