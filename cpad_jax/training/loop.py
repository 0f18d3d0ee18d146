"""The training loop: one jitted step over a mesh, metrics, checkpoints, and going on after a kill.

The only file that touches CLU, and only while it trains: the step itself needs jax and optax.
"""

from __future__ import annotations

import collections
import contextlib
import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax

from cpad_jax import progress
from cpad_jax.errors import UserError
from cpad_jax.models import sharding
from cpad_jax.training import checkpoints, configs, optimisers

Params = Any
Batch = Mapping[str, np.ndarray]


class Task(Protocol):
    """What is learned. Everything is a function of (seed, step), so a run can be taken up again.

    A task may also have `frozen`, a tree of arrays that `loss` gets as its fourth argument (as a
    constant it would be compiled into the step); `backbone_sha256: str`, which checkpoints then
    carry and insist on; `constrain(params) -> params`, applied after every update; and `rules`,
    which say how to split parameters over devices (`sharding.Rules`).
    """

    def init_params(self, rng: jax.Array) -> Params:
        """The parameters to learn, drawn with the key `rng`."""

    def loss(
        self, params: Params, batch: Mapping[str, jax.Array], rng: jax.Array
    ) -> tuple[jax.Array, Mapping[str, jax.Array]]:
        """The scalar to minimise, and scalars to report. Pure; traced by `jax.jit`."""

    def batches(self, start_step: int) -> Iterator[Batch]:
        """The batches of the steps `start_step`, `start_step + 1`, …: dicts of arrays [B, …]."""

    def label_params(self, params: Params) -> Any:
        """Tree of group names for learning rates; the group `'frozen'` stays as it is."""

    def export(self, params: Params, directory: Path) -> None:
        """Writes what users load."""


class TrainState(NamedTuple):
    """All that training changes."""

    step: jax.Array  # int32 [], steps done
    params: Params
    opt_state: Any


def make_optimiser(task: Task, config: Any, params: Params) -> optax.GradientTransformation:
    """The optimiser that `config.train` describes, for the groups that the task labels."""
    train = config.train
    labels = task.label_params(params)
    return optimisers.make(
        labels,
        optimisers.learning_rates(config, labels),
        steps=train.steps,
        method=train.optimiser,
        warmup_steps=train.warmup_steps,
        weight_decay=train.weight_decay,
        clip_norm=train.clip_norm,
    )


def create_state(
    task: Task, config: Any, mesh: jax.sharding.Mesh
) -> tuple[TrainState, optax.GradientTransformation]:
    """The state at step 0 on the mesh, and the optimiser that moves it."""
    params = task.init_params(jax.random.key(config.seed))
    optimiser = make_optimiser(task, config, params)
    state = TrainState(jnp.int32(0), params, jax.jit(optimiser.init)(params))
    # Fresh buffers: the step donates them, and a task may keep the arrays that it handed out.
    state = jax.tree.map(jnp.copy, state)
    shardings = sharding.parameter_shardings(state, mesh, getattr(task, 'rules', ()))
    return jax.device_put(state, shardings), optimiser


