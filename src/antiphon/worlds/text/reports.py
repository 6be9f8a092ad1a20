"""Reports of something that broke, and one-line notices of them: English sentences from a small grammar.

    on monday the old pump in the cellar leaked , so anna repaired it .   →   old pump leaked in the cellar

Every report holds seven facts in one of three orders. A notice tells the thing and its fault, perhaps its
kind, and of the circumstances (when, where, who) mostly one, sometimes two or none; writers differ in their
habits (articles, full stops, a polite beginning). So there are many good notices of one report, which differ
in length, in what they tell and in style. The vocabulary is the words themselves.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int32

FACTS: dict[str, tuple[str, ...]] = {
    "thing": ("pump", "valve", "boiler", "pipe", "crane", "door", "lamp", "fan", "motor", "drill", "sensor",
              "ladder"),
    "kind": ("old", "new", "red", "small", "heavy", "spare", "loud", "green"),
    "place": ("kitchen", "hall", "garage", "cellar", "office", "workshop", "yard", "attic"),
    "day": ("monday", "tuesday", "wednesday", "thursday", "friday"),
    "person": ("anna", "peter", "maria", "james", "lucy", "oscar", "nina", "felix"),
    "fault": ("leaked", "jammed", "cracked", "burned", "rattled", "stopped", "tripped", "slipped"),
    "remedy": ("repaired", "replaced", "cleaned", "tightened", "oiled", "tested"),
}  # fmt: skip
"""What can be told, by the kind of fact."""

END = "<end>"
WORDS: tuple[str, ...] = (
    END, "the", "in", "on", "it", "so", "after", "and", "please", "note", ",", ".", ":",
    *(word for words in FACTS.values() for word in words),
)  # fmt: skip
"""The vocabulary; a word's place is its token. The first ends a text and fills up what follows."""

_TOKEN = {word: token for token, word in enumerate(WORDS)}

SOURCES = (
    "on {day} the {kind} {thing} in the {place} {fault} , so {person} {remedy} it .",
    "{person} {remedy} the {kind} {thing} in the {place} after it {fault} on {day} .",
    "the {kind} {thing} in the {place} {fault} on {day} and {person} {remedy} it .",
)
"""The orders of a report."""

REPORT_TOKENS, NOTICE_TOKENS = 15, 13
"""Tokens of the longest report, and of the longest notice with its end."""

_SUBSETS = (("when",), ("where",), ("who",), ("when", "where"), ("where", "who"), ("when", "who"), ())
_SUBSET_SHARES = (0.24, 0.24, 0.24, 0.08, 0.08, 0.07, 0.05)


class Reports(NamedTuple):
    """Reports with a notice each.

    Attributes:
        tokens: of the reports, ``[N, P]``, padded with 0.
        length: of the reports, ``[N]``.
        notices: tokens with the end, padded with it, ``[N, T]``.
    """

    tokens: Int32[np.ndarray, "N P"]
    length: Int32[np.ndarray, " N"]
    notices: Int32[np.ndarray, "N T"]


def draw_reports(seed: int, count: int) -> Reports:
    """Random reports, each with the notice of a random writer.

    Args:
        seed: of everything.
        count: N.
    """
    rng = np.random.default_rng([seed, 71])
    tokens = np.zeros((count, REPORT_TOKENS), np.int32)
    notices = np.zeros((count, NOTICE_TOKENS), np.int32)
    length = np.zeros(count, np.int32)
    for row in range(count):
        facts = {name: words[rng.integers(len(words))] for name, words in FACTS.items()}
        report = encode(SOURCES[rng.integers(len(SOURCES))].format(**facts))
        notice = encode(_notice(rng, facts))
        tokens[row, : len(report)], length[row] = report, len(report)
        notices[row, : len(notice)] = notice
    return Reports(tokens, length, notices)


def encode(text: str) -> list[int]:
    """Tokens of a text whose words are known, without an end."""
    return [_TOKEN[word] for word in text.split()]


def decode(tokens: Int32[np.ndarray, " T"]) -> str:
    """The words up to the end."""
    words = [WORDS[int(token)] for token in tokens]
    return " ".join(words[: words.index(END)] if END in words else words)


def _notice(rng: np.random.Generator, facts: dict[str, str]) -> str:
    told = _SUBSETS[rng.choice(len(_SUBSETS), p=_SUBSET_SHARES)]
    the = "the " if rng.random() < 0.5 else ""
    kind = facts["kind"] + " " if rng.random() < 0.4 else ""
    text = f"{the}{kind}{facts['thing']} {facts['fault']}"
    if "when" in told:
        text += f" on {facts['day']}"
    if "where" in told:
        text += f" in {the}{facts['place']}"
    if "who" in told:
        text += f" , {facts['person']} {facts['remedy']} it"
    if len(told) < 2 and rng.random() < 0.2:
        text = "please note : " + text
    return text + (" ." if rng.random() < 0.5 else "")
