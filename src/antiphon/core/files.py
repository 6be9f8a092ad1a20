"""Files that are whole or absent: written beside their destination, synced, then renamed."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file open for writing that takes the place of ``path`` when the block ends, and is gone if it fails.

    A reader finds the old content or the new, never a part, and so does a machine after a power cut.

    Args:
        path: Destination; its folder must exist.

    Raises:
        OSError: The disk refused (full, read-only). Unless it was the folder that could not be synced, which
            comes last, the destination is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power cut, where the platform can."""
    with contextlib.suppress(PermissionError, IsADirectoryError):  # Windows cannot open a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def file_sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
