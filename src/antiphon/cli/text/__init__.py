"""``antiphon text``: train, compare and complete with language models."""

from antiphon.cli.text.verbs import main as main
