"""Generating with a bundle of random weights: lengths, seeds, beginnings, and what is refused."""

import jax
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.music.bundle import Bundle, Sizes, pack
from antiphon.worlds.music.codec import FRAME
from antiphon.worlds.music.generate import SECONDS_MAX, check_start, frames_of, generate, peak_of

TINY = Sizes(codec_width=32, levels=3, width=64, layers=1, frames=16)
CAPTIONS = ["slow waltz for harpsichord", "fast tune for flute", "lively jig for violin"]


def random_weights():
    rng = np.random.default_rng(0)

    def draw(leaf):
        scale = leaf.shape[-2] ** -0.5 if len(leaf.shape) > 1 else 0.5
        return (scale * rng.standard_normal(leaf.shape)).astype(leaf.dtype)

    return jax.tree.map(draw, TINY.shapes())


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    pack(folder, TINY, random_weights(), {})
    return Bundle.load(folder)


@pytest.fixture(scope="module")
def clips(bundle):
    return generate(bundle, CAPTIONS, seed=4)


@pytest.fixture(scope="module")
def long_clips(bundle, clips):
    """Forty frames that begin with ten of the first clip, all eight levels of them."""
    return generate(bundle, CAPTIONS, seed=9, seconds=1.6, start=clips.tokens[0, :10])


def test_clips_have_the_length_of_training_and_a_peak_of_nine_tenths(clips):
    assert clips.tokens.shape == (3, 16, 8)
    assert clips.audio.shape == (3, 16 * FRAME)
    assert np.isfinite(clips.audio).all()
    np.testing.assert_allclose(np.abs(clips.audio).max(axis=1), 0.9, rtol=1e-5)
    assert 0 <= clips.tokens.min() <= clips.tokens.max() < 512
    assert clips.tempo.shape == clips.metre.shape == (3,)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(bundle, clips):
    again = generate(bundle, CAPTIONS, seed=4)
    assert again.audio.tobytes() == clips.audio.tobytes()
    assert again.tokens.tobytes() == clips.tokens.tobytes()
    other = generate(bundle, CAPTIONS, seed=5)
    assert (other.tokens != clips.tokens).mean() > 0.9
    assert (clips.tokens[0] != clips.tokens[1]).mean() > 0.9


def test_a_clip_longer_than_training_keeps_its_beginning(clips, long_clips):
    assert long_clips.tokens.shape == (3, 40, 8)
    assert long_clips.audio.shape == (3, 40 * FRAME)
    for row in long_clips.tokens:
        np.testing.assert_array_equal(row[:10], clips.tokens[0, :10])
    # What follows is new, in every window, and differs from clip to clip.
    assert (long_clips.tokens[0, 10:] != long_clips.tokens[1, 10:]).mean() > 0.9
    assert (long_clips.tokens[0, 24:32] != long_clips.tokens[0, 32:40]).mean() > 0.9


def test_a_beginning_of_coarse_levels_only(bundle, clips):
    made = generate(bundle, CAPTIONS, seed=9, seconds=1.6, start=clips.tokens[0, :10, :3])
    for row in made.tokens:
        np.testing.assert_array_equal(row[:10, :3], clips.tokens[0, :10, :3])


def test_weights_may_be_given_for_a_name(bundle, clips):
    made = generate(bundle, CAPTIONS, model=bundle.policy, seed=4)
    assert made.tokens.tobytes() == clips.tokens.tobytes()


@pytest.mark.parametrize(
    ("seconds", "frames"), [(0.001, 1), (0.04, 1), (0.041, 2), (5.12, 128), (SECONDS_MAX, 3000)]
)
def test_lengths_are_rounded_up_to_frames(seconds, frames):
    assert frames_of(seconds) == frames


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"captions": []}, "there is no caption"),
        ({"captions": ["  "]}, "the caption is empty"),
        ({"captions": ["harp " * 2000]}, "has 9999 characters"),
        ({"captions": ["мелодия для флейты"]}, "no word of the caption"),
        ({"seconds": 0.0}, "0.0 seconds cannot be generated"),
        ({"seconds": -2.0}, "-2.0 seconds cannot be generated"),
        ({"seconds": float("nan")}, "nan seconds cannot be generated"),
        ({"seconds": SECONDS_MAX + 1}, "at most 120"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"guidance": float("inf")}, "guidance is inf"),
        ({"polish": -1}, "polish is -1"),
        ({"seed": 2**32}, "seed is 4294967296"),
        ({"model": "zither"}, "there is no model 'zither'; choose base"),
        ({"start": np.zeros((16, 8), np.int16)}, "has 0.64 s, not less than the 0.64 s asked for"),
        (
            {"start": np.zeros((4, 2), np.int16)},
            r"shape \(4, 2\); give frames of at least 3 levels",
        ),
        ({"start": np.full((4, 3), 512, np.int16)}, "outside the codebooks; give codes below 512"),
        ({"start": np.full((4, 3), -1, np.int16)}, "outside the codebooks"),
    ],
)
def test_what_cannot_be_generated_is_one_sentence(bundle, settings, said):
    with pytest.raises(UserError, match=said) as caught:
        generate(bundle, **{"captions": CAPTIONS, **settings})
    assert "\n" not in str(caught.value)


def test_an_empty_beginning_is_none():
    check_start(TINY, np.zeros((0, 8), np.int16), 16)


def test_damage_is_said_before_anything_is_drawn(bundle, tmp_path, monkeypatch):
    pack(tmp_path, TINY, random_weights(), {})
    (tmp_path / "fine.safetensors").write_bytes(b"x")
    monkeypatch.setattr("antiphon.worlds.music.generate.draw_coarse", None)
    with pytest.raises(UserError, match=r"fine\.safetensors has SHA-256"):
        generate(Bundle.load(tmp_path), CAPTIONS)


def test_peaks_of_silence_are_not_zero():
    np.testing.assert_allclose(peak_of(np.array([[0.0, 0.0], [0.25, -0.5]])), [[1e-3], [0.5]])
    np.testing.assert_allclose(peak_of(np.array([0.0, -0.5])), [0.5])
