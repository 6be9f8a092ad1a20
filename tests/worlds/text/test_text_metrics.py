"""BLEU and ROUGE by hand, and beside the libraries that everybody quotes."""

import math
import random

import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.text.metrics import bleu, mean_rouge, rouge, words_13a

WORDS = [
    "the", "cat", "sat", "on", "a", "mat", "3.5", "1,000", "e.g.", "A-B", "7-9", "Über", "&amp;", "(x)",
    "it's", "end.", "no,", '"quoted"', "50%", "a/b", "<tag>", "snake_case", "dot.dot", "~", "{}", "x-\ny",
]  # fmt: skip


def corpus(seed, count=30):
    draw = random.Random(seed)
    references = [" ".join(draw.choices(WORDS, k=draw.randint(1, 20))) for _ in range(count)]
    texts = []
    for reference in references:
        words = reference.split(" ")
        texts.append(" ".join(word if draw.random() < 0.7 else draw.choice(WORDS) for word in words))
    return texts, references


def test_words():
    assert words_13a('He said "3.5, or 1,000", twice.') == [
        "He", "said", '"', "3.5", ",", "or", "1,000", '"', ",", "twice", ".",
    ]  # fmt: skip
    assert words_13a("A-B 7-9 a&amp;b") == ["A-B", "7", "-", "9", "a", "&", "b"]


def test_scores_by_hand():
    # Unigrams 5/6, bigrams 3/5, trigrams 1/4, and 4-grams 0/3, smoothed to 1/(2 · 3).
    by_hand = 100 * (5 / 6 * 3 / 5 * 1 / 4 * 1 / 6) ** 0.25
    assert bleu(["the cat sat on a mat"], ["the cat sat by a mat"]) == pytest.approx(by_hand)
    short = bleu(["the cat sat on a mat"], ["the cat sat by a mat and it slept"])
    assert short == pytest.approx(by_hand * math.exp(1 - 9 / 6))
    assert bleu(["x"], ["x"]) == 0.0  # no 4-gram at all
    score = rouge("The cat sat!", "the cat sat on the mat")
    assert (score.precision, score.recall) == (1.0, 2 / 5)
    assert score.f == pytest.approx(4 / 7)
    assert rouge("", "x").f == 0.0
    assert mean_rouge(["a b", "c d"], ["a b", "d c"]) == 50.0
    with pytest.raises(UserError, match="2 texts and 1 references"):
        bleu(["a", "b"], ["a"])


def test_bleu_is_that_of_sacrebleu():
    sacrebleu = pytest.importorskip("sacrebleu")
    for seed in range(5):
        texts, references = corpus(seed)
        theirs = sacrebleu.corpus_bleu(texts, [references]).score
        assert bleu(texts, references) == pytest.approx(theirs, abs=1e-9)
        for text, reference in zip(texts, references, strict=True):
            theirs = sacrebleu.corpus_bleu([text], [[reference]]).score
            assert bleu([text], [reference]) == pytest.approx(theirs, abs=1e-9)


def test_rouge_is_that_of_rouge_score():
    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(["rouge1", "rouge2"])
    for text, reference in zip(*corpus(7), strict=True):
        theirs = scorer.score(reference, text)
        for order in (1, 2):
            mine = rouge(text, reference, order)
            found = theirs[f"rouge{order}"]
            assert (mine.precision, mine.recall, mine.f) == pytest.approx(
                (found.precision, found.recall, found.fmeasure), abs=1e-12
            )
