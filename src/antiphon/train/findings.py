"""Claims of a paper, and what was found when they were measured."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from antiphon.train.errors import RunError
from antiphon.train.files import number, plain, read_json, write_json


@dataclass(frozen=True)
class Finding:
    """One claim, measured.

    Attributes:
        id: Short name, unique in its study.
        claim: The sentence that is true or false.
        source: arXiv id and table, figure or section.
        expected: What the paper reports or proves, a number or a phrase.
        measured: What was found here, same unit; ``None`` if not measured.
        interval: Confidence interval of ``measured``, ``(low, high)``, or ``None``.
        holds: Whether the claim held; ``None`` means not tested at this size.
        note: Conditions: size, seeds, what differs.
    """

    id: str
    claim: str
    source: str
    expected: float | str | None
    measured: float | str | None
    interval: tuple[float, float] | None = None
    holds: bool | None = None
    note: str = ""

    def __post_init__(self) -> None:
        # Arrays and NumPy numbers are what studies have at hand; a finding keeps plain ones.
        object.__setattr__(self, "expected", _plain_number(self.expected))
        object.__setattr__(self, "measured", _plain_number(self.measured))
        holds = plain(self.holds)
        if holds is not None and not isinstance(holds, bool):
            raise RunError(
                f"Finding {self.id!r} has holds={self.holds!r}", "use True, False or None (not tested)"
            )
        object.__setattr__(self, "holds", holds)
        if self.interval is not None:
            interval = tuple(float(_plain_number(end)) for end in self.interval)
            if len(interval) != 2 or interval[0] > interval[1]:
                raise RunError(
                    f"Finding {self.id!r} has interval {interval}", "give (low, high) with low ≤ high"
                )
            object.__setattr__(self, "interval", interval)


@dataclass(frozen=True)
class Claim:
    """What a paper says, before anybody measured it.

    Attributes:
        id: Short name, unique in its study.
        claim: The sentence that is true or false.
        source: arXiv id and table, figure or section.
        expected: What the paper reports or proves, a number or a phrase.
    """

    id: str
    claim: str
    source: str
    expected: float | str | None

    def measured(
        self,
        measured: float | str | None,
        *,
        holds: bool | None,
        interval: tuple[float, float] | None = None,
        note: str = "",
    ) -> Finding:
        """The finding that answers this claim; ``holds=None`` says that this size does not test it."""
        return Finding(self.id, self.claim, self.source, self.expected, measured, interval, holds, note)

    def untested(self, note: str) -> Finding:
        """The finding for a claim that was not tested, with the reason."""
        return self.measured(None, holds=None, note=note)


def finding_from_json(value: dict[str, Any]) -> Finding:
    """A finding from its JSON object.

    Raises:
        RunError: A field is missing or unknown.
    """
    names = [field.name for field in dataclasses.fields(Finding)]
    wrong = [name for name in names if name not in value] + [name for name in value if name not in names]
    if wrong:
        raise RunError(
            f"A finding has a missing or unknown field {wrong[0]!r}", "write findings with write_findings"
        )
    interval = value["interval"]
    return Finding(
        **value
        | {
            "expected": number(value["expected"]),
            "measured": number(value["measured"]),
            "interval": None if interval is None else tuple(map(number, interval)),
        }
    )


def write_findings(path: Path, findings: Sequence[Finding]) -> None:
    """Write findings as a JSON list, atomically.

    Raises:
        RunError: Two findings share an id, or the disk refused.
    """
    ids = [finding.id for finding in findings]
    twice = next((name for name in ids if ids.count(name) > 1), None)
    if twice is not None:
        raise RunError(f"Two findings have the id {twice!r}", "give each claim its own id")
    write_json(path, list(findings))


def read_findings(path: Path) -> list[Finding]:
    """Findings from a JSON list written by ``write_findings``."""
    return [finding_from_json(value) for value in read_json(path)]


def _plain_number(value: Any) -> Any:
    return number(plain(value))
