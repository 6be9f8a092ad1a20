"""A reward fitted to comparisons: the model of Bradley and Terry.

    P(y ≻ y'|x) = σ(r(x, y) − r(x, y')),    r minimising E[−p log σ(r − r') − (1 − p) log σ(r' − r)]

Where preferences go in circles no reward explains them, and which one fits best depends on the pairs.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import jax
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from antiphon.core.errors import UserError
from antiphon.feedback.pairs import Pairs
from antiphon.methods.comparison_fitting import JudgeState, comparison_step
from antiphon.methods.microbatches import check_microbatch
from antiphon.methods.optimisers import warm_and_cool

Reward = Callable[[PyTree, PyTree, PyTree], Float[Array, " B"]]
"""``(params, context, completion) -> [B]``: what a completion is worth."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class RewardModel:
    """The method.

    Attributes:
        reward: r, such as :meth:`~antiphon.nets.llama_judge.LlamaJudge.reward`.
        learning_rate: peak of AdamW with warm-up and cosine.
        steps: length of the schedule.
        warmup: steps of linear warm-up, at most a tenth of ``steps``.
        weight_decay: on matrices.
        clip: bound on the gradient's norm.
        microbatch: pairs whose gradient is taken at once, at most; None for all.

    Raises:
        UserError: fewer than one step, or pairs at once.

    Source: Bradley and Terry 1952; arXiv 2312.00886, section 3, and its reward model.
    """

    reward: Reward = field(metadata={"static": True})
    learning_rate: float | Float[Array, ""] = 1e-4
    steps: int = field(default=1000, metadata={"static": True})
    warmup: int = field(default=50, metadata={"static": True})
    weight_decay: float = 0.01
    clip: float = 1.0
    microbatch: int | None = field(default=None, metadata={"static": True})

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UserError("config", f"a reward model of {self.steps} steps", "give at least 1")
        check_microbatch(self.microbatch)

    def log_odds(self, params: PyTree, context: PyTree, first: PyTree, second: PyTree) -> Float[Array, " B"]:
        """r(x, y) − r(x, y')."""
        return self.reward(params, context, first) - self.reward(params, context, second)

    def init(self, params: PyTree) -> JudgeState:
        """Start from ``params``."""
        return JudgeState(params, self._optimiser().init(params))

    def step(
        self, state: JudgeState, pairs: Pairs, key: PRNGKeyArray
    ) -> tuple[JudgeState, dict[str, Float[Array, ""]]]:
        """One update; metrics ``loss`` (nats) and ``accuracy`` (share of pairs judged as they were)."""
        del key
        return comparison_step(self.log_odds, self._optimiser(), state, pairs, self.microbatch)

    def _optimiser(self) -> optax.GradientTransformation:
        return warm_and_cool(self.learning_rate, self.steps, self.warmup, self.weight_decay, self.clip)