def make_train_step(
    task: Task, optimiser: optax.GradientTransformation, seed: int, mesh: jax.sharding.Mesh
) -> Callable[[TrainState, Any], tuple[TrainState, dict[str, jax.Array]]]:
    """The jitted step. It donates the state that it is given.

    Args:
        task: What is learned.
        optimiser: From `make_optimiser`.
        seed: Seed of augmentation and dropout; a step's key is this seed's, folded with the step.
        mesh: Where the state lives, and stays.

    Returns:
        (state, batch) → (state, metrics); metrics are scalars, with `loss` and `gradient_norm`.
    """
    constrain = getattr(task, 'constrain', None)
    rules = getattr(task, 'rules', ())
    frozen = getattr(task, 'frozen', None)
    frozen = () if frozen is None else (frozen,)
    frozen = jax.device_put(frozen, sharding.parameter_shardings(frozen, mesh, rules))

    def step(
        state: TrainState, batch: Any, frozen: tuple[Any, ...]
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        rng = jax.random.fold_in(jax.random.key(seed), state.step)
        grads_of = jax.value_and_grad(task.loss, has_aux=True)
        (loss, metrics), grads = grads_of(state.params, batch, rng, *frozen)
        updates, opt_state = optimiser.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        if constrain:
            params = constrain(params)
        metrics = {**metrics, 'loss': loss, 'gradient_norm': optax.tree.norm(grads)}
        state = TrainState(state.step + 1, params, opt_state)
        shardings = sharding.parameter_shardings(state, mesh, rules)
        return jax.lax.with_sharding_constraint(state, shardings), metrics

    compiled = jax.jit(step, donate_argnums=0)
    return lambda state, batch: compiled(state, batch, frozen)


@contextlib.contextmanager
def prefetch(
    batches: Iterator[Batch], mesh: jax.sharding.Mesh, size: int = 2
) -> Iterator[Iterator[dict[str, jax.Array]]]:
    """Makes the next batches ready on the devices while a step runs.

    Args:
        batches: Batches in host memory.
        mesh: Where they go.
        size: How many batches lie ready, >= 1.

    Yields:
        An iterator over the batches on the devices. An error of the source is raised at its place.
    """
    ready: queue.Queue = queue.Queue(maxsize=size)
    stop = threading.Event()

    def offer(item: Any) -> None:
        while not stop.is_set():
            with contextlib.suppress(queue.Full):
                return ready.put(item, timeout=0.1)

    def fill() -> None:
        try:
            for batch in batches:
                offer((sharding.put_batch(batch, mesh), None))
                if stop.is_set():
                    return
            offer((None, RuntimeError('the batches ended before the training')))
        except BaseException as error:  # The reader raises it again.
            offer((None, error))

    def read() -> Iterator[dict[str, jax.Array]]:
        while True:
            batch, error = ready.get()
            if error is not None:
                raise error
            yield batch

    thread = threading.Thread(target=fill, name='prefetch', daemon=True)
    thread.start()
    try:
        yield read()
    finally:
        stop.set()
        thread.join()


class _Reports:
    """Metrics to TensorBoard and the bar, fetched two steps late so that no step waits for them."""

    def __init__(self, workdir: Path, steps: int, start: int, log_every: int, params: Params):
        # CLU's TensorBoard writer needs TensorFlow, which would take hold of an accelerator.
        os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
        os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '0')  # Or it announces them on stderr.
        import tensorflow as tf
        from clu import metric_writers, parameter_overview, periodic_actions

        tf.config.set_visible_devices([], 'GPU')
        tf.config.set_visible_devices([], 'TPU')
        (workdir / 'parameter_overview.log').write_text(
            parameter_overview.get_parameter_overview(params, include_stats=False) + '\n'
        )
        self._writer = metric_writers.create_default_writer(
            str(workdir / 'tensorboard'), just_logging=jax.process_index() > 0
        )
        self._report = periodic_actions.ReportProgress(
            num_train_steps=steps, writer=self._writer, every_secs=30.0
        )
        self._log_every = log_every
        self._pending: collections.deque = collections.deque()
        self._sums: dict[str, list[float]] = collections.defaultdict(list)
        self.bar = progress.bar(total=steps, stage='learning', unit='step')
        self.bar.update(start)
        self.bar.initial = start  # The rate counts this run's steps only.

    def step(self, step: int, metrics: Mapping[str, jax.Array]) -> None:
        self._pending.append((step, metrics))
        while len(self._pending) > 2:
            self._fetch()
        self._report(step)

    def scores(self, step: int, scores: Mapping[str, float]) -> None:
        self._writer.write_scalars(step, {f'evaluation/{k}': v for k, v in scores.items()})
        self.bar.write(
            f'step {step}: ' + ', '.join(f'{name} {value:.4g}' for name, value in scores.items())
        )

    def _fetch(self) -> None:
        step, metrics = self._pending.popleft()
        metrics = {name: float(value) for name, value in jax.device_get(metrics).items()}
        if not np.isfinite(metrics['loss']):
            raise UserError(
                f'the loss is {metrics["loss"]} at step {step}: lower config.train.learning_rate, '
                'or look for damaged images in the data; the last checkpoint is from before'
            )
        for name, value in metrics.items():
            self._sums[name].append(value)
        if step % self._log_every == 0:
            means = {name: float(np.mean(values)) for name, values in self._sums.items()}
            self._sums.clear()
            self._writer.write_scalars(step, {f'training/{k}': v for k, v in means.items()})
            self.bar.set_postfix(loss=f'{means["loss"]:.4g}', refresh=False)
        self.bar.update(1)

    def flush(self) -> None:
        while self._pending:
            self._fetch()

    def close(self) -> None:
        self._writer.close()
        self.bar.close()


def metadata(task: Task, config: Any) -> dict[str, str | None]:
    """What the checkpoints of a run carry, and insist on when they are read."""
    return {
        'backbone sha256': getattr(task, 'backbone_sha256', None),
        'configuration': configs.training_hash(config),
    }


def run(
    task: Task,
    config: Any,
    workdir: str | Path,
    evaluate: Callable[[int, Params], Mapping[str, float]] | None = None,
) -> Params:
    """Learns until `config.train.steps`, from the newest whole checkpoint of the workdir, if any.

    A run that was killed and started again ends with the very parameters of one that was not.

    Args:
        task: What is learned.
        config: The configuration; `seed` and `train` are read here.
        workdir: Gets `checkpoints/`, `tensorboard/` and `parameter_overview.log`.
        evaluate: (step, parameters) → scores, larger is better; called every
            `config.train.evaluate_every` steps (0 or missing: never) and at the end. The first
            score decides which checkpoint is kept as the best.

    Returns:
        The parameters at the last step.

    Raises:
        UserError: The checkpoints belong to another backbone or configuration.
    """
    train = config.train
    workdir = Path(workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    mesh = sharding.make_mesh(model_parallel=train.model_parallel)
    state, optimiser = create_state(task, config, mesh)
    with checkpoints.Checkpoints(workdir / 'checkpoints', metadata(task, config)) as saved:
        start = 0
        if (restored := saved.restore_newest(state)) is not None:
            start, state = restored
        if start >= train.steps:
            return state.params
        train_step = make_train_step(task, optimiser, config.seed, mesh)
        reports = _Reports(workdir, train.steps, start, train.log_every, state.params)
        try:
            with prefetch(task.batches(start), mesh) as batches:
                for step in range(start + 1, train.steps + 1):
                    state, metrics = train_step(state, next(batches))
                    reports.step(step, metrics)
                    last = step == train.steps
                    score = None
                    every = train.evaluate_every
                    if evaluate and every and (last or step % every == 0):
                        scores = evaluate(step, state.params)
                        reports.scores(step, scores)
                        score = next(iter(scores.values()))
                    if last or step % train.checkpoint_every == 0:
                        reports.flush()  # A loss that is not finite stops here, unsaved.
                        saved.save(step, state, score)
        finally:
            reports.close()
    return state.params
