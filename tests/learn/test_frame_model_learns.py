"""The frame model under both methods: a pattern to imitate, and a reward whose optimum is known exactly."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from antiphon.methods.reinforce_kl import ReinforceKL
from antiphon.methods.sft import SFT, SFTBatch
from antiphon.nets.frame_model import FrameContext, FrameModel
from antiphon.nets.frame_value import FrameValue

SIZES = {"width": 16, "heads": 2, "layers": 1, "hidden": 24, "depth_hidden": 24, "text_width": 8}


def test_sft_learns_a_deterministic_pattern():
    """Token = (caption + beat + level + token before) mod 4, which needs every path of the model."""
    model = FrameModel(levels=2, codes=4, side_sizes=(4,), **SIZES)

    def draw(key, batch):
        key_caption, key_beat = jax.random.split(key)
        caption = jax.random.randint(key_caption, (batch,), 0, 4)
        beat = jax.random.randint(key_beat, (batch, 4), 0, 4)
        context = FrameContext(1 + caption[:, None, None], beat[..., None], jnp.ones(batch, bool))
        tokens, before = [], jnp.zeros(batch, jnp.int32)
        for t in range(8):
            before = (caption + beat[:, t // 2] + t % 2 + before) % 4
            tokens.append(before)
        return SFTBatch(jnp.stack(tokens, axis=1), context, jnp.ones((batch, 8)))

    method = SFT(model, learning_rate=1e-2, steps=400, groups=2)

    @jax.jit
    def train(key):
        def step(state, key):
            return method.step(state, draw(key, 64), key)

        state = method.init(model.init(key))
        return jax.lax.scan(step, state, jax.random.split(key, 400))

    state, metrics = train(jax.random.key(0))
    np.testing.assert_allclose(metrics["loss"][0], np.log(4), atol=0.3)
    assert metrics["loss"][-1] < 0.05
    np.testing.assert_allclose((metrics["loss_0"] + metrics["loss_1"]) / 2, metrics["loss"], rtol=1e-4)
    batch = draw(jax.random.key(1), 128)
    sampled = jax.jit(lambda p: model.sample(p, jax.random.key(2), batch.context, temperature=0.5))
    assert np.mean(sampled(state.params) == batch.tokens) > 0.98


# One frame of three levels of three codes: twenty-seven completions, which can be listed.
SMALL = FrameModel(levels=3, codes=3, side_sizes=(2,), **SIZES)
COMPLETIONS = jnp.array(list(itertools.product(range(3), repeat=3)))
REWARD = jnp.asarray(np.random.default_rng(0).uniform(size=(2, 27)), jnp.float32)


def contexts(prompt):
    return FrameContext(1 + prompt[:, None, None], jnp.zeros((*prompt.shape, 1, 1), int), prompt >= 0)


def rewards(table, context, tokens):
    return {"table": table[context.words[:, 0, 0] - 1, tokens @ jnp.array([9, 3, 1])]}


@jax.jit
def log_law(params):
    """Log-probability of every completion of both prompts, ``[2, 27]``."""
    both = jnp.tile(COMPLETIONS, (2, 1))
    log_p = jax.nn.log_softmax(SMALL.logits(params, both, contexts(jnp.repeat(jnp.arange(2), 27))))
    return jnp.sum(jnp.take_along_axis(log_p, both[..., None], -1)[..., 0], -1).reshape(2, 27)


def distance_to_optimum(log_p, anchor, alpha):
    """(J* − J)/α, which is KL(π ‖ π*) with the known maximiser π*(y) ∝ anchor(y) exp((1 − α)/α · reward)."""
    best = jax.nn.log_softmax(anchor + (1 - alpha) / alpha * REWARD)
    return jnp.sum(jnp.exp(log_p) * (log_p - best), -1).mean()


def train(method, params, value=(), steps=300):
    def step(state, key):
        return method.step(state, contexts(jnp.arange(2)), key)

    return jax.lax.scan(step, method.init(params, REWARD, value), jax.random.split(jax.random.key(1), steps))


def test_reinforce_kl_finds_the_optimum_and_alpha_bounds_the_divergence():
    params = jax.jit(SMALL.init)(jax.random.key(0))
    alphas = (0.1, 0.2, 0.5)
    methods = [
        ReinforceKL(
            SMALL, rewards, (("table", 1.0),),
            alpha=alpha, learning_rate=5e-3, group=32, microbatch=64, temperature=1.0,
        )
        for alpha in alphas
    ]  # fmt: skip
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *methods)
    states, metrics = jax.jit(jax.vmap(lambda method: train(method, params)))(stacked)
    anchor, found = log_law(params), jax.vmap(log_law)(states.params)
    divergences = []
    for alpha, log_p in zip(alphas, found, strict=True):
        start, gap = (distance_to_optimum(log_p, anchor, alpha) for log_p in (anchor, log_p))
        assert gap < 0.1 * start + 0.015  # what a learning rate that does not decay leaves
        divergences.append(float(jnp.sum(jnp.exp(log_p) * (log_p - anchor), -1).mean()))
    assert divergences[0] > 1.5 * divergences[1] > 2 * divergences[2]
    np.testing.assert_allclose(metrics["kl"][:, 0], 0.0, atol=1e-5)
    np.testing.assert_allclose(np.mean(metrics["kl"][:, -50:], axis=1), divergences, rtol=0.3)
    rise = metrics["reward"][:, -50:].mean(1) - metrics["reward"][:, :3].mean(1)
    error = metrics["reward"][:, -50:].std(1) / 3**0.5
    assert (rise > 3 * error)[:2].all()


def test_a_value_network_that_starts_at_the_policy_supports_it():
    params = jax.jit(SMALL.init)(jax.random.key(0))
    critic = FrameValue(SMALL)
    method = ReinforceKL(
        SMALL, rewards, (("table", 1.0),), alpha=0.1, learning_rate=5e-3, group=32, microbatch=32,
        temperature=1.0, baseline="value", value_model=critic, value_learning_rate=1e-2,
    )  # fmt: skip
    state, metrics = jax.jit(lambda p: train(method, p, critic.from_policy(p), steps=1000))(params)
    anchor = log_law(params)
    start, gap = (distance_to_optimum(log_p, anchor, 0.1) for log_p in (anchor, log_law(state.params)))
    assert gap < 0.1 * start
    # What is left is the reward's own variance under the policy, which no prediction of its mean removes.
    p = jnp.exp(log_law(state.params))
    variance = jnp.sum(p * REWARD**2, -1) - jnp.sum(p * REWARD, -1) ** 2
    assert metrics["value_loss"][-20:].mean() < 1.3 * variance.mean()
    assert metrics["value_loss"][-20:].mean() < 0.5 * metrics["value_loss"][0]
