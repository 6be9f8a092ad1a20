"""Major–minor mean field games by fictitious play (arXiv 2312.10787), measured.

All three problems of the paper are solved on its own partition of the simplex, with fictitious play and by
fixed point iteration, and the policies are taken back to the games they were made for: the continuous mean
field, and crowds of N players.
"""

from antiphon.studies.m3fg.claims import CLAIMS
from antiphon.studies.m3fg.study import PRESETS, Config, run

__all__ = ["CLAIMS", "PRESETS", "Config", "run"]
