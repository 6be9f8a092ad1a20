import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.core.errors import UserError
from antiphon.credit import discounted_returns, gae, lambda_returns, n_step_returns, vtrace

T = 9


def experience(seed):
    """Random steps with at least one termination and one truncation in places that vary."""
    rng = np.random.default_rng(seed)
    r, v_tm1, v_t = rng.normal(size=(3, T))
    discount = rng.uniform(0.5, 1.0, T)
    discount[rng.integers(T)] = 0.0
    cut = np.zeros(T)
    cut[rng.integers(T, size=2)] = 1.0
    return r, discount, v_tm1, v_t, cut, rng.uniform(0.2, 2.5, T)


def ends(cut):
    return [bool(c) or t == T - 1 for t, c in enumerate(cut)]


# The forward views, straight from the definitions: sums over n-step returns, not recurrences.


def n_step_loop(r, discount, v_t, cut, n):
    out = []
    for t in range(T):
        total, product, k = 0.0, 1.0, t
        while True:
            total += product * r[k]
            product *= discount[k]
            if k == t + n - 1 or ends(cut)[k]:
                out.append(total + product * v_t[k])
                break
            k += 1
    return np.array(out)


def lambda_loop(r, discount, v_t, cut, lambda_):
    out = []
    for t in range(T):
        last = next(k for k in range(t, T) if ends(cut)[k])
        horizon = last - t + 1
        by_n = [n_step_loop(r, discount, v_t, cut, n)[t] for n in range(1, horizon + 1)]
        weights = [(1 - lambda_) * lambda_ ** (n - 1) for n in range(1, horizon)] + [lambda_ ** (horizon - 1)]
        out.append(np.dot(weights, by_n))
    return np.array(out)


def gae_loop(r, discount, v_tm1, v_t, cut, lambda_):
    out = []
    for t in range(T):
        total, product = 0.0, 1.0
        for k in range(t, T):
            total += product * (r[k] + discount[k] * v_t[k] - v_tm1[k])
            product *= discount[k] * lambda_
            if ends(cut)[k]:
                break
        out.append(total)
    return np.array(out)


def vtrace_loop(r, discount, v_tm1, v_t, cut, rho, lambda_, clip_rho, clip_c, clip_advantage):
    targets, advantages = [], []
    for s in range(T + 1):
        total, product = 0.0, 1.0
        for t in range(s, T):
            total += product * min(clip_rho, rho[t]) * (r[t] + discount[t] * v_t[t] - v_tm1[t])
            product *= discount[t] * lambda_ * min(clip_c, rho[t])
            if ends(cut)[t]:
                break
        targets.append(total)
    for s in range(T):
        following = v_t[s] + (0.0 if ends(cut)[s] else targets[s + 1])
        advantages.append(min(clip_advantage, rho[s]) * (r[s] + discount[s] * following - v_tm1[s]))
    return v_tm1 + np.array(targets[:T]), np.array(advantages)


jitted_lambda = jax.jit(lambda_returns)
jitted_gae = jax.jit(gae)
jitted_vtrace = jax.jit(vtrace)
jitted_n_step = jax.jit(n_step_returns, static_argnames="n")
seeds = st.integers(0, 10_000)


@settings(max_examples=25, deadline=None)
@given(seeds, st.floats(0, 1))
def test_estimators_equal_their_forward_views(seed, lambda_):
    r, discount, v_tm1, v_t, cut, rho = experience(seed)
    close = {"rtol": 1e-4, "atol": 1e-4}
    np.testing.assert_allclose(
        jitted_lambda(r, discount, v_t, lambda_, cut), lambda_loop(r, discount, v_t, cut, lambda_), **close
    )
    np.testing.assert_allclose(
        jitted_gae(r, discount, v_tm1, v_t, lambda_, cut),
        gae_loop(r, discount, v_tm1, v_t, cut, lambda_),
        **close,
    )
    targets, advantages = jitted_vtrace(r, discount, v_tm1, v_t, rho, lambda_, 1.5, 0.8, 1.2, cut)
    expected = vtrace_loop(r, discount, v_tm1, v_t, cut, rho, lambda_, 1.5, 0.8, 1.2)
    np.testing.assert_allclose(targets, expected[0], **close)
    np.testing.assert_allclose(advantages, expected[1], **close)


