"""Generalised distillation: what is learnt from which batch, and the gradient beside a reward, enumerated."""

import itertools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.methods.gkd import GKD
from antiphon.methods.sft import SFTBatch
from antiphon.objectives.distillation import TokenDivergence


@dataclass(frozen=True)
class Bigram:
    """Scores of a token given the one before; the context is the first one before. ``params [V, V]``."""

    length: int = 3

    def states(self, params, tokens, context):
        before = jnp.concatenate([context[:, None], tokens[:, :-1]], axis=1)
        return jax.nn.one_hot(before, params.shape[0])

    def head(self, params, states):
        return states @ params

    def logits(self, params, tokens, context):
        return self.head(params, self.states(params, tokens, context))

    def sample(self, params, key, context, *, temperature=1.0):
        def draw(before, key):
            token = jax.random.categorical(key, params[before] / temperature)
            return token, token

        return jax.lax.scan(draw, context, jax.random.split(key, self.length))[1].T


@dataclass(frozen=True)
class Whole:
    """The same without its two steps."""

    def logits(self, params, tokens, context):
        return Bigram().logits(params, tokens, context)

    def sample(self, params, key, context, *, temperature=1.0):
        return Bigram().sample(params, key, context, temperature=temperature)


MODEL = Bigram()
RNG = np.random.default_rng(0)
TEACHER, STUDENT = (jnp.asarray(RNG.normal(size=(4, 4)) * 2, jnp.float32) for _ in range(2))
BATCH = SFTBatch(
    jnp.asarray(RNG.integers(4, size=(6, 3))), jnp.asarray(RNG.integers(4, size=6)),
    jnp.array([[1, 1, 1], [1, 1, 0], [1, 0, 0]] * 2),
)  # fmt: skip


def test_supervised_steps_learn_from_the_given_completions():
    method = GKD(MODEL, MODEL, on_policy=0.0, divergence=TokenDivergence("reverse_kl"))
    _, metrics = jax.jit(method.step)(method.init(STUDENT, TEACHER), BATCH, jax.random.key(0))
    expected = []
    for tokens, before, mask in zip(*map(np.asarray, BATCH), strict=True):
        path = [before, *tokens]
        values = []
        for n in range(int(mask.sum())):
            p, q = (jax.nn.softmax(table[path[n]]) for table in (TEACHER, STUDENT))
            values.append(np.sum(q * np.log(q / p)))
        expected.append(np.mean(values))
    assert metrics["divergence"] == pytest.approx(np.mean(expected), rel=1e-4)
    assert metrics["on_policy"] == 0
    assert metrics["length"] == 2


def test_a_share_of_the_steps_is_on_policy_and_stops_where_the_student_stops():
    method = GKD(MODEL, MODEL, on_policy=0.3, chosen=lambda context, tokens: jnp.cumsum(tokens == 0, 1) == 0)
    step = jax.jit(lambda key: method.step(method.init(STUDENT, TEACHER), BATCH, key)[1])
    found = jax.vmap(step)(jax.random.split(jax.random.key(0), 400))
    assert np.mean(found["on_policy"]) == pytest.approx(0.3, abs=0.1)
    assert (found["length"][found["on_policy"] == 0] == 2).all()
    assert len(set(np.asarray(found["length"][found["on_policy"] == 1]).tolist())) > 3


