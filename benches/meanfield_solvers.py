"""Speed of equilibrium solvers: seconds per iteration, and how they grow; with --peers MFGLib beside them.

Run: antiphon bench meanfield [--peers]
"""

import json
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

from antiphon.equilibrium import (
    FlowProblem,
    first_action,
    major_minor_game,
    mean_field_game,
    partition,
    solve,
)
from antiphon.equilibrium.solving import trace
from antiphon.methods.fictitious_play import FictitiousPlay
from antiphon.methods.mirror_descent import MirrorDescent
from antiphon.worlds.meanfield.advertisement import Advertisement
from antiphon.worlds.meanfield.beach_bar import BeachBar
from antiphon.worlds.meanfield.buffet import Buffet
from antiphon.worlds.meanfield.garnet import garnet
from antiphon.worlds.meanfield.sis import SIS


def row(name, solution, **more):
    total = sum(float(np.sum(leaf[-1])) for leaf in jax.tree.leaves(solution.exploitability))
    found = {
        "name": name,
        "seconds_per_iteration": solution.seconds_per_iteration,
        "compile_seconds": solution.compile_seconds,
        "exploitability": total,
    } | more
    seconds = solution.seconds_per_iteration
    print(f"{name:34} {seconds:.3e} s/iteration, {solution.compile_seconds:.1f} s to compile", flush=True)
    return found


def majors():
    for rules, cells, iterations in ((SIS(), 120, 1000), (Advertisement(), 120, 1000), (Buffet(), 50, 100)):
        problem = partition(major_minor_game(rules), cells, "nearest")
        start = first_action(problem)
        solution = solve(
            problem, FictitiousPlay("plain"), iterations, start=start, keep=[iterations], paths=0
        )
        yield row(f"{type(rules).__name__} M={cells} FP {iterations}", solution)


def plain(peers):
    for n in (10, 100):
        problem = FlowProblem(mean_field_game(BeachBar(n_states=n, bar=n // 2)))
        for name, solver in (("FP", FictitiousPlay(split_ties=True)), ("OMD", MirrorDescent())):
            solution = solve(problem, solver, 1000, keep=[1000])
            at_20 = solve(problem, solver, 20, keep=[20]).exploitability[-1]
            more = {"exploitability_at_20": float(at_20)}
            if peers:
                more |= mfglib(n, name)
                more["times_faster"] = more["mfglib_seconds_per_iteration"] / solution.seconds_per_iteration
            yield row(f"beach bar n={n} {name}", solution, **more)


def mfglib(n, name):
    from mfglib.alg import FictitiousPlay as PeerPlay
    from mfglib.alg import OnlineMirrorDescent as PeerDescent
    from mfglib.env import Environment

    peer = PeerPlay() if name == "FP" else PeerDescent(alpha=1.0)
    env = Environment.beach_bar(T=10, n=n, bar_loc=n // 2)
    began = time.perf_counter()
    _, gaps, _ = peer.solve(env, max_iter=20)
    seconds = (time.perf_counter() - began) / 20
    return {"mfglib_seconds_per_iteration": seconds, "mfglib_exploitability_at_20": float(gaps[-1])}


def growth():
    """Seconds of 50 iterations of fictitious play on garnets over one size at a time, and the exponent."""
    sizes = {
        "n_states": (16, 32, 64, 128), "n_actions": (2, 4, 8, 16), "horizon": (10, 20, 40, 80),
        "games": (2, 8, 32, 128),
    }  # fmt: skip
    for what, values in sizes.items():
        seconds = []
        for value in values:
            settings = {"n_states": 32, "n_actions": 4, "horizon": 20, "games": 4} | {what: value}
            keys = jax.random.split(jax.random.key(0), settings.pop("games"))

            def last(key, settings=settings):
                problem = FlowProblem(garnet(key, **settings))
                return trace(problem, FictitiousPlay(), problem.uniform(), jnp.array([50]))[1].exploitability

            compiled = jax.jit(jax.vmap(last)).lower(keys).compile()
            jax.block_until_ready(compiled(keys))
            began = time.perf_counter()
            jax.block_until_ready(compiled(keys))
            seconds.append((time.perf_counter() - began) / 50)
        exponent = float(np.polyfit(np.log(values), np.log(seconds), 1)[0])
        print(
            f"cost over {what:10} exponent {exponent:.2f}: "
            + ", ".join(f"{v}: {s:.2e}" for v, s in zip(values, seconds, strict=True))
        )
        yield {"size": what, "values": values, "seconds_per_iteration": seconds, "exponent": exponent}


def main():
    peers = "--peers" in sys.argv
    if peers:
        try:
            import mfglib  # noqa: F401
        except ImportError:
            print("MFGLib is not installed, so it is not measured", file=sys.stderr)
            peers = False
    jax.config.update("jax_enable_x64", True)
    print(json.dumps({"solves": [*majors(), *plain(peers)], "growth": list(growth())}))


if __name__ == "__main__":
    main()
