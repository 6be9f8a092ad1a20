"""DPO, IPO and online IPO on a handful of answers, against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from antiphon.core.divergences import forward_kl
from antiphon.core.errors import UserError
from antiphon.equilibrium.preference_game import nash, preference_game
from antiphon.feedback.pairs import Pairs
from antiphon.feedback.preference import from_table
from antiphon.methods.dpo import DPO
from antiphon.methods.online_ipo import OnlineIPO
from antiphon.worlds.diagnostics.preferences import from_scores, random_table

V = 4


class Flat:
    """A policy over V answers of one token, followed by a stop (0) and padding that nobody chose."""

    def logits(self, params, tokens, context):
        return jnp.stack([jnp.broadcast_to(params, (len(tokens), V)), jnp.full((len(tokens), V), jnp.nan)], 1)

    def sample(self, params, key, context, *, temperature=1.0):
        return self.sample_mixture(params, params, key, context, share=0.0, temperature=temperature)

    def sample_mixture(self, params, other, key, context, *, share, temperature=1.0):
        scores = ((1 - share) * params + share * other) / temperature
        drawn = jax.random.categorical(key, scores, shape=context.shape[:1])
        return jnp.stack([drawn, jnp.zeros_like(drawn)], axis=1)


MODEL = Flat()
FIRST, SECOND = (x.reshape(-1) for x in np.meshgrid(*[np.arange(V)] * 2, indexing="ij"))
ANCHOR = np.array([0.3, -0.5, 0.9, 0.1])
SCORES = np.array([0.0, 0.7, -0.4, 1.1])


def chosen(context, tokens):
    return jnp.tile(jnp.array([1.0, 0.0]), (len(tokens), 1))


def pairs_of(table):
    side = [jnp.stack([jnp.asarray(x), jnp.zeros_like(x)], axis=1) for x in (FIRST, SECOND)]
    return Pairs(jnp.zeros(V * V), *side, jnp.asarray(table[FIRST, SECOND]))


def normal(logits):
    return logits - np.logaddexp.reduce(logits)


@pytest.mark.parametrize("loss", ["dpo", "ipo"])
def test_gradients_are_the_formulas(loss):
    tau, table, policy = 0.4, random_table(3, V), np.array([0.2, 1.0, -0.3, 0.4])
    with jax.enable_x64():
        method = DPO(MODEL, loss, tau=tau, chosen=chosen, microbatch=3)
        state = method.init(jnp.asarray(policy), jnp.asarray(ANCHOR))
        found, metrics = method.gradient(state, pairs_of(table))
    ratio, law = normal(policy) - normal(ANCHOR), np.exp(normal(policy))
    wanted, losses = np.zeros(V), []
    for a in range(V):
        for b in range(V):
            h = ratio[a] - ratio[b]
            # ∇ log π(y) = e_y − π, so the difference of two leaves the policy out.
            apart = np.eye(V)[a] - np.eye(V)[b]
            if loss == "dpo":
                wanted += -tau * (table[a, b] - expit(tau * h)) * apart
                losses.append(-table[a, b] * np.log(expit(tau * h))
                              - table[b, a] * np.log(expit(-tau * h)))  # fmt: skip
            else:
                wanted += 2 * (h - (table[a, b] - 0.5) / tau) * apart
                losses.append((h - (table[a, b] - 0.5) / tau) ** 2)
    np.testing.assert_allclose(found, wanted / V**2, rtol=1e-9, atol=1e-12)
    assert metrics["loss"] == pytest.approx(np.mean(losses), rel=1e-9)
    assert law.sum() == pytest.approx(1)


def trained(method, table):
    def step(state, key):
        return method.step(state, pairs_of(table), key)

    keys = jax.random.split(jax.random.key(0), method.steps)
    start = jnp.asarray(ANCHOR)
    return normal(np.asarray(jax.jit(lambda: jax.lax.scan(step, method.init(start), keys)[0].params)()))


def test_optima_are_the_closed_forms():
    tau, table = 0.8, from_scores(SCORES)
    settings = {"tau": tau, "chosen": chosen, "learning_rate": 0.1, "steps": 400, "warmup": 5, "clip": 10.0}
    with jax.enable_x64():
        dpo, ipo = (trained(DPO(MODEL, loss, **settings), table) for loss in ("dpo", "ipo"))
    np.testing.assert_allclose(dpo, normal(ANCHOR + SCORES / tau), atol=1e-6)
    # IPO climbs win rates against those who wrote the pairs: here everyone equally often.
    np.testing.assert_allclose(ipo, normal(ANCHOR + table.mean(1) / tau), atol=1e-6)
    assert np.abs(dpo - ipo).max() > 0.1


def test_online_ipo_learns_the_regularised_equilibrium_from_samples():
    tau, table = 0.3, random_table(2, V, 2.0)
    mu = np.exp(normal(ANCHOR))
    goal = np.log(nash(preference_game(table, tau, mu)))
    judge = from_table(lambda tokens: tokens[:, 0])
    method = OnlineIPO(MODEL, judge, tau=tau, learning_rate=2e-2, group=4, microbatch=256, chosen=chosen)

    def step(state, key):
        return method.step(state, jnp.zeros(64), key)

    state = method.init(jnp.asarray(ANCHOR, jnp.float32), jnp.asarray(table, jnp.float32))
    keys = jax.random.split(jax.random.key(1), 300)
    state, metrics = jax.jit(lambda: jax.lax.scan(step, state, keys))()
    start = forward_kl(jnp.asarray(goal), jnp.asarray(ANCHOR))
    assert forward_kl(jnp.asarray(goal), state.params) < 0.02 * start
    kl = float(np.exp(goal) @ (goal - normal(ANCHOR)))
    assert metrics["kl"][-100:].mean() == pytest.approx(kl, rel=0.25)
    assert metrics["length"][0] == 1


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: DPO(MODEL, "kto"), "no loss 'kto'"), (lambda: DPO(MODEL, tau=0.0), r"tau is 0\.0"),
        (lambda: DPO(MODEL, steps=0), "steps is 0"), (lambda: OnlineIPO(MODEL, None, tau=0.0), "tau is"),
        (lambda: OnlineIPO(MODEL, None, beta=1.5), "beta is"),
        (lambda: OnlineIPO(MODEL, None, group=1), "at least two completions"),
    ],
)  # fmt: skip
def test_impossible_settings_are_refused(make, said):
    with pytest.raises(UserError, match=said):
        make()
