"""MusicRL (arXiv 2402.04229): a music model fine-tuned by reinforcement from text adherence and quality.

The run fine-tunes the bundled base model live with each arm's rewards, compares the bundled fine-tuned model
``r`` with the base on captions that neither was trained on, and lets judges that nobody here trained listen
to both.
"""

from antiphon.studies.musicrl.claims import CLAIMS
from antiphon.studies.musicrl.study import PRESETS, Config, run

__all__ = ["CLAIMS", "PRESETS", "Config", "run"]
