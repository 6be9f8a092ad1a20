"""What is to be written: rows of prompt and completion, and how good a text is beside the wanted one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from antiphon.core.errors import UserError
from antiphon.studies.gkd_text.config import Config, Sizes
from antiphon.worlds.text.metrics import bleu, mean_rouge
from antiphon.worlds.text.records import Record, Records, read_records
from antiphon.worlds.text.reports import decode, draw_reports

_FRESH = 1_000_000  # more than any seed: reports that are judged on are drawn apart from those to learn from


@dataclass(frozen=True)
class Task:
    """A task.

    Attributes:
        name: in tables, and of its pieces in the run directory.
        measure: of texts beside their references, 0 to 100.
        unit: the measure's name.
        prefix: of the task's files; empty for what is generated.
    """

    name: str
    measure: Callable[[Sequence[str], Sequence[str]], float]
    unit: str
    prefix: str = ""

    def sizes(self, config: Config) -> Sizes:
        """Networks and trainings."""
        return config.texts if self.prefix else config.notices

    def rows(self, config: Config) -> tuple[Records, Records]:
        """Rows to learn from, and rows to be judged on.

        Raises:
            UserError: there are no such files.
        """
        if not self.prefix:
            count = self.sizes(config).teacher_rows or 20_000
            return _notices(config.seed, count), _notices(config.seed + _FRESH, config.judged)
        train, test = (Path(config.folder) / f"{self.prefix}-{part}.jsonl" for part in ("train", "test"))
        for path in (train, test):
            if not path.is_file():
                raise UserError(
                    "file", f"there is no {path}",
                    f"make it with: antiphon text data build debian --out {config.folder}",
                )  # fmt: skip
        return read_records(train, "completion"), read_records(test, "completion")


TASKS = (
    Task("notices", mean_rouge, "ROUGE-2"),
    Task("summaries", mean_rouge, "ROUGE-2", prefix="synopsis"),
    Task("translations", bleu, "BLEU", prefix="translation"),
)


def asked(config: Config) -> tuple[Task, ...]:
    """The tasks whose texts are there."""
    return tuple(task for task in TASKS if config.folder or not task.prefix)


def _notices(seed: int, count: int) -> Records:
    drawn = draw_reports(seed, count)
    good = tuple(
        Record(i + 1, f"{_text(report[:length])}\n\nNotice:", f" {_text(notice)}")
        for i, (report, length, notice) in enumerate(zip(*drawn, strict=True))
    )
    return Records(Path("generated reports"), good)


def _text(tokens: np.ndarray) -> str:
    """Words with their points and commas as people set them."""
    return decode(tokens).replace(" ,", ",").replace(" .", ".").replace(" :", ":")
