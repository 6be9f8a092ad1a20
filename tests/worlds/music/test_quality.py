"""Quality labels fall with damage, damage grows with severity, and the regressor learns the order."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.worlds.music.quality import (
    DEGRADATIONS,
    QualityModel,
    QualityTraining,
    degrade,
    score_of,
)

TINY = QualityModel(width=16, blocks=1)
RATE = 16_000
KINDS = DEGRADATIONS[4:]


def music(seconds: float = 1.0) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    return (
        0.3
        * sum(np.sin(2 * np.pi * f * time + f) / (1 + f / 1000) for f in (220, 440, 660, 1500, 3000, 6000))
    ).astype(np.float32)


@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_scores_lie_between_one_and_five_and_never_rise_with_severity(kind):
    scores = [score_of(kind, s) for s in np.linspace(0, 1, 11)]
    assert all(1 <= s <= 5 for s in scores)
    if kind in ("none", "codec_fine", "codec_coarse"):
        assert len(set(scores)) == 1
    else:
        assert (np.diff(scores) < 0).all()
        assert scores[-1] == 1.0
        assert scores[0] <= score_of("codec_coarse", 0) < score_of("codec_fine", 0) < score_of("none", 0)


def test_first_traces_cost_most():
    drops = -np.diff([score_of("noise", s) for s in (0, 0.25, 0.5, 0.75, 1)])
    assert (np.diff(drops) < 0).all()


@pytest.mark.parametrize(
    ("kind", "severity", "said"), [("hum", 0.5, "'hum'"), ("noise", 1.1, "1.1"), ("none", -0.1, "-0.1")]
)
def test_scores_of_nonsense_are_refused(kind, severity, said):
    with pytest.raises(ValueError, match=said):
        score_of(kind, severity)


def damage(kind: str, severity: float) -> float:
    """How far the result is from the original, by what each kind spoils."""
    clean = music()
    spoilt = degrade(np.random.default_rng(0), clean, kind, severity)
    assert spoilt.shape == clean.shape
    assert spoilt.dtype == np.float32
    if kind == "band_limit":
        energy = np.abs(np.fft.rfft(spoilt)) ** 2
        return -float(energy[np.fft.rfftfreq(len(clean), 1 / RATE) > 800].sum())
    if kind == "dropouts":
        return float(np.mean(spoilt.reshape(-1, 640).any(axis=1) == 0))
    if kind == "clipping":
        return -float(np.abs(spoilt).max() / np.sqrt(np.mean(spoilt**2)))  # the crest factor falls
    return float(np.mean((spoilt - clean) ** 2))


@pytest.mark.parametrize("kind", KINDS)
def test_damage_grows_with_severity(kind):
    severities = (0.1, 0.5, 1.0) if kind == "dropouts" else (0.05, 0.25, 0.5, 0.75, 1.0)
    assert (np.diff([damage(kind, s) for s in severities]) > 0).all()


def test_noise_is_at_the_level_it_says():
    clean = music()
    for severity, decibels in ((0.0, -50), (0.5, -30), (1.0, -10)):
        noise = degrade(np.random.default_rng(0), clean, "noise", severity) - clean
        assert 10 * np.log10(np.mean(noise**2) / np.mean(clean**2)) == pytest.approx(decibels, abs=0.3)


def test_only_waveform_damage_is_done_to_waveforms():
    for kind in ("none", "wrong_tokens", "hum"):
        with pytest.raises(ValueError, match=f"'{kind}' does not damage waveforms"):
            degrade(np.random.default_rng(0), music(), kind, 0.5)


def test_the_score_and_the_reward_keep_their_ranges():
    params = TINY.init(jax.random.key(0))
    wave = jnp.asarray(np.stack([music(0.4), 0 * music(0.4), 30 * music(0.4)]))
    reward = TINY.reward(params, wave)
    assert reward.shape == (3,)
    assert ((reward >= 0) & (reward <= 1)).all()
    score, log_spread = TINY(params, jax.random.normal(jax.random.key(1), (3, 8, 80)) * 20)
    assert ((score >= 1) & (score <= 5)).all()
    assert ((log_spread >= -4) & (log_spread <= 2)).all()


def test_the_loss_golden():
    training = QualityTraining(TINY, steps=10)
    state = training.init(jax.random.key(0))
    mel, target = jax.random.normal(jax.random.key(2), (3, 8, 80)), jnp.asarray([1.0, 3.0, 3.0])
    score, log_spread = (np.asarray(x, np.float64) for x in jax.jit(TINY)(state.params, mel))
    loss = np.mean(0.5 * ((score - target) / np.exp(log_spread)) ** 2 + log_spread)
    for i in range(3):
        for j in range(3):
            sign = np.sign(float(target[i] - target[j]))
            loss += abs(sign) * np.log1p(np.exp(-2 * sign * (score[i] - score[j]))) / 9
    _, metrics = jax.jit(training.step)(state, (mel, target), jax.random.key(0))
    assert float(metrics["loss"]) == pytest.approx(float(loss), rel=1e-4)
    assert float(metrics["absolute_error"]) == pytest.approx(
        np.abs(score - np.asarray(target)).mean(), rel=1e-4
    )


def test_training_learns_to_tell_more_noise_from_less():
    training = QualityTraining(TINY, learning_rate=1e-2, steps=80)
    state, step = training.init(jax.random.key(0)), jax.jit(training.step)
    severity = np.linspace(0, 1, 16)

    def batch(seed):
        # A spectrum that fills up with a noise floor.
        rng = np.random.default_rng(seed)
        mel = np.maximum(rng.normal(-3.0, 1.0, (16, 8, 80)), -4.5 + 4.0 * severity[:, None, None])
        return jnp.asarray(mel, jnp.float32), jnp.asarray(
            [score_of("noise", s) for s in severity], jnp.float32
        )

    for i in range(50):
        state, metrics = step(state, batch(i), jax.random.key(i))
    assert metrics["absolute_error"] < 0.45
    score, _ = TINY(state.params, batch(99)[0])
    assert np.corrcoef(score, batch(99)[1])[0, 1] > 0.9
