"""Identities that hold between papers, whatever the code inside looks like."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from antiphon.core import divergences, simplex
from antiphon.credit import discounted_returns, gae, lambda_returns, n_step_returns, vtrace
from antiphon.objectives import leave_one_out

T = 7
seeds = st.integers(0, 10_000)
close = {"rtol": 1e-4, "atol": 1e-4}


def trajectory(seed):
    """One stream whose v_t is the v_tm1 of the next step, except where an episode was cut."""
    rng = np.random.default_rng(seed)
    r, values, unseen = rng.normal(size=(3, T)).astype(np.float32)
    discount = np.where(rng.uniform(size=T) < 0.15, 0.0, 0.9).astype(np.float32)
    cut = (rng.uniform(size=T) < 0.15).astype(np.float32)
    v_t = np.where(cut > 0, unseen, np.append(values[1:], unseen[-1]))
    return r, discount, values, v_t, cut


@jax.jit
def estimates(r, discount, v_tm1, v_t, cut, lambda_):
    on_policy = jnp.ones(T)
    return {
        "returns": discounted_returns(r, discount, v_t, cut),
        "lambda": lambda_returns(r, discount, v_t, lambda_, cut),
        "gae(lambda)": gae(r, discount, v_tm1, v_t, lambda_, cut),
        "gae(1)": gae(r, discount, v_tm1, v_t, 1.0, cut),
        "gae(0)": gae(r, discount, v_tm1, v_t, 0.0, cut),
        "vtrace(lambda)": vtrace(r, discount, v_tm1, v_t, on_policy, lambda_, cut_t=cut),
        "vtrace(1)": vtrace(r, discount, v_tm1, v_t, on_policy, cut_t=cut),
        "1-step": n_step_returns(r, discount, v_t, 1, cut),
        "T-step": n_step_returns(r, discount, v_t, T, cut),
    }


@settings(max_examples=30, deadline=None)
@given(seeds, st.floats(0, 1))
def test_returns_and_advantages_are_one_family(seed, lambda_):
    r, discount, v_tm1, v_t, cut = trajectory(seed)
    e = estimates(r, discount, v_tm1, v_t, cut, lambda_)
    # GAE(1) = return − value; GAE(0) = one-step error; GAE(λ) = λ-return − value.
    np.testing.assert_allclose(e["gae(1)"], e["returns"] - v_tm1, **close)
    np.testing.assert_allclose(e["gae(0)"], e["1-step"] - v_tm1, **close)
    np.testing.assert_allclose(e["gae(lambda)"], e["lambda"] - v_tm1, **close)
    # V-trace with ρ = c = 1 is on-policy: its targets are λ-returns, at λ = 1 the T-step return.
    np.testing.assert_allclose(e["vtrace(lambda)"].targets, e["lambda"], **close)
    np.testing.assert_allclose(e["vtrace(1)"].targets, e["T-step"], **close)
    np.testing.assert_allclose(e["vtrace(1)"].advantages, e["gae(1)"], **close)
    np.testing.assert_allclose(e["T-step"], e["returns"], **close)


@jax.jit
def first_of_every_n(r, discount, v_t):
    return jnp.stack([n_step_returns(r, discount, v_t, n)[0] for n in range(1, T + 1)])


@settings(max_examples=10, deadline=None)
@given(seeds)
def test_lambda_return_is_the_average_of_n_step_returns(seed):
    r, discount, _, v_t, _ = trajectory(seed)
    lambda_ = 0.7
    # At the first step of an uncut segment: (1 − λ) Σ λ^{n−1} G^{(n)}, the rest of the weight on the last.
    first = np.asarray(first_of_every_n(r, discount, v_t))
    weights = (1 - lambda_) * lambda_ ** np.arange(T)
    weights[-1] = lambda_ ** (T - 1)
    np.testing.assert_allclose(lambda_returns(r, discount, v_t, lambda_)[0], weights @ first, **close)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_jsd_tends_to_both_kls(seed):
    p, q = jax.random.normal(jax.random.key(seed), (2, 6)) * 2
    forward, reverse = divergences.forward_kl(p, q), divergences.reverse_kl(p, q)
    np.testing.assert_allclose(divergences.normalised_jsd(p, q, 0.0), forward, **close)
    np.testing.assert_allclose(divergences.normalised_jsd(p, q, 1.0), reverse, **close)
    # The paper's own form: D_β/β → KL(P‖Q) and D_β/(1−β) → KL(Q‖P).
    np.testing.assert_allclose(divergences.jsd(p, q, 1e-6) / 1e-6, forward, rtol=1e-2, atol=1e-4)
    np.testing.assert_allclose(divergences.jsd(p, q, 1 - 2**-20) * 2**20, reverse, rtol=1e-2, atol=1e-4)
    # Exchanging the distributions exchanges the ends.
    np.testing.assert_allclose(
        divergences.normalised_jsd(p, q, 0.3), divergences.normalised_jsd(q, p, 0.7), **close
    )
    # Pinsker: KL ≥ 2 TV².
    assert forward >= 2 * divergences.total_variation(p, q) ** 2 - 1e-6


@pytest.mark.parametrize("tau", [0.1, 0.5, 3.0])
def test_mirror_step_is_the_argmax_of_credit_less_tau_kl(tau):
    rng = np.random.default_rng(int(10 * tau))
    credit = rng.normal(size=4)
    log_anchor = np.asarray(jax.nn.log_softmax(jnp.asarray(rng.normal(size=4))), np.float64)

    def objective(log_policy):
        policy = np.exp(log_policy)
        return policy @ credit - tau * policy @ (log_policy - log_anchor)

    step = np.asarray(simplex.mirror_step(jnp.asarray(log_anchor), jnp.asarray(credit), tau), np.float64)
    # A numerical optimiser over softmax logits, which knows nothing of the closed form.
    found = optimize.minimize(
        lambda x: -objective(x - np.log(np.exp(x).sum())), np.zeros(4), method="BFGS", options={"gtol": 1e-8}
    ).x
    found = found - np.log(np.exp(found).sum())
    np.testing.assert_allclose(np.exp(step), np.exp(found), atol=1e-5)
    # Its value is the soft maximum τ log Σ anchor e^{credit/τ}, and any other policy loses τ KL(other‖step).
    soft_maximum = tau * np.log(np.exp(log_anchor + credit / tau).sum())
    np.testing.assert_allclose(objective(step), soft_maximum, rtol=1e-5)
    for other in np.log(rng.dirichlet(np.ones(4), size=20)):
        loss = tau * np.exp(other) @ (other - step)
        np.testing.assert_allclose(objective(step) - objective(other), loss, atol=1e-5)


def test_mirror_steps_towards_one_credit_add_up():
    # n steps from the last policy with credit/n are one step from the anchor with the whole credit.
    log_anchor, credit = jax.random.normal(jax.random.key(0), (2, 5))
    policy = log_anchor
    for _ in range(4):
        policy = simplex.mirror_step(policy, credit / 4, 0.7)
    np.testing.assert_allclose(policy, simplex.mirror_step(log_anchor, credit, 0.7), atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_leave_one_out_has_mean_zero_and_ignores_a_shift(seed):
    rewards = np.random.default_rng(seed).normal(size=(3, 5)).astype(np.float32)
    advantages = leave_one_out(rewards)
    np.testing.assert_allclose(np.mean(advantages, axis=1), 0.0, atol=1e-6)
    np.testing.assert_allclose(leave_one_out(rewards + 2.0), advantages, atol=1e-5)
    others = [[np.delete(row, i).mean() for i in range(5)] for row in rewards]
    np.testing.assert_allclose(advantages, rewards - np.array(others), atol=1e-5)
