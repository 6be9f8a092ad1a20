"""Training loops over exercises, and the marks of a student: each one compiled program."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, PyTree

from antiphon.methods.gkd import GKD
from antiphon.methods.sft import SFT, SFTBatch
from antiphon.nets.llama_policy import LlamaPolicy
from antiphon.nets.sequence_model import SequenceModel
from antiphon.worlds.text.arithmetic import Chain, Exercises, prompts

State = TypeVar("State")


class Score(NamedTuple):
    """Share of right answers.

    Attributes:
        greedy: each token the likeliest.
        sampled: drawn at temperature 1.
    """

    greedy: float
    sampled: float


@functools.partial(jax.jit, static_argnames="batch")
def fine_tune(method: SFT, params: PyTree, exercises: Exercises, key: PRNGKeyArray, *, batch: int) -> PyTree:
    """Supervised fine-tuning on a fixed set of exercises, for ``method.steps`` updates."""
    return _loop(method.step, method.init(params), _drawn_from(exercises, batch), key, method.steps).params


@functools.partial(jax.jit, static_argnames="batch")
def distil(
    method: GKD, params: PyTree, teacher: PyTree, exercises: Exercises, key: PRNGKeyArray, *, batch: int
) -> PyTree:
    """Distillation on the prompts of a fixed set, and on its answers where ``method`` asks for those."""
    each = method.group if method.reward is not None else 1
    return _loop(
        method.step, method.init(params, teacher), _drawn_from(exercises, batch, each), key, method.steps
    ).params


def judge(policy: SequenceModel, params: PyTree, chain: Chain, exercises: Exercises) -> Score:
    """Marks on fresh exercises."""
    greedy, sampled = (
        float(_right(policy, params, chain, exercises, temperature)) for temperature in (0.0, 1.0)
    )
    return Score(greedy, sampled)


@functools.partial(jax.jit, static_argnames="policy")
def answers_of(policy: LlamaPolicy, params: PyTree, exercises: Exercises, key: PRNGKeyArray) -> Exercises:
    """The same questions with answers that a model draws at temperature 1."""
    tokens = policy.sample(params, key, prompts(exercises.questions))
    return Exercises(exercises.questions, tokens)


@functools.partial(jax.jit, static_argnames=("policy", "chain"))
def _right(
    policy: SequenceModel, params: PyTree, chain: Chain, exercises: Exercises, temperature: float
) -> Array:
    context = exercises.prompts()
    tokens = policy.sample(params, jax.random.key(0), context, temperature=temperature)
    return jnp.mean(chain.right(context, tokens))


def _drawn_from(exercises: Exercises, batch: int, each: int = 1) -> Callable[[PRNGKeyArray], Exercises]:
    """Batches drawn from a fixed set; every one drawn stands ``each`` times in a row."""

    def draw(key: PRNGKeyArray) -> Exercises:
        place = jax.random.randint(key, (batch // each,), 0, exercises.questions.shape[0])
        return jax.tree.map(lambda leaf: leaf[jnp.repeat(place, each)], exercises)

    return draw


def _loop(
    step: Callable[[State, SFTBatch, PRNGKeyArray], tuple[State, Any]],
    state: State,
    draw: Callable[[PRNGKeyArray], Exercises],
    key: PRNGKeyArray,
    steps: int,
) -> State:
    def once(state: State, key: PRNGKeyArray) -> tuple[State, None]:
        key_batch, key_step = jax.random.split(key)
        given = draw(key_batch)
        batch = SFTBatch(given.answers, given.prompts(), jnp.ones(given.answers.shape))
        return step(state, batch, key_step)[0], None

    return jax.lax.scan(once, state, jax.random.split(key, steps))[0]
