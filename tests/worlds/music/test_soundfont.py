"""The SoundFont reader, on a font built here byte by byte and on the installed one."""

from __future__ import annotations

import struct
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.core.errors import UserError
from antiphon.worlds.music.envelopes import (
    Envelope,
    modulation_curve,
    seconds_of,
    triangle,
    volume_curve,
    volume_envelope,
)
from antiphon.worlds.music.soundfont import SoundFont, find_font, load_font
from antiphon.worlds.music.soundfont_zones import Generator as G
from antiphon.worlds.music.synthesis import synthesise

RATE = 22050
PERIOD = 50  # samples; 441 Hz


def chunk(tag: bytes, body: bytes) -> bytes:
    return tag + struct.pack("<I", len(body)) + body + b"\0" * (len(body) & 1)


def span(low: int, high: int) -> int:
    return low | high << 8


# Preset: a global zone, one zone with a narrower key range. Instrument: a global zone, two velocity layers,
# and a zone without a sample, which must be ignored.
PRESET_ZONES = [
    [(G.ATTENUATION, 20), (G.FINE_TUNE, 5)],
    [(G.KEY_RANGE, span(40, 90)), (G.FINE_TUNE, 7), (G.ROOT_KEY, 33), (G.INSTRUMENT, 0)],
]
INSTRUMENT_ZONES = [
    [(G.ATTENUATION, 100), (G.VOL_ENV_RELEASE, 1200), (G.SAMPLE_MODES, 1)],
    [(G.KEY_RANGE, span(0, 60)), (G.VELOCITY_RANGE, span(0, 63)), (G.FINE_TUNE, -3), (G.SAMPLE, 0)],
    [(G.VELOCITY_RANGE, span(64, 127)), (G.ATTENUATION, 50), (G.LOOP_END_OFFSET, -PERIOD), (G.SAMPLE, 0)],
    [(G.ATTENUATION, 999)],
]


def zones(spec: list[list[tuple[int, int]]]) -> tuple[bytes, bytes]:
    bags, gens = [], []
    for zone in spec:
        bags.append(struct.pack("<HH", len(gens), 0))
        gens += [struct.pack("<Hh" if a < 0 else "<HH", o, a) for o, a in zone]
    bags.append(struct.pack("<HH", len(gens), 0))
    return b"".join(bags), b"".join(gens) + bytes(4)


def font_bytes(major: int = 2, sample_end: int = 2000) -> bytes:
    pool = (20000 * np.sin(2 * np.pi * np.arange(2046) / PERIOD)).astype("<i2").tobytes()
    pbag, pgen = zones(PRESET_ZONES)
    ibag, igen = zones(INSTRUMENT_ZONES)
    phdr = struct.pack("<20sHHHIII", b"Sine", 0, 0, 0, 0, 0, 0)
    phdr += struct.pack("<20sHHHIII", b"EOP", 0, 0, len(PRESET_ZONES), 0, 0, 0)
    inst = struct.pack("<20sH", b"Sine", 0) + struct.pack("<20sH", b"EOI", len(INSTRUMENT_ZONES))
    shdr = struct.pack("<20s5IBbHH", b"sine", 0, sample_end, 500, 1500, RATE, 69, 4, 0, 1)
    shdr += struct.pack("<20s5IBbHH", b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0)
    pdta = b"pdta" + b"".join(
        chunk(tag, body)
        for tag, body in (
            (b"phdr", phdr), (b"pbag", pbag), (b"pmod", bytes(10)), (b"pgen", pgen), (b"inst", inst),
            (b"ibag", ibag), (b"imod", bytes(10)), (b"igen", igen), (b"shdr", shdr),
        )
    )  # fmt: skip
    body = b"sfbk" + chunk(b"LIST", b"INFO" + chunk(b"ifil", struct.pack("<HH", major, 4)))
    body += chunk(b"LIST", b"sdta" + chunk(b"smpl", pool)) + chunk(b"LIST", pdta)
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.fixture
def font(tmp_path: Path) -> SoundFont:
    return load(tmp_path, font_bytes())


def load(folder: Path, data: bytes) -> SoundFont:
    (folder / "tiny.sf2").write_bytes(data)
    return load_font(folder / "tiny.sf2")


