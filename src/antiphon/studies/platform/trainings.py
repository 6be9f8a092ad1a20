"""The policies of the run: trained once, kept in the run directory, and how they became good."""

from collections.abc import Mapping

import numpy as np

from antiphon.studies.platform import claims
from antiphon.studies.platform.config import Config
from antiphon.studies.platform.learning import FIGURES, Curve, Learned, learn
from antiphon.studies.platform_presets import platform_method
from antiphon.train.findings import Finding
from antiphon.train.media import Figure, Series
from antiphon.train.pieces import done_once
from antiphon.train.progress import say
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.platform.policy_file import PlatformPolicy, load_policy
from antiphon.worlds.platform.policy_search import bundled_policies, find_policy

TASK = "go-to-pose"
ENVS = 2048


def trainings(config: Config, run: RunDirectory) -> dict[str, Learned]:
    """Ours with each seed, the authors' preset, and one under disturbances if none is bundled, by name."""
    plans = {
        f"ours, seed {config.seed + k}": (platform_method(TASK), config.seed + k, config.seconds)
        for k in range(config.seeds)
    }
    if config.drift_seconds:
        plans["drift preset"] = (
            platform_method(TASK, observation="drift"),
            config.seed,
            config.drift_seconds,
        )
    if config.robust_seconds and bundled_robust() is None:
        plans["ours + randomisation"] = (
            platform_method(TASK, robust=True),
            config.seed,
            config.robust_seconds,
        )
    found = {}
    for name, (method, seed, seconds) in plans.items():
        say(f"training: {name}, {seconds:g} s")

        def make(method=method, seed=seed, seconds=seconds) -> Mapping[str, np.ndarray]:
            learned = learn(method, seed, seconds, config.watch, say)
            path = learned.policy.save(run.path / "policies" / "newest.npz")
            return {"policy": np.frombuffer(path.read_bytes(), np.uint8), **learned.curve._asdict()}

        kept = done_once(run, f"training/{name.replace(' ', '-').replace(',', '')}", make)
        path = run.path / "policies" / f"{name.replace(' ', '-').replace(',', '')}.npz"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(kept["policy"].tobytes())
        curve = Curve(kept["seconds"], kept["steps"], kept["figures"])
        found[name] = Learned(load_policy(path), curve)
    (run.path / "policies" / "newest.npz").unlink(missing_ok=True)
    return found


def bundled_robust() -> PlatformPolicy | None:
    """The bundled policy for poses that was trained under disturbances, if there is one."""
    for name, path in bundled_policies().items():
        if name != TASK and name.startswith(TASK):
            policy = find_policy(path)
            if policy.metadata.task == TASK:
                return policy
    return None


def chosen(config: Config, learned: Mapping[str, Learned]) -> PlatformPolicy:
    """The policy that goes elsewhere: that of the first seed, or the bundled one where nothing was learnt."""
    if not config.learns:
        return find_policy(TASK)
    return next(one.policy for name, one in learned.items() if name.startswith("ours, seed"))


def speed(learned: Mapping[str, Learned]) -> list[Finding]:
    """How many steps it took to pass the authors' best, and how fast they were."""
    ours = {name: one.curve for name, one in learned.items() if name.startswith("ours, seed")}
    passes = [curve.passes(claims.AUTHORS["PT5"]) for curve in ours.values()]
    slowest = max(steps for _, steps in passes)
    rates = [curve.steps[-1] / curve.seconds[-1] for curve in ours.values() if curve.seconds[-1] > 0]
    if np.isfinite(slowest):
        fast = claims.FAST.measured(
            slowest,
            holds=slowest < 131e6,
            note=f"{len(ours)} seeds; after {', '.join(f'{s:.1f} s' for s, _ in passes)} of training here",
        )
    else:
        fast = claims.FAST.untested("the training of this size ends before PT5 reaches .603")
    rate = float(np.mean(rates)) if rates else float("nan")
    return [
        fast,
        claims.THROUGHPUT.measured(
            rate,
            holds=None,
            note="mean over seeds; a clock's figure depends on what else runs, so nothing is asserted",
        ),
    ]


def curves(learned: Mapping[str, Learned]) -> tuple[Figure, ...]:
    """Precision and air over training."""
    figures = []
    for figure, label in (
        ("PT5", "time within 5 cm"),
        ("PT1", "time within 1 cm"),
        ("OT5", "time within 5°"),
        ("air_use", "air use"),
    ):
        column = FIGURES.index(figure)
        series = tuple(
            Series(name, tuple(one.curve.seconds), tuple(one.curve.figures[:, column]))
            for name, one in learned.items()
        )
        note = "The authors' best policy, after 131 million steps: " + (
            f"{claims.AUTHORS[figure]:.3f}." if figure in claims.AUTHORS else "not published."
        )
        figures.append(Figure(f"{figure} while training", "s of training", label, series, note=note))
    return tuple(figures)
