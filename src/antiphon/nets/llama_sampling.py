"""Completions: one compiled loop of draws, from one model or from the geometric mixture of two."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from antiphon.core.errors import UserError
from antiphon.nets.llama import Llama, LlamaParams, head_logits
from antiphon.nets.llama_decoding import Prompts, prefill, step, step_weights
from antiphon.nets.llama_drawing import draw_token

Next = Callable[[Any, Int[Array, "B"], Int[Array, ""]], tuple[Float[Array, "B V"], Any]]
"""``(caches, token, how many came before) -> (scores of the next token, caches)``."""


@dataclass(frozen=True)
class Decoding:
    """How completions are drawn.

    Attributes:
        new_tokens: at most so many, T.
        stop: token ids that end a completion; they belong to it.
        pad: fills what comes after the end.
        top_k: draw from the k likeliest only; 0 for all.
        top_p: draw from the fewest likeliest tokens of this mass only; 1 for all.

    Raises:
        UserError: no token to draw, or a bound that leaves nothing or means nothing.
    """

    new_tokens: int = 64
    stop: tuple[int, ...] = ()
    pad: int = 0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if self.new_tokens < 1:
            raise UserError("config", f"completions of {self.new_tokens} tokens", "ask for at least one")
        if self.top_k < 0:
            raise UserError("config", f"top_k is {self.top_k}", "give 0 for all tokens, or how many to keep")
        if not 0 < self.top_p <= 1:
            raise UserError("config", f"top_p is {self.top_p}", "give a mass above 0 and at most 1")


class Completions(NamedTuple):
    """What was drawn.

    Attributes:
        tokens: ``[B, T]`` int32; ``pad`` after the end.
        log_prob: of each token, see :func:`~antiphon.nets.llama_drawing.draw_token`; 0 after the end.
        length: tokens up to and with the stop, ``[B]``.
    """

    tokens: Array
    log_prob: Array
    length: Array


def generate(
    params: LlamaParams,
    config: Llama,
    prompts: Prompts,
    key: Key[Array, ""] | Key[Array, "B"],
    decoding: Decoding,
    temperature: float | Float[Array, ""] = 1.0,
) -> Completions:
    """One completion for each prompt.

    A row depends on its own key only: neither on its neighbours nor on how far the prompts are padded.

    Args:
        params: weights.
        config: their sizes.
        prompts: what to complete.
        key: one for the batch, split into one a row; or one a row.
        decoding: how.
        temperature: 0 takes the likeliest token; may be traced.

    Raises:
        UserError: prompts and completions exceed the model's context, or the temperature is negative.
    """
    _check(config, prompts, decoding, temperature)
    weights = step_weights(params, config)
    state, caches = prefill(params, config, prompts, decoding.new_tokens)

    def following(caches: Any, token: Array, count: Array) -> tuple[Array, Any]:
        return step(weights, config, prompts, caches, token, count)

    return _loop(head_logits(params, state), caches, following, key, decoding, temperature)


def generate_mixture(
    params: tuple[LlamaParams, LlamaParams],
    configs: tuple[Llama, Llama],
    prompts: Prompts,
    key: Key[Array, ""] | Key[Array, "B"],
    beta: float | Float[Array, ""] | Float[Array, "B"],
    decoding: Decoding,
    temperature: float | Float[Array, ""] = 1.0,
) -> Completions:
    """Completions of the token-level geometric mixture, ``π^β(a|s) ∝ π(a|s)^(1−β) μ(a|s)^β``.

    Each model keeps a cache of its own. ``log_prob`` is that of the mixture.

    Args:
        params: weights of π and μ.
        configs: their sizes; one vocabulary.
        prompts: what to complete.
        key: as in :func:`generate`.
        beta: share of μ, in [0, 1]; one for all or one a row.
        decoding: how.
        temperature: of the mixture, which is the mixture of the tempered models.

    Raises:
        UserError: two vocabularies, or as in :func:`generate`.

    Source: arXiv 2312.00886, Eq. 15 and appendix F.1.
    """
    _check_pair(configs, prompts, decoding, temperature)
    weights = tuple(map(step_weights, params, configs))
    read = [prefill(params[i], configs[i], prompts, decoding.new_tokens) for i in range(2)]
    states, caches = zip(*read, strict=True)
    share = jnp.asarray(beta, jnp.float32)
    share = share[:, None] if share.ndim else share

    def mix(first: Array, second: Array) -> Array:
        # Their normalisers are constants of a row, which the softmax takes away again.
        return (1 - share) * first + share * second

    def following(caches: Any, token: Array, count: Array) -> tuple[Array, Any]:
        (first, cache), (second, other) = (
            step(weights[i], configs[i], prompts, caches[i], token, count) for i in range(2)
        )
        return mix(first, second), (cache, other)

    logits = mix(*map(head_logits, params, states))
    return _loop(logits, caches, following, key, decoding, temperature)


def generate_beside(
    params: tuple[LlamaParams, LlamaParams],
    configs: tuple[Llama, Llama],
    prompts: Prompts,
    keys: tuple[Key[Array, ""], Key[Array, ""]],
    beta: float | Float[Array, ""],
    decoding: Decoding,
    temperature: float | Float[Array, ""] = 1.0,
    counts: tuple[int, int] = (1, 1),
) -> tuple[Completions, Completions]:
    """Completions of π and, in the same loop, of the mixture: what a step of Nash-MD draws.

    The same as :func:`generate` and :func:`generate_mixture` on prompts repeated ``counts`` times, but each
    model reads each prompt once, and π's weights are passed through once for both.

    Args:
        params: weights of π and μ.
        configs: their sizes; one vocabulary.
        prompts: what to complete, M of them.
        keys: of the draws from π and from the mixture.
        beta: share of μ in the mixture, in [0, 1].
        decoding: how.
        temperature: of both.
        counts: completions of π and of the mixture for each prompt.

    Returns:
        Of π, ``M · counts[0]`` rows, those of one prompt one after the other; likewise of the mixture.

    Raises:
        UserError: as in :func:`generate_mixture`.

    Source: as :func:`generate_mixture`.
    """
    _check_pair(configs, prompts, decoding, temperature)
    own, other = (prompts.length.shape[0] * count for count in counts)

    def repeat(tree: Any, count: int) -> Any:
        return jax.tree.map(lambda leaf: jnp.repeat(leaf, count, axis=0), tree)

    def for_both(tree: Any) -> Any:
        parts = (repeat(tree, count) for count in counts)
        return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)

    both, against = for_both(prompts), repeat(prompts, counts[1])
    weights = tuple(map(step_weights, params, configs))
    (state, cache), (anchor, kept) = (
        prefill(params[i], configs[i], prompts, decoding.new_tokens) for i in range(2)
    )

    def mix(first: Array, second: Array) -> Array:
        mixed = (1 - beta) * first[own:] + beta * second
        return jnp.concatenate([first[:own], mixed])

    def following(caches: Any, token: Array, count: Array) -> tuple[Array, Any]:
        first, cache = step(weights[0], configs[0], both, caches[0], token, count)
        second, kept = step(weights[1], configs[1], against, caches[1], token[own:], count)
        return mix(first, second), (cache, kept)

    logits = mix(for_both(head_logits(params[0], state)), repeat(head_logits(params[1], anchor), counts[1]))
    caches = for_both(cache), repeat(kept, counts[1])
    each = jnp.concatenate([jax.random.split(keys[0], own), jax.random.split(keys[1], other)])
    drawn = _loop(logits, caches, following, each, decoding, temperature)
    return Completions(*(leaf[:own] for leaf in drawn)), Completions(*(leaf[own:] for leaf in drawn))


def chosen_tokens(tokens: Int[Array, "B T"], stop: tuple[int, ...]) -> Float[Array, "B T"]:
    """1 up to and with the first stop, 0 on the padding after it."""
    ended = jnp.cumsum(is_stop(tokens, stop), axis=-1)
    return (ended - is_stop(tokens, stop) < 1).astype(jnp.float32)


def is_stop(tokens: Int[Array, "*B"], stop: tuple[int, ...]) -> Int[Array, "*B"]:
    """1 where a token ends the completion."""
    return jnp.isin(tokens, jnp.asarray(stop, jnp.int32)).astype(jnp.int32)


def _loop(
    logits: Float[Array, "B V"],
    caches: Any,
    following: Next,
    key: Array,
    decoding: Decoding,
    temperature: float | Float[Array, ""],
) -> Completions:
    batch = logits.shape[0]
    keys = jax.random.split(key, batch) if key.ndim == 0 else key

    def draw(logits: Array, count: Array, done: Array) -> tuple[Array, Array, Array]:
        drawn, log_prob = draw_token(
            jax.vmap(jax.random.fold_in, (0, None))(keys, count),
            logits, temperature, decoding.top_k, decoding.top_p,
        )  # fmt: skip
        token = jnp.where(done, decoding.pad, drawn)
        return token, jnp.where(done, 0.0, log_prob), done | (is_stop(token, decoding.stop) > 0)

    def body(carry):
        count, token, done, caches, tokens, log_probs, length = carry
        logits, caches = following(caches, token, count - 1)
        length = length + ~done
        token, log_prob, done = draw(logits, count, done)
        tokens, log_probs = tokens.at[:, count].set(token), log_probs.at[:, count].set(log_prob)
        return count + 1, token, done, caches, tokens, log_probs, length

    token, log_prob, done = draw(logits, jnp.int32(0), jnp.zeros(batch, bool))
    tokens = jnp.full((batch, decoding.new_tokens), decoding.pad, jnp.int32).at[:, 0].set(token)
    log_probs = jnp.zeros((batch, decoding.new_tokens)).at[:, 0].set(log_prob)
    carry = (jnp.int32(1), token, done, caches, tokens, log_probs, jnp.ones(batch, jnp.int32))
    carry = jax.lax.while_loop(lambda c: (c[0] < decoding.new_tokens) & ~jnp.all(c[2]), body, carry)
    return Completions(carry[4], carry[5], carry[6])


def _check_pair(
    configs: tuple[Llama, Llama], prompts: Prompts, decoding: Decoding, temperature: float | Float[Array, ""]
) -> None:
    if configs[0].vocabulary != configs[1].vocabulary:
        raise UserError(
            "tokenizer",
            f"vocabularies of {configs[0].vocabulary} and {configs[1].vocabulary} tokens cannot be mixed",
            "use two models with one tokenizer",
        )
    for config in configs:
        _check(config, prompts, decoding, temperature)


def _check(
    config: Llama, prompts: Prompts, decoding: Decoding, temperature: float | Float[Array, ""]
) -> None:
    longest = prompts.tokens.shape[1]
    if longest + decoding.new_tokens > config.context:
        raise UserError(
            "prompt",
            f"a prompt of {longest} tokens and {decoding.new_tokens} new ones exceed the model's context of "
            f"{config.context}",
            "shorten the prompt, or ask for fewer new tokens",
        )
    if isinstance(temperature, int | float) and temperature < 0:
        raise UserError("config", f"the temperature is {temperature}", "give 0 or more")
