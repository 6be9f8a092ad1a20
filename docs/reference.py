"""The pages under api/, one for each room, from the public modules that tests/public_api.txt lists.

Run by `make api`; what it writes is committed, and a test compares.
"""

from itertools import groupby
from pathlib import Path

HERE = Path(__file__).parent
REMEMBERED = HERE.parent / "tests" / "public_api.txt"
# From the bottom of the house to its top.
ROOMS = (
    "core", "nets", "credit", "feedback", "objectives", "equilibrium", "train",
    "worlds", "methods", "studies", "report", "studio",
)  # fmt: skip

# Their names are at home in the modules; what the package re-exports is shown without being a second target.
ROOMS_OF_MODULES = ("core", "nets", "methods")


def public_modules(remembered: str) -> list[str]:
    """The unindented lines: modules with public names."""
    return [line for line in remembered.splitlines() if line and not line.startswith(" ")]


def page(room: str, modules: list[str]) -> str:
    """A section for each module. A package shows what it re-exports, a module what it defines."""
    parts = [f"# {room}"]
    for module in modules:
        is_package = (HERE.parent / "src" / Path(*module.split("."))).is_dir()
        # A module may import and list a name of its neighbour, which is described there.
        options = "   :members:\n" + ("   :imported-members:\n" if is_package else "   :ignore-module-all:\n")
        options += "   :no-index:\n" if is_package and room in ROOMS_OF_MODULES else ""
        parts.append(f"## {module}\n\n```{{eval-rst}}\n.. automodule:: {module}\n{options}```")
    return "\n\n".join(parts) + "\n"


def pages(remembered: str) -> dict[str, str]:
    """Text of every page by its file name.

    Raises:
        ValueError: a room is not among `ROOMS`.
    """
    modules = public_modules(remembered)
    rooms = {room: list(some) for room, some in groupby(modules, key=lambda module: module.split(".")[1])}
    unknown = sorted(set(rooms) - set(ROOMS))
    if unknown:
        raise ValueError(f"the room {unknown[0]} has no place in docs/reference.py; add it to ROOMS")
    there = [room for room in ROOMS if room in rooms]
    index = "\n".join(
        [
            "# Reference",
            "",
            "Made from the docstrings. Each says what a thing is in one line, then its equation, shapes and",
            "units, its errors, its source, and where it differs from the paper.",
            "",
            "```{toctree}",
            ":maxdepth: 1",
            "",
            *there,
            "```",
            "",
        ]
    )
    return {"index.md": index} | {f"{room}.md": page(room, rooms[room]) for room in there}


def write(folder: Path = HERE / "api") -> None:
    """Write all pages, and remove those of rooms that are gone."""
    made = pages(REMEMBERED.read_text(encoding="utf-8"))
    for old in folder.glob("*.md"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
