"""The step against enumeration: every completion of a tabular policy of three tokens over three values."""

import itertools
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.methods.reinforce_kl import ReinforceKL
from antiphon.nets import weights
from antiphon.train.fit import fit
from antiphon.train.run_directory import RunDirectory

V, T, PROMPTS, END = 3, 3, 2, 0
ALPHA, TEMPERATURE = 0.3, 0.8
COMPLETIONS = np.array(list(itertools.product(range(V), repeat=T)))
# One row of logits per prefix: () is 0, then 1 … 3, then 4 … 12.
PREFIXES = np.array([[0, 1 + a, 4 + V * a + b] for a, b, _ in COMPLETIONS])
ENDING = np.array([[END not in c[:t] for t in range(T)] for c in COMPLETIONS], np.float32)
CONTEXT = jnp.arange(PROMPTS)
KEY = jax.random.key(3)


def rows_of(tokens):
    first, second = tokens[:, 0], tokens[:, 1]
    return jnp.stack([jnp.zeros_like(first), 1 + first, 4 + V * first + second], axis=1)


@dataclass(frozen=True)
class Tabular:
    """Policy ``[P, 13, V]`` and value network ``[P, 13]`` in one; the context is the prompt's number."""

    def logits(self, params, tokens, context):
        return params[context[:, None], rows_of(tokens)]

    def sample(self, params, key, context, *, temperature=1.0):
        tokens = jnp.zeros((context.shape[0], T), jnp.int32)
        for t, key_t in enumerate(jax.random.split(key, T)):
            scores = params[context, rows_of(tokens)[:, t]] / temperature
            tokens = tokens.at[:, t].set(jax.random.categorical(key_t, scores))
        return tokens

    def values(self, params, tokens, context):
        return params[context[:, None], rows_of(tokens)]


def rewards(table, context, tokens):
    """Two named rewards ``[2, P, 27]``, from a table over whole completions."""
    number = tokens @ jnp.array([9, 3, 1])
    return {"one": table[0, context, number], "two": table[1, context, number]}


def chosen(context, tokens):
    """Token 0 ends a completion: it is chosen, what follows is not."""
    ended = jnp.cumsum(tokens == END, axis=1) - (tokens == END) > 0
    return 1 - ended.astype(jnp.float32)


def tables(mask=None):
    rng = np.random.default_rng(0)
    theta, anchor = rng.normal(size=(2, PROMPTS, 13, V)).astype(np.float32)
    reward = rng.normal(size=(2, PROMPTS, V**T)).astype(np.float32)
    if mask is not None:  # no reward sees what stands behind the end
        _, first = np.unique(np.where(mask > 0, COMPLETIONS, 9), axis=0, return_inverse=True)
        reward = reward[..., first.ravel()]
    values = rng.normal(size=(PROMPTS, 13)).astype(np.float32)
    return tuple(map(jnp.asarray, (theta, anchor, reward, values)))


def make(**options):
    return ReinforceKL(
        Tabular(), rewards, (("one", 1.0), ("two", -0.5)),
        **({"alpha": ALPHA, "temperature": TEMPERATURE, "group": 3, "microbatch": 6} | options),
    )  # fmt: skip


def state_of(method, theta, anchor, reward, values):
    value = values if method.baseline == "value" else ()
    return method.init(theta, reward, value)._replace(anchor=anchor)


def exact_objective(theta, anchor, reward, mask, visited=None):
    """J by enumeration, mean over prompts; ``visited`` holds the visits of the KL term fixed."""
    log_p, log_q = (jax.nn.log_softmax(x / TEMPERATURE)[:, PREFIXES] for x in (theta, anchor))
    kl = jnp.sum(mask * jnp.sum(jnp.exp(log_p) * (log_p - log_q), -1), -1)

    def probability(log_p):
        taken = jnp.take_along_axis(log_p, COMPLETIONS[None, ..., None], -1)[..., 0]
        return jnp.exp(jnp.sum(taken, -1))

    p = probability(log_p)
    at = p if visited is None else probability(jax.nn.log_softmax(visited / TEMPERATURE)[:, PREFIXES])
    combined = reward[0] - 0.5 * reward[1]
    return jnp.mean(jnp.sum((1 - ALPHA) * p * combined - ALPHA * at * kl, -1))


