"""The only door to Orbax: training states that are saved whole, and restored strictly or not."""

from __future__ import annotations

import contextlib
import logging
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cpad_jax import digests, progress
from cpad_jax.array_files import digest
from cpad_jax.errors import UserError

SCORE = 'score'
# Beside what a run's metadata hold: name → type and shape, and digest, of every array.
_ARRAYS = 'arrays'
_ASIDE = 'damaged'


class Damaged(UserError):
    """A checkpoint that does not hold what was saved; its `place`, and why in a few words."""

    def __init__(self, place: Path, reason: str):
        super().__init__(
            f'{place} is damaged ({reason}): remove that folder to go on from the one before'
        )
        self.place, self.reason = place, reason


def _flat(tree: Any) -> dict[str, Any]:
    """Name → array; names carry no slash, which Orbax would read as folders."""
    flat, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator='.'): leaf for path, leaf in flat}


def steps_in(directory: str | Path) -> list[int]:
    """The steps of the whole checkpoints in a folder, ascending; does not open it."""
    # A checkpoint is renamed to its step when it is whole.
    return sorted(int(path.name) for path in Path(directory).glob('*') if path.name.isdigit())


def latest_step(directory: str | Path) -> int | None:
    """The step of the newest whole checkpoint in a folder, or None; does not open it."""
    return max(steps_in(directory), default=None)


class Checkpoints:
    """The checkpoints of one training run.

    A checkpoint is written beside its place and renamed, so a run that is killed while writing
    leaves none. The newest ones are kept, and the best by score. (Orbax's `best_fn` with
    `max_to_keep` would delete the newest step as soon as it is not among the best.)
    """

    def __init__(
        self,
        directory: str | Path,
        metadata: Mapping[str, str | None],
        keep_latest: int = 2,
        keep_best: int = 1,
    ):
        """Opens a folder of checkpoints, and creates it if need be.

        Args:
            directory: The folder.
            metadata: What a state must share with the run that restores it, for example the
                backbone's sha256 and the configuration's hash. Saved with every checkpoint.
            keep_latest: How many of the newest checkpoints stay, >= 1.
            keep_best: How many of the best-scored ones stay besides, >= 0.
        """
        import orbax.checkpoint as ocp
        from orbax.checkpoint.checkpoint_managers import preservation_policy as policies

        # Orbax logs at length; absl prints warnings to a user's terminal.
        logging.getLogger('absl').setLevel(logging.CRITICAL)
        _silence_broken_reads()
        self._ocp = ocp
        self.directory = Path(directory).resolve()
        self._metadata = dict(metadata)
        best = policies.BestN(
            n=keep_best,
            get_metric_fn=lambda metrics: metrics[SCORE],
            keep_checkpoints_without_metrics=False,
        )
        self._manager = ocp.CheckpointManager(
            self.directory,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=policies.AnyPreservationPolicy(
                    [policies.LatestN(keep_latest), best]
                ),
                cleanup_tmp_directories=True,
            ),
            # Named here, because a folder that is only read would not know its items' kinds.
            item_handlers={
                'state': ocp.StandardCheckpointHandler(),
                'metadata': ocp.JsonCheckpointHandler(),
            },
        )

    def latest_step(self) -> int | None:
        """The step of the newest whole checkpoint, or None."""
        return self._manager.latest_step()

    def steps(self) -> list[int]:
        """The steps of all whole checkpoints, ascending."""
        return sorted(self._manager.all_steps(read=True))

    def save(self, step: int, state: Any, score: float | None = None) -> None:
        """Saves a training state; the writing goes on in the background.

        Args:
            step: Steps done, >= 0. A step that is there already is left as it is.
            state: Tree of arrays. They may be donated afterwards: Orbax keeps hold of what it
                still reads.
            score: How good this state is, larger is better.
        """
        if step in self._manager.all_steps():
            return
        args, flat = self._ocp.args, _flat(state)
        arrays = {name: (_form(leaf), _digest(leaf)) for name, leaf in flat.items()}
        metadata = digests.sealed({**self._metadata, _ARRAYS: arrays})
        self._manager.save(
            step,
            args=args.Composite(state=args.StandardSave(flat), metadata=args.JsonSave(metadata)),
            metrics=None if score is None else {SCORE: float(score)},
        )

    def restore(self, state: Any, step: int | None = None) -> tuple[int, Any]:
        """Restores a training state.

        Args:
            state: The state to fill: a tree of arrays (or shapes with shardings) with the
                structure, shapes, dtypes and placement wanted.
            step: Which checkpoint; the newest by default.

        Returns:
            The step, and the tree with the saved values.

        Raises:
            UserError: There is none; it belongs to another backbone or configuration; its arrays
                are not those of `state` (every missing, unexpected or misshapen one is named); or
                its files cannot be read.
        """
        step = self.latest_step() if step is None else step
        if step is None:
            raise UserError(f'no checkpoint in {self.directory}: train first')
        place = self.directory / str(step)
        with _readable(place):
            saved = self._manager.restore(
                step, args=self._ocp.args.Composite(metadata=self._ocp.args.JsonRestore())
            )['metadata']
            saved = digests.opened(saved) if _ARRAYS in saved or digests.KEY in saved else saved
            if missing := self._metadata.keys() - saved.keys():
                raise ValueError(f'it does not say its {min(missing)}')
        for key, value in self._metadata.items():
            if saved.get(key) != value:
                raise UserError(
                    f'{place} was trained with another {key} ({saved.get(key)}) than this run has '
                    f'({value}): use another workdir'
                )
        flat = _flat(state)
        with _readable(place):
            array_metadata = self._manager.item_metadata(step)['state']
            if array_metadata is None:
                raise ValueError('what describes its arrays is not there')
            forms = {name: _form(array) for name, array in array_metadata.tree.items()}
            arrays = saved.get(_ARRAYS, {name: (form, None) for name, form in forms.items()})
        _check({name: form for name, (form, _) in arrays.items()}, flat, place)
        wanted = {
            name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
            for name, leaf in flat.items()
        }
        with _readable(place):
            restored = self._manager.restore(
                step,
                args=self._ocp.args.Composite(state=self._ocp.args.StandardRestore(wanted)),
            )['state']
            for name, (_, saved_digest) in arrays.items():
                if saved_digest not in (None, _digest(restored[name])):
                    raise ValueError(f'{name} is not what was saved')
        leaves = [restored[name] for name in flat]
        return step, jax.tree.unflatten(jax.tree.structure(state), leaves)

    def restore_newest(self, state: Any) -> tuple[int, Any] | None:
        """As `restore`, of the newest checkpoint that is not damaged; None where there is none.

        Damaged ones are reported in a line each, and set aside.
        """
        while (step := self.latest_step()) is not None:
            try:
                return self.restore(state, step)
            except Damaged as error:
                self.quarantine(error)
        return None

    def quarantine(self, damaged: Damaged) -> None:
        """Renames a damaged checkpoint, which is kept, and reports it in a line."""
        aside = self.directory / f'{_ASIDE}.{damaged.place.name}'
        while aside.exists():
            aside = aside.with_name(f'{aside.name}.again')
        damaged.place.rename(aside)
        self._manager.reload()
        before = self.latest_step()
        on = 'starting from the beginning' if before is None else f'going on from step {before}'
        progress.say(f'{damaged.place} is damaged ({damaged.reason}): it is now {aside.name}; {on}')

    def close(self) -> None:
        """Waits until everything is written, and lets go of the folder.

        Raises:
            OSError: Something cannot be written; of that nothing is left.
        """
        try:
            self._manager.wait_until_finished()
            self._manager.close()
        except Exception as error:
            for half in self.directory.glob('*.orbax-checkpoint-tmp*'):
                shutil.rmtree(half, ignore_errors=True)
            if isinstance(error, OSError) and error.filename is None:
                error.filename = str(self.directory)
            raise

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


