"""A run that is killed from outside: ``python fit_in_a_process.py RUN [STEP SIGNAL]``."""

import os
import signal
import sys

import jax
import jax.numpy as jnp

from antiphon.nets import weights
from antiphon.train.errors import Interrupted
from antiphon.train.fit import fit
from antiphon.train.run_directory import RunDirectory


def walk(state, batch, key):
    state = state + jnp.tanh(state[::-1]) * 0.1 + jax.random.normal(key, state.shape)
    return state, {"norm": jnp.linalg.norm(state)}


def main():
    run = RunDirectory.open(sys.argv[1])
    at, number = (int(sys.argv[2]), signal.Signals[sys.argv[3]]) if len(sys.argv) > 2 else (-1, None)

    def hook(info):
        if info.step == at:
            os.kill(os.getpid(), number)

    try:
        state = fit(
            walk, jnp.zeros(16), steps=24, chunk=4, key=jax.random.key(run.seed), run=run, hooks=[hook]
        )
    except Interrupted as interrupted:
        print(interrupted, file=sys.stderr)
        sys.exit(128 + interrupted.signal_number)
    print(weights.tree_sha256(state))


if __name__ == "__main__":
    main()
