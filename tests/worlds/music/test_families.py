import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.music import families
from antiphon.worlds.music.attributes import INSTRUMENTS
from antiphon.worlds.music.musicnn import TAGS


def noisy_tags(rng, count):
    """Tags with different base rates: what is common in training is not what is in the clip."""
    base = np.linspace(-6, 1, len(TAGS))
    return base + rng.normal(size=(count, len(TAGS)))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_every_instrument_has_one_family_and_every_tag_exists():
    named = [i for family in families.FAMILIES.values() for i in family.instruments]
    assert sorted(named) == sorted(INSTRUMENTS)
    tags = [t for family in families.FAMILIES.values() for t in family.tags]
    assert len(tags) == len(set(tags))
    assert set(tags) <= set(TAGS)


def test_standardising_finds_the_raised_tag_and_raw_probabilities_do_not():
    rng = np.random.default_rng(0)
    reference = families.fit_tag_reference(sigmoid(noisy_tags(rng, 400)))
    logits = noisy_tags(rng, 200)
    logits[:, TAGS.index("flute")] += 4.0
    tags = sigmoid(logits)
    hits = families.standardised_hit(tags, ["flute"] * 200, reference)
    assert hits.mean() > 0.9
    names = [t for family in families.FAMILIES.values() for t in family.tags]
    raw_best = [names[i] for i in tags[:, [TAGS.index(t) for t in names]].argmax(axis=1)]
    assert np.mean([name == "flute" for name in raw_best]) < hits.mean() - 0.3
    assert families.standardised_hit(tags, ["violin"] * 200, reference).mean() < 0.1


def test_pooled_tags_count_for_the_family():
    rng = np.random.default_rng(1)
    reference = families.fit_tag_reference(sigmoid(noisy_tags(rng, 400)))
    logits = noisy_tags(rng, 50)
    logits[:, TAGS.index("cello")] += 6.0
    for instrument in ("violin", "strings"):
        assert families.standardised_hit(sigmoid(logits), [instrument] * 50, reference).mean() > 0.95


def test_errors_name_the_mend():
    with pytest.raises(UserError, match="'kazoo' belongs to no family; choose one of piano"):
        families.family_of("kazoo")
    with pytest.raises(UserError, match="at least two"):
        families.fit_tag_reference(np.full((1, 50), 0.5))
    reference = families.fit_tag_reference(sigmoid(noisy_tags(np.random.default_rng(2), 4)))
    with pytest.raises(UserError, match="3 clips but 1"):
        families.standardised_hit(np.full((3, 50), 0.5), ["piano"], reference)
