"""The part of a fit that runs on the device: many steps in one compiled loop."""

import functools
from collections.abc import Callable, Hashable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PyTree, Shaped

from antiphon.nets.weights import named_leaves
from antiphon.train.errors import RunError
from antiphon.train.metrics import check_metric_name

Step = Callable[..., tuple[Any, Any]]
"""``(state, batch, key) -> (state, metrics)``; with something fixed, that comes as a fourth argument."""


@functools.partial(jax.jit, static_argnames=("step", "capacity", "shardings"), donate_argnames=("state",))
def run_chunk(
    step: Step,
    state: PyTree,
    batches: PyTree[Shaped[Array, "chunk ..."]] | None,
    key: Any,
    start: Int[Array, ""],
    length: Int[Array, ""],
    fixed: PyTree = None,
    *,
    capacity: int,
    shardings: tuple[Hashable, ...] | None,
) -> tuple[PyTree, dict[str, Shaped[Array, "chunk"]]]:
    """Do ``length`` steps from step ``start``; step i uses the key ``fold_in(key, i)``.

    The number of steps is an argument and not a constant as in ``lax.scan``, so a shorter last chunk needs no
    second program and the loop body is compiled alike for every chunk size, even one.

    Args:
        step: ``(state, batch, key) -> (state, metrics)``, pure.
        state: Donated.
        batches: Batches stacked on a leading axis of size ``capacity``, or ``None``.
        key: PRNG key of the fit.
        start: Steps done before.
        length: Steps to do, at most ``capacity``.
        fixed: What every step reads and none changes, or ``None``.
        capacity: Chunk size.
        shardings: Sharding of each state leaf, kept from step to step; ``None`` leaves it to the compiler.

    Returns:
        The state, and each metric over the chunk (only the first ``length`` entries are written).
    """

    def batch_at(index: Any) -> Any:
        return jax.tree.map(lambda x: jax.lax.dynamic_index_in_dim(x, index, keepdims=False), batches)

    called = with_fixed(step, fixed)

    def body(index: Any, carry: Any) -> Any:
        state, history = carry
        new_state, metrics = called(state, batch_at(index), jax.random.fold_in(key, start + index))
        new_state = on_device(new_state)
        if shardings is not None:
            leaves = jax.tree.leaves(new_state)
            kept = [jax.lax.with_sharding_constraint(x, s) for x, s in zip(leaves, shardings, strict=True)]
            new_state = jax.tree.unflatten(jax.tree.structure(new_state), kept)
        values = {name: jnp.asarray(value) for name, value in named_leaves(metrics).items()}
        return new_state, {name: history[name].at[index].set(value) for name, value in values.items()}

    shapes = jax.eval_shape(lambda: named_leaves(called(state, batch_at(0), key)[1]))
    history = {name: jnp.zeros((capacity,), value.dtype) for name, value in shapes.items()}
    return jax.lax.fori_loop(0, length, body, (state, history))


def check_step(step: Step, state: PyTree, batch: PyTree | None, key: Any) -> None:
    """Refuse a step that cannot be looped, before anything is compiled.

    Raises:
        RunError: The state changes structure, shape or dtype (the leaf is named), or a metric is no scalar.
    """
    new_state, metrics = jax.eval_shape(step, state, batch, key)
    before, after = named_leaves(state), named_leaves(new_state)
    changed = next((name for name in [*before, *after] if name not in before or name not in after), None)
    if changed is not None or jax.tree.structure(state) != jax.tree.structure(new_state):
        raise RunError(
            f"The step changes the structure of its state{f' at leaf {changed!r}' if changed else ''}",
            "return the state with the structure it came with",
        )
    for name, leaf in before.items():
        new = after[name]
        if (leaf.shape, leaf.dtype) != (new.shape, new.dtype):
            raise RunError(
                f"The step turns leaf {name!r} from {leaf.dtype}{list(leaf.shape)} "
                f"to {new.dtype}{list(new.shape)}",
                "return the state with the shapes and dtypes it came with",
            )
    for name, value in named_leaves(metrics).items():
        check_metric_name(name)
        if value.shape != ():
            raise RunError(
                f"Metric {name!r} has shape {list(value.shape)}", "return scalar metrics, say a mean"
            )


def with_fixed(step: Step, fixed: PyTree) -> Step:
    """The step of three arguments."""
    return step if fixed is None else lambda state, batch, key: step(state, batch, key, fixed)


def hashable_step(step: Step) -> Step:
    """The step itself if jit can key its cache by it, else a wrapper known by identity.

    A bound method of a dataclass with array fields is the case in point.
    """
    try:
        hash(step)
    except TypeError:
        return lambda *arguments: step(*arguments)
    return step


def owned(state: PyTree) -> PyTree:
    """A copy on the device, of strong types, that may be donated.

    Chunks donate their state, and a caller often keeps the initial parameters as the anchor of a divergence.
    """
    return jax.tree.map(lambda x: _as_strong(jnp.array(x, copy=True)), state)


def on_device(state: PyTree) -> PyTree:
    """The state as jax arrays of strong types, copied only where it must be."""
    return jax.tree.map(_as_strong, state)


def _as_strong(x: Any) -> Any:
    x = jnp.asarray(x)
    is_key = jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
    return x if is_key else jax.lax.convert_element_type(x, x.dtype)
