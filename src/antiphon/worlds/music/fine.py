"""Fine levels in parallel: a masked decoder after SoundStorm (arXiv 2305.09636), left alone by reinforcement.

Given the coarse levels of every frame it fills the finer ones level by level. Inside a level all frames are
guessed at once; in the first rounds only the most certain guesses stay, the rest are guessed again.
"""

import functools
import math
import operator
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from antiphon.core.errors import UserError
from antiphon.core.indexing import pick
from antiphon.nets.layers import ConvNeXt, Dense, apply_stack, rms_norm, stack
from antiphon.worlds.music.optimiser import begin, clipped_adam, descend


class FineParams(NamedTuple):
    """Weights.

    ``tokens`` ``[Q, K + 1, d]`` (the last code means unknown), ``level`` ``[Q, d]``, ``gain`` ``[d]``;
    ``blocks`` and ``heads`` (one for each fine level) have a leading axis.
    """

    tokens: Array
    level: Array
    blocks: ConvNeXt
    gain: Array
    heads: Dense


@dataclass(frozen=True)
class FineModel:
    """Sizes.

    Attributes:
      coarse: levels that are given.
      levels: levels in all.
      codes: codes per level.
      width: channels.
      blocks: ConvNeXt blocks.
      rounds: of guessing at each fine level; levels beyond the list have one.

    Raises:
      UserError: there is no fine level, or a level without a round.
    """

    coarse: int = 3
    levels: int = 8
    codes: int = 512
    width: int = 160
    blocks: int = 3
    rounds: tuple[int, ...] = (3, 2, 1, 1, 1)

    def __post_init__(self):
        """Refuse what cannot be filled."""
        if not 1 <= self.coarse < self.levels:
            raise UserError(
                "config",
                f"{self.coarse} of {self.levels} levels are given",
                "give at least 1, leave at least 1",
            )
        if any(count < 1 for count in self.rounds):
            raise UserError("config", f"rounds are {self.rounds}", "give every level at least 1")

    def init(self, key: PRNGKeyArray) -> FineParams:
        """Random weights."""
        k = jax.random.split(key, 4)
        blocks = stack(lambda key: ConvNeXt.init(key, self.width), k[2], self.blocks)
        heads = stack(
            lambda key: Dense.init(key, self.width, self.codes, 0.5), k[3], self.levels - self.coarse
        )
        return FineParams(
            tokens=jax.random.normal(k[0], (self.levels, self.codes + 1, self.width)) * 0.3,
            level=jax.random.normal(k[1], (self.levels, self.width)) * 0.3,
            blocks=blocks,
            gain=jnp.ones(self.width),
            heads=heads,
        )

    def states(
        self, params: FineParams, tokens: Int[Array, "B F Q"], level: int | Int[Array, ""]
    ) -> Float[Array, "B F d"]:
        """Features before the head of ``level``; unknown tokens are ``codes``."""
        embedded = [params.tokens[q][tokens[..., q]] for q in range(self.levels)]
        x = functools.reduce(operator.add, embedded)
        x = apply_stack(params.blocks, x + params.level[level])
        return rms_norm(x, params.gain)

    def fill(
        self, params: FineParams, key: PRNGKeyArray, coarse: Int[Array, "B F c"], temperature: float = 0.7
    ) -> Int[Array, "B F Q"]:
        """Coarse tokens with all finer levels drawn.

        Args:
          params: weights.
          key: of the draws.
          coarse: tokens of at least the coarse levels; finer ones are drawn anew.
          temperature: of the draws.
        """
        batch, frames = coarse.shape[:2]
        unknown = jnp.full((batch, frames, self.levels - self.coarse), self.codes, jnp.int32)
        tokens = jnp.concatenate([coarse[..., : self.coarse], unknown], axis=-1)
        for i in range(self.levels - self.coarse):
            level = self.coarse + i
            head = jax.tree.map(lambda leaf, i=i: leaf[i], params.heads)
            rounds = self.rounds[i] if i < len(self.rounds) else 1
            for done in range(1, rounds + 1):
                key, key_draw = jax.random.split(key)
                known = tokens[..., level] < self.codes
                logits = head(self.states(params, tokens, level)) / temperature
                drawn = jax.random.categorical(key_draw, logits, axis=-1).astype(jnp.int32)
                certainty = jnp.where(known, jnp.inf, pick(jax.nn.log_softmax(logits), drawn))
                left = still_unknown(frames, done, rounds)
                threshold = jnp.sort(certainty, axis=1)[:, left][:, None]
                kept = jnp.where(certainty >= threshold, drawn, self.codes)
                tokens = tokens.at[..., level].set(jnp.where(known, tokens[..., level], kept))
        return tokens


def still_unknown(frames: int, done: int, rounds: int) -> int:
    """Frames of a level left to guess after ``done`` of ``rounds`` rounds.

    ``frames * cos(pi/2 * done / rounds)``, the cosine schedule of MaskGIT (arXiv 2202.04200, section 3.3).
    """
    return round(frames * math.cos(math.pi / 2 * done / rounds)) if done < rounds else 0


class FineState(NamedTuple):
    """Weights and optimiser state."""

    params: FineParams
    optimiser: optax.OptState


@dataclass(frozen=True)
class FineTraining:
    """Masked prediction: one level a step, a random share of its frames hidden, all finer levels hidden.

    Loss = mean nats of the hidden tokens of the level.
    """

    model: FineModel = FineModel()
    learning_rate: float = 2e-3
    steps: int = 1500

    def optimiser(self) -> optax.GradientTransformation:
        """See :func:`~antiphon.worlds.music.optimiser.clipped_adam`."""
        return clipped_adam(self.learning_rate, self.steps, warmup=min(50, self.steps // 5 + 1))

    def init(self, key: PRNGKeyArray) -> FineState:
        """Fresh weights."""
        params = self.model.init(key)
        return FineState(params, begin(self.optimiser(), params))

    def step(
        self, state: FineState, tokens: Int[Array, "B F Q"], key: PRNGKeyArray
    ) -> tuple[FineState, dict[str, Array]]:
        """One update on full token frames."""
        key_level, key_share, key_mask = jax.random.split(key, 3)
        m = self.model
        level = jax.random.randint(key_level, (), m.coarse, m.levels)
        share = jnp.cos(0.5 * jnp.pi * jax.random.uniform(key_share, (tokens.shape[0], 1)))
        hidden = jax.random.uniform(key_mask, tokens.shape[:2]) < share
        target = jnp.take(tokens, level, axis=2)
        index = jnp.arange(m.levels)
        shown = jnp.where((index > level) | ((index == level) & hidden[..., None]), m.codes, tokens)

        def loss_of(params):
            head = jax.tree.map(lambda leaf: leaf[level - m.coarse], params.heads)
            logits = head(m.states(params, shown, level))
            nats = -pick(jax.nn.log_softmax(logits), target)
            return jnp.sum(nats * hidden) / jnp.maximum(jnp.sum(hidden), 1)

        loss, gradient = jax.value_and_grad(loss_of)(state.params)
        params, optimiser = descend(self.optimiser(), gradient, state.optimiser, state.params)
        return FineState(params, optimiser), {"loss": loss}
