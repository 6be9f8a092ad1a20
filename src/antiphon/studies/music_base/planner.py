"""Stage planner: captions to tempo and metre."""

import jax
import numpy as np

from antiphon.studies.music_base.clips import attributes_of
from antiphon.studies.music_base.config import Config
from antiphon.studies.music_base.weights import is_finished, keep_weights
from antiphon.train.fit import fit
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.music.captions import caption
from antiphon.worlds.music.dataset import Dataset
from antiphon.worlds.music.planner import PlannerTraining
from antiphon.worlds.music.text_features import hash_words


def train_planner(config: Config, dataset: Dataset, run: RunDirectory) -> None:
    """Stage planner: every step words 128 clips anew."""
    if is_finished(run, "planner"):
        return
    truth = attributes_of(dataset, "train")

    def batches(step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = np.random.default_rng([config.seed, 11, step])
        chosen = [truth[i] for i in rng.integers(len(truth), size=128)]
        words = hash_words([caption(rng, a) for a in chosen])
        return words, np.array([a.plan[0] for a in chosen]), np.array([a.plan[1] for a in chosen])

    method = PlannerTraining(steps=config.planner_steps)
    key_init, key_fit = jax.random.split(jax.random.key(config.seed + 1))
    state = fit(
        method.step, method.init(key_init), steps=config.planner_steps, key=key_fit, batches=batches,
        chunk=50, run=run, name="planner", checkpoint_every=8, log_every=10,
    )  # fmt: skip
    keep_weights(run, "planner", state.params)
