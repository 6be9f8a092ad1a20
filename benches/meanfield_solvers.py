"""Speed of equilibrium solvers: seconds per iteration, and how they grow; with --peers two peers beside them.

Run: antiphon bench meanfield [--peers]

A peer lives in an environment of its own, whose interpreter ANTIPHON_MFGLIB_PYTHON or
ANTIPHON_OPENSPIEL_PYTHON names; without them it is looked for beside antiphon. Of repeated measurements the
fastest counts, for us and for them; compilation is not in it and stands apart.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

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
from antiphon.worlds.meanfield.crowd_modelling import CrowdModelling
from antiphon.worlds.meanfield.garnet import garnet
from antiphon.worlds.meanfield.sis import SIS

REPEATS = 3
PEER_NAMES = {"mfglib": "MFGLib", "openspiel": "OpenSpiel"}


def quickest(problem, solver, iterations, repeats=REPEATS, **settings):
    """The solution whose iterations took least, of some runs of one program."""
    runs = [solve(problem, solver, iterations, keep=[iterations], **settings) for _ in range(repeats)]
    best = min(runs, key=lambda run: run.seconds_per_iteration)
    # Later runs find their program compiled, so only the first says what that took.
    return best, runs[0].compile_seconds


def row(name, seconds, compile_seconds, gap, **more):
    found = {
        "name": name, "seconds_per_iteration": seconds, "compile_seconds": compile_seconds,
        "exploitability": gap,
    } | more  # fmt: skip
    beside = ""
    if "times_faster" in more:
        theirs = more["peer_seconds_per_iteration"]
        beside = f"; {more['peer']} {theirs:.2e} s, {more['times_faster']:.0f} times as long"
        beside += f" ({more['times_faster_measured']:.0f} with each iteration measured)"
        beside += f"; exploitability {gap:.6g} and {more['peer_exploitability']:.6g}"
    print(f"{name:32} {seconds:.2e} s/iteration, {compile_seconds:.1f} s to compile{beside}", flush=True)
    return found


def majors():
    for rules, cells, iterations in ((SIS(), 120, 1000), (Advertisement(), 120, 1000), (Buffet(), 50, 30)):
        problem = partition(major_minor_game(rules), cells, "nearest")
        start = first_action(problem)
        found, compile_seconds = quickest(
            problem, FictitiousPlay("plain"), iterations, 2, start=start, paths=0
        )
        gaps = {kind: float(leaf[-1]) for kind, leaf in found.exploitability._asdict().items()}
        name = f"{type(rules).__name__} M={cells} FP {iterations}"
        yield row(name, found.seconds_per_iteration, compile_seconds, gaps)


def plain(pythons):
    """Beach bar beside MFGLib, at equal iterations; crowd modelling beside OpenSpiel."""
    for n in (10, 100):
        # The peer computes in float32.
        problem = FlowProblem(mean_field_game(BeachBar(n_states=n, bar=n // 2)), dtype=jnp.float32)
        solvers = {"FP": FictitiousPlay(split_ties=True), "OMD": MirrorDescent()}
        for name, solver in solvers.items():
            label = f"beach bar n={n} {name} 20"
            yield beside(label, problem, solver, 20, pythons, ("mfglib", str(n), name))
    games = {
        "mfg_crowd_modelling(size=10,horizon=10)": CrowdModelling(accounting="openspiel"),
        "mfg_crowd_modelling(size=100,horizon=10)": CrowdModelling(size=100, accounting="openspiel"),
        "mfg_crowd_modelling_2d(size=10,horizon=10)": CrowdModelling("open", accounting="openspiel"),
    }
    for theirs, ours in games.items():
        problem = FlowProblem(ours.build())
        for name, solver in {"FP": FictitiousPlay(), "OMD": MirrorDescent(0.01)}.items():
            label = f"crowd {ours.layout} {ours.size} {name} 10"
            yield beside(label, problem, solver, 10, pythons, ("openspiel", theirs, name))


def beside(name, problem, solver, iterations, pythons, peer):
    """Iterations alone, and with the exploitability measured after each, as the peers' users have it."""
    # Twenty iterations are over before a clock can tell; a thousand are timed, and twenty are judged.
    alone, compile_seconds = quickest(problem, solver, 1000, paths=0)
    every = min(
        solve(problem, solver, 200, keep=range(201), paths=0).seconds_per_iteration for _ in range(REPEATS)
    )
    judged = solve(problem, solver, iterations, keep=[iterations]).exploitability[-1]
    more = {"measured_seconds_per_iteration": every}
    if peer[0] in pythons:
        theirs = measured(pythons[peer[0]], *peer, iterations)
        more |= {"peer": PEER_NAMES[peer[0]]} | {f"peer_{key}": value for key, value in theirs.items()}
        more["times_faster"] = theirs["seconds_per_iteration"] / alone.seconds_per_iteration
        more["times_faster_measured"] = theirs["measured_seconds_per_iteration"] / every
    return row(name, alone.seconds_per_iteration, compile_seconds, float(judged), **more)


