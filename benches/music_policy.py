"""Speed of the music policy: generating, and one step of reinforcement, beside the machine's own matrix rate.

FLOPs are counted from the shapes (two for each multiplication of a matrix product; attention, norms and
spectra are left out), and the share says how much of the rate of a plain 1,024-cubed product they reach on
the same machine. Run alone on an idle machine: `antiphon bench music`.
"""

import json
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

from antiphon.methods.reinforce_kl import ReinforceKL
from antiphon.nets.precision import matmul, matmul_dtype
from antiphon.studies.musicrl.arms import ArmConfig, method_of, prompt_batches
from antiphon.worlds.music.bundle import Bundle
from antiphon.worlds.music.generate import generate
from antiphon.worlds.music.prompts import draw_prompts

BATCH = 16


def seconds_of(call, repeats: int = 3) -> float:
    """Best of a few calls after a first one that compiles."""
    jax.block_until_ready(call())
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - began)
    return min(times)


def matrix_rate() -> float:
    """FLOP/s of one large product in the machine's matrix format."""
    a = jnp.ones((1024, 1024))
    product = jax.jit(lambda a: matmul(a, a))
    return 2 * 1024**3 / seconds_of(lambda: product(a), 20)


def flops_per_frame(bundle: Bundle) -> int:
    """FLOPs of one frame of one clip, forwards: blocks and level heads."""
    model = bundle.sizes.policy
    block = 4 * model.width**2 + 3 * model.width * model.hidden
    head = 2 * model.width * model.depth_hidden + model.width * model.codes
    return 2 * (model.layers * block + model.levels * head)


def main() -> None:
    """Print a table, then one JSON object."""
    bundle = Bundle.load()
    frames, rate = bundle.sizes.frames, matrix_rate()
    seconds = frames / 25
    prompts = draw_prompts(0, BATCH, held_out=True)
    rows: dict[str, float] = {"matrix_gflops": rate / 1e9}
    for name, guidance, polish in (("generate", 1.75, 8), ("generate_plain", None, 0)):
        took = seconds_of(
            lambda g=guidance, p=polish: (
                generate(bundle, list(prompts.captions), seed=0, guidance=g, polish=p).audio
            )
        )
        rows[f"{name}_times_real_time"] = BATCH * seconds / took

    config = ArmConfig()
    method: ReinforceKL = method_of(bundle, config, "r")
    clips = config.prompts * config.group
    context = jax.tree.map(
        lambda leaf: jnp.repeat(jnp.asarray(leaf), config.group, axis=0), prompt_batches(bundle, config, 0)(0)
    )
    sample = jax.jit(lambda params, key: method.model.sample(params, key, context, temperature=0.99))
    took = seconds_of(lambda: sample(bundle.policy, jax.random.key(0)))
    forward = flops_per_frame(bundle) * frames * clips
    rows["sample_times_real_time"] = clips * seconds / took
    rows["sample_share_of_matrix_rate"] = forward / took / rate

    step = jax.jit(method.step)
    state, batch = method.init(bundle.policy, bundle.judges), prompt_batches(bundle, config, 0)(0)
    took = seconds_of(lambda: step(state, batch, jax.random.key(0))[1])
    # Sampling, the policy's forward and backward pass (three forwards), the anchor's forward.
    work = 5 * forward
    rows |= {"step_seconds": took, "step_gflop": work / 1e9, "step_share_of_matrix_rate": work / took / rate}
    for name, value in rows.items():
        print(f"{name:32}{value:10.3f}", file=sys.stderr)
    print(json.dumps({"clips": clips, "frames": frames, "format": np.dtype(matmul_dtype()).name, **rows}))


if __name__ == "__main__":
    main()