# What is no fault of a checkpoint's, in the words of those who read it.
_NO_DAMAGE = ('RESOURCE_EXHAUSTED', 'PERMISSION_DENIED', 'Permission denied', 'Too many open files')


@contextlib.contextmanager
def _readable(place: Path) -> Iterator[None]:
    """Names the checkpoint that cannot be read, in place of whatever Orbax raises about it."""
    try:
        yield
    except Exception as error:
        reason = ' '.join((str(error) or type(error).__name__).split())[:120]
        if isinstance(error, MemoryError) or any(words in reason for words in _NO_DAMAGE):
            raise UserError(f'{place} cannot be read now ({reason})') from error
        raise Damaged(place, reason) from error


def _silence_broken_reads() -> None:
    """Silences what Orbax prints after a failed read, which is reported already."""
    previous_hook = sys.unraisablehook
    if getattr(previous_hook, '__name__', '') == 'unless_broken_read':
        return

    def unless_broken_read(unraisable: sys.UnraisableHookArgs) -> None:
        of_orbax = 'orbax' in str(getattr(unraisable.object, 'cr_code', ''))
        if not of_orbax and str(unraisable.exc_value) != 'Event loop is closed':
            previous_hook(unraisable)

    sys.unraisablehook = unless_broken_read


def _digest(leaf: Any) -> str | None:
    """Of an array that is all here; None of one that other processes have parts of."""
    return digest(np.asarray(leaf)) if getattr(leaf, 'is_fully_addressable', True) else None


def _form(array: Any) -> str:
    """Type and shape, e.g. `float32[2, 3]`."""
    return f'{jnp.dtype(array.dtype).name}{list(array.shape)}'


def _check(saved: Mapping[str, str], wanted: Mapping[str, Any], place: Path) -> None:
    """Raises a `UserError` that names every array in which the two differ."""
    faults = [f'missing {name}' for name in wanted if name not in saved]
    faults += [f'unexpected {name}' for name in saved if name not in wanted]
    for name in wanted:
        if name in saved:
            there, here = saved[name], _form(wanted[name])
            if there != here:
                faults.append(f'{name} is {there}, expected {here}')
    if faults:
        raise UserError(f'{place} holds another model: ' + '; '.join(faults))
