"""The value network of a frame model: the same network, with heads that end in one number."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from antiphon.nets.frame_model import FrameContext, FrameModel, FrameParams
from antiphon.nets.layers import Dense


@dataclass(frozen=True)
class FrameValue:
    """A :class:`~antiphon.nets.sequence_model.ValueModel` that starts from a policy's checkpoint.

    Its weights are :class:`~antiphon.nets.frame_model.FrameParams` of its own, whose ``heads.logits`` is
    ``[L, d, 1]``. Nothing is shared with the policy after the start.

    Attributes:
        model: sizes of the policy.

    Source: MusicRL, arXiv 2402.04229, section 3.3 (policy and value both start at the pretrained model).
    """

    model: FrameModel

    def from_policy(self, params: FrameParams, initial: float = 0.0) -> FrameParams:
        """Weights that predict ``initial`` everywhere, with the policy's features below.

        Args:
            params: of the policy; copied.
            initial: expected return to start from.
        """
        levels, width = params.heads.gain.shape
        last = Dense(jnp.zeros((levels, width, 1)), jnp.full((levels, 1), initial, jnp.float32))
        own = jax.tree.map(jnp.array, params)  # its own buffers, so that both may be donated
        return own._replace(heads=own.heads._replace(logits=last))

    def values(
        self, params: FrameParams, tokens: Int[Array, "B T"], context: FrameContext
    ) -> Float[Array, "B T"]:
        """Expected return before each token is drawn, given the tokens before it."""
        return self.model.head_outputs(params, tokens, context).reshape(tokens.shape)
