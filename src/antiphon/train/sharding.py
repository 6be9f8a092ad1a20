"""More than one device: a mesh with three named axes, and where each leaf lies on it."""

import math
import re
from collections.abc import Sequence
from typing import Any, TypeAlias, TypeVar

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from antiphon.nets.weights import named_leaves
from antiphon.train.errors import RunError

Tree = TypeVar("Tree")

AXES = ("data", "fsdp", "tensor")

Rule: TypeAlias = tuple[str, PartitionSpec]
"""A regular expression searched in a leaf's dotted name, and how such a leaf is split."""


def make_mesh(
    data: int | None = None, fsdp: int = 1, tensor: int = 1, devices: Sequence[Any] | None = None
) -> Mesh:
    """A mesh ``(data, fsdp, tensor)``; one device is the mesh ``(1, 1, 1)``.

    Args:
        data: Copies of the model, each on its share of the batch; ``None`` takes all devices that are left.
        fsdp: Parts that parameters and optimiser state are split in, gathered when used.
        tensor: Parts that single matrix products are split in.
        devices: Devices to use; all by default.

    Returns:
        The mesh, with automatic axes (the compiler places what the rules leave open).

    Raises:
        RunError: The sizes do not multiply to the number of devices.
    """
    devices = jax.devices() if devices is None else list(devices)
    if data is None:
        data = max(len(devices) // (fsdp * tensor), 1)
    shape = (data, fsdp, tensor)
    if math.prod(shape) != len(devices):
        raise RunError(
            f"A mesh of {data}×{fsdp}×{tensor} needs {math.prod(shape)} devices, there are {len(devices)}",
            "choose data, fsdp and tensor with this product",
        )
    return Mesh(np.asarray(devices).reshape(shape), AXES, axis_types=(AxisType.Auto,) * 3)


def state_shardings(state: PyTree, mesh: Mesh, rules: Sequence[Rule]) -> PyTree:
    """The sharding of every leaf, by the first rule that matches its dotted name, else a copy everywhere.

    Args:
        state: Pytree of arrays (or ``jax.ShapeDtypeStruct``). Optimiser moments carry the names of their
            parameters, so the same rules split them.
        mesh: From ``make_mesh``.
        rules: ``(regular expression, PartitionSpec)`` pairs.

    Returns:
        Pytree of ``NamedSharding`` with the structure of ``state``.

    Raises:
        RunError: A rule splits an axis that a leaf lacks, or does not divide it (the leaf is named).
    """
    leaves = [
        NamedSharding(mesh, _spec(name, np.shape(leaf), mesh, rules))
        for name, leaf in named_leaves(state).items()
    ]
    return jax.tree.unflatten(jax.tree.structure(state), leaves)


def place(state: Tree, mesh: Mesh, rules: Sequence[Rule]) -> Tree:
    """Put a state on the mesh by the rules; see ``state_shardings``."""
    return jax.device_put(state, state_shardings(state, mesh, rules))


def chunk_sharding(mesh: Mesh) -> NamedSharding:
    """Sharding of a chunk of batches ``[chunk, B, …]``: B is split over ``data`` and ``fsdp``."""
    return NamedSharding(mesh, PartitionSpec(None, ("data", "fsdp")))


def _spec(name: str, shape: tuple[int, ...], mesh: Mesh, rules: Sequence[Rule]) -> PartitionSpec:
    for pattern, spec in rules:
        if not re.search(pattern, name):
            continue
        if len(spec) > len(shape):
            raise RunError(
                f"Rule {pattern!r} splits {len(spec)} axes but leaf {name!r} has shape {shape}",
                "make the rule more specific",
            )
        for axis, mesh_axes in enumerate(spec):
            names = (mesh_axes,) if isinstance(mesh_axes, str) else tuple(mesh_axes or ())
            parts = math.prod(mesh.shape[mesh_axis] for mesh_axis in names)
            if shape[axis] % parts:
                raise RunError(
                    f"Rule {pattern!r} splits axis {axis} of leaf {name!r}, of shape {shape}, in {parts}",
                    "choose sizes that divide, or leave this axis whole",
                )
        return spec
    return PartitionSpec()
