"""Fine-tuning arms: which rewards a policy is trained on, and the training itself."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import PyTree

from antiphon.core.errors import UserError
from antiphon.methods.reinforce_kl import Baseline, ReinforceKL, ReinforceState
from antiphon.nets.frame_model import FrameContext
from antiphon.nets.frame_value import FrameValue
from antiphon.objectives.policy_gradient import KLCredit
from antiphon.train.fit import fit
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.music.bundle import Bundle
from antiphon.worlds.music.policy import grid_context, score_tokens
from antiphon.worlds.music.prompts import draw_prompts

ARMS: dict[str, tuple[tuple[str, float], ...]] = {
    "text": (("text", 1.0),),
    "quality": (("quality", 1.0),),
    "r": (("text", 1.0), ("quality", 1.0)),
}
"""Rewards and weights by arm. The paper does not disclose its weights; on one scale each counts the same."""


@dataclass(frozen=True)
class ArmConfig:
    """Hyper-parameters of every arm.

    Attributes:
      steps: updates.
      prompts: captions in an update.
      group: completions of each caption.
      alpha: weight of the KL against the reward.
      learning_rate: of the policy.
      microbatch: completions per gradient pass.
      baseline: see :class:`~antiphon.methods.reinforce_kl.ReinforceKL`.
      kl_credit: likewise.

    Raises:
      UserError: there is nothing to do, or nothing to do it with.
    """

    steps: int = 200
    prompts: int = 8
    group: int = 6
    alpha: float = 0.005
    learning_rate: float = 5e-5
    microbatch: int = 24
    baseline: Baseline = "leave_one_out"
    kl_credit: KLCredit = "full"

    def __post_init__(self):
        """Refuse an arm without updates."""
        for name in ("steps", "prompts"):
            if getattr(self, name) < 1:
                raise UserError("config", f"arm.{name} is {getattr(self, name)}", "give at least 1")


def prompt_batches(bundle: Bundle, config: ArmConfig, seed: int) -> Callable[[int], FrameContext]:
    """Contexts of fresh captions for every step; held-out combinations never occur."""

    def make(step: int) -> FrameContext:
        prompts = draw_prompts([seed, 31, step], config.prompts, held_out=False)
        context = grid_context(prompts.words, prompts.tempo, prompts.metre, bundle.sizes.frames)
        return jax.tree.map(np.asarray, context)

    return make


def method_of(bundle: Bundle, config: ArmConfig, arm: str) -> ReinforceKL:
    """KL-regularised REINFORCE with the arm's rewards.

    Raises:
      UserError: there is no such arm.
    """
    if arm not in ARMS:
        raise UserError("config", f"there is no arm {arm!r}", f"choose {', '.join(ARMS)}")
    levels = bundle.sizes.levels
    return ReinforceKL(
        model=bundle.sizes.policy,
        rewards=lambda judges, context, tokens: score_tokens(judges, context, tokens, levels),
        weights=ARMS[arm],
        alpha=config.alpha,
        learning_rate=config.learning_rate,
        group=config.group,
        microbatch=config.microbatch,
        baseline=config.baseline,
        kl_credit=config.kl_credit,
        value_model=FrameValue(bundle.sizes.policy) if config.baseline == "value" else None,
    )


def train_arm(bundle: Bundle, config: ArmConfig, arm: str, seed: int, run: RunDirectory | None) -> PyTree:
    """Fine-tune the bundled base policy with an arm's rewards; returns the new policy.

    In a run directory an interrupted arm goes on where it stopped, and a finished one is only loaded.
    """
    method = method_of(bundle, config, arm)
    # As in the paper the value network starts from the policy's checkpoint, with weights of its own.
    value = () if method.value_model is None else FrameValue(bundle.sizes.policy).from_policy(bundle.policy)
    state: ReinforceState = fit(
        method.step, method.init(bundle.policy, bundle.judges, value), steps=config.steps,
        key=jax.random.key(seed), batches=prompt_batches(bundle, config, seed), chunk=4, run=run,
        name=f"arm-{arm}", checkpoint_every=5, show=("reward", "reward_judge", "kl"),
    )  # fmt: skip
    return state.params
