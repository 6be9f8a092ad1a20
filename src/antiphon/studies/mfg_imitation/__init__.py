"""Imitation in mean field games (arXiv 2306.14799), measured.

Closed forms first: a game in which the errors of imitators double at every step. Then two hundred random
games, whose imitators must keep within the proved bounds. Then imitators that learn from demonstrations, in
the game that doubles errors and in a crowd that is in its own way.
"""

from antiphon.studies.mfg_imitation.claims import CLAIMS
from antiphon.studies.mfg_imitation.study import PRESETS, Config, run

__all__ = ["CLAIMS", "PRESETS", "Config", "run"]
