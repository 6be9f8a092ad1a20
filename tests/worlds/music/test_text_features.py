"""Hashing is fixed for good: bundled weights depend on it."""

import zlib

import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.music.text_features import (
    BUCKETS,
    CHARACTERS_MAX,
    PIECES,
    WORDS_MAX,
    check_caption,
    half_known,
    hash_words,
)


def bucket(piece: str) -> int:
    return 1 + zlib.crc32(piece.encode()) % 2047


def test_hashing_golden():
    table = hash_words(["Slow harp!"])
    assert table.shape == (1, 40, 8)
    assert table.dtype == np.int32
    slow = ["<slow>", "<sl", "slo", "low", "ow>"]
    harp = ["<harp>", "<ha", "har", "arp", "rp>"]
    np.testing.assert_array_equal(table[0, 0], [bucket(p) for p in slow] + [0] * 3)
    np.testing.assert_array_equal(table[0, 1], [bucket(p) for p in harp] + [0] * 3)
    assert not table[0, 2:].any()
    # Numbers, not only a rule: a change of the checksum would silently spoil every trained model.
    np.testing.assert_array_equal(table[0, :2, 0], [942, 1381])


def test_case_and_punctuation_do_not_count_but_accents_do():
    np.testing.assert_array_equal(hash_words(["A slow, WALTZ."]), hash_words(["a slow waltz"]))
    assert not np.array_equal(hash_words(["café"]), hash_words(["cafe"]))
    assert not hash_words(["?! ..."]).any()


def test_related_words_share_most_pieces():
    words = hash_words(["harpsichord harpsichordist tambourine"])[0, :3, 1:]
    assert len(set(words[0]) & set(words[1])) == PIECES - 1
    assert len(set(words[0]) & set(words[2])) <= 1


def test_long_captions_are_cut_and_rows_are_independent():
    long = " ".join(f"w{i}" for i in range(WORDS_MAX + 9))
    table = hash_words([long, "piano"])
    np.testing.assert_array_equal(table[0], hash_words([long + " more"])[0])
    np.testing.assert_array_equal(table[1], hash_words(["piano"])[0])
    assert 0 <= table.min() <= table.max() < BUCKETS


@pytest.mark.parametrize(
    "text", [" a slow waltz for harp ", "PIANO!", "something cheerfully sad", "this instrument"]
)
def test_captions_with_a_known_word_pass(text):
    assert check_caption(text) == text.strip()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("  \n", "is empty"),
        ("piano " * (CHARACTERS_MAX // 6 + 1), "characters, more than the 2000"),
        ("ein lied von der liebe", "no word of the caption"),
        ("the of with and", "no word of the caption"),
        ("1234 !?", "no word of the caption"),
    ],
)
def test_captions_nobody_can_read_are_refused(text, said):
    with pytest.raises(UserError, match=said) as caught:
        check_caption(text)
    assert caught.value.kind == "caption"
    assert caught.value.mend


def test_a_reader_of_fewer_words_keeps_their_triples():
    words = np.repeat(hash_words(["slow waltz for harpsichord"]), 2000, axis=0)
    seen = half_known(np.random.default_rng(0), words, unknown=0.2, lost=0.1)
    gone = (seen == 0).all(-1)[:, :4]
    np.testing.assert_allclose(gone.mean(0), 0.1, atol=0.03)
    np.testing.assert_allclose((seen[:, :4, 0] == 0)[~gone].mean(), 0.2, atol=0.03)
    kept = ~gone[..., None] & (np.arange(words.shape[2]) > 0)
    np.testing.assert_array_equal(seen[:, :4][kept], words[:, :4][kept])
    assert (words == hash_words(["slow waltz for harpsichord"])).all()
    np.testing.assert_array_equal(half_known(np.random.default_rng(1), words, 0.0, 0.0), words)
