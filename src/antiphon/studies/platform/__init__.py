"""Floating platforms (arXiv 2310.04266), measured: precise, robust, carried over, fast, and to the robot.

Policies are trained in the run and judged by the authors' protocol beside strong controllers that were not
learned; the same policies fly in MuJoCo, along curves and behind the controller of the robot.
"""

from antiphon.studies.platform.claims import CLAIMS
from antiphon.studies.platform.config import PRESETS, Config
from antiphon.studies.platform.study import run

__all__ = ["CLAIMS", "PRESETS", "Config", "run"]