@pytest.mark.parametrize("n", [1, 3, 50])
def test_n_step_returns_equal_their_definition(n):
    for seed in range(5):
        r, discount, _, v_t, cut, _ = experience(seed)
        np.testing.assert_allclose(
            jitted_n_step(r, discount, v_t, n=n, cut_t=cut), n_step_loop(r, discount, v_t, cut, n), atol=1e-4
        )


def test_golden_truncation_is_not_termination():
    r, v_t = jnp.array([1.0, 1.0, 1.0, 1.0]), jnp.array([9.0, 10.0, 9.0, 20.0])
    zero, gamma = jnp.zeros(4), jnp.full(4, 0.5)
    second = zero.at[1].set(1.0)
    # Truncated after the second step: its unseen future is worth 10. The last step bootstraps from 20.
    truncated = discounted_returns(r, gamma, v_t, cut_t=second)
    np.testing.assert_allclose(truncated, [1 + 0.5 * 6, 1 + 0.5 * 10, 1 + 0.5 * 11, 1 + 0.5 * 20])
    # Terminated there: worth nothing.
    terminated = discounted_returns(r, gamma * (1 - second), v_t)
    np.testing.assert_allclose(terminated, [1.5, 1.0, 6.5, 11.0])
    # Without values the unseen future counts as nothing.
    np.testing.assert_allclose(discounted_returns(r, gamma), [1.875, 1.75, 1.5, 1.0])


def test_nothing_leaks_across_a_cut():
    r, discount, v_tm1, v_t, _, rho = experience(0)
    cut = np.zeros(T)
    cut[4] = 1.0
    estimators = {
        "lambda": lambda r, v_tm1, v_t: lambda_returns(r, discount, v_t, 0.9, cut),
        "n-step": lambda r, v_tm1, v_t: n_step_returns(r, discount, v_t, 4, cut),
        "gae": lambda r, v_tm1, v_t: gae(r, discount, v_tm1, v_t, 0.9, cut),
        "targets": lambda r, v_tm1, v_t: vtrace(r, discount, v_tm1, v_t, rho, cut_t=cut).targets,
        "advantages": lambda r, v_tm1, v_t: vtrace(r, discount, v_tm1, v_t, rho, cut_t=cut).advantages,
    }
    later = np.arange(T) > 4
    for name, estimate in estimators.items():
        before = estimate(r, v_tm1, v_t)
        after = estimate(r + 5.0 * later, v_tm1 - 3.0 * later, v_t + 7.0 * later)
        np.testing.assert_array_equal(before[:5], after[:5], err_msg=name)
        assert not np.allclose(before[5:], after[5:]), name
        # What followed the cut step does count.
        moved = estimate(r, v_tm1, v_t + 1.0 * (np.arange(T) == 4))
        assert not np.allclose(before[4], moved[4]), name


def test_packed_segments_equal_separate_ones():
    first, second = experience(1), experience(2)
    packed = [np.concatenate(pair) for pair in zip(first, second, strict=True)]
    r, discount, v_tm1, v_t, cut, _ = packed
    cut[T - 1] = 1.0
    together = gae(r, discount, v_tm1, v_t, 0.8, cut)
    for part, (r, discount, v_tm1, v_t, cut, _) in zip(
        (together[:T], together[T:]), (first, second), strict=True
    ):
        np.testing.assert_allclose(part, gae(r, discount, v_tm1, v_t, 0.8, cut), atol=1e-6)


def test_batches_ride_along_and_gradients_flow():
    columns = [jnp.stack(c, axis=1) for c in zip(experience(3), experience(4), strict=True)]
    r, discount, v_tm1, v_t, cut, rho = columns
    batched = vtrace(r, discount, v_tm1, v_t, rho, cut_t=cut, backend="associative")
    for b in range(2):
        alone = vtrace(*(x[:, b] for x in (r, discount, v_tm1, v_t, rho)), cut_t=cut[:, b])
        np.testing.assert_allclose(batched.targets[:, b], alone.targets, atol=1e-5)
        np.testing.assert_allclose(batched.advantages[:, b], alone.advantages, atol=1e-5)
    # ∂G_0/∂r_k is the product of the discounts before k.
    gradient = jax.grad(lambda r: discounted_returns(r, jnp.full(4, 0.5))[0])(jnp.ones(4))
    np.testing.assert_allclose(gradient, [1, 0.5, 0.25, 0.125])


def test_n_step_refuses_zero_steps():
    with pytest.raises(UserError, match="n is 0"):
        n_step_returns(jnp.ones(3), jnp.ones(3), jnp.ones(3), 0)
