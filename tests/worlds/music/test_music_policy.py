"""What the policy sees and how its tokens are scored."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.core.errors import UserError
from antiphon.worlds.music import planner, policy
from antiphon.worlds.music.codec import Codec, CodecConfig, CodecNets
from antiphon.worlds.music.embedding import Embedding
from antiphon.worlds.music.policy import (
    SIDE_SIZES,
    Judges,
    beat_side,
    grid_context,
    music_model,
    plan_context,
    score_tokens,
)
from antiphon.worlds.music.quality import QualityModel
from antiphon.worlds.music.text_features import hash_words


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=4), st.integers(0, 300))
def test_beat_side_counts_frames_and_sixteenths(grids, first):
    tempo, metre = (np.array(x) for x in zip(*grids, strict=True))
    side = np.asarray(beat_side(jnp.asarray(tempo), jnp.asarray(metre), 30, first))
    assert side.shape == (len(grids), 30, 2)
    for b, (t, m) in enumerate(grids):
        within = sixteenth = 0
        frames, bar = (6, 5, 4, 3)[t], (16, 12, 12)[m]
        for n in range(first + 30):
            if n >= first:
                assert side[b, n - first].tolist() == [6 * t + within, 16 * m + sixteenth]
            within += 1
            if within == frames:
                within, sixteenth = 0, (sixteenth + 1) % bar
    assert (side < np.array(SIDE_SIZES)).all()
    assert side.min() >= 0


def test_contexts_of_known_and_of_planned_grids():
    words = hash_words(["slow waltz", "fast reel"])
    known = grid_context(words, np.array([0, 3]), np.array([1, 0]), 20)
    np.testing.assert_array_equal(known.side, beat_side(jnp.asarray([0, 3]), jnp.asarray([1, 0]), 20))
    assert known.present.all()
    params, key = planner.ENCODER.init(jax.random.key(0)), jax.random.key(1)
    planned = plan_context(params, key, jnp.asarray(words), 20)
    np.testing.assert_array_equal(planned.side, beat_side(*planner.plan(params, key, jnp.asarray(words)), 20))


def test_the_model_has_the_worlds_side_information():
    model = music_model(128, 2)
    assert model.side_sizes == (24, 48)
    assert (model.heads, model.hidden, model.levels) == (2, 320, 3)
    with pytest.raises(UserError, match="width 100"):
        music_model(100)


def test_scores_do_not_depend_on_how_many_clips_are_decoded_at_a_time(monkeypatch):
    towers, quality = Embedding(d_out=8, width=16, blocks=1), QualityModel(width=16, blocks=1)
    monkeypatch.setattr(policy, "Embedding", lambda: towers)
    monkeypatch.setattr(policy, "QualityModel", lambda: quality)
    config = CodecConfig(width=16, blocks=1, latent=4, levels=3, codes=8)
    key = jax.random.key(0)
    codes = jax.random.normal(key, (3, 8, 4))
    judges = Judges(
        Codec(CodecNets.init(key, config), codes),
        towers.init(jax.random.key(1)),
        towers.init(jax.random.key(2)),
        quality.init(jax.random.key(3)),
    )
    words = hash_words(["slow harp", "fast piano", "choir", "jig", "a drone"])
    context = grid_context(words, np.zeros(5, int), np.zeros(5, int), 4)
    tokens = jnp.asarray(np.random.default_rng(0).integers(0, 8, (5, 4 * 2)))
    whole, split = (
        jax.jit(lambda t, chunk=chunk: score_tokens(judges, context, t, levels=2, chunk=chunk))(tokens)
        for chunk in (16, 2)
    )
    heard = jax.jit(Codec.decode)(judges.codec, tokens.reshape(5, 4, 2))
    slow = {
        "text": jax.jit(towers.adherence)(judges.reward, jnp.asarray(words), heard),
        "judge": jax.jit(towers.adherence)(judges.judge, jnp.asarray(words), heard),
        "quality": jax.jit(quality.reward)(judges.quality, heard),
    }
    for name, expected in slow.items():
        assert expected.shape == (5,)
        np.testing.assert_allclose(whole[name], expected, atol=2e-4)
        np.testing.assert_allclose(split[name], expected, atol=2e-4)
    assert np.ptp(np.asarray(slow["text"])) > 1e-3
