"""The command line; ``antiphon.cli.main.main`` is its door."""
