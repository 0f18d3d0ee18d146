"""Where arrays live: one mesh of all devices, batches split over it, parameters placed by rule.

`jax.jit` with `NamedSharding` on a mesh of automatic axes is today's pjit: the compiler splits the
step and inserts the collectives, so the contrastive losses read as they do on one device.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from cpad_jax.errors import UserError

# (regex searched in the parameter's name, one mesh axis or None per dimension); the first that
# matches decides, and what no rule matches is held whole by every device.
Rules = Sequence[tuple[str, tuple[str | None, ...]]]

DATA_AXIS = 'data'
MODEL_AXIS = 'model'


def names(tree: Any) -> Any:
    """The tree with each leaf replaced by its name, e.g. `'adapter/dense_0/kernel'`."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: jax.tree_util.keystr(path, simple=True, separator='/'), tree
    )


def make_mesh(devices: Sequence[jax.Device] | None = None, model_parallel: int = 1) -> Mesh:
    """A mesh `('data', 'model')` over the devices.

    Args:
        devices: Which devices; all of this job's by default.
        model_parallel: Devices that share one copy of the parameters, >= 1.

    Returns:
        A mesh of shape [devices / model_parallel, model_parallel] with automatic axes.

    Raises:
        UserError: The number of devices is not a multiple of `model_parallel`.
    """
    devices = jax.devices() if devices is None else devices
    if model_parallel < 1 or len(devices) % model_parallel:
        raise UserError(
            f'{len(devices)} devices cannot be split into groups of {model_parallel}: '
            'model_parallel must divide the number of devices'
        )
    grid = np.array(devices).reshape(-1, model_parallel)
    # Meshes default to explicit axes, which would ask for shardings in every operation.
    return Mesh(grid, (DATA_AXIS, MODEL_AXIS), axis_types=(AxisType.Auto, AxisType.Auto))


def parameter_shardings(tree: Any, mesh: Mesh, rules: Rules = ()) -> Any:
    """The sharding of each array of a tree of parameters or optimiser state.

    Args:
        tree: Arrays, or anything with a shape.
        mesh: From `make_mesh`.
        rules: See `Rules`. Optimiser moments carry their parameter's name at the end of theirs, so
            one rule moves all three.

    Returns:
        A tree of `NamedSharding` with the structure of `tree`.
    """

    def place(name: str, leaf: Any) -> NamedSharding:
        for pattern, axes in rules:
            if len(axes) == np.ndim(leaf) and re.search(pattern, name):
                return NamedSharding(mesh, PartitionSpec(*axes))
        return NamedSharding(mesh, PartitionSpec())

    return jax.tree.map(place, names(tree), tree)


def put_batch(batch: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Puts a host's batch on the devices, split over the mesh's data axis.

    Args:
        batch: Dict of numpy arrays [B, …]: this process's part of the global batch. Scalars are
            held whole by every device.
        mesh: From `make_mesh`.

    Returns:
        The dict with global `jax.Array`s.

    Raises:
        UserError: A first dimension is not a multiple of the number of devices on the data axis.
    """
    devices = mesh.shape[DATA_AXIS]
    put = {}
    for name, array in batch.items():
        array = np.asarray(array)
        if array.ndim and len(array) * jax.process_count() % devices:
            raise UserError(
                f'batch entry {name!r} has {len(array)} rows, which {devices} devices cannot share '
                'evenly: choose a batch size that is a multiple of the number of devices'
            )
        spec = PartitionSpec(DATA_AXIS) if array.ndim else PartitionSpec()
        put[name] = jax.make_array_from_process_local_data(NamedSharding(mesh, spec), array)
    return put
