"""A folder to write into, tried out before the work that fills it."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from antiphon.core.errors import UserError


@contextlib.contextmanager
def writable_folder(folder: Path) -> Iterator[None]:
    """The folder exists and can be written while the block runs; if the block fails, what was made is gone.

    Args:
        folder: made with its parents if need be. Folders made for it that are still empty when the block
            fails are removed again.

    Raises:
        UserError: it cannot be made or written.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise refused(folder, error) from error
        yield
    except BaseException:
        for path in made:  # the innermost first
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


def refused(path: Path, error: OSError) -> UserError:
    """What to say when the disk refused ``path``."""
    reason = os.strerror(error.errno).lower() if error.errno else str(error)
    return UserError(
        "file", f"{path} cannot be written ({reason})", "free some space, or choose a folder you may write to"
    )
