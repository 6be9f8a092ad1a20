"""How a policy improves: one file per method."""

from antiphon.methods.dpo import DPO, DPOState
from antiphon.methods.gkd import GKD, GKDState
from antiphon.methods.nash_md import NashMD, NashState
from antiphon.methods.nash_md_tabular import TabularNash
from antiphon.methods.online_ipo import OnlineIPO, OnlineIPOState
from antiphon.methods.preference_model import PreferenceModel
from antiphon.methods.reinforce_kl import ReinforceKL, ReinforceState
from antiphon.methods.reward_model import RewardModel
from antiphon.methods.sft import SFT, SFTBatch, SFTState

__all__ = [
    "DPO", "GKD", "SFT", "DPOState", "GKDState", "NashMD", "NashState", "OnlineIPO", "OnlineIPOState",
    "PreferenceModel", "ReinforceKL", "ReinforceState", "RewardModel", "SFTBatch", "SFTState", "TabularNash",
]  # fmt: skip
