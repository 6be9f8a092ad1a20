"""Sizes of the study."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Sizes of the study."""

    examples: tuple[int, ...] = (1500, 2000)
    """Exercises with answers that a student ever sees, N; the comparisons are made at each."""
    start_steps: tuple[int, ...] = (1500, 1500)
    """Updates of supervised fine-tuning that make a start, for each N."""
    starts: int = 5
    """Starts for each N."""
    window: tuple[float, float] = (0.2, 0.55)
    """Share of right answers, greedy, that a start has; others are passed over before any distillation."""
    candidates: int = 15
    """Starts tried for each N."""
    shipped_start: bool = False
    """Take the one start that ships with the package instead of making any."""
    steps: int = 1200
    """Updates of a distillation."""
    batch: int = 32
    """Completions in an update."""
    learning_rate: float = 1.5e-3
    """Peak of a distillation."""
    grid: bool = True
    """Also measure divergences, rewards, shares of the prompts, self-distillation and the other baselines."""
    grid_starts: int = 2
    """Starts of those, at the last N."""
    alphas: tuple[float, ...] = (0.25, 0.5, 0.75)
    """Weights of distillation against the reward."""
    share: float = 0.05
    """Of the prompts, without their answers, in the comparison of data efficiency."""
    easy_examples: int = 3000
    """N of the regime in which nothing is to be gained; 0 leaves it out."""
    easy_start_steps: int = 1500
    """Updates that make its starts."""
    easy_steps: int = 400
    """Updates of its distillations."""
    judged: int = 2000
    """Fresh exercises that every student is judged on."""
    seed: int = 0
    """Of data, networks and everything drawn."""


PRESETS = {
    "smoke": Config(
        examples=(1500,), start_steps=(1500,), starts=1, shipped_start=True, steps=600, grid=False,
        easy_examples=0,
    ),
    "laptop": Config(),
    "gpu": Config(starts=10, grid_starts=10, candidates=30),
}  # fmt: skip