@pytest.mark.parametrize(
    "options",
    [
        {"baseline": "leave_one_out"},
        {"baseline": "leave_one_out", "chosen": chosen},
        {"baseline": "leave_one_out", "kl_credit": "pathwise"},
        {"baseline": "value", "value_model": Tabular()},
        {"baseline": "none", "group": 1},
    ],
    ids=["leave one out", "ending token", "pathwise", "value", "none"],
)
def test_the_mean_gradient_is_that_of_the_exact_objective(options):
    mask = ENDING if "chosen" in options else np.ones_like(ENDING)
    theta, anchor, reward, values = tables(mask)
    method = make(**options)
    state = state_of(method, theta, anchor, reward, values)
    fixed = theta if options.get("kl_credit") == "pathwise" else None
    exact = -jax.jit(jax.grad(lambda t: exact_objective(t, anchor, reward, mask, fixed)))(theta)

    @jax.jit
    def estimates(keys):
        def one(key):
            return method.gradient(state, method.rollout(state, CONTEXT, key))[0].policy

        found = jax.vmap(one)(keys)
        return jnp.mean(found, axis=0), jnp.std(found, axis=0) / keys.shape[0] ** 0.5

    mean, error = estimates(jax.random.split(KEY, 30_000))
    # Rows that are almost never visited have no deviation to speak of, hence the constant.
    assert (np.abs(mean - exact) <= 5 * error + 1e-4).all()
    # The estimate is sharp enough for the assertion to mean something.
    assert np.linalg.norm(mean - exact) < 0.05 * np.linalg.norm(exact)


def test_the_value_network_learns_the_return_to_come():
    theta, anchor, reward, values = tables()
    method = make(
        baseline="value", value_model=Tabular(), learning_rate=0.0, value_learning_rate=0.03, group=16
    )
    state = state_of(method, theta, anchor, reward, values)

    @jax.jit
    def train(state):
        def step(state, key):
            state, metrics = method.step(state, CONTEXT, key)
            return state, metrics["value_loss"]

        return jax.lax.scan(step, state, jax.random.split(KEY, 600))

    state, losses = train(state)
    log_p = jax.nn.log_softmax(theta / TEMPERATURE)[:, PREFIXES]
    p = jnp.exp(jnp.sum(jnp.take_along_axis(log_p, COMPLETIONS[None, ..., None], -1)[..., 0], -1))
    expected = jnp.sum(p * (reward[0] - 0.5 * reward[1]), -1)
    np.testing.assert_allclose(state.value[:, 0], expected, atol=0.15)
    assert np.mean(losses[-50:]) < 0.5 * np.mean(losses[:10])
    np.testing.assert_array_equal(state.params, theta)


@pytest.mark.parametrize("baseline", ["leave_one_out", "value", "none"])
def test_microbatches_do_not_change_the_gradient(baseline):
    theta, anchor, reward, values = tables()
    value_model = Tabular() if baseline == "value" else None
    found, prompts = [], jnp.array([0, 1, 1, 0, 1, 0])
    # Six prompts of two: in one go, cut in three, the largest number of whole groups below five, one by one.
    for microbatch in (12, 4, 5, 1):
        method = make(baseline=baseline, value_model=value_model, group=2, microbatch=microbatch)
        state = state_of(method, theta, anchor, reward, values)
        found.append(jax.jit(lambda s, m=method: m.gradient(s, m.rollout(s, prompts, KEY)))(state))
    for other in found[1:]:
        for ours, whole in zip(jax.tree.leaves(other), jax.tree.leaves(found[0]), strict=True):
            np.testing.assert_allclose(ours, whole, rtol=1e-4, atol=1e-6)
    # Five prompts do not split into twos.
    jax.eval_shape(replace(method, microbatch=4).step, state, prompts[:5], KEY)


