"""Questions to somebody else's program from inside a compiled one, in full precision."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

Answer = Callable[[int, np.ndarray], np.ndarray]


def call_back(
    answer: Answer, shape: tuple[int, ...], time: int | Int[Array, ""], crowd: Float[Array, "..."]
) -> Float[Array, "..."]:
    """``answer(time, crowd)`` as an array of ``shape``; not differentiable, one call at a time.

    jax hands arguments and answers over on a thread of its own, where ``with jax.enable_x64(True)`` does not
    reach, and would round them to float32. They travel as a rounded part and a rest.
    """
    dtype = crowd.dtype

    def called(time: Array, rough: Array, rest: Array) -> tuple[np.ndarray, np.ndarray]:
        whole = np.asarray(rough, np.float64) + np.asarray(rest, np.float64)
        answered = np.asarray(answer(int(time), whole.astype(dtype)), np.float64).reshape(shape)
        return _parts(answered, np.float32)

    part = jax.ShapeDtypeStruct(shape, jnp.float32)
    parts = _parts(crowd, jnp.float32)
    rough, rest = jax.pure_callback(called, (part, part), time, *parts, vmap_method="sequential")
    return rough.astype(dtype) + rest.astype(dtype)


def _parts(number: Any, single: Any) -> tuple[Any, Any]:
    rough = number.astype(single)
    return rough, (number - rough.astype(number.dtype)).astype(single)
