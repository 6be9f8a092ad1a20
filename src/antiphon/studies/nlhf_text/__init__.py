"""Nash learning on text: notices of reports, judged by raters who may prefer in circles.

A small decoder learns to write one-line notices; raters vote between two of them by signals that are
measured (length, facts told, style, fluency, truth) and by a ring among what a notice tells, with a dial.
From the same votes a reward model and a preference model are fitted. RLHF climbs the one, self-play, Nash-MD,
the best response and Nash-EMA the other, all to the same divergence from where they started; other raters
compare them.
"""

from antiphon.studies.nlhf_text.claims import CLAIMS
from antiphon.studies.nlhf_text.running import run
from antiphon.studies.nlhf_text.setting import PRESETS, Config

__all__ = ["CLAIMS", "PRESETS", "Config", "run"]
