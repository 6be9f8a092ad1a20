"""What each policy plays for the same captions, and how judges compare the results."""

from dataclasses import dataclass
from functools import partial

import jax
import numpy as np
from jaxtyping import Float, Int, PyTree

from antiphon.core import statistics
from antiphon.worlds.music.bundle import Bundle
from antiphon.worlds.music.codec import FRAME
from antiphon.worlds.music.generate import BATCH, draw_coarse, fill_and_decode
from antiphon.worlds.music.judging import Heard, Reference, hear
from antiphon.worlds.music.policy import grid_context, score_tokens
from antiphon.worlds.music.prompts import Prompts


@dataclass(frozen=True, eq=False)
class Performance:
    """What one policy plays.

    Attributes:
      coarse: tokens ``[N, F, L]``.
      audio: with fine levels and polish ``[N, samples]``; ``[0, samples]`` where none was asked for.
      scores: ``{reward: [N]}``.
    """

    coarse: np.ndarray
    audio: np.ndarray
    scores: dict[str, np.ndarray]

    def __len__(self) -> int:
        """Clips."""
        return len(self.coarse)


@dataclass(frozen=True, eq=False)
class Trial:
    """Everything that was played and what was said of it.

    Attributes:
      main: name of the model that is compared with the one called "base".
      prompts: captions, from which each model played the first ones.
      played: performances by model.
      chosen: scores of the best of N samples of the base for the first captions, ``{N: {reward: [M]}}``.
      reference: real clips, if the bundle has them.
      heard: figures of outside judges by model; empty without a reference.
    """

    main: str
    prompts: Prompts
    played: dict[str, Performance]
    chosen: dict[int, dict[str, np.ndarray]]
    reference: Reference | None
    heard: dict[str, Heard]


def score(
    bundle: Bundle, prompts: Prompts, coarse: Int[np.ndarray, "n F L"], rows: Int[np.ndarray, " n"]
) -> dict[str, Float[np.ndarray, " n"]]:
    """Rewards of tokens that were played for some of the captions.

    Args:
      bundle: whose judges score.
      prompts: captions.
      coarse: tokens.
      rows: which of the captions they were played for.
    """
    context = grid_context(prompts.words[rows], prompts.tempo[rows], prompts.metre[rows], coarse.shape[1])
    found = _score(bundle.judges, context, coarse.reshape(len(coarse), -1), bundle.sizes.levels)
    return {name: np.asarray(values) for name, values in found.items()}


@partial(jax.jit, static_argnames="levels")
def _score(judges, context, tokens, levels):
    return score_tokens(judges, context, tokens, levels)


def perform(
    bundle: Bundle,
    policy: PyTree,
    prompts: Prompts,
    seed: int,
    *,
    guidance: float | None = None,
    audio: bool = True,
) -> Performance:
    """Play every caption once; equal seeds give different policies equal random numbers.

    Args:
      bundle: of the other models.
      policy: weights.
      prompts: captions with their beat grid.
      seed: of the draws.
      guidance: classifier-free guidance, None for none.
      audio: also fill in the fine levels and decode.
    """
    key = jax.random.key(seed)
    coarse, waves, parts = [], [], []
    total = len(prompts.captions)
    for begin in range(0, total, BATCH):
        # The last batch repeats its last caption, so that there is one shape to compile.
        rows = np.minimum(np.arange(begin, begin + BATCH), total - 1)
        keep = min(BATCH, total - begin)
        key_draw, key_fine = jax.random.split(jax.random.fold_in(key, begin))
        tokens = draw_coarse(
            bundle.sizes, policy, key_draw, prompts.words[rows], prompts.tempo[rows], prompts.metre[rows],
            bundle.sizes.frames, guidance=guidance,
        )  # fmt: skip
        if audio:
            waves.append(fill_and_decode(bundle, key_fine, tokens)[1][:keep])
        coarse.append(np.asarray(tokens)[:keep])
        found = score(bundle, prompts, np.asarray(tokens), rows)
        parts.append({name: values[:keep] for name, values in found.items()})
    scores = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    nothing = np.zeros((0, bundle.sizes.frames * FRAME), np.float32)
    return Performance(np.concatenate(coarse), np.concatenate(waves) if waves else nothing, scores)


def best_of(
    bundle: Bundle, policy: PyTree, prompts: Prompts, seed: int, most: int
) -> dict[int, dict[str, np.ndarray]]:
    """Scores of the best of 1, 2, 4 … samples, up to ``most``, chosen by ``text + quality``.

    Returns:
      ``{n: {reward: [N]}}``.
    """
    draws = [perform(bundle, policy, prompts, seed + 1000 * k, audio=False).scores for k in range(most)]
    return best_of_draws({name: np.stack([draw[name] for draw in draws]) for name in draws[0]})


def best_of_draws(scores: dict[str, Float[np.ndarray, "K N"]]) -> dict[int, dict[str, np.ndarray]]:
    """Scores of the best of the first 1, 2, 4 … of K samples of each caption.

    The best is the one with most ``text + quality``.

    Returns:
      ``{n: {reward: [N]}}``.
    """
    combined = scores["text"] + scores["quality"]
    columns = np.arange(combined.shape[1])
    sizes = [1 << power for power in range(combined.shape[0].bit_length())]
    return {
        n: {name: values[combined[:n].argmax(0), columns] for name, values in scores.items()} for n in sizes
    }


def listen(performance: Performance, prompts: Prompts, reference: Reference, notes: bool) -> Heard:
    """Outside judges of a performance of the first captions."""
    attributes = list(prompts.first(len(performance.audio)).attributes)
    return hear(performance.audio, attributes, reference, notes=notes)


def wins(new: Performance, old: Performance) -> statistics.PairedWins:
    """How often the new policy's clip scores higher under the embedding that never trained it.

    Only captions that both played are compared.
    """
    count = min(len(new), len(old))
    return statistics.paired_wins(new.scores["judge"][:count], old.scores["judge"][:count])


def figures_of(new: Performance, old: Performance) -> dict[str, object]:
    """What a policy is worth beside the base on the captions both played, as a manifest keeps it."""
    count = min(len(new), len(old))
    won = wins(new, old)
    means = {
        name: {"mean": float(values[:count].mean()), "base": float(old.scores[name][:count].mean())}
        for name, values in new.scores.items()
    }
    return {"captions": count, **means, "win rate against base": won.rate.as_dict()}
