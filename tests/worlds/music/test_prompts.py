"""Captions without audio: apart from training, the same from the same seed, true to what they say."""

import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.music.attributes import METRES, TEMPI, TEXTURES
from antiphon.worlds.music.prompts import draw_prompts
from antiphon.worlds.music.text_features import check_caption, hash_words


@pytest.mark.parametrize("held_out", [False, True])
def test_combinations_are_held_out_or_not(held_out):
    prompts = draw_prompts(3, 40, held_out=held_out)
    assert all(attributes.held_out == held_out for attributes in prompts.attributes)


def test_all_fields_speak_of_the_same_captions():
    prompts = draw_prompts([3, 1], 24, held_out=False)
    np.testing.assert_array_equal(prompts.words, hash_words(list(prompts.captions)))
    assert [TEMPI[i] for i in prompts.tempo] == [a.tempo for a in prompts.attributes]
    assert [METRES[i] for i in prompts.metre] == [a.metre for a in prompts.attributes]
    assert all(check_caption(text) == text for text in prompts.captions)


def test_a_seed_is_a_set_of_captions():
    first, again, other = (draw_prompts(seed, 8, held_out=True) for seed in ([7, 1], [7, 1], [7, 2]))
    assert first.captions == again.captions
    assert first.captions != other.captions


def test_shares_of_textures_are_about_those_of_training():
    prompts = draw_prompts(0, 800, held_out=False)
    share = {t: np.mean([a.texture == t for a in prompts.attributes]) for t in TEXTURES}
    # 0.05 and five times 0.19 of 800 draws, five standard deviations; what is held out shifts them a little.
    assert share["chorale"] == pytest.approx(0.05, abs=0.05)
    for texture in TEXTURES[:-1]:
        assert share[texture] == pytest.approx(0.19, abs=0.08)
    assert all(a.accompaniment is None for a in prompts.attributes if a.texture == "solo")


def test_the_first_ones_are_a_prefix():
    prompts = draw_prompts(5, 12, held_out=True)
    few = prompts.first(5)
    assert few.captions == prompts.captions[:5]
    assert few.attributes == prompts.attributes[:5]
    for name in ("words", "tempo", "metre"):
        np.testing.assert_array_equal(getattr(few, name), getattr(prompts, name)[:5])
    assert len(prompts.first(99).captions) == 12


def test_no_captions_at_all_are_refused():
    with pytest.raises(UserError, match="0 captions are asked for"):
        draw_prompts(0, 0, held_out=False)
