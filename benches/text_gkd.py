"""Speed of an on-policy distillation step, JSD(½), teacher and student of four million weights each.

Run: antiphon bench text [--peers]

The peer (trl 1.16's experimental GKDTrainer) lives in an environment of its own, whose interpreter
ANTIPHON_TRL_GKD_PYTHON names. The fastest of some steps counts, for both.
"""

import jax
import jax.numpy as jnp
from _text_sizes import Sizes, policy_of, prompts_of, quickest, reading, report

from antiphon.methods import GKD, SFTBatch
from antiphon.objectives.distillation import TokenDivergence

if __name__ == "__main__":
    sizes = Sizes()
    policy, context = policy_of(sizes), prompts_of(sizes)
    method = GKD(policy, policy, on_policy=1.0, divergence=TokenDivergence("jsd", 0.5), chunk=256)
    state = method.init(policy.config.init(jax.random.key(0)), policy.config.init(jax.random.key(1)))
    given = jnp.zeros((sizes.batch, sizes.new_tokens), jnp.int32)
    batch = SFTBatch(given, context, jnp.ones(given.shape))
    step = jax.jit(lambda state, key: method.step(state, batch, key)[0], donate_argnums=0)
    seconds, first = quickest(step, state, 2 * sizes.repeats)
    # Drawing reads everything once, the teacher once, the student once and backwards for two.
    work = 5 * reading(sizes, sizes.new_tokens)
    report(
        "on-policy distillation step", sizes, seconds, first, work, {"gkd": "ANTIPHON_TRL_GKD_PYTHON"},
        {"gkd": 2.0},
    )  # fmt: skip
