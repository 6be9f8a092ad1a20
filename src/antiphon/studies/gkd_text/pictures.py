"""What the report shows."""

from collections.abc import Sequence

from antiphon.core import statistics
from antiphon.studies.gkd.arms import DIVERGENCES, HALF, ON_POLICY, SEQUENCE, SFT_ARM, SUPERVISED, of_grid
from antiphon.studies.gkd_text.findings import Found, How
from antiphon.train.media import Figure, Media, Series, Table

_STORY = (
    "Small students have learnt to write from few examples; a larger teacher, which has seen more of "
    "them, then says at every word what it would have written: in the texts of those examples "
    "(supervised), or in whatever the student itself writes (on-policy). Everybody then writes texts "
    "for reports, descriptions or sentences that nobody has seen, and these are compared with the texts "
    "that people wrote for them."
)

_HOW: dict[How, str] = {"greedy": "greedy", "sampled": "temperature 1"}


def picture(found: Sequence[Found]) -> Media:
    """Figures and tables."""
    figures = [figure for one in found for figure in _figures(one)]
    return Media(
        _STORY, tuple(figures), tables=tuple(table for one in found for table in (_table(one), _texts(one)))
    )


def _figures(found: Found) -> list[Figure]:
    """The ways to learn, and, where they were trained, the divergences."""
    ways = {arm.name: arm.name for arm in (SUPERVISED, HALF, ON_POLICY)}
    ways |= {"SeqKD": SEQUENCE.name, SFT_ARM.name: SFT_ARM.name}
    divergences = {label: of_grid(label, kind, beta, 1.0).name for label, kind, beta in DIVERGENCES[:5]}
    figures = [
        _gains(found, "Gain over the start", {label: arm for label, arm in ways.items() if arm in found.arms})
    ]
    if set(divergences.values()) <= set(found.arms):
        figures.append(_gains(found, "Gain by divergence, on-policy", divergences))
    return figures


def _gains(found: Found, title: str, arms: dict[str, str]) -> Figure:
    """Gains of some students, by the names they have in the figure."""
    series = []
    for how, label in _HOW.items():
        gains = [statistics.mean(found.gain(arm, how)) for arm in arms.values()]
        several = gains if gains[0].n > 1 else []
        low, high = tuple(one.low for one in several), tuple(one.high for one in several)
        series.append(Series(label, tuple(arms), tuple(one.estimate for one in gains), low, high))
    count = len(found.starts)
    return Figure(
        f"{title}: {found.task.name}", "students", f"{found.task.unit}, points", tuple(series), "bar",
        note="One start." if count == 1 else f"Means over {count} starts with 95 % intervals.",
    )  # fmt: skip


def _table(found: Found) -> Table:
    rows = [("teacher", found.teacher.greedy, found.teacher.sampled, "")]
    for name, scores in (("start", found.starts), *found.arms.items()):
        greedy, sampled = ([getattr(score, how) for _, score in sorted(scores.items())] for how in _HOW)
        each = ", ".join(f"{value:.2f}" for value in greedy)
        rows.append((name, sum(greedy) / len(greedy), sum(sampled) / len(sampled), each))
    return Table(
        f"{found.task.unit} of {found.task.name}", ("", *_HOW.values(), "greedy, each start"),
        tuple(rows),
    )  # fmt: skip


def _texts(found: Found) -> Table:
    """What the first start and its students write."""
    first = min(found.starts)
    arms = {name: found.arms[name][first] for name in (SUPERVISED.name, ON_POLICY.name)}
    writers = {"teacher": found.teacher, "start": found.starts[first], **arms}
    columns = ("wanted", *writers)
    rows = zip(found.wanted, *(writer.shown for writer in writers.values()), strict=True)
    return Table(f"{found.task.name.capitalize()} that they write", columns, tuple(rows))
