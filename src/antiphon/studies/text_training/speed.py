"""How fast a training goes: tokens a second, and the share of the machine's matrix rate that it uses."""

import functools
import resource
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp

from antiphon.nets.llama import Llama
from antiphon.nets.precision import matmul

_SIZE, _TRIES = 2048, 3


def forward_work(config: Llama, prompt: int, new: int) -> float:
    """Operations of one row through the decoder: matrices, attention, the head on the completion."""
    slots = prompt + new
    matrices = sum(rows * columns for rows, columns in config.shapes.values())
    attention = 2 * slots * config.heads * config.head_width
    return 2.0 * config.layers * slots * (matrices + attention) + 2.0 * new * config.width * config.vocabulary


@functools.cache
def matmul_rate() -> float:
    """Operations a second of a large matrix product in the machine's format, the best of three."""
    one = jnp.ones((_SIZE, _SIZE), jnp.float32)
    product = jax.jit(matmul)
    jax.block_until_ready(product(one, one))
    best = float("inf")
    for _ in range(_TRIES):
        began = time.perf_counter()
        jax.block_until_ready(product(one, one))
        best = min(best, time.perf_counter() - began)
    return 2.0 * _SIZE**3 / best


def peak_memory() -> int:
    """Bytes: of the accelerator where there is one, else the most this process ever held."""
    statistics = jax.local_devices()[0].memory_stats() or {}
    if jax.default_backend() != "cpu" and "peak_bytes_in_use" in statistics:
        return int(statistics["peak_bytes_in_use"])
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def free_memory() -> int | None:
    """Bytes that a training may still take; None where nobody says."""
    statistics = jax.local_devices()[0].memory_stats() or {}
    if jax.default_backend() != "cpu":
        limit = statistics.get("bytes_limit")
        return None if limit is None else int(limit) - int(statistics.get("bytes_in_use", 0))
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    line = next((line for line in lines if line.startswith("MemAvailable:")), None)
    return None if line is None else int(line.split()[1]) * 1024
