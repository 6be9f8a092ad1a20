"""Pieces of a study that are done once: what a finished one found is kept, and a resumed run reads it back.

A fit keeps its own checkpoints. A study of many short trainings would rather keep what each of them came to.
"""

import io
import zipfile
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike

from antiphon.train.errors import RunError
from antiphon.train.files import write_atomically
from antiphon.train.progress import say
from antiphon.train.run_directory import RunDirectory


def done_once(
    run: RunDirectory, name: str, make: Callable[[], Mapping[str, ArrayLike]]
) -> dict[str, np.ndarray]:
    """What ``make()`` returns, from the run directory if an earlier session has come so far.

    Args:
        run: where it is kept, as ``checkpoints/pieces/NAME.npz``.
        name: of the piece, different from that of any other; may hold slashes.
        make: finds it; called only if it is not there. Arrays or numbers by name.

    Returns:
        The arrays by name, as NumPy has them.

    Raises:
        RunError: the disk refused, or the file is damaged.
    """
    path = run.checkpoints / "pieces" / f"{name}.npz"
    if path.is_file():
        try:
            with np.load(path, allow_pickle=False) as kept:
                return {key: kept[key] for key in kept.files}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise RunError(f"{path} is damaged", "delete it and resume the run") from error
    say(name)
    found = {key: np.asarray(value) for key, value in make().items()}
    whole = io.BytesIO()
    np.savez(whole, **found)  # pyright: ignore[reportArgumentType] - NumPy types its flag among the arrays
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, whole.getvalue())
    return found
