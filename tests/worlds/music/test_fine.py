"""Fine levels: coarse tokens stay, every other one is filled, by the schedule it should be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.music.fine import FineModel, FineTraining, still_unknown

TINY = FineModel(coarse=2, levels=5, codes=6, width=8, blocks=1, rounds=(3, 2))


@pytest.fixture(scope="module")
def params():
    return TINY.init(jax.random.key(0))


def coarse(levels: int = 2) -> jnp.ndarray:
    return jnp.asarray(np.random.default_rng(0).integers(0, 6, (2, 10, levels)), jnp.int32)


def test_fill_keeps_the_coarse_levels_and_fills_all_others(params):
    filled = jax.jit(TINY.fill)(params, jax.random.key(0), coarse())
    assert filled.shape == (2, 10, 5)
    assert filled.dtype == jnp.int32
    np.testing.assert_array_equal(filled[..., :2], coarse())
    assert 0 <= filled.min() <= filled.max() < TINY.codes
    # Levels that are given too much are drawn anew.
    more = jnp.concatenate([coarse(), jnp.full((2, 10, 3), 5)], axis=-1)
    np.testing.assert_array_equal(jax.jit(TINY.fill)(params, jax.random.key(0), more), filled)


def test_fill_depends_on_the_key_alone(params):
    fill = jax.jit(TINY.fill)
    np.testing.assert_array_equal(
        fill(params, jax.random.key(1), coarse()), fill(params, jax.random.key(1), coarse())
    )
    assert (fill(params, jax.random.key(1), coarse()) != fill(params, jax.random.key(2), coarse())).any()


def test_the_schedule_golden():
    assert [still_unknown(128, done, 3) for done in (1, 2, 3)] == [111, 64, 0]
    assert [still_unknown(10, done, 2) for done in (1, 2)] == [7, 0]
    assert still_unknown(10, 1, 1) == 0


def test_rounds_follow_the_schedule_and_never_revoke_a_token(params, monkeypatch):
    seen = []
    states = FineModel.states

    def spy(self, params, tokens, level):
        seen.append((level, np.asarray(tokens)))
        return states(self, params, tokens, level)

    monkeypatch.setattr(FineModel, "states", spy)
    filled = np.asarray(TINY.fill(params, jax.random.key(3), coarse()))
    assert [level for level, _ in seen] == [2, 2, 2, 3, 3, 4]  # a level beyond the list of rounds has one
    hidden = [(tokens[..., level] == TINY.codes).sum(axis=1).tolist() for level, tokens in seen]
    expected = [10, still_unknown(10, 1, 3), still_unknown(10, 2, 3), 10, still_unknown(10, 1, 2), 10]
    assert hidden == [[n, n] for n in expected]
    for level, tokens in seen:
        known = tokens[..., level] < TINY.codes
        np.testing.assert_array_equal(tokens[..., level][known], filled[..., level][known])
        assert (tokens[..., level + 1 :] == TINY.codes).all()


@pytest.mark.parametrize("change", [{"coarse": 0}, {"coarse": 5}, {"rounds": (1, 0)}])
def test_models_that_cannot_fill_are_refused(change):
    with pytest.raises(UserError):
        FineModel(**{"coarse": 2, "levels": 5, **change})


def test_training_learns_a_level_that_follows_from_the_coarse_one():
    model = FineModel(coarse=1, levels=2, codes=4, width=24, blocks=1, rounds=(2,))
    training = FineTraining(model, learning_rate=2e-2, steps=120)
    state, step = training.init(jax.random.key(0)), jax.jit(training.step)

    def batch(seed):
        given = np.random.default_rng(seed).integers(0, 4, (8, 12, 1))
        return jnp.asarray(np.concatenate([given, 3 - given], axis=-1), jnp.int32)

    losses = []
    for i in range(80):
        state, metrics = step(state, batch(i), jax.random.key(i))
        losses.append(float(metrics["loss"]))
    assert losses[0] > 1.0
    assert np.mean(losses[-5:]) < 0.1
    fresh = batch(999)
    filled = jax.jit(model.fill)(state.params, jax.random.key(0), fresh[..., :1])
    assert (filled == fresh).mean() > 0.97