def test_metrics_of_the_first_step():
    theta, _, reward, _ = tables()
    method = make(learning_rate=0.1)
    state = method.init(theta, reward)
    rollout = method.rollout(state, CONTEXT, KEY)
    new, metrics = jax.jit(method.step)(state, CONTEXT, KEY)
    assert rollout.tokens.shape == (PROMPTS * 3, T)
    np.testing.assert_array_equal(rollout.context, [0, 0, 0, 1, 1, 1])
    number = np.asarray(rollout.tokens) @ [9, 3, 1]
    one, two = np.asarray(reward)[:, np.asarray(rollout.context), number]
    np.testing.assert_allclose(metrics["reward_one"], one.mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["reward_two"], two.mean(), rtol=1e-5)
    total = one - 0.5 * two
    np.testing.assert_allclose(metrics["reward"], total.mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["spread"], total.reshape(2, 3).std(1).mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["kl"], 0.0, atol=1e-6)
    assert 0 < metrics["entropy"] < np.log(V)
    assert metrics["gradient_norm"] > 0
    assert "value_loss" not in metrics
    np.testing.assert_array_equal(new.anchor, theta)
    later = jax.jit(method.step)(new, CONTEXT, KEY)[1]
    assert later["kl"] > 1e-5


def test_a_sweep_over_alpha_is_a_vmap():
    theta, anchor, reward, _ = tables()
    methods = [make(alpha=alpha, learning_rate=0.1) for alpha in (0.0, 0.9)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *methods)

    def train(method):
        def step(state, key):
            return method.step(state, CONTEXT, key)

        # From a policy at its anchor, Adam would make much of gradients that are nothing but rounding.
        state = method.init(theta, reward)._replace(anchor=anchor)
        return jax.lax.scan(step, state, jax.random.split(KEY, 3))[0].params

    together = jax.jit(jax.vmap(train))(stacked)
    for one, method in zip(together, methods, strict=True):
        np.testing.assert_allclose(one, jax.jit(lambda method=method: train(method))(), atol=1e-4)
    assert np.abs(together[0] - together[1]).max() > 0.01


@pytest.mark.parametrize("baseline", ["leave_one_out", "value"])
def test_a_resumed_run_has_the_bits_of_an_uninterrupted_one(tmp_path, baseline):
    theta, _, reward, values = tables()
    is_value = baseline == "value"
    method = make(baseline=baseline, value_model=Tabular() if is_value else None, learning_rate=0.05)
    start = method.init(theta, reward, values if is_value else ())

    def prompts(step):
        return np.random.default_rng(step).integers(0, PROMPTS, 4)

    def train(steps, run=None):
        return fit(
            method.step, start, steps=steps, key=KEY, batches=prompts, chunk=2, run=run, progress="quiet"
        )

    run = RunDirectory.create("study", {}, seed=0, root=tmp_path)
    train(4, run)
    resumed = train(7, RunDirectory.open(run.path))
    whole = train(7)
    assert weights.tree_sha256(resumed) == weights.tree_sha256(whole)
    assert np.abs(resumed.params - theta).max() > 0.01


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 1.5}, "alpha is 1.5"),
        ({"group": 1}, "leave-one-out with one completion"),
        ({"baseline": "value"}, "with value_model=None"),
        ({"value_model": Tabular()}, "only with it"),
        ({"baseline": "mean"}, "no baseline 'mean'"),
        ({"microbatch": 0}, "microbatch=0"),
    ],
)
def test_combinations_that_cannot_work_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        make(**options)


def test_missing_rewards_and_value_weights_are_named():
    theta, _, reward, _ = tables()
    with pytest.raises(UserError, match="no reward to train on"):
        replace(make(), weights=())
    method = replace(make(), weights=(("three", 1.0),))
    with pytest.raises(UserError, match="no reward 'three'; choose among one, two"):
        method.rollout(method.init(theta, reward), CONTEXT, KEY)
    with pytest.raises(UserError, match="no weights of the value network"):
        make(baseline="value", value_model=Tabular()).init(theta, reward)
