"""Reading and writing sound: what comes back, what is said, and that nothing half-written stays."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.music.audio_files import quantise, read_audio, write_audio

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")


def sine(hertz: float, seconds: float, rate: int, amplitude: float = 0.5) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize("ending", ["wav", "flac", "WAV"])
def test_round_trip_and_same_bits(tmp_path: Path, ending: str) -> None:
    wave = sine(440, 0.5, 16000)
    first, second = tmp_path / f"a.{ending}", tmp_path / f"b.{ending}"
    assert write_audio(first, wave) == 0
    write_audio(second, wave)
    assert first.read_bytes() == second.read_bytes()
    back = read_audio(first)
    assert (back.sample_rate, back.note, back.samples.dtype) == (16000, "", np.float32)
    assert np.abs(back.samples - wave).max() <= 0.5 / 32768 + 1e-7
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([first.name, second.name])


def test_stereo_and_other_rates_are_converted_and_told(tmp_path: Path) -> None:
    left, right = sine(440, 1.0, 44100), sine(1000, 1.0, 44100)
    soundfile.write(tmp_path / "s.flac", np.stack([left, right], 1), 44100)
    read = read_audio(tmp_path / "s.flac")
    assert read.note == "s.flac: mixed 2 channels to mono and resampled from 44100 Hz to 16000 Hz."
    assert len(read.samples) == 16000
    expected = (sine(440, 1.0, 16000) + sine(1000, 1.0, 16000)) / 2
    np.testing.assert_allclose(read.samples[500:-500], expected[500:-500], atol=1e-3)


def test_nothing_above_the_new_band_folds_back(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "h.wav", sine(11000, 1.0, 44100), 44100, subtype="FLOAT")
    assert np.abs(read_audio(tmp_path / "h.wav").samples[500:-500]).max() < 1e-3


def test_dither_is_seeded_and_frees_the_error_from_the_signal() -> None:
    quiet = sine(100, 4.0, 16000, amplitude=0.6 / 32768)
    same, again, other = (quantise(quiet, s)[0] for s in (0, 0, 1))
    np.testing.assert_array_equal(same, again)
    assert (same != other).any()
    plain, _ = quantise(quiet, None)

    def third_harmonic(codes: np.ndarray) -> float:
        spectrum = np.abs(np.fft.rfft(codes.astype(float)))
        return float(spectrum[1200] / spectrum[400])  # 300 Hz against 100 Hz

    assert third_harmonic(plain) > 0.1
    assert third_harmonic(same) < 0.05


def test_clipping_is_counted(tmp_path: Path) -> None:
    assert write_audio(tmp_path / "c.wav", np.array([0.0, 1.5, -2.0, 1.0])) == 2
    codes, _ = soundfile.read(tmp_path / "c.wav", dtype="int16")
    assert codes.tolist() == [0, 32767, -32768, 32767]


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("not a recording")
    (tmp_path / "bytes.raw").write_bytes(bytes(100))
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16000)
    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan]), 16000, subtype="FLOAT")
    for name, said in (
        ("text.wav", "cannot be read as audio"),
        ("bytes.raw", "cannot be read as audio"),
        ("empty.wav", "no samples"),
        ("nan.wav", "not finite"),
        ("absent.wav", "does not exist"),
        (".", "is a folder"),
    ):
        with pytest.raises(UserError, match=said) as caught:
            read_audio(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_unwritable_requests_are_named(tmp_path: Path) -> None:
    (tmp_path / "folder.wav").mkdir()
    for name, wave, said in (
        ("a.mp3", np.zeros(4), "ends in '.mp3'"),
        ("a.wav", np.zeros((4, 2)), r"shape \(4, 2\)"),
        ("a.wav", np.zeros(0), "shape"),
        ("a.wav", np.array([np.inf]), "not finite"),
        ("no/such/a.wav", np.zeros(4), "does not exist"),
        ("folder.wav", np.zeros(4), "is a folder"),
    ):
        with pytest.raises(UserError, match=said):
            write_audio(tmp_path / name, wave)
    assert [p.name for p in tmp_path.iterdir()] == ["folder.wav"]


@pytest.mark.parametrize("moment", ["replace", "fsync"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    target = tmp_path / "a.wav"
    write_audio(target, np.zeros(100))
    before = target.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(f"os.{moment}", full)
    with pytest.raises(UserError, match=r"No space left on device.*nothing was left behind; free some space"):
        write_audio(target, np.ones(200) * 0.1)
    assert target.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]


def test_a_write_cut_short_without_an_error_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = soundfile.write
    monkeypatch.setattr(
        soundfile, "write", lambda f, codes, *a, **k: write(f, codes[: len(codes) // 2], *a, **k)
    )
    with pytest.raises(UserError, match="disk is probably full"):
        write_audio(tmp_path / "a.flac", sine(440, 1.0, 16000))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_really_full_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.worlds.music.audio_files.secrets.token_hex", lambda n: "x")
    (tmp_path / ".a.wav.x.part").symlink_to("/dev/full")
    with pytest.raises(UserError, match="could not be written"):
        write_audio(tmp_path / "a.wav", sine(440, 1.0, 16000))
    assert list(tmp_path.iterdir()) == []
