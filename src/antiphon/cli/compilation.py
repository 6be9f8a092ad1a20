"""The persistent compilation cache of jax: what was compiled once is not compiled again tomorrow."""

import hashlib
import os
import platform
import sys
import tempfile
from collections.abc import MutableMapping
from pathlib import Path


def keep_compilations(environment: MutableMapping[str, str] = os.environ) -> Path | None:
    """Points jax at a folder in the user's cache; call it before jax is imported.

    A folder that the user has chosen in ``JAX_COMPILATION_CACHE_DIR`` stays chosen, and an empty value there
    switches the cache off. A folder that cannot be written costs time, not the run.

    Returns:
        The folder in use, or None without one.
    """
    chosen = environment.get("JAX_COMPILATION_CACHE_DIR")
    if chosen is not None:
        return Path(chosen) if chosen else None
    folder = _user_cache(environment) / "antiphon" / "jax" / _machine()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, RuntimeError):
        return None
    environment["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    return folder


def _user_cache(environment: MutableMapping[str, str]) -> Path:
    if sys.platform == "win32" and environment.get("LOCALAPPDATA"):
        return Path(environment["LOCALAPPDATA"])
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _machine() -> str:
    """The kind of processor: code compiled for one must not be loaded on another that shares the folder."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        features = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    except OSError:
        features = ""
    described = f"{platform.system()} {platform.machine()} {platform.processor()} {features}"
    return hashlib.sha256(described.encode()).hexdigest()[:12]
