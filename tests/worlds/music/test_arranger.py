"""Arrangements: attributes are true of the notes, notes lie in the clip and on the grid."""

from dataclasses import replace

import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.music.arranger import arrange, draw_attributes, metre_of
from antiphon.worlds.music.attributes import INSTRUMENTS, MODES, TEMPI, TEXTURES, Attributes
from antiphon.worlds.music.notes import DRUM_PROGRAM
from antiphon.worlds.music.score import Key, Score, rows

SECONDS = 5.12
PLAIN = Attributes("flute", "moderate", "major", "common", "middle", "solo", None, False, "legato")
FIELDS = ("start", "duration", "pitch", "velocity", "program")


def score(meter=(4, 4), key=Key(2, "dorian"), voices=1, bars=8, seed=0, title="Tune") -> Score:  # noqa: B008
    """A random diatonic piece in eighths and quarters with a pickup; lower voices move in quarters."""
    rng = np.random.default_rng(seed)
    quarters = bars * 4 * meter[0] / meter[1]
    parts = []
    for voice in range(voices):
        duration = rng.choice([0.5, 1.0], 200) if voice == 0 else np.ones(200)
        onset = np.concatenate([[-0.5], np.cumsum(duration)[:-1] - duration[0]])
        degree = np.clip(np.cumsum(rng.integers(-2, 3, 200)), -5, 6) - 3 * voice
        # The scale in ascending order from the tonic.
        ladder = [(pc - key.tonic) % 12 for pc in key.scale]
        pitch = 60 + key.tonic + 12 * (degree // 7) + np.array(ladder)[degree % 7]
        inside = onset + duration <= quarters
        parts.append(rows(onset[inside], duration[inside], pitch[inside]))
    return Score(title, "test", "none", key, meter, "", tuple(parts))


def arranged(attributes, piece=None, seed=0, **settings):
    return arrange(np.random.default_rng(seed), piece or score(), attributes, SECONDS, **settings)


def drawn(seed):
    rng = np.random.default_rng(seed)
    meter = ((4, 4), (3, 4), (6, 8), (2, 4), (12, 8))[seed % 5]
    piece = score(
        meter,
        Key(seed % 12, ("major", "minor", "dorian", "mixolydian")[seed % 4]),
        1 + 3 * (seed % 2),
        seed=seed,
    )
    attributes = draw_attributes(rng, piece)
    return attributes, arrange(rng, piece, attributes, SECONDS)


@pytest.fixture(scope="module")
def many():
    return [drawn(seed) for seed in range(120)]


def test_the_drawn_ones_cover_the_ground(many):
    assert {a.texture for a, _ in many} == set(TEXTURES)
    assert {a.instrument for a, _ in many} == set(INSTRUMENTS)
    assert {a.tempo for a, _ in many} == set(TEMPI)
    assert {a.drums for a, _ in many} == {True, False}


def test_notes_begin_inside_the_clip(many):
    for attributes, made in many:
        assert made.attributes == attributes
        assert len(made.notes) > 3
        assert made.notes.start.min() >= 0
        assert made.notes.start.max() < SECONDS
        assert (made.notes.duration >= 0.03).all()


def test_onsets_fall_on_token_frames(many):
    for _, made in many:
        frame = made.notes.start / 0.04
        np.testing.assert_allclose(frame, np.round(frame), atol=1e-6)


def test_without_the_grid_the_tempo_is_free_but_near():
    ratios = [arranged(PLAIN, seed=s, grid_aligned=False).sixteenth / 0.2 for s in range(40)]
    assert 0.88 <= min(ratios) < 0.92
    assert 1.08 < max(ratios) <= 1.12


def test_all_pitches_of_a_diatonic_tune_lie_in_the_scale_of_the_mode(many):
    for attributes, made in many:
        pitched = made.notes.program != DRUM_PROGRAM
        classes = set((made.notes.pitch[pitched] % 12).tolist())
        assert classes <= set(Key(made.tonic, attributes.mode).scale)


def test_programs_are_those_of_the_attributes(many):
    for attributes, made in many:
        expected = {INSTRUMENTS[attributes.instrument]}
        if attributes.accompaniment is not None:
            expected.add(INSTRUMENTS[attributes.accompaniment])
        if attributes.drums:
            expected.add(DRUM_PROGRAM)
        assert set(made.notes.program.tolist()) == expected
        if attributes.texture == "solo":
            assert len(expected) == 1


def test_the_metre_is_that_of_the_score(many):
    assert all(
        a.metre == metre_of(score(((4, 4), (3, 4), (6, 8), (2, 4), (12, 8))[i % 5]))
        for i, (a, _) in enumerate(many)
    )


def test_the_accompaniment_is_quieter_than_the_tune(many):
    for attributes, made in many:
        others = made.notes.program != INSTRUMENTS[attributes.instrument]
        if attributes.drums or not others.any():
            continue
        assert made.notes.velocity[~others].mean() > made.notes.velocity[others].mean()


def lead(made):
    notes = made.notes
    keep = notes.program == INSTRUMENTS[made.attributes.instrument]
    return notes.start[keep], notes.duration[keep], notes.pitch[keep]


def test_the_register_moves_the_tune_by_octaves():
    for seed in range(12):
        low, middle, high = (
            lead(arranged(replace(PLAIN, register=r), seed=seed))[2] for r in ("low", "middle", "high")
        )
        assert set(middle - low) in ({0}, {12})
        assert set(high - middle) in ({0}, {12})
        assert (high - low).min() >= 12
        assert abs(middle.mean() - 76) <= 6  # the flute's usual centre


def test_staccato_is_shorter_and_nothing_else():
    smooth, short = (lead(arranged(replace(PLAIN, articulation=a))) for a in ("legato", "staccato"))
    np.testing.assert_array_equal(smooth[0], short[0])
    np.testing.assert_array_equal(smooth[2], short[2])
    np.testing.assert_allclose(short[1] / smooth[1], 0.45 / 0.97)


def test_tempo_words_space_the_notes():
    spaces = []
    for tempo, frames in zip(TEMPI, (6, 5, 4, 3), strict=True):
        made = arranged(replace(PLAIN, tempo=tempo))
        assert made.sixteenth == pytest.approx(frames * 0.04)
        spaces.append(np.diff(lead(made)[0]).min())
    np.testing.assert_allclose(spaces, 2 * 0.04 * np.array([6, 5, 4, 3]), atol=1e-9)  # eighths


def test_the_mode_changes_thirds_and_keeps_the_rhythm():
    by_mode = [lead(arranged(replace(PLAIN, mode=m))) for m in MODES]
    np.testing.assert_array_equal(by_mode[0][0], by_mode[1][0])
    assert set(by_mode[0][2] - by_mode[1][2]) <= {0, 1}
    assert (by_mode[0][2] != by_mode[1][2]).any()


def test_a_chorale_keeps_its_voices_together():
    piece = score(voices=4)
    made = arranged(replace(PLAIN, texture="chorale", accompaniment="flute"), piece)
    counts = {s: int((made.notes.start == s).sum()) for s in set(made.notes.start.tolist())}
    assert max(counts.values()) == 4
    with pytest.raises(UserError, match="1 voices, a chorale needs four"):
        arranged(replace(PLAIN, texture="chorale", accompaniment="flute"))


def test_the_same_generator_gives_the_same_notes_and_another_does_not():
    first, second, other = (arranged(PLAIN, seed=s) for s in (3, 3, 4))
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(first.notes, field), getattr(second.notes, field))
    assert (first.tonic, first.sixteenth) == (second.tonic, second.sixteenth)
    assert not np.array_equal(first.notes.velocity, other.notes.velocity)


def test_short_tunes_wrap_around():
    short = score(bars=1)
    made = arranged(replace(PLAIN, tempo="fast"), short)
    start, _, pitch = lead(made)
    lap = 16 * 0.12
    first, second = pitch[start < lap - 1e-6], pitch[(start >= lap - 1e-6) & (start < 2 * lap - 1e-6)]
    np.testing.assert_array_equal(first, second)
    assert start.max() > SECONDS - lap


def test_metres_without_a_pattern_are_refused_with_those_that_have_one():
    odd = score((5, 4))
    assert metre_of(odd) is None
    with pytest.raises(UserError, match="'Tune' is in 5/4") as caught:
        draw_attributes(np.random.default_rng(0), odd)
    assert "6/8" in caught.value.mend


def test_an_excerpt_without_a_note_is_refused():
    late = Score("Late", "test", "none", Key(0, "major"), (4, 4), "", (rows([-1.0], [1.0], [60.0]),))
    with pytest.raises(UserError, match="'Late' has no note"):
        arranged(PLAIN, late)
