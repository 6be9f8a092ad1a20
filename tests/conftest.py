"""What must be settled before jax is imported: Ctrl-C, device, matrix products, compilation cache."""

import gc
import os
import signal
import sys
from pathlib import Path

import pytest

from antiphon.cli.compilation import keep_compilations

if "jax" in sys.modules:
    raise RuntimeError("jax was imported before tests/conftest.py could choose its device and cache")

# Started in the background by a shell, Python ignores Ctrl-C, and antiphon respects that; tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ["JAX_PLATFORMS"] = "cpu"
# Tests compare with float64; where bfloat16 is native they would need another tolerance each.
os.environ["ANTIPHON_MATMUL"] = "float32"
# Most of the suite's time is compilation. Level 1 takes a fifth to a third less of it than the default; at
# level 0 what is compiled crawls, and tests that train take ten times as long.
_LEVEL = "--xla_backend_optimization_level"
if _LEVEL not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_LEVEL}=1".strip()

if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    cache = keep_compilations({"XDG_CACHE_HOME": str(Path(__file__).parents[1] / ".cache")})
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(cache or "")
# Most programs here are small, and the default of a second would leave them out.
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")


def pytest_configure(config):
    # Another process may be writing the entry that this one reads; the program is then compiled again.
    config.addinivalue_line("filterwarnings", "ignore:Error reading persistent compilation cache entry")


@pytest.fixture(autouse=True, scope="module")
def programs_of_one_file_only():
    """Forget what a file compiled: kept to the end, the programs of all files take six gigabytes a worker."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
        gc.collect()


@pytest.fixture(autouse=True)
def precision_of_one_test_only():
    """A command run inside a test may have chosen float64, which the tests after it did not."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].config.update("jax_enable_x64", False)
