"""Imports only go down the house: the order of the rooms, read off the syntax trees."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import antiphon

PACKAGE = "antiphon"
SOURCE = Path(antiphon.__file__).parent

# Bottom first. Rooms on one line stand side by side and do not know each other.
FLOORS = [
    {"core"},
    {"nets"},
    {"credit"},
    {"feedback"},
    {"objectives"},
    {"equilibrium"},
    {"train"},
    {"worlds", "methods"},
    {"studies"},
    {"report"},
    {"studio"},
    {"cli"},
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
# Above studies, and yet they read run directories only.
READS_RUNS_ONLY = {"report", "studio"}
# Not code: data with cards.
CELLARS = {"assets"}
VAGUE_NAMES = {"utils", "util", "common", "helpers", "helper", "misc"}


class Import(NamedTuple):
    """A module of the package names another one."""

    importer: str
    imported: str
    where: str


def module_name(path: Path, source: Path) -> str:
    parts = [PACKAGE, *path.relative_to(source).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(node: ast.AST, importer: str, is_package: bool) -> list[str]:
    """Absolute names a node may import; ``from a import b`` may mean the module a.b, so both are named."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            package = importer.split(".")[: None if is_package else -1]
            base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
        return [base, *(f"{base}.{alias.name}" for alias in node.names)]
    if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in (
        "import_module",
        "__import__",
    ):
        first = node.args[0] if node.args else None
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            return [first.value]
    return []


def imports_of(source: Path) -> list[Import]:
    """Every import inside the package, also inside functions and under TYPE_CHECKING."""
    found = []
    for path in sorted(source.rglob("*.py")):
        importer = module_name(path, source)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for name in imported_names(node, importer, path.name == "__init__.py"):
                if name.split(".")[0] == PACKAGE:
                    line = getattr(node, "lineno", 0)
                    found.append(Import(importer, name, f"{path.relative_to(source)}:{line}"))
    return found


def room_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else None


def broken_rule(one: Import) -> str | None:
    """What is wrong with an import, or None."""
    importer, imported = room_of(one.importer), room_of(one.imported)
    # The package itself holds a version and a docstring: anyone may read it, and it reads no room.
    if imported not in FLOOR:
        return None
    if importer is None:
        return "the package itself imports no room, so that importing it stays light"
    if importer == "__main__":
        return None if imported == "cli" else "__main__ starts the command line and nothing else"
    if importer == imported:
        here, there = one.importer.split("."), one.imported.split(".")
        if importer == "worlds" and min(len(here), len(there)) > 2 and here[2] != there[2]:
            return "worlds do not know each other"
        return None
    if importer in READS_RUNS_ONLY and imported == "studies":
        return f"{importer} reads run directories, not studies"
    if FLOOR[imported] == FLOOR[importer]:
        return f"{importer} and {imported} stand side by side and do not know each other"
    if FLOOR[imported] > FLOOR[importer]:
        return f"imports only go down, and {imported} stands above {importer}"
    return None


def violations(source: Path) -> list[str]:
    checked = [(one, broken_rule(one)) for one in imports_of(source)]
    return sorted({f"{one.where}: {one.imported}: {rule}" for one, rule in checked if rule})


def unknown_rooms(source: Path) -> list[str]:
    rooms = {room_of(module_name(path, source)) for path in source.rglob("*.py")}
    return sorted(room for room in rooms - CELLARS - {"__main__"} if room and room not in FLOOR)


def vague_names(source: Path) -> list[str]:
    return sorted(
        str(path.relative_to(source))
        for path in source.rglob("*")
        if (path.is_dir() or path.suffix == ".py")
        and (
            path.stem.strip("_") in VAGUE_NAMES
            or path.stem.startswith(("base_", "_base"))
            or path.stem == "base"
        )
    )


def test_imports_only_go_down():
    assert imports_of(SOURCE), "no imports were found at all: the walk is broken"
    assert violations(SOURCE) == []


def test_every_room_has_a_place_in_the_order():
    assert unknown_rooms(SOURCE) == []


def test_no_vague_names():
    assert vague_names(SOURCE) == []


@pytest.mark.parametrize(
    ("importer", "statement"),
    [
        ("core/divergences.py", "from antiphon.nets import mlp"),
        ("credit/returns.py", "import antiphon.feedback.reward"),
        ("credit/returns.py", "from ..feedback import reward"),
        ("credit/__init__.py", "from ..feedback import reward"),
        ("credit/returns.py", "from antiphon import feedback"),
        ("credit/returns.py", "def late():\n    from antiphon.train import fit"),
        ("credit/returns.py", "import importlib\nimportlib.import_module('antiphon.cli.main')"),
        ("credit/returns.py", "if TYPE_CHECKING:\n    from antiphon.worlds import music"),
        ("methods/ppo.py", "from antiphon.worlds.music import codec"),
        ("worlds/music/codec.py", "from antiphon.methods import ppo"),
        ("worlds/music/codec.py", "from antiphon.worlds.text import corpus"),
        ("worlds/music/codec.py", "from ..text import corpus"),
        ("worlds/music/codec.py", "from antiphon.worlds import text"),
        ("report/page.py", "from antiphon.studies import registry"),
        ("studio/app.py", "from antiphon.studies import registry"),
        ("__init__.py", "from antiphon.core import trees"),
        ("__main__.py", "from antiphon.core import trees"),
    ],
)
def test_the_walk_finds_what_is_forbidden(tmp_path, importer, statement):
    (tmp_path / importer).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / importer).write_text(statement)
    assert violations(tmp_path) != []


@pytest.mark.parametrize(
    ("importer", "statement"),
    [
        ("cli/main.py", "from antiphon.studies import registry\nimport antiphon.report"),
        ("studies/music.py", "from antiphon.worlds.music import codec\nfrom antiphon.methods import ppo"),
        ("worlds/music/codec.py", "from antiphon.worlds.music.rvq import encode\nfrom . import rvq"),
        (
            "worlds/music/codec.py",
            "from antiphon.core.errors import UserError\nfrom antiphon import __version__",
        ),
        ("report/page.py", "from antiphon.train.files import read_json"),
        ("core/trees.py", "import jax\nfrom antiphon.core.errors import UserError"),
        ("__main__.py", "from antiphon.cli.main import main"),
    ],
)
def test_the_walk_lets_pass_what_is_allowed(tmp_path, importer, statement):
    (tmp_path / importer).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / importer).write_text(statement)
    assert imports_of(tmp_path) != []
    assert violations(tmp_path) == []


def test_the_walk_finds_vague_names_and_unknown_rooms(tmp_path):
    for path in ("core/utils.py", "nets/base_layer.py", "helpers/deep.py", "core/trees.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    assert vague_names(tmp_path) == ["core/utils.py", "helpers", "nets/base_layer.py"]
    assert unknown_rooms(tmp_path) == ["helpers"]


def imports_jax(module: str) -> bool:
    code = f"import sys, {module}; sys.exit(7 if 'jax' in sys.modules else 0)"
    status = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert status.returncode in (0, 7), status.stderr
    return status.returncode == 7


@pytest.mark.parametrize("module", ["antiphon.cli.main", "antiphon.core", "antiphon"])
def test_the_command_line_starts_without_jax(module):
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not there")
    assert not imports_jax(module)


def test_the_jax_check_can_fail():
    assert imports_jax("antiphon.core.divergences")
