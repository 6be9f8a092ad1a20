"""Generalised knowledge distillation (arXiv 2306.13649) on texts: notices, summaries, translations.

The companion of :mod:`antiphon.studies.gkd`, whose answers are right or wrong. Here they are better or worse:
ROUGE-2 of summaries, BLEU of translations. Notices of reports are generated; the other texts are Debian's
descriptions, which each user makes for themselves (``antiphon text data build debian``).
"""

from antiphon.studies.gkd_text.claims import CLAIMS
from antiphon.studies.gkd_text.config import PRESETS, Config
from antiphon.studies.gkd_text.study import run

__all__ = ["CLAIMS", "PRESETS", "Config", "run"]
