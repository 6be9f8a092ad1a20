"""A decoder that judges: one completion with a number, or two in their order.

Behind every completion stands a mark, and the state of the last mark, through one vector, is the judgement.
Rows are padded anywhere; what is absent is masked and takes no position.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from antiphon.nets.llama import Llama, LlamaParams, hidden_states
from antiphon.nets.llama_decoding import Prompts, positions_of
from antiphon.nets.llama_sampling import chosen_tokens


class JudgeParams(NamedTuple):
    """Weights.

    Attributes:
        trunk: of the decoder, whose head is not used.
        head: ``[d]``.
    """

    trunk: LlamaParams
    head: Array


@dataclass(frozen=True)
class LlamaJudge:
    """Sizes of a judge, and what it reads.

    Attributes:
        config: sizes of the decoder.
        stop: ids that end a completion; what follows is not read.
        mark: id of the mark; the end of text will do.
        remat: whether the backward pass computes the layers again instead of keeping what they held.
    """

    config: Llama
    stop: tuple[int, ...] = ()
    mark: int = 0
    remat: bool = False

    def init(self, key: PRNGKeyArray, trunk: LlamaParams | None = None) -> JudgeParams:
        """A judge that is indifferent at first.

        Args:
            key: for the trunk, unless one is given.
            trunk: of a policy that can already write, from which judges learn faster.
        """
        return JudgeParams(self.config.init(key) if trunk is None else trunk, jnp.zeros(self.config.width))

    def reward(
        self, params: JudgeParams, context: Prompts, completion: Int[Array, "B T"]
    ) -> Float[Array, " B"]:
        """r(x, y): reads prompt, completion, mark."""
        return self._judged(params, context, completion)

    def compare(
        self,
        params: JudgeParams,
        context: Prompts,
        first: Int[Array, "B T"],
        second: Int[Array, "B U"],
    ) -> Float[Array, " B"]:
        """f(x, y, y'): reads prompt, first, mark, second, mark.

        By itself it is not antisymmetric; :func:`~antiphon.feedback.preference.antisymmetric` makes it so.
        """
        return self._judged(params, context, first, second)

    def _judged(self, params: JudgeParams, context: Prompts, *sides: Array) -> Float[Array, " B"]:
        rows = context.tokens.shape[0]
        mark, there = jnp.full((rows, 1), self.mark, jnp.int32), jnp.ones((rows, 1), bool)
        slots, present = [context.tokens], [positions_of(context, 0)[1]]
        for side in sides:
            read = chosen_tokens(side, self.stop) > 0 if self.stop else jnp.ones(side.shape, bool)
            slots += [side, mark]
            present += [read, there]
        seen = jnp.concatenate(present, axis=1)
        states = hidden_states(
            params.trunk, self.config, jnp.concatenate(slots, axis=1),
            jnp.cumsum(seen, axis=1) - 1, seen, remat=self.remat,
        )  # fmt: skip
        return jnp.einsum("bd,d->b", states[:, -1], params.head.astype(jnp.float32),
                          precision=jax.lax.Precision.HIGHEST)  # fmt: skip
