"""Outside judges together: figures of sounds whose answers are known, and the file of real clips."""

import importlib.util

import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.music import transcription
from antiphon.worlds.music.attributes import INSTRUMENTS, TEXTURES, Attributes
from antiphon.worlds.music.judging import Heard, Reference, distances, hear, need_judges, tag
from antiphon.worlds.music.spectrum import SAMPLE_RATE

PACKAGES = ("musicnn", "basic_pitch", "onnxruntime", "soxr")
needs_judges = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in PACKAGES), reason="the judges are not installed"
)


def attributes(texture="chords", mode="major", tempo="slow"):
    return Attributes(
        instrument="piano", tempo=tempo, mode=mode, metre="common", register="middle", texture=texture,
        accompaniment=None if texture == "solo" else "piano", drums=False, articulation="legato",
    )  # fmt: skip


def reference(clips=64):
    rng = np.random.default_rng(0)
    textures = np.array([TEXTURES[i % 3] for i in range(clips)])
    return Reference(
        rng.uniform(0.01, 0.9, (clips, 50)).astype(np.float32),
        rng.standard_normal((clips, 200)).astype(np.float32),
        np.array([list(INSTRUMENTS)[i % 10] for i in range(clips)]),
        textures,
        np.array([float(1 + i % 3) for i in range(clips)], np.float32),
    )


def chord(pitches, seconds=3.2):
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    waves = [np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * time) for pitch in pitches]
    return (0.2 * sum(waves)).astype(np.float32)


@pytest.fixture(scope="module")
def heard():
    """A cadence in A major, one in A minor, and nothing."""
    major = [[57, 61, 64], [62, 66, 69], [64, 68, 71], [57, 61, 64]]
    minor = [[57, 60, 64], [62, 65, 69], [64, 67, 71], [57, 60, 64]]
    tunes = [np.concatenate([chord(pitches, 0.8) for pitches in chords]) for chords in (major, minor)]
    wave = np.stack([*tunes, np.zeros(51200, np.float32)])
    meant = [attributes(mode="major"), attributes(mode="minor"), attributes()]
    return hear(wave, meant, reference(), notes=True)


@needs_judges
def test_notes_of_known_cadences(heard):
    assert (heard.in_key[:2] > 0.9).all()
    np.testing.assert_array_equal(heard.mode[:2], [1.0, 1.0])
    assert (heard.polyphony[:2] > 2).all()
    np.testing.assert_allclose(heard.silence, [0, 0, 1])
    # Silence has no notes, so it has no figure, rather than a bad one.
    assert np.isnan(heard.in_key[2])
    assert np.isnan(heard.polyphony[2])


@needs_judges
def test_every_figure_has_one_number_a_clip(heard):
    for name in ("hit", "probe", "tempo", "regularity", "in_key", "mode", "polyphony", "silence"):
        assert getattr(heard, name).shape == (3,)
    for name in ("hit", "probe", "tempo"):
        assert set(getattr(heard, name)) <= {0.0, 1.0}
    assert heard.first(2).tags.shape == (2, 50)
    np.testing.assert_array_equal(heard.first(2).features, heard.features[:2])


@needs_judges
def test_the_tagger_does_not_mind_how_many_clips_there_are(heard):
    last = np.concatenate([chord(pitches, 0.8) for pitches in ([57, 61, 64], [62, 66, 69], [64, 68, 71])])
    last = np.concatenate([last, chord([57, 61, 64], 0.8)])
    wave = np.stack([chord([60 + i % 12]) for i in range(16)] + [last])
    tags, features = tag(wave)
    assert tags.shape == (17, 50)
    np.testing.assert_allclose(tags[16], heard.tags[0], atol=1e-5)
    np.testing.assert_allclose(features[16], heard.features[0], atol=1e-3, rtol=1e-3)


@needs_judges
def test_judges_that_are_here_are_not_missed():
    need_judges(notes=True)


def test_a_missing_judge_is_said(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "musicnn" else find(name, *a)
    )
    with pytest.raises(UserError, match="musicnn") as caught:
        need_judges(notes=False)
    assert "pip install" in caught.value.mend


def test_without_notes_there_are_none(monkeypatch):
    def deaf(wave):
        return np.full((len(wave), 50), 0.5), np.ones((len(wave), 200))

    monkeypatch.setattr("antiphon.worlds.music.judging.tag", deaf)
    monkeypatch.setattr(transcription, "load_transcriber", None)
    found = hear(np.stack([chord([57])] * 2), [attributes()] * 2, reference(), notes=False)
    for name in ("in_key", "mode", "polyphony"):
        assert np.isnan(getattr(found, name)).all()


def figures(features):
    rest = [np.zeros(len(features))] * 8
    return Heard(*rest, tags=np.zeros((len(features), 50)), features=features)


def test_distances_of_real_clips_to_themselves():
    real = reference()
    found = distances(figures(real.features), real)
    assert found["frechet"] == pytest.approx(0, abs=1e-6)
    assert found["diversity"] == pytest.approx(1)


def test_distances_of_other_clips():
    real = reference()
    alike = distances(figures(np.repeat(real.features[:1], 64, axis=0)), real)
    moved = distances(figures(real.features + 1), real)
    assert alike["diversity"] == pytest.approx(0, abs=1e-6)
    assert moved["frechet"] > 1


def test_the_reference_comes_back_in_half_precision(tmp_path):
    real = reference()
    real.save(tmp_path / "reference.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["reference.npz"]
    found = Reference.load(tmp_path / "reference.npz")
    np.testing.assert_array_equal(found.tags, real.tags.astype(np.float16))
    np.testing.assert_array_equal(found.features, real.features.astype(np.float16))
    assert list(found.instruments) == list(real.instruments)
    assert list(found.textures) == list(real.textures)
    np.testing.assert_array_equal(found.polyphony, real.polyphony)


@pytest.mark.parametrize("damage", ["absent", "cut", "text", "lacks"])
def test_a_damaged_reference_is_one_sentence(tmp_path, damage):
    path = tmp_path / "reference.npz"
    reference().save(path)
    if damage == "absent":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "text":
        path.write_text("no archive")
    else:
        np.savez(path, tags=np.zeros(3))
    with pytest.raises(UserError) as caught:
        Reference.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_polyphony_of_a_texture_ignores_silent_clips():
    textures = np.array(["solo", "solo", "chords", "chords", "drone"])
    real = Reference(
        np.zeros((5, 50)), np.zeros((5, 200)), np.array(["piano"] * 5), textures,
        np.array([1.0, 2.0, 4.0, np.nan, np.nan]),
    )  # fmt: skip
    asked = [attributes(texture) for texture in ("solo", "chords", "drone", "oompah")]
    # Solo: mean of 1 and 2; chords: the one that sounds; the others: mean of all that sound.
    np.testing.assert_allclose(real.polyphony_of(asked), [1.5, 4.0, 7 / 3, 7 / 3])
