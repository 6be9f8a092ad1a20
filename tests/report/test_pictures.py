"""Colours, PNG, spectrograms, axes: each against something that does not share its code."""

import struct
import wave
import zlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from antiphon.report.audio import media_type, samples
from antiphon.report.colour import amount_ramp, oklab_to_srgb
from antiphon.report.png import encode_png
from antiphon.report.scale import linear, number, round_step, snug
from antiphon.report.spectrogram import (
    BANDS,
    LOWEST_HZ,
    hertz_to_mel,
    log_mel,
    mel_bands,
    mel_to_hertz,
    spectrogram,
)


def decode_png(data):
    """A palette PNG without filters, chunk by chunk."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    place, chunks = 8, {}
    while place < len(data):
        length = struct.unpack(">I", data[place : place + 4])[0]
        name, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        assert struct.unpack(">I", data[place + 8 + length : place + 12 + length])[0] == zlib.crc32(
            name + body
        )
        chunks[name] = body
        place += 12 + length
    width, height, depth, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (depth, colour) == (8, 3)
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any()
    return np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)[rows[:, 1:]]


def test_png_round_trip():
    indices = np.random.default_rng(0).integers(0, 256, (7, 13)).astype(np.uint8)
    np.testing.assert_array_equal(decode_png(encode_png(indices, amount_ramp())), amount_ramp()[indices])


def test_png_is_read_by_others():
    image = pytest.importorskip("matplotlib.image")
    import io

    indices = np.arange(20, dtype=np.uint8).reshape(4, 5)
    read = image.imread(io.BytesIO(encode_png(indices, amount_ramp())))
    np.testing.assert_allclose(read[..., :3] * 255, amount_ramp()[indices], atol=0.5)


def test_png_needs_its_palette():
    with pytest.raises(ValueError, match="palette of more than 3 colours"):
        encode_png(np.full((1, 1), 3, np.uint8), np.zeros((3, 3), np.uint8))


def test_oklab_of_known_colours():
    # Ottosson's own table, after rounding: white, and sRGB red at L 0.628, a 0.2249, b 0.1258.
    lab = np.array([[1.0, 0.0, 0.0], [0.62796, 0.22486, 0.12585], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(oklab_to_srgb(lab), [[1, 1, 1], [1, 0, 0], [0, 0, 0]], atol=5e-3)


def test_the_ramp_rises_in_luminance():
    colours = amount_ramp() / 255.0
    luminance = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4) @ (
        0.2126, 0.7152, 0.0722,
    )  # fmt: skip
    assert np.all(np.diff(luminance) > -1e-4)
    # CIE lightness, another model of perception, must find the steps about equal too.
    lightness = np.where(luminance > 0.008856, 116 * np.cbrt(luminance) - 16, 903.3 * luminance)
    steps = np.diff(lightness[::16])
    assert lightness[0] < 5
    assert lightness[-1] > 90
    assert steps.max() < 2.0 * steps.min()


def test_mel_scale():
    assert float(hertz_to_mel(1000.0)) == pytest.approx(1000.0, abs=0.1)
    hertz = np.linspace(0, 8000, 50)
    np.testing.assert_allclose(mel_to_hertz(hertz_to_mel(hertz)), hertz, atol=1e-6)


def test_every_mel_band_hears_something_and_a_flat_spectrum_is_flat():
    weights = mel_bands(np.fft.rfftfreq(1024, 1 / 16000), LOWEST_HZ, 8000.0)
    assert weights.shape == (BANDS, 513)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights @ np.ones(513), 1.0)


@pytest.mark.parametrize("hertz", [220.0, 1000.0, 3000.0])
def test_a_tone_is_drawn_at_its_height(hertz):
    rate = 16000
    tone = 0.5 * np.sin(2 * np.pi * hertz * np.arange(2 * rate) / rate)
    levels = log_mel(tone, rate)
    loudest = levels.mean(axis=1).argmax()
    picture = spectrogram(tone, rate)
    assert loudest / (BANDS - 1) == pytest.approx(picture.height_of(hertz), abs=0.02)
    pixels = decode_png(picture.png)
    assert pixels.shape == (*levels.shape, 3)
    # The top row of the image is the highest band.
    middle = pixels[:, pixels.shape[1] // 2].sum(axis=-1, dtype=int)
    assert BANDS - 1 - middle.argmax() == loudest
    assert picture.seconds == 2.0


def test_level_follows_amplitude_and_silence_is_dark():
    rate = 16000
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(rate) / rate)
    inner = slice(20, -20)
    ratio = log_mel(tone, rate)[:, inner].max() - log_mel(tone / 10, rate)[:, inner].max()
    assert ratio == pytest.approx(20.0, abs=1e-6)
    assert (decode_png(spectrogram(np.zeros(rate), rate).png) == amount_ramp()[0]).all()
    assert spectrogram(np.zeros(3), rate).seconds == pytest.approx(3 / rate)


def test_wav_and_flac_decode_alike(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    signal = np.random.default_rng(0).uniform(-0.9, 0.9, (500, 2))
    for name in ("a.wav", "a.flac"):
        soundfile.write(tmp_path / name, signal, 22050, subtype="PCM_16")
        got, rate = samples(tmp_path / name) or (None, None)
        assert rate == 22050
        np.testing.assert_allclose(got, signal.mean(axis=1), atol=1 / 32768)
    assert media_type(tmp_path / "a.flac") == "audio/flac"
    (tmp_path / "b.wav").write_bytes(b"no sound at all")
    assert samples(tmp_path / "b.wav") is None


def test_wav_needs_nothing_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(np.array([0, 16384, -32768], "<i2").tobytes())
    got, rate = samples(tmp_path / "a.wav") or (None, None)
    assert rate == 8000
    np.testing.assert_array_equal(got, [0, 0.5, -1])
    (tmp_path / "b.flac").write_bytes(b"fLaC")
    assert samples(tmp_path / "b.flac") is None


finite = st.floats(-1e9, 1e9, allow_nan=False)


@given(st.lists(finite, min_size=1, max_size=20))
@example([0.0, -2.6742638341733865e-81])
def test_an_axis_holds_its_data_between_few_round_ticks(values):
    scale = linear(values, 0.0, 100.0)
    room = 1e-6 * (scale.high - scale.low)
    assert scale.low - room <= min(values)
    assert max(values) <= scale.high + room
    assert 2 <= len(scale.ticks) <= 12
    assert scale(scale.low) == pytest.approx(0)
    assert scale(scale.high) == pytest.approx(100)
    tight = snug(values, 0.0, 100.0)
    assert all(-1e-3 <= tight(tick) <= 100.001 for tick in tight.ticks)


def test_axes_by_hand():
    assert linear([0.13, 0.87], 0, 1).ticks == pytest.approx((0, 0.2, 0.4, 0.6, 0.8, 1.0))
    assert linear([3.0], 0, 1, zero=True).ticks == (0, 1, 2, 3)
    assert linear([], 0, 1).low == 0
    assert [round_step(rough) for rough in (0.9, 1.0, 1.1, 2.2, 3.0, 7.0)] == [1.0, 1.0, 2.0, 2.5, 5.0, 10.0]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.6123, "0.612"), (-0.5, "−0.5"), (12, "12"), (1234.5, "1234"), (0.9999, "1"), (100.04, "100"),
        (0.000123, "1.23e−4"), (2.5e7, "2.5e7"), (0.0, "0"), (float("nan"), "–"), (float("-inf"), "−∞"),
        (None, "–"), (True, "yes"), ("always", "always"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_people_write_them(value, text):
    assert number(value) == text
