"""A preference fitted to comparisons, which reads both answers and may go in circles.

    P(y ≻ y'|x) = σ(f(x, y, y') − f(x, y', y)),    f minimising the cross-entropy of who is preferred

The difference makes it antisymmetric whatever f is: P(y ≻ y') + P(y' ≻ y) = 1 and P(y ≻ y) = ½ exactly.
"""

from dataclasses import dataclass, field

import jax
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from antiphon.core.errors import UserError
from antiphon.feedback.pairs import Pairs
from antiphon.methods.comparison_fitting import JudgeState, LogOdds, comparison_step
from antiphon.methods.microbatches import check_microbatch
from antiphon.methods.optimisers import warm_and_cool


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PreferenceModel:
    """The method.

    Attributes:
        score: f, such as :meth:`~antiphon.nets.llama_judge.LlamaJudge.compare`.
        learning_rate: peak of AdamW with warm-up and cosine.
        steps: length of the schedule.
        warmup: steps of linear warm-up, at most a tenth of ``steps``.
        weight_decay: on matrices.
        clip: bound on the gradient's norm.
        microbatch: pairs whose gradient is taken at once, at most; None for all.

    Raises:
        UserError: fewer than one step, or pairs at once.

    Source: arXiv 2312.00886, section 3 and its preference model.
    Differs from the paper: there a language model is asked which of two answers is better and the log-odds of
    its reply are tuned; the symmetry is not enforced. Here it holds by construction.
    """

    score: LogOdds = field(metadata={"static": True})
    learning_rate: float | Float[Array, ""] = 1e-4
    steps: int = field(default=1000, metadata={"static": True})
    warmup: int = field(default=50, metadata={"static": True})
    weight_decay: float = 0.01
    clip: float = 1.0
    microbatch: int | None = field(default=None, metadata={"static": True})

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UserError("config", f"a preference model of {self.steps} steps", "give at least 1")
        check_microbatch(self.microbatch)

    def log_odds(self, params: PyTree, context: PyTree, first: PyTree, second: PyTree) -> Float[Array, " B"]:
        """f(x, y, y') − f(x, y', y)."""
        return self.score(params, context, first, second) - self.score(params, context, second, first)

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
