"""Speed of a Nash-MD step, β = ¼, policy and reference of four million weights each.

Run: antiphon bench text [--peers]

The peer (trl 1.13's experimental NashMDTrainer, the last release that has one) lives in an environment of its
own, whose interpreter ANTIPHON_TRL_NASH_PYTHON names. One completion of the policy meets one of the mixture
for each prompt, as in the peer. The fastest of some steps counts, for both.
"""

import jax
import jax.numpy as jnp
from _text_sizes import Sizes, policy_of, prompts_of, quickest, reading, report

from antiphon.feedback.preference import from_reward
from antiphon.methods import NashMD


def mean_token(params, context, tokens):
    """A judge that costs nothing, as that of the peer hardly does."""
    del params, context
    return jnp.mean(tokens, axis=1) / 1000.0


if __name__ == "__main__":
    sizes = Sizes()
    policy, context = policy_of(sizes), prompts_of(sizes)
    method = NashMD(
        policy,
        from_reward(mean_token),
        tau=0.05,
        beta=0.25,
        group=1,
        microbatch=sizes.batch,
        learning_rate=1e-4,
    )
    start, reference = (policy.config.init(jax.random.key(seed)) for seed in (0, 1))
    state = method.init(start, anchor=reference)
    step = jax.jit(lambda state, key: method.step(state, context, key)[0], donate_argnums=0)
    seconds, first = quickest(step, state, 2 * sizes.repeats)
    # The policy's draw, the mixture's two, the reference's scores, the policy's and backwards for two.
    # The policy reads the prompts once for its own draw and the mixture's.
    shared = reading(sizes, 0) * sizes.prompt / (sizes.prompt + sizes.new_tokens - 1)
    work = 7 * reading(sizes, sizes.new_tokens) - shared
    report(
        "Nash-MD step", sizes, seconds, first, work, {"nash_md": "ANTIPHON_TRL_NASH_PYTHON"}, {"nash_md": 3.0}
    )
