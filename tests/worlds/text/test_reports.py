"""Reports and notices: what is told is true, and no two draws of a seed differ."""

import numpy as np

from antiphon.worlds.text.reports import (
    FACTS,
    NOTICE_TOKENS,
    REPORT_TOKENS,
    WORDS,
    decode,
    draw_reports,
    encode,
)

ALL_FACTS = {word for kind in FACTS.values() for word in kind}


def test_notices_tell_what_the_report_holds():
    drawn = draw_reports(3, 300)
    assert drawn.tokens.shape == (300, REPORT_TOKENS)
    assert drawn.notices.shape == (300, NOTICE_TOKENS)
    told = []
    for tokens, length, notice in zip(*drawn, strict=True):
        report = decode(tokens[:length]).split()
        words = decode(notice).split()
        facts = [word for word in words if word in ALL_FACTS]
        assert len([word for word in report if word in ALL_FACTS]) == 7
        assert set(facts) <= set(report)
        assert notice[len(words)] == 0  # there is always room for the end
        told.append(len(facts))
    assert 2 == min(told) < max(told)
    assert len({decode(row) for row in drawn.notices}) > 200


def test_seeds():
    first, again, other = draw_reports(0, 20), draw_reports(0, 20), draw_reports(1, 20)
    np.testing.assert_array_equal(first.notices, again.notices)
    assert (first.tokens != other.tokens).any()


def test_words_and_back():
    text = "the old pump leaked , anna repaired it ."
    assert decode(np.array([*encode(text), 0, 5])) == text
    assert len(set(WORDS)) == len(WORDS)
