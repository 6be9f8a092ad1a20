"""Generalised knowledge distillation (arXiv 2306.13649), measured on arithmetic with written-out steps.

The effect of learning on one's own completions has a regime: local facts to be memorised, few fixed
examples, and enough updates that supervised distillation has nothing left to gain from them. The study
measures it there, and once where it vanishes.
"""

from antiphon.studies.gkd.claims import CLAIMS
from antiphon.studies.gkd.config import PRESETS, Config
from antiphon.studies.gkd.study import run

__all__ = ["CLAIMS", "PRESETS", "Config", "run"]
