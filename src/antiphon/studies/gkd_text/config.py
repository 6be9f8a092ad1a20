"""Sizes of the study."""

from dataclasses import dataclass, field

from antiphon.core.errors import UserError


@dataclass(frozen=True)
class Sizes:
    """Networks and trainings of a task.

    Attributes:
        teacher: what the teacher begins as: a new decoder (``new:4m``), or a model that exists ("smollm2", a
            GGUF file, a Hugging Face folder), whose tokenizer the students then speak.
        student: size of the students, which are new decoders.
        vocabulary: tokens, where the teacher is new.
        prompt_tokens: longest prompt; rows with longer ones are left out.
        new_tokens: of a completion.
        teacher_rows: rows that the teacher learns from; 0 for all.
        rows: rows that a student ever sees; 0 for all.
        teacher_steps: updates of the teacher.
        start_steps: updates that make a start.
        steps: updates of a distillation.
        batch: completions in an update.
        teacher_rate: peak learning rate of the teacher.
        start_rate: of a start.
        rate: of a distillation.

    Raises:
        UserError: a number too small to train anything.
    """

    teacher: str
    student: str
    vocabulary: int
    prompt_tokens: int
    new_tokens: int
    teacher_rows: int
    rows: int
    teacher_steps: int
    start_steps: int
    steps: int
    batch: int = 32
    teacher_rate: float = 2e-3
    start_rate: float = 2e-3
    rate: float = 1e-3

    def __post_init__(self) -> None:
        """Refuse what would only fail after the teacher is trained."""
        least = {
            "prompt_tokens": 1, "new_tokens": 1, "teacher_rows": 0, "rows": 0, "teacher_steps": 1,
            "start_steps": 1, "steps": 1, "batch": 1,
        }  # fmt: skip
        for name, smallest in least.items():
            if getattr(self, name) < smallest:
                raise UserError("config", f"{name} is {getattr(self, name)}", f"give at least {smallest}")


_NOTICES = Sizes(
    teacher="new:400k", student="new:70k", vocabulary=512, prompt_tokens=64, new_tokens=40,
    teacher_rows=20_000, rows=200, teacher_steps=2000, start_steps=800, steps=800, start_rate=4e-3,
)  # fmt: skip
_TEXTS = Sizes(
    teacher="new:1500k", student="new:300k", vocabulary=2048, prompt_tokens=144, new_tokens=48,
    teacher_rows=0, rows=2000, teacher_steps=2000, start_steps=600, steps=300,
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """What a run does.

    Attributes:
        folder: where ``antiphon text data build debian --out FOLDER`` left its texts; empty leaves them out.
        notices: networks and trainings for the generated notices.
        texts: those for summaries and translations.
        starts: starts of each task.
        grid: also train λ = ½, the mode-seeking divergences and the other baselines.
        judged: test rows that everybody answers.
        seed: of networks, generated texts and everything drawn.

    Raises:
        UserError: no start, or nothing to be judged on.
    """

    folder: str = ""
    notices: Sizes = field(default_factory=lambda: _NOTICES)
    texts: Sizes = field(default_factory=lambda: _TEXTS)
    starts: int = 5
    grid: bool = True
    judged: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what measures nothing."""
        for name in ("starts", "judged"):
            if getattr(self, name) < 1:
                raise UserError("config", f"{name} is {getattr(self, name)}", "give at least 1")


PRESETS = {
    "smoke": Config(
        notices=Sizes(
            teacher="new:150k", student="new:50k", vocabulary=384, prompt_tokens=64, new_tokens=40,
            teacher_rows=2000, rows=500, teacher_steps=300, start_steps=240, steps=60, teacher_rate=4e-3,
            start_rate=4e-3,
        ),
        starts=1, grid=False, judged=64,
    ),
    "laptop": Config(),
    "gpu": Config(
        folder="debian",
        texts=Sizes(
            teacher="new:60m", student="new:8m", vocabulary=8192, prompt_tokens=192, new_tokens=64,
            teacher_rows=0, rows=0, teacher_steps=8000, start_steps=4000, steps=4000, batch=64,
            teacher_rate=6e-4, start_rate=1e-3, rate=5e-4,
        ),
    ),
}  # fmt: skip
