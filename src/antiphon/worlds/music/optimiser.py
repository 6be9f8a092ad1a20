"""How every network of this world but the policy is optimised: one recipe, one typed update."""

from typing import Any, TypeVar, cast

import optax

Tree = TypeVar("Tree")


def clipped_adam(
    learning_rate: float, steps: int, *, warmup: int, final: float = 0.0, weight_decay: float | None = None
) -> optax.GradientTransformation:
    """Adam (second-moment decay 0.98) behind a norm clip of 1, on a linear warm-up and a cosine to ``final``.

    Args:
      learning_rate: peak.
      steps: length of the schedule.
      warmup: steps from zero to the peak.
      final: last learning rate.
      weight_decay: decoupled decay of all weights (arXiv 1711.05101); None for plain Adam.
    """
    schedule = optax.warmup_cosine_decay_schedule(0.0, learning_rate, warmup, steps, final)
    adam = (
        optax.adam(schedule, b2=0.98)
        if weight_decay is None
        else optax.adamw(schedule, b2=0.98, weight_decay=weight_decay)
    )
    return optax.chain(optax.clip_by_global_norm(1.0), adam)


def begin(optimiser: optax.GradientTransformation, params: object) -> optax.OptState:
    """The optimiser's state before the first step."""
    return optimiser.init(cast(Any, params))


def descend(
    optimiser: optax.GradientTransformation, gradient: Tree, state: optax.OptState, params: Tree
) -> tuple[Tree, optax.OptState]:
    """One update: ``(params, state)`` after a step along ``-gradient``."""
    # optax types trees as mappings and lists; ours are records, which it handles just as well.
    weights = cast(Any, params)
    updates, state = optimiser.update(cast(Any, gradient), state, weights)
    return cast(Tree, optax.apply_updates(weights, updates)), state
