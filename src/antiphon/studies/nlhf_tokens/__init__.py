"""Nash learning with networks, judged exactly: worlds of 4,096 completions in which everything is enumerated.

Preferences have a dial from scores to circles. Every method starts from one reference and spends about the
same divergence from it; what it learnt is then compared without sampling: who beats whom, and how well the
best response within the same divergence would do against it. That last figure is what separates the methods;
win rates against the reference are not, and mislead.
"""

from antiphon.studies.nlhf_tokens.config import CLAIMS, PRESETS, Config
from antiphon.studies.nlhf_tokens.study import run

__all__ = ["CLAIMS", "PRESETS", "Config", "run"]
