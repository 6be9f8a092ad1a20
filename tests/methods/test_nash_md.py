"""Nash-MD by enumeration: three tokens, three of a kind, every completion of both sides."""

import itertools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.divergences import forward_kl
from antiphon.core.errors import UserError
from antiphon.equilibrium.preference_game import nash, preference_game
from antiphon.feedback.preference import from_table
from antiphon.methods.nash_md import Duel, NashMD
from antiphon.worlds.diagnostics.preferences import random_table

T, V = 3, 3
COMPLETIONS = jnp.array(list(itertools.product(range(V), repeat=T)))
PLACES = jnp.array([9, 3, 1])
COUNT = len(COMPLETIONS)


@dataclass(frozen=True)
class Tree:
    """Scores of the next token by all before it: ``params [T, V^(T−1), V]``; no two prefixes share any."""

    def logits(self, params, tokens, context):
        before = jnp.cumsum(jnp.pad(tokens, ((0, 0), (1, 0)))[:, :T] * jnp.array([0, 1, 3]), axis=1)
        return params[jnp.arange(T), before]

    def sample(self, params, key, context, *, temperature=1.0):
        return self.sample_mixture(params, params, key, context, share=0.0, temperature=temperature)

    def sample_mixture(self, params, other, key, context, *, share, temperature=1.0):
        tokens = jnp.zeros((context.shape[0], T), int)
        for t, key_t in enumerate(jax.random.split(key, T)):
            scores = (1 - share) * self.logits(params, tokens, context) + share * self.logits(
                other, tokens, context
            )
            tokens = tokens.at[:, t].set(jax.random.categorical(key_t, scores[:, t] / temperature))
        return tokens


MODEL, TABLE = Tree(), jnp.asarray(random_table(0, COUNT, 2.0))
POLICY, ANCHOR = (jax.random.normal(jax.random.key(i), (T, 9, V)) for i in range(2))
JUDGE = from_table(lambda tokens: tokens @ PLACES)


def log_law(params, other=None, share=0.0):
    context = jnp.zeros(COUNT)
    scores = (1 - share) * MODEL.logits(params, COMPLETIONS, context)
    if other is not None:
        scores = scores + share * MODEL.logits(other, COMPLETIONS, context)
    log_p = jax.nn.log_softmax(scores)
    return jnp.sum(jnp.take_along_axis(log_p, COMPLETIONS[..., None], -1)[..., 0], axis=1)


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_the_expected_gradient_is_that_of_the_regularised_preference(beta):
    tau = 0.2
    with jax.enable_x64():
        policy, anchor, table = (jnp.asarray(x, jnp.float64) for x in (POLICY, ANCHOR, TABLE))
        opponent = jnp.exp(log_law(policy, anchor, beta))
        method = NashMD(MODEL, JUDGE, tau=tau, beta=beta, group=1, microbatch=COUNT)
        state = method.init(policy, table, anchor)
        law = jnp.exp(log_law(policy))

        def of_one(tokens, won):
            duel = Duel(tokens[None], jnp.zeros(1), jnp.ones((1, T)), won[None])
            return method.gradient(state, duel)[0]

        every = jax.vmap(of_one)(COMPLETIONS, table @ opponent)
        found = jnp.tensordot(law, every, 1)

        def objective(params):
            p = jnp.exp(log_law(params))
            return p @ table @ opponent - tau * forward_kl(log_law(params), log_law(anchor))

        np.testing.assert_allclose(found, -jax.grad(objective)(policy), rtol=1e-6, atol=1e-12)


def test_baselines_leave_the_expected_gradient_as_it_is():
    """Groups of two, over all pairs of completions."""
    tau, opponent = 0.2, jnp.exp(log_law(POLICY, ANCHOR, 0.3))
    method = NashMD(MODEL, JUDGE, tau=tau, group=2, microbatch=2, baseline="leave_one_out")
    state = method.init(POLICY, TABLE, ANCHOR)
    first, second = (x.reshape(-1) for x in jnp.meshgrid(jnp.arange(COUNT), jnp.arange(COUNT)))

    def of_pair(a, b):
        pair = jnp.array([a, b])
        duel = Duel(COMPLETIONS[pair], jnp.zeros(2), jnp.ones((2, T)), (TABLE @ opponent)[pair])
        return method.gradient(state, duel)[0]

    law = jnp.exp(log_law(POLICY))
    found = jnp.tensordot(law[first] * law[second], jax.jit(jax.vmap(of_pair))(first, second), 1)

    def objective(params):
        return jnp.exp(log_law(params)) @ TABLE @ opponent - tau * forward_kl(
            log_law(params), log_law(ANCHOR)
        )

    np.testing.assert_allclose(found, -jax.grad(objective)(POLICY), rtol=2e-3, atol=2e-6)


def test_duels_are_won_as_often_as_the_table_says():
    method = NashMD(MODEL, JUDGE, beta=0.4, group=3, opponents=2)
    state = method.init(POLICY, TABLE, ANCHOR)
    duel = jax.jit(method.duel)(state, jnp.zeros(2000), jax.random.key(0))
    assert duel.tokens.shape == (6000, T)
    expected = jnp.exp(log_law(POLICY)) @ TABLE @ jnp.exp(log_law(POLICY, ANCHOR, 0.4))
    assert np.mean(duel.won) == pytest.approx(float(expected), abs=0.02)
    # Each follows its own completion: the table's rows predict it without bias.
    rows = (TABLE @ jnp.exp(log_law(POLICY, ANCHOR, 0.4)))[duel.tokens @ PLACES]
    assert np.polyfit(rows, duel.won, 1)[0] == pytest.approx(1.0, abs=0.1)


def test_self_play_finds_the_regularised_equilibrium_and_the_average_follows():
    tau = 0.5
    goal = jnp.log(
        jnp.asarray(nash(preference_game(TABLE, tau, np.exp(log_law(ANCHOR), dtype=np.float64), 1e-5)))
    )
    context = jnp.zeros(64)

    def distance(method):
        def step(state, key):
            return method.step(state, context, key)

        keys = jax.random.split(jax.random.key(1), 300)
        state, metrics = jax.jit(lambda: jax.lax.scan(step, method.init(ANCHOR, TABLE), keys))()
        return forward_kl(goal, log_law(state.params)), state, metrics

    start = forward_kl(goal, log_law(ANCHOR))
    settings = {"tau": tau, "learning_rate": 2e-2, "group": 4, "opponents": 4, "microbatch": 256}
    gap, _, metrics = distance(NashMD(MODEL, JUDGE, beta=0.5, beta_end=0.0, steps=200, **settings))
    assert gap < 0.1 * start
    assert metrics["beta"][0] == 0.5
    assert metrics["beta"][-1] == 0.0
    assert abs(metrics["win_rate"][-50:].mean() - 0.5) < 0.02
    gap, state, _ = distance(NashMD(MODEL, JUDGE, opponent="average", decay=0.9, **settings))
    assert gap < 0.1 * start
    assert 0 < jnp.abs(state.average - state.params).max() < 0.5


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"beta": 1.2}, r"beta is 1\.2"), ({"tau": -1.0}, "tau is"), ({"decay": 1.0}, "decay is"),
        ({"opponent": "rival"}, "no opponent"), ({"group": 0}, "group is 0"),
        ({"baseline": "none"}, "no baseline"),
        ({"group": 1, "baseline": "leave_one_out"}, "one completion per prompt"),
    ],
)  # fmt: skip
def test_impossible_settings_are_refused(wrong, said):
    with pytest.raises(UserError, match=said):
        NashMD(MODEL, JUDGE, **wrong)
