"""The planner learns what the words say, and keeps its doubt where they say nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.worlds.music import planner
from antiphon.worlds.music.attributes import METRES, TEMPI, Attributes
from antiphon.worlds.music.captions import caption
from antiphon.worlds.music.planner import PlannerTraining
from antiphon.worlds.music.text_features import hash_words


def batch(seed: int, size: int = 16):
    rng = np.random.default_rng(seed)
    tempo, metre = rng.integers(4, size=size), rng.choice(3, size, p=[0.6, 0.1, 0.3])
    texts = [
        caption(rng, Attributes("harp", TEMPI[t], "major", METRES[m], "low", "solo", None, False, "legato"))
        for t, m in zip(tempo, metre, strict=True)
    ]
    return jnp.asarray(hash_words(texts)), jnp.asarray(tempo), jnp.asarray(metre)


@pytest.fixture(scope="module")
def trained():
    training = PlannerTraining(learning_rate=5e-3, steps=150)
    state, step = training.init(jax.random.key(0)), jax.jit(training.step)
    first = last = None
    for i in range(150):
        state, last = step(state, batch(i), jax.random.key(i))
        first = first or last
    assert last["loss"] < 0.6 * first["loss"]
    return state.params


def test_words_for_tempo_and_metre_are_understood(trained):
    said = [
        "slow harp",
        "a moderate harp tune",
        "lively harp",
        "harp, presto",
        "fast",
        "andante",
        "upbeat harp",
    ]
    tempo, _ = planner.logits(trained, jnp.asarray(hash_words(said)))
    assert tempo.argmax(axis=1).tolist() == [0, 1, 2, 3, 3, 1, 2]
    _, metre = planner.logits(trained, jnp.asarray(hash_words(["harp reel", "harp waltz", "harp jig, low"])))
    assert metre.argmax(axis=1).tolist() == [0, 1, 2]


def test_what_is_not_said_stays_open(trained):
    tempo, metre = planner.logits(trained, jnp.asarray(hash_words(["music for harp: legato, unaccompanied"])))
    assert jax.nn.softmax(tempo[0]).max() < 0.8
    assert jax.nn.softmax(metre[0])[0] > 0.3  # most training tunes are in common time
    words = jnp.asarray(np.repeat(hash_words(["music for harp: legato, unaccompanied"]), 200, axis=0))
    drawn, _ = planner.plan(trained, jax.random.key(0), words)
    assert len(set(drawn.tolist())) > 2
    again, _ = planner.plan(trained, jax.random.key(0), words)
    np.testing.assert_array_equal(drawn, again)


def test_the_loss_is_the_sum_of_two_cross_entropies():
    training = PlannerTraining(steps=5)
    state = training.init(jax.random.key(1))
    words, tempo, metre = batch(0, 6)
    _, metrics = jax.jit(training.step)(state, (words, tempo, metre), jax.random.key(0))
    scores = planner.logits(state.params, words)
    nats = []
    for score, truth in zip(scores, (tempo, metre), strict=True):
        p = np.exp(np.asarray(score, np.float64))
        nats.append(-np.mean(np.log(p[np.arange(6), truth] / p.sum(axis=1))))
    assert float(metrics["tempo"]) == pytest.approx(nats[0], rel=1e-4)
    assert float(metrics["metre"]) == pytest.approx(nats[1], rel=1e-4)
    assert float(metrics["loss"]) == pytest.approx(sum(nats), rel=1e-4)