def test_zones_combine_as_the_specification_says(font: SoundFont) -> None:
    assert font.presets == {(0, 0): "Sine"}
    assert len(font.regions_of[0, 0]) == 2  # neither global zones nor the zone without a sample
    soft, loud = font.regions_of[0, 0]
    assert (soft.keys, soft.velocities) == ((40, 60), (0, 63))
    assert (loud.keys, loud.velocities) == ((40, 90), (64, 127))
    assert soft.generators[G.ATTENUATION] == 100 + 20  # instrument global + preset global
    assert loud.generators[G.ATTENUATION] == 50 + 20  # the zone's own value replaces the global one
    assert soft.generators[G.FINE_TUNE] == -3 + 7  # the preset zone's value replaces the preset's global one
    assert loud.generators[G.VOL_ENV_RELEASE] == 1200
    assert loud.generators[G.VOL_ENV_ATTACK] == -12000
    assert loud.sample.root_key == 69  # a root key at preset level means nothing
    assert (soft.sample.loop_end, loud.sample.loop_end) == (1500, 1500 - PERIOD)
    assert loud.sample.correction_cents == 4


def test_lookup_by_key_and_velocity(font: SoundFont) -> None:
    soft, loud = font.regions_of[0, 0]
    assert font.regions(0, 60, 63) == (soft,)
    assert font.regions(0, 60, 64) == (loud,)
    assert font.regions(0, 61, 63) == ()
    assert font.regions(0, 39, 100) == ()
    with pytest.raises(UserError, match="no preset 5 in bank 0"):
        font.regions(5, 60, 100)
    with pytest.raises(UserError, match="no preset 0 in bank 128"):
        font.regions(128, 60, 100)


def test_a_looped_sine_comes_out_as_that_sine(font: SoundFont) -> None:
    """Tuning, loop and resampling in one: two seconds of 441 Hz moved by 11 cents, far past the recording."""
    pytest.importorskip("soxr")
    wave = synthesise(font.regions(0, 69, 100)[0], font.samples, 69, 2.0, 16000).astype(np.float64)
    assert len(wave) == 32000
    hertz = RATE / PERIOD * 2 ** ((7 + 4) / 1200)
    time = np.arange(2000, 30000) / 16000
    basis = np.stack([np.sin(2 * np.pi * hertz * time), np.cos(2 * np.pi * hertz * time)], 1)
    fit, *_ = np.linalg.lstsq(basis, wave[2000:30000], rcond=None)
    residual = np.linalg.norm(wave[2000:30000] - basis @ fit) / np.linalg.norm(wave[2000:30000])
    assert residual < 2e-3
    assert np.hypot(*fit) == pytest.approx(20000 / 32768 * 10 ** (-0.4 * 7.0 / 20), rel=2e-3)


def test_envelopes_by_hand() -> None:
    assert seconds_of(0) == 1.0
    assert seconds_of(1200) == 2.0
    assert seconds_of(-32768) == 0.001
    envelope = Envelope(delay=0.1, attack=0.2, hold=0.1, decay=1.0, sustain=40.0, release=1.0)
    time = np.array([0.05, 0.2, 0.35, 0.4, 0.6, 0.8, 5.0])
    np.testing.assert_allclose(volume_curve(envelope, time), [0, 0.5, 1, 1, 0.1, 0.01, 0.01], atol=1e-9)
    half = Envelope(delay=0.1, attack=0.2, hold=0.1, decay=1.0, sustain=0.7, release=0.0)
    np.testing.assert_allclose(modulation_curve(half, time), [0, 0.5, 1, 1, 0.8, 0.7, 0.7], atol=1e-9)
    one_hertz = -1200 * np.log2(8.176)
    times = 0.001 + np.array([-0.001, 0.0, 0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(triangle(times, -12000, one_hertz), [0, 0, 1, 0, -1, 0], atol=1e-9)


def test_moving_filter_follows_the_response_of_the_fixed_one() -> None:
    pytest.importorskip("soxr")
    from antiphon.worlds.music.synthesis import moving_low_pass

    rate = 32000
    time = np.arange(rate) / rate
    cents = 1200 * np.log2(1000 / 8.176)
    still, trembling = np.full(rate, cents), cents + np.sin(2 * np.pi * time)  # the second takes the ladder
    for hertz in (100, 1000, 4000):
        # Butterworth under the bilinear map, in closed form.
        warped = np.tan(np.pi * hertz / rate) / np.tan(np.pi * 1000 / rate)
        db = -10 * np.log10(1 + warped**4)
        tone = np.sin(2 * np.pi * hertz * time)
        for cutoff, within in ((still, 0.05), (trembling, 0.8)):
            out = moving_low_pass(tone, cutoff, 0.0, rate)
            level = 20 * np.log10(np.std(out[rate // 2 :]) / np.std(tone[rate // 2 :]))
            assert level == pytest.approx(db, abs=within)
    # A cutoff that falls from 8 kHz to 500 Hz: the tone at 2 kHz is there at first and 24 dB down at the end.
    tone = np.sin(2 * np.pi * 2000 * time)
    out = moving_low_pass(tone, np.linspace(cents + 3600, cents - 1200, rate), 0.0, rate)
    early, late = (20 * np.log10(np.std(out[a : a + 800]) / np.std(tone)) for a in (1000, rate - 1000))
    assert early == pytest.approx(0.0, abs=0.5)
    assert late == pytest.approx(-24.0, abs=1.5)


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 1, exclude_max=True))
def test_a_font_cut_short_says_so(tmp_path_factory: pytest.TempPathFactory, share: float) -> None:
    data = font_bytes()
    cut = data[: int(share * len(data))]
    with pytest.raises(
        UserError, match=r"tiny.sf2 is (damaged in chunk|not a SoundFont 2 file).*; use an intact"
    ):
        load(tmp_path_factory.getbasetemp(), cut)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 255))
def test_a_flipped_byte_never_ends_in_anything_but_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, where: int, change: int
) -> None:
    pytest.importorskip("soxr")
    data = bytearray(font_bytes())
    pool = data.index(b"smpl") + 8
    tables = [i for i in range(len(data)) if not pool <= i < pool + 4092]
    data[tables[where % len(tables)]] ^= change
    try:
        font = load(tmp_path_factory.getbasetemp(), bytes(data))
    except UserError:
        return
    for regions in font.regions_of.values():
        for region in regions:
            assert np.isfinite(synthesise(region, font.samples, 60, 0.05, 16000)).all()


