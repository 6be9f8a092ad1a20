"""``antiphon music``: generate clips, build data, train the models, list what is installed."""

from antiphon.cli.music.verbs import main as main
