"""The run: starts, arms, findings. Every start and arm is a piece that a resumed run does not repeat."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from antiphon.core import divergences
from antiphon.nets.llama import LlamaParams
from antiphon.nets.weights import named_leaves
from antiphon.studies.gkd import networks
from antiphon.studies.gkd.arms import (
    DIVERGENCES,
    HALF,
    LAMBDAS,
    ON_POLICY,
    SELF,
    SELF_SUPERVISED,
    SEQUENCE,
    SFT_ARM,
    SUPERVISED,
    TWICE,
    Arm,
    Ground,
    of_grid,
    rewarded,
    slug,
    step_seconds,
    trained,
)
from antiphon.studies.gkd.config import Config
from antiphon.studies.gkd.findings import read_off
from antiphon.studies.gkd.networks import CHAIN, STUDENT, TEACHER
from antiphon.studies.gkd.pictures import picture
from antiphon.studies.gkd.results import NEARNESS, Results
from antiphon.studies.gkd.training import Score, judge
from antiphon.train.findings import Finding
from antiphon.train.media import write_media
from antiphon.train.pieces import done_once
from antiphon.train.progress import say
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.text.arithmetic import Exercises


def run(config: Config, run: RunDirectory) -> list[Finding]:
    """Measures the claims and leaves tables and figures."""
    with run.held():
        results = measure(config, run)
    write_media(run.path, picture(config, results))
    return read_off(config, results)


def measure(config: Config, run: RunDirectory) -> Results:
    """All trainings, or what is left of them."""
    lab = _Lab(config, run, networks.shipped_teacher(), networks.fresh(config.seed, config.judged))
    teacher = done_once(run, "teacher", lambda: judge(TEACHER, lab.teacher, CHAIN, lab.fresh)._asdict())
    results = Results(_score(teacher), steps=config.steps)
    for examples, updates in zip(config.examples, config.start_steps, strict=True):
        lab.arms(results, examples, updates, config.starts, (SUPERVISED, ON_POLICY))
    last, updates = config.examples[-1], config.start_steps[-1]
    first = lab.starts(results, last, updates, 1)[0]
    costs = done_once(run, "costs", lambda: lab.costs(first, last, updates))
    results.costs.update({name: float(value) for name, value in costs.items()})
    ends = done_once(run, "ends", lambda: lab.ends(first, last, updates))
    results.ends.update({name: float(value) for name, value in ends.items()})
    if config.grid:
        lab.arms(results, last, updates, config.starts, (HALF, TWICE, SFT_ARM))
        lab.arms(results, last, updates, config.grid_starts, _grid(config))
        lab.arms(results, last, updates, config.grid_starts, (SELF, SELF_SUPERVISED))
    if config.easy_examples:
        easy = (SFT_ARM, SUPERVISED, ON_POLICY)
        lab.arms(
            results, config.easy_examples, config.easy_start_steps, config.starts, easy,
            window=(0.0, 1.0), steps=config.easy_steps,
        )  # fmt: skip
    return results


def _grid(config: Config) -> tuple[Arm, ...]:
    cells = [of_grid(*divergence, share) for divergence in DIVERGENCES for share in LAMBDAS]
    few = Arm(f"on-policy GKD, {config.share:.0%} of the prompts", share=config.share)
    # In this order an interrupted run has answered the questions before it has filled the table.
    return (SEQUENCE, few, *map(rewarded, config.alphas), *sorted(cells, key=lambda arm: -arm.on_policy))


@dataclass(frozen=True)
class _Lab:
    """What all pieces share.

    Attributes:
        config: sizes.
        run: where pieces are kept.
        teacher: everybody's.
        fresh: exercises to be judged on.
        found: starts so far, their numbers, by N.
    """

    config: Config
    run: RunDirectory
    teacher: LlamaParams
    fresh: Exercises
    found: dict[int, list[int]] = field(default_factory=dict)

    def arms(
        self, results: Results, examples: int, updates: int, starts: int, arms: Iterable[Arm],
        window: tuple[float, float] | None = None, steps: int | None = None,
    ) -> None:  # fmt: skip
        """Trains each arm from each start, and notes the scores."""
        numbers = self.starts(results, examples, updates, starts, window)
        for arm in arms:
            for number in numbers:
                results.note(examples, arm.name, number, self.arm(
                    arm, examples, updates, number, numbers, steps or self.config.steps
                ))  # fmt: skip

    def arm(
        self, arm: Arm, examples: int, updates: int, number: int, numbers: list[int], steps: int
    ) -> Score:
        """The score of one arm from one start."""

        def make() -> dict[str, float]:
            params = trained(arm, self.config, self.ground(examples, updates, number, numbers), steps)
            return judge(STUDENT, params, CHAIN, self.fresh)._asdict()

        return _score(done_once(self.run, f"{examples}/{number}/{slug(arm.name)}", make))

    def ground(self, examples: int, updates: int, number: int, numbers: list[int]) -> Ground:
        """A start with everything that goes with it; its peer is the start after it."""
        params = self.start(examples, updates, number)[0]
        peer = numbers[(numbers.index(number) + 1) % len(numbers)]
        return Ground(
            params,
            networks.exercises(self.config.seed, examples, number),
            self.teacher,
            self.start(examples, updates, peer)[0],
            jax.random.fold_in(jax.random.key(self.config.seed), 1000 + number),
        )

    def starts(
        self, results: Results, examples: int, updates: int, count: int,
        window: tuple[float, float] | None = None,
    ) -> list[int]:  # fmt: skip
        """Numbers of the first ``count`` starts whose score lies in the window; nothing else is looked at."""
        low, high = window or self.config.window
        if self.config.shipped_start:
            low, high = 0.0, 1.0
        kept = self.found.setdefault(examples, [])
        number = max(kept, default=-1) + 1
        while len(kept) < count and number < self.config.candidates:
            score = self.start(examples, updates, number)[1]
            if low <= score.greedy <= high:
                kept.append(number)
                results.note(examples, "start", number, score)
            else:
                say(f"start {number} with {examples} examples has {score.greedy:.1%}: passed over")
                results.passed_over += 1
            number += 1
        return kept[:count]

    def start(self, examples: int, updates: int, number: int) -> tuple[LlamaParams, Score]:
        """Weights of a start, and their score."""
        config = self.config

        def make() -> dict[str, np.ndarray]:
            if config.shipped_start:
                params = networks.shipped_start()
            else:
                params = networks.start_params(config.seed, number, examples, updates, config.batch)
            score = judge(STUDENT, params, CHAIN, self.fresh)
            return {**named_leaves(params), **_arrays(score)}

        kept = done_once(self.run, f"{examples}/{number}/start", make)
        like = networks.shape_of(STUDENT)
        leaves = [jnp.asarray(kept[name]) for name in named_leaves(like)]
        return jax.tree.unflatten(jax.tree.structure(like), leaves), _score(kept)

    def costs(self, number: int, examples: int, updates: int) -> dict[str, float]:
        """Seconds of a step."""
        ground = self.ground(examples, updates, number, [number])
        return {arm.name: step_seconds(arm, self.config, ground) for arm in (SFT_ARM, SUPERVISED, ON_POLICY)}

    def ends(self, number: int, examples: int, updates: int) -> dict[str, float]:
        """How far the normalised divergence is from the two KLs near its ends, mean over answers, nats."""
        ground = self.ground(examples, updates, number, [number])
        few = jax.tree.map(lambda leaf: leaf[:200], ground.exercises)
        logits = (
            policy.logits(params, few.answers, few.prompts())
            for policy, params in ((TEACHER, ground.teacher), (STUDENT, ground.params))
        )
        wide = [np.asarray(leaf, np.float64) for leaf in logits]
        with jax.enable_x64(True):
            teacher, student = map(jnp.asarray, wide)
            return {f"{near:g}": _from_the_ends(teacher, student, near) for near in NEARNESS}


def _from_the_ends(teacher: Array, student: Array, near: float) -> float:
    """The larger of the two distances, at β = near and at 1 − near."""
    apart = []
    for beta, kl in ((near, divergences.forward_kl), (1 - near, divergences.reverse_kl)):
        scaled = divergences.jsd(teacher, student, beta) / (beta * (1 - beta))
        apart.append(abs(float(jnp.mean(scaled) - jnp.mean(kl(teacher, student)))))
    return max(apart)


def _score(kept: dict[str, np.ndarray]) -> Score:
    return Score(float(kept["greedy"]), float(kept["sampled"]))


def _arrays(score: Score) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in score._asdict().items()}
