"""ABC notation: each feature by hand, random tunes written and read back, real tunes against music21."""

import pickle
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.worlds.music.abc_fields import Unreadable, parse_key, parse_meter, parse_order, parse_tempo
from antiphon.worlds.music.abc_notation import AbcError, parse_book, parse_tune
from antiphon.worlds.music.score import Key, Score, bars, melody, pickup, quarters_per_bar

HEAD = "X:1\nT:Test\nM:4/4\nL:1/4\nK:"


def notes(music: str, key: str = "C", repeats: bool = True) -> list[tuple[float, float, int]]:
    voice = parse_tune(f"{HEAD}{key}\n{music}\n", repeats=repeats).voices[0]
    return [(onset, duration, int(pitch)) for onset, duration, pitch in voice.tolist()]


def pitches(music: str, key: str = "C") -> list[int]:
    return [pitch for _, _, pitch in notes(music, key)]


def durations(music: str) -> list[float]:
    return [duration for _, duration, _ in notes(music)]


# -- one feature at a time ----------------------------------------


def test_octave_marks_move_by_twelve():
    assert pitches("C, C c c' C,, c''") == [48, 60, 72, 84, 36, 96]


@pytest.mark.parametrize(
    ("suffix", "length"),
    [
        ("", 1),
        ("2", 2),
        ("/", 0.5),
        ("/2", 0.5),
        ("//", 0.25),
        ("3/2", 1.5),
        ("3/", 1.5),
        ("/4", 0.25),
        ("7/4", 1.75),
    ],
)
def test_length_suffixes(suffix: str, length: float):
    assert durations(f"C{suffix} D4") == [length, 4.0]


def test_accidentals_hold_to_the_bar_line_and_in_their_octave():
    assert pitches("^F F f | F =B, _B, B, | B,") == [66, 66, 77, 65, 59, 58, 58, 59]
    assert pitches("^^F __B") == [67, 69]


def test_signature_and_natural():
    assert pitches("F C =F F | F c", key="D") == [66, 61, 65, 65, 66, 73]


def test_tie_joins_across_the_bar_and_carries_the_accidental():
    assert notes("^F4-|F2 F2") == [(0.0, 6.0, 66), (6.0, 2.0, 65)]
    assert notes("C4-|C D2") == [(0.0, 5.0, 60), (5.0, 2.0, 62)]
    assert notes("C2 C2-|[C-E]2 C2") == [(0.0, 2.0, 60), (2.0, 6.0, 60), (4.0, 2.0, 64)]


def test_tie_between_different_pitches_is_a_slur():
    assert notes("C2-D2") == [(0.0, 2.0, 60), (2.0, 2.0, 62)]


def test_a_tie_does_not_reach_over_a_rest():
    assert notes("C-zC2|") == [(0.0, 1.0, 60), (2.0, 2.0, 60)]


def test_broken_rhythm():
    assert durations("A>B A<B") == [1.5, 0.5, 0.5, 1.5]
    assert durations('A>>B A2 "4">{g}.B2') == [1.75, 0.25, 3.0, 1.0]


def test_tuplets():
    assert durations("(3ABc d") == pytest.approx([2 / 3] * 3 + [1])
    assert durations("(3:2:4ABcd e") == pytest.approx([2 / 3] * 4 + [1])
    assert durations("(5ABcde (2AB") == pytest.approx([2 / 5] * 5 + [3 / 2] * 2)
    jig = parse_tune("X:1\nM:6/8\nL:1/8\nK:C\n(5ABcde\n").voices[0]
    assert jig[:, 1] == pytest.approx(
        [3 / 5 * 0.5] * 5
    )  # five in the time of three where the metre is compound


def test_rests_move_time_on():
    assert notes("C z/ D x E2 | Z | C | Z2 | D") == [
        (0.0, 1.0, 60),
        (1.5, 1.0, 62),
        (3.5, 2.0, 64),
        (9.5, 1.0, 60),
        (18.5, 1.0, 62),
    ]


