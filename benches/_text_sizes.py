"""What the three text benches have in common: one model of four million weights, and peers beside it."""

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from antiphon.nets import Decoding, Llama, LlamaPolicy, Prompts


@dataclass(frozen=True)
class Sizes:
    """Of the model and the batch."""

    vocabulary: int = 4096
    width: int = 256
    layers: int = 4
    heads: int = 4
    kv_heads: int = 4
    hidden: int = 688
    context: int = 128
    prompt: int = 64
    new_tokens: int = 24
    batch: int = 32
    repeats: int = 4


def policy_of(sizes):
    config = Llama(
        sizes.vocabulary, width=sizes.width, layers=sizes.layers, heads=sizes.heads, kv_heads=sizes.kv_heads,
        head_width=sizes.width // sizes.heads, hidden=sizes.hidden, context=sizes.context,
    )  # fmt: skip
    return LlamaPolicy(config, Decoding(new_tokens=sizes.new_tokens))


def prompts_of(sizes):
    rng = np.random.default_rng(0)
    tokens = rng.integers(3, sizes.vocabulary, (sizes.batch, sizes.prompt))
    return Prompts(jnp.asarray(tokens, jnp.int32), jnp.full(sizes.batch, sizes.prompt, jnp.int32))


def reading(sizes, asked):
    """FLOP of the matrix products of one pass over prompt and completion; ``asked`` positions are scored.

    The last layer only gives keys and values for the others. Attention's own products, some hundredths of
    these, are left out.
    """
    positions = sizes.prompt + sizes.new_tokens - 1
    attention, gated = 4 * sizes.width**2, 3 * sizes.width * sizes.hidden
    whole = (sizes.layers - 1) * (attention + gated) + attention / 2
    last = attention / 2 + gated + sizes.vocabulary * sizes.width
    return 2.0 * sizes.batch * (positions * whole + asked * last)


def quickest(call, state, repeats):
    """Least seconds of ``call(state, key) -> state`` over some calls after the first."""
    times = []
    for i in range(repeats + 1):
        began = time.perf_counter()
        state = jax.block_until_ready(call(state, jax.random.key(i)))
        times.append(time.perf_counter() - began)
    return min(times[1:]), times[0]


def matmul_rate():
    """What this machine multiplies at most, in FLOP/s, measured in the same run."""
    x = jnp.ones((1536, 1536))
    multiply = jax.jit(lambda a, b: a @ b)
    seconds, _ = quickest(lambda state, key: multiply(x, x), x, 6)
    return 2 * 1536**3 / seconds


def report(name, sizes, seconds, compile_seconds, work, peers, targets):
    """Print what was measured, ours and theirs, and one JSON object as the last line.

    Args:
        name: of what was timed.
        sizes: of model and batch.
        seconds: ours.
        compile_seconds: of the first call.
        work: its matrix products, FLOP.
        peers: ``{WHAT: (variable, environments' names)}``; see `python_of`.
        targets: ``{WHAT: how many times as long a peer is to take}``.
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rate = matmul_rate()
    found = {
        "name": name, "sizes": asdict(sizes), "seconds": seconds, "compile_seconds": compile_seconds,
        "peak_mib": round(peak), "flop": work, "matmul_flop_per_second": rate,
        "share_of_matmul_rate": work / seconds / rate,
    }  # fmt: skip
    print(f"{name}: {seconds:.3f} s, {peak:.0f} MiB, {work / seconds / rate:.0%} of {rate / 1e9:.0f} GFLOP/s")
    for what, variable in peers.items() if "--peers" in sys.argv else ():
        python = os.environ.get(variable)
        if not python:
            print(f"{what}: set {variable} to the Python of its environment to measure it")
            continue
        theirs = measured(python, what, sizes)
        times = theirs["seconds"] / seconds
        found[what] = theirs | {"times_as_long": times, "target": targets[what]}
        print(f"{what}: {theirs['seconds']:.3f} s, {theirs['peak_mib']} MiB, {times:.1f} times as long "
              f"(target {targets[what]:g})")  # fmt: skip
    print(json.dumps(found))


def measured(python, what, sizes):
    command = [python, str(Path(__file__).with_name("_text_peers.py")), what, json.dumps(asdict(sizes))]
    quiet = os.environ | {
        "TRANSFORMERS_VERBOSITY": "error",
        "HF_HUB_OFFLINE": "1",
        "TRL_EXPERIMENTAL_SILENCE": "1",
    }
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=quiet)
    return json.loads(done.stdout.strip().splitlines()[-1])
