"""The nearest name: what somebody who mistyped probably meant."""

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """A mend for an unknown ``name``: the likeliest known name if there is one, then all of them."""
    names = list(known)
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    choices = ", ".join(names) or "none"
    return f"did you mean {close[0]!r}? There are: {choices}" if close else f"choose one of: {choices}"
