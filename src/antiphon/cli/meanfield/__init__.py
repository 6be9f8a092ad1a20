"""``antiphon meanfield``: solve games of very many players, play them with N, imitate, draw."""

from antiphon.cli.meanfield.verbs import main as main
