"""What is compared: ways to go on from a start, each by name, and what one of them comes to."""

import time
from dataclasses import dataclass, field, replace

import jax
from jaxtyping import PRNGKeyArray

from antiphon.methods.gkd import GKD
from antiphon.methods.sft import SFT
from antiphon.nets.llama import LlamaParams
from antiphon.objectives.distillation import Kind, TokenDivergence
from antiphon.studies.gkd.config import Config
from antiphon.studies.gkd.networks import CHAIN, STUDENT, TEACHER
from antiphon.studies.gkd.training import answers_of, distil, fine_tune
from antiphon.worlds.text.arithmetic import Exercises


@dataclass(frozen=True)
class Arm:
    """One way to go on.

    Attributes:
        name: in tables, and of its piece in the run directory.
        kind: of the divergence; None is maximum likelihood.
        beta: of the divergence, if it has one.
        on_policy: λ.
        stretch: length, in units of the study's number of steps.
        share: of the prompts that are used.
        alpha: weight of distillation against the reward; None without a reward.
        written: whose answers the fixed ones are, the true ones or the teacher's.
        peer: whether the teacher is another start, with the student's own sizes.
    """

    name: str
    kind: Kind | None = "forward_kl"
    beta: float = 0.5
    on_policy: float = 1.0
    stretch: float = 1.0
    share: float = 1.0
    alpha: float | None = None
    written: str = "true"
    peer: bool = False


SFT_ARM = Arm("continued SFT", kind=None)
SUPERVISED = Arm("supervised KD", on_policy=0.0)
HALF = Arm("λ ½", on_policy=0.5)
ON_POLICY = Arm("on-policy GKD")
TWICE = replace(SUPERVISED, name="supervised KD, twice the steps", stretch=2.0)
SEQUENCE = Arm("sequence-level KD", kind=None, written="teacher")
F_DISTILL = Arm("f-distill", kind="total_variation", on_policy=0.5)
SELF = Arm("self-distillation", peer=True)
SELF_SUPERVISED = replace(SELF, name="supervised self-distillation", on_policy=0.0)

DIVERGENCES: tuple[tuple[str, Kind, float], ...] = (
    ("forward KL", "forward_kl", 0.5),
    ("JSD .1", "jsd", 0.1),
    ("JSD .5", "jsd", 0.5),
    ("JSD .9", "jsd", 0.9),
    ("reverse KL", "reverse_kl", 0.5),
    ("total variation", "total_variation", 0.5),
    ("normalised JSD .5", "normalised_jsd", 0.5),
)
"""By name, from the mode-covering to the mode-seeking, then the two beside that line."""

LAMBDAS = (0.0, 0.5, 1.0)
_TIMED_STEPS = 40


def of_grid(label: str, kind: Kind, beta: float, share: float) -> Arm:
    """A cell of the grid; the three with the forward KL are those that have names of their own."""
    if kind == "forward_kl":
        return {0.0: SUPERVISED, 0.5: HALF, 1.0: ON_POLICY}[share]
    if kind == "total_variation" and share == 0.5:
        return F_DISTILL
    return Arm(f"{label}, λ {share:g}", kind, beta, share)


def rewarded(alpha: float) -> Arm:
    """Distillation by the reverse KL, which the paper advises here, beside a reward for the right answer."""
    return Arm(f"reward, α {alpha:g}", "reverse_kl", alpha=alpha)


@dataclass(frozen=True)
class Ground:
    """Where arms start from.

    Attributes:
        params: of the start.
        exercises: its fixed set.
        teacher: the teacher.
        peer: another start, for self-distillation.
        key: of everything drawn.
    """

    params: LlamaParams
    exercises: Exercises
    teacher: LlamaParams
    peer: LlamaParams | None = None
    key: PRNGKeyArray = field(default_factory=lambda: jax.random.key(0))


def slug(name: str) -> str:
    """A file's name of an arm's."""
    for sign, word in (
        (" ", "-"),
        (",", ""),
        ("λ", "lambda"),
        ("½", "half"),
        ("α", "alpha"),
        ("%", "percent"),
    ):
        name = name.replace(sign, word)
    return name


def trained(arm: Arm, config: Config, ground: Ground, steps: int) -> LlamaParams:
    """What an arm makes of a start in ``steps`` updates, stretched as it says."""
    given, length = ground.exercises, round(steps * arm.stretch)
    if arm.share < 1:
        count = round(arm.share * len(given.questions))
        given = jax.tree.map(lambda leaf: leaf[:count], given)
    if arm.written == "teacher":
        given = answers_of(TEACHER, ground.teacher, given, jax.random.fold_in(ground.key, 1))
    if arm.kind is None:
        tune = SFT(STUDENT, learning_rate=config.learning_rate, steps=length, final=0.05, weight_decay=0.01)
        return fine_tune(tune, ground.params, given, ground.key, batch=config.batch)
    teacher = ground.peer if arm.peer else ground.teacher
    method = GKD(
        STUDENT, STUDENT if arm.peer else TEACHER, on_policy=arm.on_policy,
        divergence=TokenDivergence(arm.kind, arm.beta),
        reward=CHAIN.right if arm.alpha is not None else None,
        alpha=1.0 if arm.alpha is None else arm.alpha,
        learning_rate=config.learning_rate, steps=length,
    )  # fmt: skip
    return distil(method, ground.params, teacher, given, ground.key, batch=config.batch)


def step_seconds(arm: Arm, config: Config, ground: Ground) -> float:
    """Seconds of one update, the quickest of some rounds; without compilation."""
    rounds = []
    for _ in range(4):
        began = time.perf_counter()
        jax.block_until_ready(trained(arm, config, ground, _TIMED_STEPS))
        rounds.append((time.perf_counter() - began) / _TIMED_STEPS)
    return min(rounds[1:])
