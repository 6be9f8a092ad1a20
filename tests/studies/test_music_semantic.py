"""The ablation of semantic tokens: both arms are given what they should be, and both are heard alike."""

from pathlib import Path
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np

from antiphon.studies import music_semantic
from antiphon.studies.music_semantic import Config
from antiphon.worlds.music.judging import Heard
from antiphon.worlds.music.prompts import draw_prompts

FRAMES, CLIPS = 8, 6


def test_arms_differ_in_the_semantic_level_alone(monkeypatch):
    rng = np.random.default_rng(0)
    tokens = rng.integers(512, size=(CLIPS, FRAMES, 8)).astype(np.int16)
    semantic = np.full((CLIPS, FRAMES), 99, np.int16)
    prompts = draw_prompts(0, 32, held_out=True)
    test = SimpleNamespace(prompts=prompts)
    bundle = SimpleNamespace(folder=Path("models"), codec=None, sizes=SimpleNamespace(frames=FRAMES))
    taught, heard = {}, []

    class Model:
        """Says the number of each level."""

        def __init__(self, levels):
            self.levels = levels

        def init(self, key):
            return jnp.zeros(())

        def sample(self, params, key, context, *, temperature):
            assert temperature == 0.99
            said = jnp.broadcast_to(jnp.arange(self.levels), (32, FRAMES, self.levels))
            return said.reshape(32, -1)

    class Method:
        """Learns nothing."""

        def __init__(self, model, *_, groups, **__):
            assert groups == model.levels
            self.step = None

        def init(self, params):
            return SimpleNamespace(params=params)

    def fit(step, state, *, batches, name, **_):
        taught[name] = batches(0)
        return state

    def hear(wave, attributes, reference, *, notes):
        heard.append((wave, attributes))
        nothing = np.full(32, float(len(heard)))
        one_silent = np.where(np.arange(32) == 3, np.nan, nothing)
        return Heard(*[nothing] * 4, one_silent, *[nothing] * 3, np.zeros((32, 50)), np.zeros((32, 200)))

    for name, double in {
        "load_tokens": lambda run, split: tokens, "_semantic": lambda *_: semantic,
        "attributes_of": lambda *_: list(prompts.attributes[:CLIPS]), "load_clips": lambda *_: test,
        "Bundle": SimpleNamespace(load=lambda: bundle),
        "Reference": SimpleNamespace(load=lambda path: None), "music_model": lambda *sizes: Model(sizes[-1]),
        "SFT": Method, "fit": fit, "hear": hear, "distances": lambda *_: {"frechet": 1.0},
        "rebuild": lambda codec, drawn, levels: drawn[..., :levels],
    }.items():  # fmt: skip
        monkeypatch.setattr(music_semantic, name, double)
    found = music_semantic.run(Config(batch=3, clips=CLIPS), None, None, None)

    plain, said = (np.asarray(taught[a].tokens).reshape(3, FRAMES, -1) for a in music_semantic.ARMS)
    assert (plain.shape[2], said.shape[2]) == (3, 4)
    assert (said[..., 0] == 99).all()
    np.testing.assert_array_equal(said[..., 1:], plain)
    # What is heard are the codec's levels: numbers 0 to 2 of one arm, 1 to 3 of the other.
    assert [sorted(set(np.ravel(wave))) for wave, _ in heard] == [[0, 1, 2], [1, 2, 3]]
    assert heard[0][1] == heard[1][1]
    assert found["difference"]["probe"].estimate == 1.0
    assert found["semantic"]["frechet"] == 1.0
    # A clip in which no note sounds has no share of notes in key, and the others still have theirs.
    assert (found["difference"]["in_key"].estimate, found["difference"]["in_key"].n) == (1.0, 31)