def test_double_stops_share_an_onset_and_melody_takes_the_top():
    score = parse_tune(f"{HEAD}C\n[C2E2G2] [CE]/ c- [cE]\n")
    assert score.voices[0].tolist() == [
        [0, 2, 60], [0, 2, 64], [0, 2, 67], [2, 0.5, 60], [2, 0.5, 64], [2.5, 2, 72], [3.5, 1, 64],
    ]  # fmt: skip
    assert melody(score).tolist() == [[0, 2, 67], [2, 0.5, 64], [2.5, 1, 72], [3.5, 1, 64]]


def test_what_is_read_over():
    plain = notes("A B c d | e f")
    assert notes('"Am"(A {gag}B) !trill!c ~d | uTe .f % remark "') == plain
    assert notes("A B c d Hx | e f") == plain
    assert notes('A B c d \\\n%%staves 1\nw: la la\n | e` y2 f"^end"') == plain


def test_inline_fields():
    assert notes("F2 [K:D] F2 | [L:1/8] F F [M:3/4] Z F") == [
        (0, 2, 65), (2, 2, 66), (4, 0.5, 66), (4.5, 0.5, 66), (8, 0.5, 66),
    ]  # fmt: skip


def test_pickup_is_ahead_of_zero():
    score = parse_tune(f"{HEAD}C\nG|C D E F|G4|]\n")
    assert score.voices[0][:, 0].tolist() == [-1, 0, 1, 2, 3, 4]
    assert (pickup(score), bars(score), quarters_per_bar(score)) == (1.0, 2, 4.0)
    assert pickup(parse_tune(f"{HEAD}C\nC D E F|G4|]\n")) == 0
    assert pickup(parse_tune(f"{HEAD}C\nC D|E F|G2|A2|]\n")) == 0  # 2/4 printed as 4/4


@pytest.mark.parametrize(
    ("music", "played"),
    [
        ("A|:B:|c", "ABBc"),
        ("A B:|c:|", "ABABcc"),
        ("A||B:|", "ABB"),
        ("|:A||B:|", "ABAB"),
        ("A::B:|", "AABB"),
        ("A:||:B:|", "AABB"),
        ("A:|\n|:B:|", "AABB"),
        ("A|1 B:|2 c||d", "ABAcd"),
        ("A|1 B:|2 c|:d:|", "ABAcdd"),
        ("A [1 B:|\n[2 c|]d:|", "ABAcdd"),
        ("|:A|1,3 B:|2 c:|4 d|", "ABAcABAd"),
        ("|:A|1-2 B:|3 c|", "ABABAc"),
        ("|:A|1 B:|c", "ABAc"),
        ("|::A::|B", "AAAB"),
        ("A|:|B", "AAB"),
        ("A [|] B:|", "ABAB"),
    ],
)
def test_repeats_are_written_out(music: str, played: str):
    names = dict(zip("ABcd", [69, 71, 72, 74], strict=True))
    assert pitches(music) == [names[letter] for letter in played]


def test_repeats_can_be_left_as_printed():
    assert [p for _, _, p in notes("A|:B:|c", repeats=False)] == [69, 71, 72]


def test_parts_are_played_in_the_order_of_the_header():
    assert parse_tune("X:1\nL:1/4\nP:A2BA\nK:C\nP:A\nC:|\nP:B\nD|]\n").voices[0][:, 2].tolist() == [
        60
    ] * 4 + [62, 60, 60]
    assert parse_tune("X:1\nL:1/4\nP:AQ\nK:C\nP:A\nC\nP:B\nD|]\n").voices[0][:, 2].tolist() == [60, 62]


def test_voices_are_kept_apart():
    score = parse_tune(f"{HEAD}C\n[V:1] c d | e\n[V:2] C2- | C\n[V:1] f\n")
    assert [voice[:, 2].tolist() for voice in score.voices] == [[72, 74, 76, 77], [60]]
    assert score.voices[1].tolist() == [[-2.0, 3.0, 60.0]]
    assert len(parse_tune(f"{HEAD}C\nV:1\nc\nV:2 bass\nC\n").voices) == 2


# -- headers ----------------------------------------


