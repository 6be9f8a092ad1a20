"""The run: tasks, starts, arms, findings. Trainings that are done are not repeated by a resumed run."""

from antiphon.studies.gkd.arms import (
    DIVERGENCES,
    HALF,
    ON_POLICY,
    SEQUENCE,
    SFT_ARM,
    SUPERVISED,
    Arm,
    of_grid,
)
from antiphon.studies.gkd_text.config import Config
from antiphon.studies.gkd_text.findings import Found, read_off
from antiphon.studies.gkd_text.lab import Lab
from antiphon.studies.gkd_text.marks import SHOWN
from antiphon.studies.gkd_text.pictures import picture
from antiphon.studies.gkd_text.tasks import Task, asked
from antiphon.train.findings import Finding
from antiphon.train.media import write_media
from antiphon.train.run_directory import RunDirectory


def run(config: Config, run: RunDirectory) -> list[Finding]:
    """Measures the claims and leaves tables, figures and texts.

    Raises:
        UserError: texts are asked for that are not there; said before anything is trained.
    """
    tasks = asked(config)
    rows = [task.rows(config) for task in tasks]
    found = {}
    for task, (train, test) in zip(tasks, rows, strict=True):
        found[task.name] = _measured(config, task, Lab(config, task, run, train, test))
    write_media(run.path, picture(list(found.values())))
    return read_off(config, found)


def _measured(config: Config, task: Task, lab: Lab) -> Found:
    """Every arm from every start."""
    student = lab.student_policy  # a size that cannot be is refused before a teacher is trained
    teacher = lab.scored("teacher", lab.teacher_policy, lambda: lab.teacher)
    found = Found(task, teacher, tuple(lab.wanted[:SHOWN]))
    for number in range(config.starts):
        start = lab.scored(f"{number}/start", student, lambda number=number: lab.start(number))
        found.starts[number] = start
    for arm in _arms(config):
        found.arms[arm.name] = {number: lab.arm(arm, number) for number in range(config.starts)}
    return found


def _arms(config: Config) -> tuple[Arm, ...]:
    if not config.grid:
        return (SUPERVISED, ON_POLICY)
    seeking = tuple(of_grid(*divergence, 1.0) for divergence in DIVERGENCES[1:5])
    return (SUPERVISED, ON_POLICY, HALF, SFT_ARM, SEQUENCE, *seeking)
