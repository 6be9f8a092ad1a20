"""Where a run happens: versions, hardware, commit. Nothing here names the machine or its user."""

import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import antiphon

_PACKAGES = ("jax", "jaxlib", "numpy", "optax")


def describe_environment() -> dict[str, Any]:
    """Versions, platform, processor, memory (bytes), commit, and devices if jax is already loaded."""
    return {
        "versions": {
            "antiphon": antiphon.__version__,
            "python": platform.python_version(),
            **{name: _version(name) for name in _PACKAGES},
        },
        "platform": platform.platform(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_bytes": _memory_bytes(),
        "devices": describe_devices(),
        "commit": _commit(),
    }


def describe_devices() -> dict[str, Any] | None:
    """Backend, kind and number of devices; ``None`` if jax has not been imported (asking would load it)."""
    jax = sys.modules.get("jax")
    if jax is None:
        return None
    devices = jax.devices()
    return {"backend": jax.default_backend(), "kind": devices[0].device_kind, "count": len(devices)}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _commit() -> dict[str, Any] | None:
    """Commit of the checkout that antiphon is imported from; ``None`` when installed elsewhere."""
    source = Path(antiphon.__file__).resolve().parent
    checkout = source.parent.parent
    if source.parent.name != "src" or not (checkout / ".git").exists():
        return None
    try:
        commit = _git(checkout, "rev-parse", "HEAD")
        return {"id": commit, "modified": bool(_git(checkout, "status", "--porcelain", "-uno"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "--no-optional-locks", *arguments]
    return subprocess.run(command, capture_output=True, check=True, text=True, timeout=10).stdout.strip()