@pytest.mark.parametrize(
    ("text", "key", "alterations"),
    [
        ("G", Key(7, "major"), {"F": 1}),
        ("F#m", Key(6, "minor"), {"F": 1, "C": 1, "G": 1}),
        ("E Dorian", Key(4, "dorian"), {"F": 1, "C": 1}),
        ("Ador", Key(9, "dorian"), {"F": 1}),
        ("EM", Key(4, "minor"), {"F": 1}),
        ("Bb", Key(10, "major"), {"B": -1, "E": -1}),
        ("Dmix=c", Key(2, "mixolydian"), {"F": 1, "C": 0}),
        ("D exp _e ^f", Key(2, "major"), {"E": -1, "F": 1}),
        ("D clef=bass", Key(2, "major"), {"F": 1, "C": 1}),
        ("D treble", Key(2, "major"), {"F": 1, "C": 1}),
        ("Hp", Key(9, "mixolydian"), {"F": 1, "C": 1}),
        ("none", Key(0, "major"), {}),
        ("Cloc", Key(0, "locrian"), {"B": -1, "E": -1, "A": -1, "D": -1, "G": -1}),
    ],
)
def test_keys(text: str, key: Key, alterations: dict[str, int]):
    signature = parse_key(text)
    assert (signature.key, signature.alterations) == (key, alterations)


@given(tonic=st.sampled_from("FCGDAEB"), sign=st.sampled_from(["", "#", "b"]), mode=st.integers(0, 6))
def test_a_signature_makes_the_scale_of_its_key(tonic: str, sign: str, mode: int):
    """The signature's seven altered letters are the pitch classes of the mode, found by another route."""
    signature = parse_key(tonic + sign + ["ion", "dor", "phr", "lyd", "mix", "aeo", "loc"][mode])
    natural = dict(zip("CDEFGAB", [0, 2, 4, 5, 7, 9, 11], strict=True))
    letters = {(natural[letter] + signature.alterations.get(letter, 0)) % 12 for letter in natural}
    assert letters == set(signature.key.scale)


def test_metres_tempos_and_orders():
    assert [parse_meter(text) for text in ("C", "C|", "6/8", "(2+3)/8", "none")] == [
        (4, 4),
        (2, 2),
        (6, 8),
        (5, 8),
        None,
    ]
    eighth = Fraction(1, 8)
    assert [parse_tempo(text, eighth) for text in ("3/8=120", '1/4=90 "Andante"', "60", '"Slow"')] == [
        180,
        90,
        30,
        None,
    ]
    assert [parse_order(text) for text in ("ABA", "A.B", "(AB)2C", "A3B", "5", "((A9)9)9)")] == [
        "ABA", "AB", "ABABC", "AAAB", None, None,
    ]  # fmt: skip
    with pytest.raises(Unreadable, match="metre"):
        parse_meter("6/7")


def test_header_reaches_the_score():
    score = parse_tune("X:7\nT:Drops\nT:Second\nM:6/8\nR:Jig\nQ:3/8=120\nK:Edor\nEEE EEE|\n", "mine", "CC0")
    assert (score.title, score.source, score.licence) == ("Drops", "mine", "CC0")
    assert (score.key, score.meter, score.rhythm, score.quarters_per_minute) == (
        Key(4, "dorian"),
        (6, 8),
        "jig",
        180.0,
    )


def test_unit_length_without_l_follows_the_metre():
    assert parse_tune("X:1\nM:2/4\nK:C\nC\n").voices[0][0, 1] == 0.25
    assert parse_tune("X:1\nM:3/4\nK:C\nC\n").voices[0][0, 1] == 0.5


# -- books and errors ----------------------------------------

BOOK = """% a book
L:1/4
M:3/4

X:1
T:First
K:G
ABc|]

some words between

X:2
T:Broken
K:G
AB ^3 c|]

X:3
T:Third
K:Bn
A

X:4
T:Fourth
M:2/4
L:1/8
K:D
AB|]
"""


