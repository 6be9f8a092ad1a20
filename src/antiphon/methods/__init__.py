"""How a policy improves: one file per method."""

from antiphon.methods.reinforce_kl import ReinforceKL, ReinforceState
from antiphon.methods.sft import SFT, SFTBatch, SFTState

__all__ = ["SFT", "ReinforceKL", "ReinforceState", "SFTBatch", "SFTState"]
