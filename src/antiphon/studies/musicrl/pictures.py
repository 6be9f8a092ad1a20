"""Pictures, tables and clips of the study's report."""

from collections.abc import Mapping, Sequence

import numpy as np

from antiphon.core import statistics
from antiphon.studies.musicrl.judge import Trial, wins
from antiphon.train.media import Clip, Figure, Media, Pair, Series, Table, write_media
from antiphon.train.metrics import Record, read_metrics
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.music.audio_files import write_audio
from antiphon.worlds.music.generate import peak_of
from antiphon.worlds.music.judging import distances

_REWARDS = {
    "text": "text adherence (cosine)",
    "quality": "quality (0 to 1)",
    "judge": "judge never trained on (cosine)",
}

_HEARD = {
    "hit": "tagger names the instrument",
    "probe": "probe names the instrument",
    "tempo": "tempo as captioned",
    "regularity": "onset regularity",
    "in_key": "notes in key",
    "mode": "mode as captioned",
    "polyphony": "polyphony",
    "silence": "silence",
}

_STORY = (
    "A small text-to-music model writes discrete audio tokens. Here it is fine-tuned by reinforcement "
    "learning: it plays captions, a text-audio embedding and a quality model score what they hear, and the "
    "policy moves towards what scored well while a KL term holds it near the pretrained model. A second "
    "embedding that is never trained on, an external tagger and measurements of the sound judge the outcome. "
    "Scores are given by networks, not by people."
)


Curves = Mapping[str, Mapping[str, Sequence[float]]]
"""Of bundled policies: ``{policy: {"kl": […], "reward_text": […], …}}`` over blocks of updates."""


def write(run: RunDirectory, trial: Trial, pairs: int, curves: Curves) -> None:
    """Write everything the report shows beside the findings.

    Args:
      run: whose metrics are drawn, and where to.
      trial: what was played and heard.
      pairs: of clips before and after.
      curves: of the bundled policies' own fine-tuning, shown beside the live arms.
    """
    figures = (*_frontier(read_metrics(run.metrics), curves), _best_of(trial))
    tables = (_scores_table(trial), _wins_table(trial), *_heard_table(trial))
    write_media(run.path, Media(_STORY, figures, _pairs(run, trial, pairs), tables))


def _frontier(records: Sequence[Record], curves: Curves) -> list[Figure]:
    """Each reward against the KL to the base, for every arm, also those that do not train on it."""
    arms = list(dict.fromkeys(record.fit for record in records if record.fit.startswith("arm-")))
    by_arm = {arm: [record for record in records if record.fit == arm] for arm in arms}
    return [
        Figure(
            f"Reward against KL: {label}",
            "KL to the base (nats per clip)",
            label,
            (
                *(
                    Series(f"bundled {policy}", tuple(curve["kl"]), tuple(curve[f"reward_{name}"]))
                    for policy, curve in curves.items()
                ),
                *(_progress(f"live {arm[4:]}", mine, f"reward_{name}") for arm, mine in by_arm.items()),
            ),
            note="Training captions, means of successive updates with 95 % bands.",
        )
        for name, label in _REWARDS.items()
        if by_arm or curves
    ]


def _progress(name: str, records: Sequence[Record], metric: str) -> Series:
    """A metric against the KL in one to two dozen blocks of updates, sorted by KL; a rest is left out."""
    width = max(1, len(records) // 12)
    usable = len(records) // width * width
    kl, values = (
        np.array([record.values[key] for record in records[:usable]]).reshape(-1, width)
        for key in ("kl", metric)
    )
    middle = values.mean(axis=1)
    reach = 1.96 * values.std(axis=1, ddof=1) / np.sqrt(width) if width > 1 else np.zeros(len(middle))
    # Early on the KL wavers, and a line that turns back misleads.
    order = np.argsort(kl.mean(axis=1), kind="stable")
    ends = (kl.mean(axis=1), middle, middle - reach, middle + reach)
    return Series(name, *(tuple(end[order]) for end in ends))


def _best_of(trial: Trial) -> Figure:
    sizes = tuple(trial.chosen)
    few = len(trial.chosen[sizes[0]]["judge"])
    series = []
    for name, label in (("judge", "judge"), ("text", "text reward")):
        found = [statistics.mean(values[name]) for values in trial.chosen.values()]
        middle, low, high = (tuple(getattr(one, f) for one in found) for f in ("estimate", "low", "high"))
        series.append(Series(f"base, best of N: {label}", sizes, middle, low, high))
        for model in (trial.main, "base, guided"):
            level = float(trial.played[model].scores[name][:few].mean())
            series.append(Series(f"{model}: {label}", sizes, (level,) * len(sizes)))
    return Figure(
        "Best of N samples of the base, beside one sample of the others",
        "N",
        "cosine",
        tuple(series),
        note=f"{few} held-out captions; the best is chosen by text + quality, as R is trained.",
    )


def _scores_table(trial: Trial) -> Table:
    rows = []
    for model, performance in trial.played.items():
        found = [statistics.mean(performance.scores[name]) for name in _REWARDS]
        cells = [f"{one.estimate:.3f} ± {(one.high - one.low) / 2:.3f}" for one in found]
        rows.append((model, len(performance), *cells))
    columns = ("model", "clips", *_REWARDS.values())
    return Table("Scores on held-out captions", columns, tuple(rows), "Mean and half a 95 % interval.")


def _wins_table(trial: Trial) -> Table:
    def cell(row: str, column: str) -> str:
        if row == column:
            return ""
        won = wins(trial.played[row], trial.played[column])
        rate = "all ties" if won.rate.n == 0 else f"{won.rate.estimate:.2f}"
        return f"{won.wins}/{won.ties}/{won.losses} ({rate})"

    names = tuple(trial.played)
    return Table(
        "Wins, ties, losses of the row against the column",
        ("", *names),
        tuple((row, *(cell(row, column) for column in names)) for row in names),
        "By the embedding that is never trained on, on the same captions; in brackets win / (win + loss).",
    )


def _heard_table(trial: Trial) -> list[Table]:
    if trial.reference is None:
        return []
    rows = []
    for model, heard in trial.heard.items():
        far = distances(heard, trial.reference)
        cells = [_known_mean(getattr(heard, name)) for name in _HEARD]
        rows.append((model, len(heard.hit), *cells, f"{far['frechet']:.1f}", f"{far['diversity']:.2f}"))
    columns = ("model", "clips", *_HEARD.values(), "Fréchet distance", "diversity")
    note = (
        "Judges nobody here trained, and measurements; a dash where notes were not transcribed. Fréchet "
        "distances compare only at equal numbers of clips."
    )
    return [Table("What outside judges hear", columns, tuple(rows), note)]


def _known_mean(values: np.ndarray) -> str:
    known = values[np.isfinite(values)]
    return f"{known.mean():.3f}" if known.size else "–"


def _pairs(run: RunDirectory, trial: Trial, count: int) -> tuple[Pair, ...]:
    """The first captions, not the best ones."""
    shown = []
    for i in range(min(count, len(trial.played[trial.main].audio))):
        clips = []
        for label, model in (("before", "base"), ("after", trial.main)):
            file = f"media/{i:02d}-{label}.flac"
            wave = trial.played[model].audio[i]
            write_audio(run.path / file, 0.9 * wave / peak_of(wave))
            scores = {name: float(trial.played[model].scores[name][i]) for name in _REWARDS}
            clips.append(Clip(f"{label} ({model})", file, scores))
        shown.append(Pair(trial.prompts.captions[i], tuple(clips), note="held-out combination"))
    return tuple(shown)