def test_a_book_yields_good_tunes_and_every_error():
    book = parse_book(BOOK, "mine", "CC0", "book.abc")
    assert [score.title for score in book.scores] == ["First", "Fourth"]
    assert book.scores[0].meter == (3, 4)
    assert book.scores[0].voices[0][0, 1] == 1.0
    assert book.scores[1].voices[0][0, 1] == 0.5
    first, second = book.errors
    assert (first.tune, first.title, first.line, first.column) == ("2", "Broken", 15, 4)
    assert str(first).startswith("book.abc:15:4: tune 2 'Broken': the accidental '^3' has no note")
    assert (second.title, second.line) == ("Third", 19)
    assert "mode 'n'" in str(second)
    assert "write maj" in second.mend


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("X:1\nT:t\nABC\nK:C\n", "above the K: field"),
        ("X:1\nT:t\nM:4/4\n", "no K: field"),
        ("X:1\nK:C\n", "no notes"),
        ("X:1\nK:C\nz4|\n", "no notes"),
        ("X:1\nM:4\nK:C\nA\n", "metre '4'"),
        ("X:1\nL:x\nK:C\nA\n", "unit note length"),
        ("X:1\nQ:fast\nK:C\nA\n", "tempo"),
        ("X:1\nK:H\nA\n", "no tonic"),
        ("X:1\nK:C\nA & B\n", "overlay"),
        ("X:1\nK:C\n[CE\n", r"\[ is never closed"),
        ("X:1\nK:C\n[C|E]\n", "never closed"),
        ('X:1\nK:C\nA "Am\n', "never closed"),
        ("X:1\nK:C\nA0\n", "is zero"),
        ("X:1\nK:C\nA/0\n", "is zero"),
        ("X:1\nK:C\n>A\n", "no note ahead"),
        ("X:1\nK:C\n(3:0:3ABC\n", "time of 0"),
        ("X:1\nK:C\nc''''''''\n", "outside MIDI"),
        ("X:1\nK:C\n[^]\n", "inside the chord|no note"),
        ("X:1\nK:C\nA [M:9] B\n", "metre '9'"),
    ],
)
def test_malformed_tunes_name_the_place_and_the_mend(text: str, message: str):
    with pytest.raises(AbcError, match=message) as caught:
        parse_tune(text)
    assert caught.value.mend
    assert caught.value.line >= 1
    assert caught.value.column >= 1
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.line) == (str(caught.value), caught.value.line)


def test_two_tunes_are_not_one_and_no_tune_is_an_error():
    with pytest.raises(AbcError, match="2 tunes where one is expected"):
        parse_tune("X:1\nK:C\nA\n\nX:2\nK:C\nB\n")
    assert len(parse_book("nothing here\n").errors) == 1


def test_x_may_be_missing_in_a_single_tune():
    assert len(parse_tune("K:C\nABc\n").voices[0]) == 3


# -- properties ----------------------------------------

_LETTERS = [*"CDEFGABcdefgab", "c'"]
_NATURAL = [60, 62, 64, 65, 67, 69, 71, 72, 74, 76, 77, 79, 81, 83, 84]
_note = st.tuples(
    st.one_of(st.none(), st.integers(0, 14)),  # a rest, or a letter
    st.integers(-1, 1),  # its alteration
    st.sampled_from(
        [Fraction(1, 4), Fraction(1, 2), Fraction(1), Fraction(3, 2), Fraction(3), Fraction(7, 4)]
    ),
)
_SIGNATURES = {"C": {}, "D": {"F": 1, "C": 1}, "Eb": {"B": -1, "E": -1, "A": -1}, "Gdor": {"B": -1}}


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(_note, min_size=1, max_size=6), min_size=1, max_size=6),
    st.sampled_from(sorted(_SIGNATURES)),
)
def test_written_with_only_the_needed_accidentals_and_read_back(measures: list, key: str):
    """A writer that prints an accidental only where signature and bar do not already give it."""
    expected: list[tuple[float, float, int]] = []
    text: list[str] = []
    now = Fraction(0)
    signature = _SIGNATURES[key]
    for measure in measures:
        in_force: dict[str, int] = {}
        for index, bend, length in measure:
            suffix = f"{length.numerator}/{length.denominator}" if length != 1 else ""
            if index is None:
                text.append("z" + suffix)
            else:
                letter = _LETTERS[index]
                present = in_force.get(letter, signature.get(letter[0].upper(), 0))
                text.append(("" if present == bend else {1: "^", 0: "=", -1: "_"}[bend]) + letter + suffix)
                in_force[letter] = bend
                expected.append((float(now), float(length), _NATURAL[index] + bend))
            now += length
        text.append("|")
    tune = f"{HEAD}{key}\n{' '.join(text)}\n"
    if not expected:
        with pytest.raises(AbcError, match="no notes"):
            parse_tune(tune)
        return
    first = sum(length for _, _, length in measures[0])
    lengths = [sum(length for _, _, length in measure) for measure in measures]
    misprinted = len(measures) > 3 and 2 * lengths.count(first) > len(measures)
    shift = float(first) if first < 4 and not misprinted else 0.0
    voice = parse_tune(tune).voices[0]
    np.testing.assert_allclose(
        voice, [(onset - shift, length, p) for onset, length, p in expected], atol=1e-12
    )


