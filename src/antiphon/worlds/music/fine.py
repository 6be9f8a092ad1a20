"""Fine levels in parallel: a masked decoder in the manner of SoundStorm (arXiv 2305.09636), not touched by reinforcement.

Given the coarse levels of every frame it fills the finer ones level by level. Inside a level all frames are guessed at once; in the first rounds only the most
certain guesses stay, the rest are guessed again.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from antiphon.nets.embedding import embed, pick
from antiphon.nets.layers import ConvNeXt, Dense, apply_stack, rms_norm, stack


class FineParams(NamedTuple):
    """``tokens`` ``[Q, K + 1, d]`` (the last code means unknown), ``level`` ``[Q, d]``, blocks, ``gain`` ``[d]``, ``heads`` one per fine level."""

    tokens: Array
    level: Array
    blocks: ConvNeXt
    gain: Array
    heads: Dense


@dataclass(frozen=True)
class FineModel:
    """Sizes: ``coarse`` given levels, ``levels`` in all, ``codes`` per level; ``rounds`` of guessing per level."""

    coarse: int = 3
    levels: int = 8
    codes: int = 512
    width: int = 160
    blocks: int = 3
    rounds: tuple[int, ...] = (3, 2, 1, 1, 1)

    def init(self, key: PRNGKeyArray) -> FineParams:
        """Random weights."""
        k = jax.random.split(key, 4)
        return FineParams(
            jax.random.normal(k[0], (self.levels, self.codes + 1, self.width)) * 0.3,
            jax.random.normal(k[1], (self.levels, self.width)) * 0.3,
            stack(lambda key: ConvNeXt.init(key, self.width), k[2], self.blocks),
            jnp.ones(self.width),
            stack(lambda key: Dense.init(key, self.width, self.codes, 0.5), k[3], self.levels - self.coarse),
        )

    def states(self, params: FineParams, tokens: Int[Array, "B F Q"], level: Array) -> Float[Array, "B F d"]:
        """Features before the head of ``level``; unknown tokens are ``codes``."""
        x = sum(embed(params.tokens[q], tokens[..., q]) for q in range(self.levels))
        x = apply_stack(params.blocks, x + params.level[level])
        return rms_norm(x, params.gain)

    def fill(
        self, params: FineParams, key: PRNGKeyArray, coarse: Int[Array, "B F c"], temperature: float = 0.7
    ) -> Int[Array, "B F Q"]:
        """Coarse tokens with all finer levels drawn."""
        batch, frames = coarse.shape[:2]
        unknown = jnp.full((batch, frames, self.levels - self.coarse), self.codes, jnp.int32)
        tokens = jnp.concatenate([coarse[..., : self.coarse], unknown], axis=-1)
        for i, rounds in enumerate(self.rounds):
            level = self.coarse + i
            head = jax.tree.map(lambda leaf, i=i: leaf[i], params.heads)
            for r in range(rounds):
                key, key_draw = jax.random.split(key)
                known = tokens[..., level] < self.codes
                logits = head(self.states(params, tokens, level)) / temperature
                drawn = jax.random.categorical(key_draw, logits, axis=-1).astype(jnp.int32)
                sure = pick(jax.nn.log_softmax(logits), drawn)
                sure = jnp.where(known, jnp.inf, sure)
                # Cosine schedule: the share that stays unknown after round r of R.
                left = round(frames * float(jnp.cos(jnp.pi / 2 * (r + 1) / rounds))) if r + 1 < rounds else 0
                keep = frames - left
                threshold = jnp.sort(sure, axis=1)[:, frames - keep][:, None]
                filled = jnp.where(known, tokens[..., level], jnp.where(sure >= threshold, drawn, self.codes))
                tokens = tokens.at[..., level].set(filled)
        return tokens


class FineState(NamedTuple):
    """Weights and optimiser state."""

    params: FineParams
    optimiser: optax.OptState


@dataclass(frozen=True)
class FineTraining:
    """Masked prediction: one level a step, a random share of its frames hidden, all finer levels hidden."""

    model: FineModel = FineModel()
    learning_rate: float = 2e-3
    steps: int = 1500

    def optimiser(self) -> optax.GradientTransformation:
        """Adam with warm-up and cosine, gradient norm clipped to 1."""
        schedule = optax.warmup_cosine_decay_schedule(0.0, self.learning_rate, min(50, self.steps // 5 + 1), self.steps)
        return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule, b2=0.98))

    def init(self, key: PRNGKeyArray) -> FineState:
        """Fresh weights."""
        params = self.model.init(key)
        return FineState(params, self.optimiser().init(params))

    def step(self, state: FineState, tokens: Int[Array, "B F Q"], key: PRNGKeyArray) -> tuple[FineState, dict]:
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
        updates, optimiser = self.optimiser().update(gradient, state.optimiser)
        return FineState(optax.apply_updates(state.params, updates), optimiser), {"loss": loss}
