"""One measurement of a peer, in the peer's own environment: seconds per iteration, and exploitability.

Run by meanfield_solvers.py as: PYTHON _meanfield_peers.py mfglib|openspiel GAME SOLVER ITERATIONS
"""

import json
import sys
import time


def mfglib(game, solver, iterations):
    import torch
    from mfglib.alg import FictitiousPlay, OnlineMirrorDescent
    from mfglib.env import Environment
    from mfglib.scoring import exploitability_score

    torch.set_num_threads(1)
    n = int(game)
    env = Environment.beach_bar(T=10, n=n, bar_loc=n // 2)
    start = torch.ones((env.T + 1, *env.S, *env.A)) / env.n_actions
    alone, measured = [], []
    for _ in range(3):
        peer = FictitiousPlay() if solver == "FP" else OnlineMirrorDescent(alpha=1.0)
        state = peer.init_state(env, start)
        began = time.perf_counter()
        for _ in range(iterations):
            state = peer.step_next_state(state, None, None)
        alone.append((time.perf_counter() - began) / iterations)
        # What its users call also computes the exploitability of every iteration.
        measured.append(peer.solve(env, max_iter=iterations, atol=None, rtol=None)[2][-1] / iterations)
    return min(alone), min(measured), float(exploitability_score(env, state.pi))


def openspiel(game, solver, iterations):
    import pyspiel
    from open_spiel.python.mfg.algorithms import fictitious_play, mirror_descent, nash_conv

    tree = pyspiel.load_game(game)
    peer = fictitious_play.FictitiousPlay(tree) if solver == "FP" else mirror_descent.MirrorDescent(tree)
    alone, measured, gap = [], [], 0.0
    for _ in range(iterations):
        began = time.perf_counter()
        peer.iteration()
        alone.append(time.perf_counter() - began)
        gap = nash_conv.NashConv(tree, peer.get_policy()).nash_conv()
        measured.append(time.perf_counter() - began)
    return min(alone), min(measured), gap


if __name__ == "__main__":
    library, game, solver, iterations = sys.argv[1:]
    alone, measured, gap = {"mfglib": mfglib, "openspiel": openspiel}[library](game, solver, int(iterations))
    print(
        json.dumps(
            {
                "seconds_per_iteration": alone,
                "measured_seconds_per_iteration": measured,
                "exploitability": gap,
            }
        )
    )
