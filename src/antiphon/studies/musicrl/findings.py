"""From figures to findings: every rule that says whether a claim holds.

Three rules are used. *Rises*: the interval of the mean paired difference lies above zero (fails below it, and
is undecided across it). *Not worse*: fails only where that interval lies below zero, so few clips make it
lenient. *Bar*: the estimate reaches a number that is written here. Without an interval nothing is decided.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from antiphon.core import statistics
from antiphon.core.statistics import Interval
from antiphon.studies.musicrl.claims import BY_ID
from antiphon.studies.musicrl.judge import Performance, Trial, wins
from antiphon.train.findings import Finding
from antiphon.train.metrics import Record
from antiphon.worlds.music.judging import REFERENCE, Reference, distances

WIN_RATE_BAR = 0.65
KL_BAR = 60.0
DIVERSITY_BAR = 0.8


def live_findings(records: Sequence[Record], arm: str, clips: int) -> list[Finding]:
    """Whether reward rose and the KL stayed small while an arm was trained.

    Args:
      records: metrics of that arm, one for each update.
      arm: its name.
      clips: completions in an update.
    """
    if len(records) < 2:
        missing = f"arm {arm} has {len(records)} updates"
        return [BY_ID[id].untested(missing) for id in ("reward-rises", "kl-bounded")]
    slope = statistics.linear_slope([r.step for r in records], [r.values["reward"] for r in records])
    kl = float(np.mean([r.values["kl"] for r in records[-5:]]))
    note = f"arm {arm}, {len(records)} live updates of {clips} clips, one seed"
    return [
        BY_ID["reward-rises"].measured(
            slope.estimate, holds=_above_zero(slope), interval=_bounds(slope), note=note
        ),
        BY_ID["kl-bounded"].measured(kl, holds=kl < KL_BAR, note="mean of the last 5 updates"),
    ]


def comparison(trial: Trial, *, notes: bool) -> list[Finding]:
    """The main model against the base on the captions both played.

    Args:
      trial: what was played and heard.
      notes: whether clips were transcribed.
    """
    new, old = trial.played[trial.main], trial.played["base"]
    count = min(len(new), len(old))
    note = f"{trial.main} against base on {count} held-out captions, same random numbers"

    def pair(name: str) -> tuple[np.ndarray, np.ndarray]:
        return new.scores[name][:count], old.scores[name][:count]

    return [
        _wins(new, old, note),
        difference("text-rises", *pair("text"), note, rises=True),
        difference("quality-rises", *pair("quality"), note, rises=True),
        *_heard(trial, trial.reference, count, note, notes),
        _best_of_n(trial),
    ]


def single_reward(played: dict[str, Performance], arm: str, steps: int) -> Finding:
    """Whether an arm with one reward raised it and left the other one from falling.

    Args:
      played: performances by model.
      arm: "text" or "quality".
      steps: updates of the arm, for the note.
    """
    claim = BY_ID[f"{arm}-only"]
    if f"live {arm}" not in played:
        return claim.untested("this size does not train the arm")
    new, old = played[f"live {arm}"], played["base"]
    count = min(len(new), len(old))
    other_name = "quality" if arm == "text" else "text"
    own, other = (
        statistics.mean(new.scores[name][:count] - old.scores[name][:count]) for name in (arm, other_name)
    )
    rose = _above_zero(own)
    note = (
        f"own reward {own.estimate:+.4f}, {other_name} {other.estimate:+.4f} "
        f"[{other.low:+.4f}, {other.high:+.4f}]; {steps} updates"
    )
    holds = rose and other.high >= 0
    return claim.measured(own.estimate, holds=holds, interval=_bounds(own), note=note)


def difference(
    id: str,
    new: Float[np.ndarray, " n"],
    old: Float[np.ndarray, " n"],
    note: str,
    *,
    rises: bool = False,
) -> Finding:
    """Mean paired difference with its interval.

    Args:
      id: of the claim.
      new: figures of one model; NaN where a clip has none.
      old: figures of the other for the same captions.
      note: conditions.
      rises: the claim is "rises", or else "not worse".
    """
    change = np.asarray(new, float) - np.asarray(old, float)
    known = np.isfinite(change)
    if not known.all():
        note += f"; {int((~known).sum())} captions left out where a clip has no such figure"
    if not known.any():
        return BY_ID[id].untested(note)
    found = statistics.mean(change[known])
    holds = _above_zero(found) if rises else (found.high >= 0 if _bounds(found) else None)
    return BY_ID[id].measured(found.estimate, holds=holds, interval=_bounds(found), note=note)


def _wins(new: Performance, old: Performance, note: str) -> Finding:
    won = wins(new, old)
    rate = won.rate
    note += (
        f"; {won.wins} wins, {won.ties} ties, {won.losses} losses; a judge network, not people; "
        f"our bar is {WIN_RATE_BAR}"
    )
    if rate.n == 0:
        return BY_ID["r-beats-base"].untested(note)
    # Not surely better than even: the bar may still lie within reach, or not.
    undecided = None if rate.high > WIN_RATE_BAR else False
    holds = rate.estimate >= WIN_RATE_BAR if rate.low > 0.5 else undecided
    return BY_ID["r-beats-base"].measured(rate.estimate, holds=holds, interval=_bounds(rate), note=note)


def _heard(trial: Trial, reference: Reference | None, count: int, note: str, notes: bool) -> list[Finding]:
    """What outside judges say; all untested where there are no real clips to compare with."""
    if reference is None:
        missing = f"{REFERENCE} is not in the bundle"
        ids = ("tempo-kept", "scale-kept", "texture-kept", "tagger-kept", "diversity-kept")
        return [BY_ID[id].untested(missing) for id in ids]
    new, old = trial.heard[trial.main].first(count), trial.heard["base"].first(count)
    if notes:
        target = reference.polyphony_of(list(trial.prompts.first(count).attributes))
        new_far, old_far = np.abs(new.polyphony - target), np.abs(old.polyphony - target)
        transcribed = [
            difference("scale-kept", new.in_key, old.in_key, note),
            difference(
                "texture-kept", -new_far, -old_far,
                f"{note}; target: notes sounding in a real clip of the texture",
            ),
        ]  # fmt: skip
    else:
        off = "transcription is off at this size"
        transcribed = [BY_ID[id].untested(off) for id in ("scale-kept", "texture-kept")]
    share = distances(new, reference)["diversity"] / max(distances(old, reference)["diversity"], 1e-9)
    return [
        difference("tempo-kept", new.tempo, old.tempo, note),
        *transcribed,
        difference("tagger-kept", new.hit, old.hit, note),
        BY_ID["diversity-kept"].measured(share, holds=share >= DIVERSITY_BAR, note=note),
    ]


def _best_of_n(trial: Trial) -> Finding:
    """The main model's judge score minus that of the best of N; a measurement, no claim that could fail."""
    most = max(trial.chosen)
    new, best = trial.played[trial.main].scores["judge"], trial.chosen[most]["judge"]
    few = min(len(new), len(best))
    gap = statistics.mean(new[:few] - best[:few])
    steps = ", ".join(
        f"best of {n}: {values['judge'][:few].mean():.3f}" for n, values in trial.chosen.items()
    )
    note = f"{trial.main} {new[:few].mean():.3f}; {steps} ({few} captions); N is {most}"
    return BY_ID["best-of-n"].measured(gap.estimate, holds=None, interval=_bounds(gap), note=note)


def _above_zero(interval: Interval) -> bool | None:
    """True above zero, False below it, None across it."""
    if interval.low > 0:
        return True
    return False if interval.high < 0 else None


def _bounds(interval: Interval) -> tuple[float, float] | None:
    return (interval.low, interval.high) if np.isfinite([interval.low, interval.high]).all() else None