def measured(python, *words):
    command = [python, str(Path(__file__).with_name("_meanfield_peers.py")), *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def installed():
    """Interpreters that have a peer, and a line for each that is not there."""
    found = {}
    for library, module in (("mfglib", "mfglib"), ("openspiel", "pyspiel")):
        python = os.environ.get(f"ANTIPHON_{library.upper()}_PYTHON", sys.executable)
        there = subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False)
        if there.returncode == 0:
            found[library] = python
        else:
            print(f"{PEER_NAMES[library]} is not installed, so it is not measured", file=sys.stderr)
    return found


def seconds_of_trace(settings, iterations=50):
    """Seconds of an iteration of fictitious play on a batch of garnets, which is one vmap."""
    settings = {"n_states": 32, "n_actions": 4, "horizon": 20, "games": 4} | settings
    keys = jax.random.split(jax.random.key(0), settings.pop("games"))

    def last(key):
        problem = FlowProblem(garnet(key, **settings))
        return trace(problem, FictitiousPlay(), problem.uniform(), jnp.array([iterations]))[1].exploitability

    compiled = jax.jit(jax.vmap(last)).lower(keys).compile()
    seconds = []
    for _ in range(REPEATS + 1):
        began = time.perf_counter()
        jax.block_until_ready(compiled(keys))
        seconds.append((time.perf_counter() - began) / iterations)
    return min(seconds)


def seconds_on_grid(cells):
    problem = partition(major_minor_game(SIS(horizon=50)), cells)
    return quickest(problem, FictitiousPlay("plain"), 50, paths=0)[0].seconds_per_iteration


def seconds_on_ring(size):
    problem = FlowProblem(CrowdModelling(size=size).build())
    return quickest(problem, FictitiousPlay(), 50)[0].seconds_per_iteration


def growth():
    """Seconds of an iteration of fictitious play over one size at a time, and the fitted exponent."""
    sizes = {
        "states": ((16, 32, 64, 128), lambda n: seconds_of_trace({"n_states": n})),
        "states (5 successors)": ((125, 500, 2000, 8000), seconds_on_ring),
        "actions": ((2, 4, 8, 16), lambda n: seconds_of_trace({"n_actions": n})),
        "horizon": ((10, 20, 40, 80), lambda n: seconds_of_trace({"horizon": n})),
        "games": ((2, 8, 32, 64), lambda n: seconds_of_trace({"games": n})),
        "grid": ((25, 50, 100, 200), seconds_on_grid),
    }
    for what, (values, clock) in sizes.items():
        seconds = [clock(value) for value in values]
        exponent = float(np.polyfit(np.log(values), np.log(seconds), 1)[0])
        told = ", ".join(f"{v}: {s:.1e}" for v, s in zip(values, seconds, strict=True))
        print(f"cost over {what:22} exponent {exponent:.2f}: {told}", flush=True)
        yield {"size": what, "values": values, "seconds_per_iteration": seconds, "exponent": exponent}


def main():
    pythons = installed() if "--peers" in sys.argv else {}
    jax.config.update("jax_enable_x64", True)
    print(json.dumps({"solves": [*majors(), *plain(pythons)], "growth": list(growth())}))


if __name__ == "__main__":
    main()
