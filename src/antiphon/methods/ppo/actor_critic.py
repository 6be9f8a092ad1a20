"""Actor and critic of PPO, and the heads that turn the actor's numbers into a distribution of actions."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from antiphon.core.distributions import Bernoulli, Categorical, Normal
from antiphon.methods.ppo.moments import Moments
from antiphon.nets.mlp import MLP

# Deviations of a Gaussian policy outside this range lose the gradient or the exploration.
_LEAST_LOG_SCALE, _MOST_LOG_SCALE = -5.0, 2.0


class Head(Protocol):
    """From the actor's outputs to a distribution."""

    def outputs(self, actions: int) -> int:
        """Outputs that the actor needs for an action of so many numbers."""
        ...

    def parameters(self, actions: int) -> Float[Array, "K"]:
        """Weights of the head's own at the start, the same for every observation; none has length 0."""
        ...

    def distribution(self, outputs: Float[Array, "*B A"], parameters: Float[Array, "K"]) -> Any:
        """A distribution of :mod:`antiphon.core.distributions` with sample, log_prob, mode and entropy."""
        ...


@dataclass(frozen=True)
class BernoulliHead:
    """Independent coins, one a valve: the outputs are log-odds. Deterministic action: log-odds > 0."""

    def outputs(self, actions: int) -> int:
        """One a coin."""
        return actions

    def parameters(self, actions: int) -> Float[Array, "0"]:
        """None."""
        del actions
        return jnp.zeros(0)

    def distribution(self, outputs: Float[Array, "*B A"], parameters: Float[Array, "0"]) -> Bernoulli:
        """The coins."""
        del parameters
        return Bernoulli(outputs)


@dataclass(frozen=True)
class CategoricalHead:
    """One of ``action_size`` choices, as an integer."""

    def outputs(self, actions: int) -> int:
        """One a choice."""
        return actions

    def parameters(self, actions: int) -> Float[Array, "0"]:
        """None."""
        del actions
        return jnp.zeros(0)

    def distribution(self, outputs: Float[Array, "*B A"], parameters: Float[Array, "0"]) -> Categorical:
        """The choice."""
        del parameters
        return Categorical(outputs)


@dataclass(frozen=True)
class NormalHead:
    """Continuous actions: the outputs are means; deviations are learned, the same for every observation.

    Attributes:
        scale: deviation at the start, in units of action.
    """

    scale: float = 0.5

    def outputs(self, actions: int) -> int:
        """One a coordinate."""
        return actions

    def parameters(self, actions: int) -> Float[Array, "A"]:
        """Log-deviations."""
        return jnp.full(actions, jnp.log(self.scale))

    def distribution(self, outputs: Float[Array, "*B A"], parameters: Float[Array, "A"]) -> Normal:
        """Independent normals."""
        return Normal(outputs, jnp.exp(jnp.clip(parameters, _LEAST_LOG_SCALE, _MOST_LOG_SCALE)))


class ActorCritic(NamedTuple):
    """What PPO learns.

    Attributes:
        actor: normalised observation to the head's outputs.
        critic: normalised observation to one normalised value.
        head: weights of the head's own.
    """

    actor: MLP
    critic: MLP
    head: Float[Array, "K"]

    @staticmethod
    def init(
        key: Key[Array, ""], head: Head, observations: int, actions: int, width: int, depth: int
    ) -> "ActorCritic":
        """Orthogonal tanh networks; the actor starts near indifference, the critic near zero."""
        key_actor, key_critic = jax.random.split(key)

        def network(key: Key[Array, ""], d_out: int, last_gain: float) -> MLP:
            return MLP.init(
                key, observations, d_out, width=width, depth=depth, activation=jnp.tanh,
                last_gain=last_gain, orthogonal=True,
            )  # fmt: skip

        actor = network(key_actor, head.outputs(actions), 0.01)
        return ActorCritic(actor, network(key_critic, 1, 1.0), head.parameters(actions))


def forward(network: MLP, x: Float[Array, "*B d_in"]) -> Float[Array, "*B d_out"]:
    """The network in float32 on every machine.

    A valve opens where a log-odds is positive, and the exported policy, run by NumPy on a robot, must open
    the same valves. So bfloat16 factors, which :class:`~antiphon.nets.mlp.MLP` uses where they are native,
    will not do; at these widths they are no faster either.
    """
    x = network.activation(jnp.dot(x, network.enter.weight) + network.enter.bias)
    for layer in range(network.hidden.weight.shape[0]):
        x = network.activation(jnp.dot(x, network.hidden.weight[layer]) + network.hidden.bias[layer])
    return jnp.dot(x, network.leave.weight) + network.leave.bias


def rescale_value(critic: MLP, before: Moments, after: Moments) -> MLP:
    """The critic whose restored answers under ``after`` are those of ``critic`` under ``before``.

    Source: arXiv 1602.07714, section 2.2 (PopArt: preserving outputs precisely).
    """
    ratio = before.deviation / after.deviation
    last = type(critic.leave)(
        critic.leave.weight * ratio, critic.leave.bias * ratio + (before.mean - after.mean) / after.deviation
    )
    return type(critic)(critic.enter, critic.hidden, last, critic.activation)


def folded_layers(
    actor: MLP, observations: Moments
) -> tuple[tuple[Float[Array, "d_in d_out"], Float[Array, "d_out"]], ...]:
    """Weights and biases, layer by layer, of the actor on raw observations: the normaliser is folded in.

    W₁' = W₁ / deviation (row by row), b₁' = b₁ − (mean / deviation) W₁.
    """
    weight = actor.enter.weight / observations.deviation[:, None]
    first = (weight, actor.enter.bias - observations.mean @ weight)
    hidden = [
        (actor.hidden.weight[layer], actor.hidden.bias[layer])
        for layer in range(actor.hidden.weight.shape[0])
    ]
    return (first, *hidden, (actor.leave.weight, actor.leave.bias))
