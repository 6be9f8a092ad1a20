"""antiphon: policies from feedback that is not a ready-made reward.

Importing the package imports nothing heavy; reach for the room you need, for example
``from antiphon.core import divergences`` or ``from antiphon.worlds import music``.
"""

__version__ = "0.1.0"
