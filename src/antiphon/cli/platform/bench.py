"""``antiphon platform bench``: the benches of this world, as ``antiphon bench platform``."""

from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """Runs them; see `antiphon.cli.bench`."""
    from antiphon.cli.bench import main as bench

    return bench(["platform", *argv])
