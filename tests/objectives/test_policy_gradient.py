"""The loss against enumeration: every sequence of a tabular autoregressive policy over three tokens."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.objectives import policy_gradient as pg

V, T, ALPHA, END = 3, 3, 0.3, 0
SEQUENCES = np.array(list(itertools.product(range(V), repeat=T)))
# One row of logits per prefix: () is 0, then 1 … 3, then 4 … 12.
PREFIXES = np.array([[0, 1 + a, 4 + V * a + b] for a, b, _ in SEQUENCES])
FULL_MASK = np.ones((len(SEQUENCES), T))
# Token 0 ends a sequence: it is chosen, what follows is not.
ENDING_MASK = np.array([[not np.any(s[:t] == END) for t in range(T)] for s in SEQUENCES], float)


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def tables():
    theta, anchor = np.random.default_rng(0).normal(size=(2, 13, V))
    return jnp.asarray(theta), jnp.asarray(anchor)


def rewards(mask):
    # A reward of the whole sequence that cannot see what stands behind its end.
    visible = np.where(mask > 0, SEQUENCES, 9)
    _, first = np.unique(visible, axis=0, return_inverse=True)
    return np.random.default_rng(1).normal(size=len(SEQUENCES))[first.ravel()]


def log_pi(theta):
    return jax.nn.log_softmax(theta)[PREFIXES]


def token_log_prob(theta):
    return jnp.take_along_axis(log_pi(theta), SEQUENCES[..., None], -1)[..., 0]


def sequence_probability(theta):
    return jnp.exp(token_log_prob(theta).sum(1))


def kl_per_step(theta, anchor):
    # Written out, not through the library.
    p = jnp.exp(log_pi(theta))
    return jnp.sum(p * (log_pi(theta) - log_pi(anchor)), -1)


def exact_objective(theta, anchor, mask):
    kl = jnp.sum(mask * kl_per_step(theta, anchor), 1)
    return jnp.sum(sequence_probability(theta) * ((1 - ALPHA) * rewards(mask) - ALPHA * kl))


def exact_gradient(theta, anchor, mask):
    return jax.jit(jax.grad(lambda t: exact_objective(t, anchor, mask)))(theta)


def expected_loss_gradient(theta, anchor, mask, **options):
    """Σ over all sequences of p(sequence) · gradient of the loss on that sequence alone."""

    def loss_of_one(theta, actions, prefix, returns, mask):
        rows = (x[None] for x in (theta[prefix], anchor[prefix], actions, returns))
        return pg.reinforce_kl_loss(*rows, ALPHA, mask[None], **options)[0]

    @jax.jit
    def expectation(theta):
        returns = pg.reward_to_go(rewards(mask), mask)
        one_by_one = jax.vmap(jax.grad(loss_of_one), (None, 0, 0, 0, 0))
        gradients = one_by_one(theta, SEQUENCES, PREFIXES, returns, mask)
        return jnp.einsum("s,sij->ij", sequence_probability(theta), gradients)

    return expectation(theta)


@pytest.mark.parametrize("mask", [FULL_MASK, ENDING_MASK], ids=["fixed length", "ending token"])
def test_full_credit_is_unbiased_for_the_exact_objective(mask):
    theta, anchor = tables()
    exact = exact_gradient(theta, anchor, mask)
    np.testing.assert_allclose(expected_loss_gradient(theta, anchor, mask), -exact, atol=1e-12)


def test_a_kl_baseline_leaves_full_credit_unbiased():
    theta, anchor = tables()
    exact = exact_gradient(theta, anchor, FULL_MASK)
    # Any number that does not depend on the action will do.
    with_baseline = expected_loss_gradient(theta, anchor, FULL_MASK, kl_baseline=np.array([[0.7, -2.0, 1.1]]))
    np.testing.assert_allclose(with_baseline, -exact, atol=1e-12)


def test_pathwise_credit_is_the_gradient_with_the_visits_held_fixed():
    theta, anchor = tables()

    def visits_held_fixed(theta, behaviour):
        kl = jnp.sum(kl_per_step(theta, anchor), 1)
        reward = jnp.sum(sequence_probability(theta) * rewards(FULL_MASK))
        return (1 - ALPHA) * reward - ALPHA * jnp.sum(sequence_probability(behaviour) * kl)

    stated = jax.jit(jax.grad(visits_held_fixed))(theta, theta)
    sampled = expected_loss_gradient(theta, anchor, FULL_MASK, kl_credit="pathwise")
    np.testing.assert_allclose(sampled, -stated, atol=1e-12)
    # And it is not the gradient of the objective, except at the last step, which leads nowhere.
    exact = exact_gradient(theta, anchor, FULL_MASK)
    assert np.abs(stated - exact)[:4].max() > 1e-3
    np.testing.assert_allclose(stated[4:], exact[4:], atol=1e-12)


@pytest.mark.parametrize("mask", [FULL_MASK, ENDING_MASK], ids=["fixed length", "ending token"])
def test_sequence_kl_is_the_expected_sum_of_step_kls(mask):
    theta, anchor = tables()
    log_ratio = jnp.sum(mask * (token_log_prob(theta) - token_log_prob(anchor)), 1)
    sequence_kl = jnp.sum(sequence_probability(theta) * log_ratio)
    logits, logits_anchor = theta[PREFIXES], anchor[PREFIXES]
    exact = jnp.sum(mask * pg.exact_kl_per_step(logits, logits_anchor), 1)
    np.testing.assert_allclose(jnp.sum(sequence_probability(theta) * exact), sequence_kl, rtol=1e-10)


def test_sampled_kl_estimates_have_the_exact_kl_as_expectation():
    theta, anchor = tables()
    log_p, log_q = jax.nn.log_softmax(theta), jax.nn.log_softmax(anchor)
    exact = pg.exact_kl_per_step(theta, anchor)
    for estimate in (pg.sampled_kl_per_step, pg.low_variance_kl_per_step):
        expected = jnp.sum(jnp.exp(log_p) * estimate(log_p, log_q), -1)
        np.testing.assert_allclose(expected, exact, rtol=1e-10)
    assert (pg.low_variance_kl_per_step(log_p, log_q) >= 0).all()
    assert (pg.sampled_kl_per_step(log_p, log_q) < 0).any()


def test_derivatives_of_the_sampled_estimates_are_what_the_documentation_says():
    theta, anchor = (x[0] for x in tables())
    weights = jax.nn.softmax(theta)

    def expected(estimate):
        return lambda t: jnp.sum(weights * estimate(jax.nn.log_softmax(t), jax.nn.log_softmax(anchor)))

    np.testing.assert_allclose(jax.grad(expected(pg.sampled_kl_per_step))(theta), 0.0, atol=1e-12)
    other_direction = jax.grad(lambda t: pg.exact_kl_per_step(anchor, t))(theta)
    np.testing.assert_allclose(
        jax.grad(expected(pg.low_variance_kl_per_step))(theta), other_direction, atol=1e-12
    )


def test_leave_one_out_is_unbiased():
    """Every ordered group of two and of three completions out of nine."""
    probability = np.random.default_rng(2).dirichlet(np.ones(9))
    reward = np.random.default_rng(3).normal(size=9)
    # ∂ log π(i) / ∂ θ_j = [i = j] − π(j)
    scores = np.eye(9) - probability
    for group in (2, 3):
        groups = np.array(list(itertools.product(range(9), repeat=group)))
        advantages = np.asarray(pg.leave_one_out(jnp.asarray(reward[groups])))
        np.testing.assert_allclose(advantages.sum(-1), 0.0, atol=1e-12)
        estimates = np.mean(advantages[..., None] * scores[groups], axis=1)
        expected = np.prod(probability[groups], -1) @ estimates
        # ∂ E[r] / ∂ θ_j = π(j) (r_j − E[r])
        exact = probability * (reward - probability @ reward)
        np.testing.assert_allclose(expected, exact, atol=1e-12)


def test_leave_one_out_golden_and_too_small_a_group():
    np.testing.assert_allclose(pg.leave_one_out(jnp.array([[1.0, 2.0, 6.0]])), [[-3.0, -1.5, 4.5]])
    with pytest.raises(UserError, match="at least two"):
        pg.leave_one_out(jnp.ones((3, 1)))


def test_reward_to_go_counts_chosen_steps_only():
    mask = jnp.array([[0, 1, 1, 1, 0], [1, 0, 1, 0, 0]])
    flat = pg.reward_to_go(jnp.array([2.0, 4.0]), mask)
    np.testing.assert_allclose(flat, [[0, 2, 2, 2, 0], [4, 0, 4, 0, 0]])
    halved = pg.reward_to_go(jnp.array([2.0, 4.0]), mask, 0.5)
    np.testing.assert_allclose(halved, [[0, 0.5, 1, 2, 0], [2, 0, 4, 0, 0]])


def test_kl_to_go():
    kl = jnp.array([[1.0, 2.0, 4.0, jnp.nan]])
    mask = jnp.array([[1, 1, 1, 0]])
    np.testing.assert_allclose(pg.kl_to_go(kl, mask)[0, :3], [6, 4, 0])


def test_padding_reaches_neither_loss_nor_gradient():
    theta, anchor = tables()
    actions, mask = jnp.asarray(SEQUENCES[:4]), jnp.array([[1, 1, 0]] * 4)
    returns = jnp.ones((4, T))

    def loss(logits, anchor_logits, returns):
        return pg.reinforce_kl_loss(logits, anchor_logits, actions, returns, ALPHA, mask)[0]

    logits, anchor_logits = theta[PREFIXES[:4]], anchor[PREFIXES[:4]]
    value_and_grad = jax.jit(jax.value_and_grad(loss))
    clean = value_and_grad(logits, anchor_logits, returns)
    broken = value_and_grad(
        logits.at[:, 2].set(jnp.nan), anchor_logits.at[:, 2].set(jnp.nan), returns.at[:, 2].set(jnp.inf)
    )
    np.testing.assert_allclose(broken[0], clean[0])
    np.testing.assert_allclose(broken[1], clean[1])
    assert (clean[1][:, 2] == 0).all()
    assert (np.abs(clean[1][:, :2]).max(-1) > 0).all()


def test_no_gradient_flows_into_anchor_or_advantage():
    theta, anchor = tables()
    actions, mask = jnp.asarray(SEQUENCES[:4]), jnp.ones((4, T))

    def loss(anchor_logits, advantage):
        return pg.reinforce_kl_loss(theta[PREFIXES[:4]], anchor_logits, actions, advantage, ALPHA, mask)[0]

    for gradient in jax.jit(jax.grad(loss, (0, 1)))(anchor[PREFIXES[:4]], jnp.ones((4, T))):
        np.testing.assert_array_equal(gradient, 0)


def test_metrics_of_a_policy_equal_to_its_anchor():
    uniform = jnp.zeros((2, T, V))
    mask = jnp.array([[1, 1, 0], [1, 1, 1]])
    _, metrics = jax.jit(pg.reinforce_kl_loss)(
        uniform, uniform, jnp.zeros((2, T), int), jnp.zeros((2, T)), ALPHA, mask
    )
    np.testing.assert_allclose(metrics["kl"], 0.0, atol=1e-12)
    np.testing.assert_allclose(metrics["entropy"], np.log(V))
    np.testing.assert_allclose(metrics["log_prob"], -np.log(V))


def test_value_loss_is_a_masked_mean_without_gradient_to_targets():
    values, targets = jnp.array([[1.0, 2.0, 9.0]]), jnp.array([[0.0, 5.0, jnp.nan]])
    mask = jnp.array([[1, 1, 0]])
    np.testing.assert_allclose(pg.value_loss(values, targets, mask), (1 + 9) / 2)
    by_values, by_targets = jax.grad(pg.value_loss, (0, 1))(values, targets, mask)
    np.testing.assert_allclose(by_values, [[1.0, -3.0, 0.0]])
    np.testing.assert_array_equal(by_targets, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 1.2}, "alpha"),
        ({"kl_credit": "both"}, "kl_credit"),
        ({"kl_credit": "pathwise", "kl_baseline": jnp.zeros((1, T))}, "kl_baseline"),
    ],
)
def test_wrong_options_are_refused(options, message):
    logits, tokens, ones = jnp.zeros((1, T, V)), jnp.zeros((1, T), int), jnp.ones((1, T))
    with pytest.raises(UserError, match=message):
        pg.reinforce_kl_loss(logits, logits, tokens, ones, options.pop("alpha", ALPHA), ones, **options)