@pytest.mark.parametrize("tune", [G.COARSE_TUNE, G.SCALE_TUNING, G.MOD_LFO_TO_PITCH, G.VIB_LFO_TO_PITCH])
def test_pitches_of_a_damaged_font_do_not_eat_the_memory(font: SoundFont, tune: G) -> None:
    """A cent too far would ask for gigabytes: 2^(32767/12) samples a second."""
    pytest.importorskip("soxr")
    region = next(iter(font.regions_of.values()))[0]
    generators = list(region.generators)
    generators[tune] = 32_000
    broken = replace(region, generators=tuple(generators))
    tracemalloc.start()
    wave = synthesise(broken, font.samples, 60, 0.05, 16_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.isfinite(wave).all()
    assert peak < 100e6


def test_wrong_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tiny\.sf2 is not a SoundFont 2 file"):
        load(tmp_path, b"RIFF\x04\0\0\0WAVEfmt ")
    with pytest.raises(UserError, match=r"compressed samples .* convert it"):
        load(tmp_path, font_bytes(major=3))
    with pytest.raises(UserError, match="chunk shdr: sample 'sine' reaches beyond"):
        load(tmp_path, font_bytes(sample_end=9999))
    with pytest.raises(UserError, match="chunk igen: it is missing"):
        load(tmp_path, font_bytes().replace(b"igen", b"xgen"))


def test_where_the_font_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, other = tmp_path / "mine.sf2", tmp_path / "other.sf2"
    mine.write_bytes(b"x")
    other.write_bytes(b"x")
    monkeypatch.setenv("ANTIPHON_SOUNDFONT", str(other))
    assert find_font(mine) == mine
    assert find_font() == other
    monkeypatch.setenv("ANTIPHON_SOUNDFONT", str(tmp_path / "absent.sf2"))
    with pytest.raises(UserError, match=r"absent.sf2 \(ANTIPHON_SOUNDFONT\)"):
        find_font()
    monkeypatch.delenv("ANTIPHON_SOUNDFONT")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install pretty-midi"):
        find_font()


def test_the_installed_font_is_found_without_importing_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    if importlib.util.find_spec("pretty_midi") is None:
        pytest.skip("pretty-midi is not installed")
    monkeypatch.delenv("ANTIPHON_SOUNDFONT", raising=False)
    monkeypatch.delitem(sys.modules, "pretty_midi", raising=False)
    font = load_font()
    assert "pretty_midi" not in sys.modules
    assert font.name == "TimGM6mb.sf2"
    assert {(0, p) for p in range(128)} | {(128, 0)} <= set(font.presets)
    piano = font.regions(0, 60, 100)
    assert piano
    assert volume_envelope(piano[0], 60).decay > 1.0