@pytest.mark.parametrize("top_k", [None, 2])
def test_pieces_change_nothing(top_k):
    whole, pieces = (GKD(MODEL, MODEL, on_policy=0.0, top_k=top_k, chunk=chunk) for chunk in (None, 5))

    def of(method):
        return jax.value_and_grad(lambda p: method.loss(p, TEACHER, *BATCH)[0])(STUDENT)

    for a, b in zip(of(whole), of(pieces), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("settings", [
    {"on_policy": 0.0}, {"on_policy": 0.0, "reduction": "token"},
    {"reward": lambda context, tokens: tokens[:, 0] * 1.0, "alpha": 0.3, "group": 2},
])  # fmt: skip
def test_microbatches_are_the_whole_batch_whatever_counts_in_each(settings):
    found = []
    for microbatch in (None, 4, 1):
        method = GKD(MODEL, MODEL, warmup=0, microbatch=microbatch, **settings)
        found.append(jax.jit(method.step)(method.init(STUDENT, TEACHER), BATCH, jax.random.key(0)))
    assert np.abs(found[0][0].params - STUDENT).max() > 1e-4
    for state, metrics in found[1:]:
        np.testing.assert_allclose(state.params, found[0][0].params, rtol=1e-4, atol=1e-6)
        for name, value in metrics.items():
            np.testing.assert_allclose(value, found[0][1][name], rtol=1e-5)


def test_the_student_becomes_the_teacher_on_its_own_completions():
    method = GKD(MODEL, MODEL, learning_rate=0.1, steps=300, weight_decay=0.0)

    @jax.jit
    def train(key):
        return jax.lax.scan(
            lambda state, key: method.step(state, BATCH, key),
            method.init(STUDENT, TEACHER),
            jax.random.split(key, 300),
        )

    state, metrics = train(jax.random.key(0))
    assert metrics["divergence"][0] > 0.3
    assert metrics["divergence"][-20:].mean() < 0.01
    # Rows the context or a completion reaches are learnt, whatever the data said.
    np.testing.assert_allclose(jax.nn.softmax(state.params), jax.nn.softmax(TEACHER), atol=0.05)


def test_beside_a_reward_the_expected_gradient_is_that_of_the_objective():
    """Two tokens of two kinds: four completions, sixteen equally ordered pairs of them."""
    teacher, student = (jnp.asarray(RNG.normal(size=(2, 2)), jnp.float32) for _ in range(2))
    model, worth = Bigram(2), jnp.array([0.3, -0.5, 1.0, 0.2])
    context = jnp.zeros(2, int)
    method = GKD(
        model, model, reward=lambda context, tokens: worth[tokens @ jnp.array([2, 1])], alpha=0.4, group=2
    )
    completions = jnp.array(list(itertools.product(range(2), repeat=2)))

    def log_law(params):
        log_p = jax.nn.log_softmax(model.logits(params, completions, jnp.zeros(4, int)))
        return jnp.sum(jnp.take_along_axis(log_p, completions[..., None], -1)[..., 0], 1)

    law = jnp.exp(log_law(student))
    expected = jnp.zeros((2, 2))
    for a, b in itertools.product(range(4), repeat=2):
        tokens = completions[jnp.array([a, b])]
        gradient = jax.grad(lambda p, t=tokens: method.loss(p, teacher, t, context, jnp.ones((2, 2)))[0])(
            student
        )
        expected += law[a] * law[b] * gradient

    def objective(params):
        apart = method.per_token(params, teacher, completions, jnp.zeros(4, int)).mean(1)
        # The distance is differentiated on completions as they are, the reward through who writes them.
        return 0.4 * jnp.sum(jax.lax.stop_gradient(law) * apart) - 0.6 * jnp.sum(
            jnp.exp(log_law(params)) * worth
        )

    np.testing.assert_allclose(expected, jax.grad(objective)(student), rtol=1e-4, atol=1e-6)


def test_what_does_not_fit_is_refused():
    for wrong, said in (
        ({"on_policy": 1.5}, r"on_policy is 1\.5"),
        ({"alpha": -0.1}, r"alpha is -0\.1"),
        ({"reward": lambda c, t: t, "group": 1}, "group is 1"),
        ({"microbatch": 0}, "microbatch=0"),
    ):
        with pytest.raises(UserError, match=said):
            GKD(MODEL, MODEL, **wrong)
    with pytest.raises(UserError, match="no states and head"):
        GKD(Whole(), MODEL, chunk=4)
    with pytest.raises(UserError, match="the teacher has 5 tokens and the student 4"):
        GKD(MODEL, MODEL).loss(STUDENT, jnp.zeros((5, 5)), *BATCH)
    method = GKD(Bigram(2), MODEL)
    with pytest.raises(UserError, match="pad both to one length"):
        method.step(method.init(STUDENT, TEACHER), BATCH, jax.random.key(0))
