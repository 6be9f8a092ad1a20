"""Sizes of the study, its claims, and what its methods are called."""

from dataclasses import dataclass

from antiphon.train.findings import Claim

AVERAGE = "Nash-EMA"


@dataclass(frozen=True)
class Config:
    """Sizes of the study."""

    worlds: int = 5
    """Random worlds for each dial."""
    dials: tuple[float, ...] = (0.0, 0.5)
    """Cyclic shares of the preferences."""
    betas: tuple[float, ...] = (0.0, 0.125, 0.25, 0.5, 1.0)
    """Shares of the reference in the opponent: 0 is self-play, 1 the best response to the reference."""
    decay: float = 0.98
    """Of the average that is Nash-EMA's opponent."""
    kl: float = 2.0
    """Divergence from the reference that every method is steered to, nats."""
    steps: int = 400
    """Updates of every method; the pull is frozen for the last tenth."""
    reference_steps: int = 300
    """Updates of the reference on the Markov chain."""
    batch: int = 256
    """Completions of either side in an update."""
    learning_rate: float = 4e-3
    """Peak, cosine to a tenth."""
    seed: int = 0
    """Of the worlds and the networks."""


PRESETS = {
    "smoke": Config(worlds=1, betas=(0.0, 0.25), steps=120, reference_steps=150),
    "laptop": Config(),
    "gpu": Config(worlds=20, dials=(0.0, 0.25, 0.5)),
}

_PAPER = "arXiv 2312.00886"
CLAIMS = (
    Claim("tie", "Where scores explain the preferences, Nash learning and RLHF are equally good",
          f"{_PAPER}, section 3", "win rates against RLHF within 0.03 of 0.5"),
    Claim("exploited", "Where preferences go in circles, RLHF is beaten by an equally divergent answer in "
          "every world, and self-play and Nash-MD (β = 0.25) hardly are",
          f"{_PAPER}, section 3; the measure is ours", "≥ 0.57 against ≤ 0.54"),
    Claim("half", "Nor is Nash-MD with β = 0.5, in every world", f"{_PAPER}, section 3; the measure is ours",
          "≤ 0.54"),
    Claim("beats", "Where preferences go in circles, Nash-MD (β = 0.25) is preferred to RLHF",
          f"{_PAPER}, table 1 (0.519 to 0.598 for the best β)", "mean win rate ≥ 0.53"),
    Claim("closed", "RLHF with a network comes to its closed form", "ours", "win rate within 0.01 of 0.5"),
    Claim("settled", "Networks are as exploitable as the fixed points of their methods, found by enumeration",
          "ours", "within 0.02 of them, mean over worlds and methods where preferences go in circles"),
)  # fmt: skip
