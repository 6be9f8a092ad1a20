"""The public names and their signatures, as public_api.txt remembers them.

They are read off the syntax trees, so that neither the version of Python nor of jax changes a letter. After a
change that is meant run ``make api``, and commit what it writes with a line in CHANGELOG.md.
"""

import ast
import difflib
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
REMEMBERED = HERE / "public_api.txt"
SOURCE = HERE.parent / "src"

# In these rooms the modules are the vocabulary, and what they define is public, such as
# `antiphon.core.simplex.entropy`. Everywhere else only what a package re-exports is.
ROOMS_OF_MODULES = ("antiphon.core", "antiphon.nets", "antiphon.methods")
# A function and its module cannot share one attribute of a package, so `fit` is reached through its module.
PUBLIC_MODULES = ("antiphon.train.fit",)

Definition = ast.FunctionDef | ast.ClassDef


def module_path(name: str, source: Path) -> Path:
    path = source.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def tree_of(name: str, source: Path) -> ast.Module:
    return ast.parse(module_path(name, source).read_text(encoding="utf-8"))


def exported(tree: ast.Module) -> list[str]:
    """What ``__all__`` lists."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def homes(tree: ast.Module) -> dict[str, tuple[str, str]]:
    """Module and name there of everything the tree imports, also under ``if TYPE_CHECKING``."""
    return {
        alias.asname or alias.name: (node.module or "", alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def is_public(name: str) -> bool:
    return not name.startswith("_")


def is_seen(method: str) -> bool:
    return is_public(method) or method in ("__init__", "__call__")


def names_bound(node: ast.stmt) -> list[str]:
    if isinstance(node, Definition):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def described(node: ast.stmt, name: str) -> Iterator[str]:
    """A line for a function or a constant; for a class its bases, fields and public methods too."""
    if isinstance(node, ast.FunctionDef):
        yield f"{name}{signature(node)}"
    elif isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        yield f"class {name}({bases})" if bases else f"class {name}"
        for inner in node.body:
            if isinstance(inner, ast.AnnAssign) and is_public(ast.unparse(inner.target)):
                yield f"    {ast.unparse(inner)}"
            elif isinstance(inner, ast.FunctionDef) and is_seen(inner.name):
                kinds = [f"@{ast.unparse(d)} " for d in inner.decorator_list]
                yield f"    {''.join(kinds)}{inner.name}{signature(inner)}"
    elif isinstance(node, ast.AnnAssign):
        yield f"{name}: {ast.unparse(node.annotation)}"
    else:
        yield name


def signature(node: ast.FunctionDef) -> str:
    returned = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"({ast.unparse(node.args)}){returned}"


def definition(module: str, name: str, source: Path) -> ast.stmt:
    """Where a name is defined, through any number of re-exports."""
    tree = tree_of(module, source)
    # The last one: overloads stand before it.
    for node in reversed(tree.body):
        if name in names_bound(node):
            return node
    if name in homes(tree):
        return definition(*homes(tree)[name], source)
    raise LookupError(f"{module} exports {name}, which it neither defines nor imports")


def describe(source: Path = SOURCE) -> str:
    """The whole public surface, one block for each package or module."""
    blocks = []
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        tree = tree_of(module, source)
        names = sorted(exported(tree))
        room = module.rpartition(".")[0]
        if (room in ROOMS_OF_MODULES and is_public(parts[-1])) or module in PUBLIC_MODULES:
            bound = {name for node in tree.body for name in names_bound(node)}
            names = sorted(filter(is_public, {*names, *bound}))
        if names:
            lines = [line for name in names for line in described(definition(module, name, source), name)]
            blocks.append("\n".join([module, *(f"    {line}" for line in lines)]))
    return "\n\n".join(blocks) + "\n"


def test_the_public_names_are_the_remembered_ones():
    now, then = describe().splitlines(), REMEMBERED.read_text(encoding="utf-8").splitlines()
    changes = "\n".join(difflib.unified_diff(then, now, "public_api.txt", "the source", lineterm="", n=1))
    assert not changes, (
        f"{changes}\nIf this is meant, run `make api`, commit what it writes and say it in CHANGELOG.md."
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("def f(x: int, y: int = 1) -> int: ...", "def f(x: int, y: int = 2) -> int: ..."),
        ("def f(x: int) -> int: ...", "def f(x: float) -> int: ..."),
        ("def f(x: int) -> int: ...", "def g(x: int) -> int: ...\nf = g"),
        ("class f:\n    x: int", "class f:\n    x: int\n    y: int = 0"),
        ("class f:\n    def go(self, x): ...", "class f:\n    def go(self, x, *, y=0): ..."),
        ("f: int = 1", "f: float = 1"),
    ],
)
def test_a_change_is_seen(tmp_path, before, after):
    package = tmp_path / "antiphon" / "credit"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from antiphon.credit.returns import f\n__all__ = ['f']")
    described = []
    for source in (before, after, before + "\ndef _hidden(): ...\n"):
        (package / "returns.py").write_text(source)
        described.append(describe(tmp_path))
    assert described[0] != described[1]
    assert described[0] == described[2]
    assert "f" in described[0]


def test_names_in_a_room_of_modules_need_no_export(tmp_path):
    room = tmp_path / "antiphon" / "core"
    room.mkdir(parents=True)
    (room / "trees.py").write_text("def add(x, y): ...\ndef _add(x): ...")
    assert describe(tmp_path) == "antiphon.core.trees\n    add(x, y)\n"


def test_a_name_that_is_nowhere_is_said(tmp_path):
    (tmp_path / "antiphon").mkdir()
    (tmp_path / "antiphon" / "__init__.py").write_text("__all__ = ['lost']")
    with pytest.raises(LookupError, match="exports lost"):
        describe(tmp_path)


if __name__ == "__main__":
    REMEMBERED.write_text(describe(), encoding="utf-8")
    print(REMEMBERED)
