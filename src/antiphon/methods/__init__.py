"""How a policy improves: one file per method."""

from antiphon.methods.gkd import GKD, GKDState
from antiphon.methods.nash_md import NashMD, NashState
from antiphon.methods.nash_md_tabular import TabularNash
from antiphon.methods.reinforce_kl import ReinforceKL, ReinforceState
from antiphon.methods.sft import SFT, SFTBatch, SFTState

__all__ = [
    "GKD", "SFT", "GKDState", "NashMD", "NashState", "ReinforceKL", "ReinforceState", "SFTBatch", "SFTState",
    "TabularNash",
]  # fmt: skip
