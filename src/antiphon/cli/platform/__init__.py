"""``antiphon platform``: train policies for a floating platform, judge them, look at them, fly them."""

from antiphon.cli.platform.verbs import main as main
