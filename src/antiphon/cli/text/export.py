"""``antiphon text export``: a model, its adapter merged, as a Hugging Face folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from antiphon.cli.output import emit
from antiphon.cli.parsing import parse
from antiphon.core.errors import UserError

if TYPE_CHECKING:
    from antiphon.worlds.text.model import TextModel


@dataclass(frozen=True)
class ExportArguments:
    """Write a model as a Hugging Face folder that other libraries load."""

    model: tyro.conf.Positional[str]
    """smollm2, a GGUF file, a Hugging Face folder, or a PEFT folder with --merge."""

    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Folder to write."""

    merge: bool = False
    """The folder is an adapter: work it into the weights of its base."""

    base: str | None = None
    """The adapter's base, if not where the adapter says."""

    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of the weights."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Writes the folder."""
    arguments = parse(ExportArguments, argv, "antiphon text export")
    if arguments.out is None:
        raise UserError("usage", "no --out is given", "name the folder to write")
    out = arguments.out
    if out.exists() and Path(arguments.model).exists() and out.samefile(arguments.model):
        raise UserError("usage", f"--out is {out} itself", "name another folder")
    import dataclasses

    import jax
    import jax.numpy as jnp

    from antiphon.core import trees

    dtype = jnp.dtype(arguments.dtype)
    model = _load(arguments)
    params = jax.tree.map(lambda leaf: leaf.astype(dtype), model.params)
    try:
        files = dataclasses.replace(model, params=params).export(out)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError("file", f"{out} cannot be written ({reason})", "choose another folder") from error
    if arguments.json:
        weights = trees.count(params)
        emit({"model": out, "files": files, "weights": weights, "dtype": arguments.dtype})
    else:
        print(out)
    return 0


def _load(arguments: ExportArguments) -> "TextModel":
    from antiphon.nets.lora_files import CONFIG
    from antiphon.worlds.text.model import TextModel

    folder = Path(arguments.model).expanduser()
    adapter = (folder / CONFIG).is_file() and not (folder / "config.json").is_file()
    if adapter and not arguments.merge:
        raise UserError("usage", f"{folder} is an adapter", "add --merge to work it into its base")
    if not arguments.merge:
        if arguments.base is not None:
            raise UserError("usage", "--base without --merge", "leave it out, or add --merge")
        return TextModel.load(arguments.model)
    if not adapter:
        raise UserError("usage", f"{folder} is no adapter, so nothing can be merged", "leave out --merge")
    if arguments.base is None:
        return TextModel.load(str(folder))
    return TextModel.load(arguments.base).adapted(folder)
