"""``antiphon text``: complete prompts with a language model."""

from antiphon.cli.text.verbs import main as main
