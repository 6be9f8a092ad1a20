"""A plain multilayer perceptron for states, actions and features."""

from collections.abc import Callable
from dataclasses import dataclass, field

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from antiphon.core.errors import UserError
from antiphon.nets.layers import Dense, apply_stack, stack

Activation = Callable[[Array], Array]
"""Element by element: ``jax.numpy.tanh``, ``jax.nn.relu``, ``jax.nn.silu``, …"""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class MLP:
    """``leave(f(h_L))`` with ``h_1 = enter(x)``, ``h_{l+1} = hidden_l(f(h_l))`` and f the activation.

    An ensemble is ``jax.vmap(init)`` over keys and ``jax.vmap(MLP.__call__, (0, None))``.

    Attributes:
        enter: ``d_in`` to ``width``.
        hidden: ``width`` to ``width``, stacked on a leading axis of ``depth − 1``.
        leave: ``width`` to ``d_out``.
        activation: f; no weight, and part of the tree's structure.
    """

    enter: Dense
    hidden: Dense
    leave: Dense
    activation: Activation = field(metadata={"static": True})

    @staticmethod
    def init(
        key: PRNGKeyArray,
        d_in: int,
        d_out: int,
        *,
        width: int = 256,
        depth: int = 2,
        activation: Activation = jax.nn.relu,
        gain: float = 2**0.5,
        last_gain: float = 1.0,
        orthogonal: bool = False,
    ) -> "MLP":
        """Random weights, zero biases.

        Args:
            key: random key.
            d_in: numbers in.
            d_out: numbers out.
            width: units of every hidden layer.
            depth: hidden layers, at least 1.
            activation: applied after every layer but the last.
            gain: size of the hidden weights: deviation ``gain / sqrt(rows)``, or length of the orthogonal
                vectors; √2 keeps the scale of features through relu.
            last_gain: the same of the last layer; 0.01 starts a policy near its mean action.
            orthogonal: orthogonal instead of normal weights, as on-policy methods prefer
                (arXiv 2005.12729, section 3).

        Raises:
            UserError: a size below 1.
        """
        for name, size in (("d_in", d_in), ("d_out", d_out), ("width", width), ("depth", depth)):
            if size < 1:
                raise UserError("config", f"an MLP with {name}={size}", "give at least 1")
        make = Dense.orthogonal if orthogonal else Dense.init
        key_enter, key_hidden, key_leave = jax.random.split(key, 3)
        return MLP(
            enter=make(key_enter, d_in, width, gain),
            hidden=stack(lambda k: make(k, width, width, gain), key_hidden, depth - 1),
            leave=make(key_leave, width, d_out, last_gain),
            activation=activation,
        )

    def __call__(self, x: Float[Array, "*B d_in"]) -> Float[Array, "*B d_out"]:
        """Apply to any batch."""
        first = self.activation(self.enter(x))
        return self.leave(apply_stack(_Activated(self.hidden, self.activation), first))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class _Activated:
    """A dense layer and what follows it."""

    dense: Dense
    activation: Activation = field(metadata={"static": True})

    def __call__(self, x: Array) -> Array:
        return self.activation(self.dense(x))
