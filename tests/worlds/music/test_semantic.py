"""Semantic tokens: one for 160 ms, the same for the same sound, different for different ones."""

import importlib.util

import numpy as np
import pytest

from antiphon.worlds.music import semantic
from antiphon.worlds.music.musicnn import load_musicnn

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("musicnn") is None, reason="musicnn is not installed"
)


def test_two_sounds_are_two_tokens_that_last_160_ms():
    rng = np.random.default_rng(0)
    time = np.arange(16_000 * 4) / 16_000
    tone = 0.3 * np.sin(2 * np.pi * 440 * time)
    noise = 0.3 * rng.standard_normal(len(time))
    wave = np.stack([np.concatenate([tone, noise]), np.concatenate([noise, tone])]).astype(np.float32)
    params = load_musicnn()
    features = np.asarray(semantic.stretch_features(params, wave))
    assert features.shape == (2, 50, 64)
    centres = semantic.fit_codes(features.reshape(-1, 64), 2)
    tokens = semantic.semantic_tokens(params, centres, [wave])
    assert tokens.shape == (2, 200)
    assert (tokens.reshape(2, 50, 4) == tokens[:, ::4, None]).all()
    # The tagger's longest filter hears a second to either side; seams and ends may be of either kind.
    (first, second), (after, before) = (
        (set(row[28:72].tolist()), set(row[128:172].tolist())) for row in tokens
    )
    assert first == before
    assert second == after
    assert len(first) == len(second) == len(first ^ second) - 1 == 1


def test_centres_are_those_of_clear_clusters():
    rng = np.random.default_rng(1)
    wanted = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    features = np.concatenate([mean + 0.1 * rng.standard_normal((200, 2)) for mean in wanted])
    centres = semantic.fit_codes(features, 3)
    np.testing.assert_allclose(np.sort(centres, axis=0), np.sort(wanted, axis=0), atol=0.05)


def test_the_semantic_token_is_the_first_level():
    tokens = np.arange(24, dtype=np.int16).reshape(2, 4, 3)
    joined = semantic.with_semantic(np.full((2, 4), 7, np.int16), tokens)
    assert (joined[..., 0] == 7).all()
    np.testing.assert_array_equal(joined[..., 1:], tokens)