_section = st.tuples(st.integers(1, 3), st.sampled_from(["once", "twice", "thrice", "endings", "three"]))


@settings(max_examples=100, deadline=None)
@given(st.lists(_section, min_size=1, max_size=6))
def test_sections_with_repeats_and_endings_are_played_as_meant(sections: list):
    """Each section is built together with what it must sound like."""
    text, played, fresh = "", [], iter(range(10_000))

    def stretch(count: int) -> tuple[str, list[int]]:
        chosen = [next(fresh) % 15 for _ in range(count)]
        return " ".join("=" + _LETTERS[i] for i in chosen), [_NATURAL[i] for i in chosen]

    for count, kind in sections:
        body, sounds = stretch(count)
        if kind == "once":
            text, played = f"{text}{body} ||\n", played + sounds
        elif kind == "twice":
            text, played = f"{text}|: {body} :|\n", played + sounds * 2
        elif kind == "thrice":
            text, played = f"{text}|:: {body} ::|\n", played + sounds * 3
        elif kind == "endings":
            (one, first), (two, second) = stretch(1), stretch(2)
            text, played = (
                f"{text}|: {body} |1 {one} :|2 {two} |]\n",
                played + sounds + first + sounds + second,
            )
        else:
            (one, first), (two, second) = stretch(1), stretch(1)
            text = f"{text}|: {body} [1-2 {one} :|\n[3 {two} ||\n"
            played = played + (sounds + first) * 2 + sounds + second
    assert pitches(text) == played


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ABCcdefgzxZ[]|:()123/<>-^_=,' \n\"{}!+.~&KMVLPX", max_size=60))
def test_any_text_gives_a_score_or_an_error_with_a_place(text: str):
    book = parse_book(HEAD + "C\nC" + text)
    assert len(book.scores) + len(book.errors) >= 1
    assert all(isinstance(score, Score) for score in book.scores)
    assert all(error.line >= 1 and error.column >= 1 and error.mend for error in book.errors)


# -- against music21 ----------------------------------------

# Without features that music21 10 misreads: marks inside broken rhythm, H decorations, graces in tuplets.
_REAL = [
    ("airdsAirs/book5.abc", "X:0808"),
    ("airdsAirs/book5.abc", "X:1000"),
    ("oneills1850/0051-0100.abc", "X: 85"),
    ("oneills1850/0051-0100.abc", "X: 86"),
    ("ryansMammoth/OysterGirlsJigThe.abc", "X:18"),
    ("ryansMammoth/ArielHornpipe.abc", "X:1"),
]


@pytest.mark.parametrize(("path", "number"), _REAL)
@pytest.mark.filterwarnings("ignore")
def test_real_tunes_as_music21_reads_them(path: str, number: str):
    music21 = pytest.importorskip("music21")
    from antiphon.worlds.music.sources import corpus_folder

    book = (corpus_folder() / path).read_text(encoding="latin-1")
    text = next(tune for tune in re.split(r"(?m)^(?=X:)", book) if tune.splitlines()[:1] == [number])
    ours = parse_tune(text, repeats=False).voices[0]
    # Version 2.1 makes music21 carry accidentals through the bar.
    part = music21.converter.parse("%abc-2.1\n" + text, format="abc", forceSource=True).parts[0]
    theirs = [
        (float(note.offset), pitch.midi)
        for note in part.stripTies(matchByPitch=True).flatten().notes
        if note.duration.quarterLength > 0
        for pitch in sorted(note.pitches)
    ]
    assert len(ours) > 20
    np.testing.assert_allclose(ours[:, 2], [pitch for _, pitch in theirs])
    np.testing.assert_allclose(
        ours[:, 0] - ours[0, 0], [onset - theirs[0][0] for onset, _ in theirs], atol=2e-3
    )
