"""Speed of the sampler: 24 new tokens after prompts of 64, from a decoder of four million weights.

Run: antiphon bench text [--peers]

Peers live in environments of their own, whose interpreters ANTIPHON_TUNIX_PYTHON (google-tunix) and
ANTIPHON_TRANSFORMERS_PYTHON (transformers, torch) name. The fastest of some calls counts, for everybody.
"""

import jax
from _text_sizes import Sizes, policy_of, prompts_of, quickest, reading, report

if __name__ == "__main__":
    sizes = Sizes()
    policy, context = policy_of(sizes), prompts_of(sizes)
    params = policy.config.init(jax.random.key(0))
    draw = jax.jit(lambda params, key: policy.sample(params, key, context))
    seconds, first = quickest(lambda state, key: draw(params, key), None, 2 * sizes.repeats)
    report(
        "sampling", sizes, seconds, first, reading(sizes, sizes.new_tokens),
        {"tunix": "ANTIPHON_TUNIX_PYTHON", "transformers": "ANTIPHON_TRANSFORMERS_PYTHON"},
        {"tunix": 1.5, "transformers": 3.0},
    )  # fmt: skip
