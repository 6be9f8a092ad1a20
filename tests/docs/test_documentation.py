"""The pages keep their word: their Python runs, their commands parse, their links lead somewhere."""

import importlib
import re
import runpy
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

import pytest

from antiphon.cli import main as door
from antiphon.cli.parsing import parse
from antiphon.cli.studying import find_study
from antiphon.core.errors import UserError

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

_FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>.*?) -->\n)?```(?P<language>[\w{}-]*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    text: str
    reason: str | None


@dataclass(frozen=True)
class Parsed(Exception):
    """Thrown once the arguments are read, so that nothing is run."""

    arguments: object


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            str(page.relative_to(ROOT)) if page.is_relative_to(ROOT) else page.name,
            text[: found.start("text")].count("\n") + 1,
            found["language"],
            found["text"],
            found["reason"],
        )
        for found in _FENCE.finditer(text)
    ]


def commands(block: Block) -> Iterator[list[str]]:
    """Words of each line that begins with a prompt; a backslash at its end joins the next one."""
    for line in block.text.replace("\\\n", " ").splitlines():
        if line.startswith("$ "):
            yield shlex.split(line[2:], comments=True)


def run_page(page: Path) -> int:
    """Runs the Python blocks of a page one after the other in one namespace; the number of those run."""
    names: dict[str, object] = {"__name__": "page"}
    runnable = [block for block in blocks(page) if block.language == "python" and block.reason is None]
    for block in runnable:
        # Empty lines in front make a traceback name the line of the page.
        exec(compile("\n" * (block.line - 1) + block.text, block.page, "exec"), names)
    return len(runnable)


def check_command(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the command read its arguments, and no more.

    Raises:
        UserError: there is no such command, verb, study or argument.
    """
    if words[1] in ("--help", "--version"):
        assert door.main(words[1:]) == 0
        return
    command = next((command for command in door.COMMANDS if command.name == words[1]), None)
    if command is None:
        raise UserError("usage", f"there is no command {words[1]!r}", "look at antiphon --help")
    module = importlib.import_module(command.module)

    def parse_and_stop(*given):
        raise Parsed(parse(*given))

    with monkeypatch.context() as patch:
        for reader in readers(module):
            patch.setattr(reader, "parse", parse_and_stop)
        with pytest.raises(Parsed) as caught:
            module.main(words[2:])
    study = getattr(caught.value.arguments, "study", None)
    if study is not None:
        find_study(study)


def readers(module: ModuleType) -> list[ModuleType]:
    """The modules that read a command's arguments: itself, or those of its verbs when it is a package."""
    if hasattr(module, "parse"):
        return [module]
    found = (
        importlib.import_module(f"{module.__name__}.{part.name}") for part in iter_modules(module.__path__)
    )
    return [part for part in found if hasattr(part, "parse")]


def with_python() -> list[Path]:
    return [page for page in PAGES if any(block.language == "python" for block in blocks(page))]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", with_python(), ids=name_of)
def test_python_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(page)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_parse(page, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for block in blocks(page):
        for words in commands(block) if block.language == "console" else ():
            if words[0] == "antiphon":
                check_command(words, monkeypatch)
            elif words[0] == "make":
                assert {word for word in words[1:] if "=" not in word} <= targets, (
                    f"{block.page}:{block.line}"
                )


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{name_of(page)} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_says_its_language(page):
    for block in blocks(page):
        assert block.language, (
            f"{block.page}:{block.line}: a block without a language is neither run nor checked"
        )
        assert block.reason is None or block.reason.strip()


def test_the_reference_is_complete():
    pages = runpy.run_path(str(ROOT / "docs" / "reference.py"))["pages"]
    made = pages((ROOT / "tests" / "public_api.txt").read_text(encoding="utf-8"))
    committed = {page.name: page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "api").glob("*.md")}
    assert "automodule:: antiphon.core.simplex" in made["core.md"]
    assert made == committed, "The public names have changed: run `make api` and commit what it writes."


def test_a_broken_page_is_found(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("```python\nx = 1\n```\ntext\n```python\nassert x == 2\n```\n")
    with pytest.raises(AssertionError):
        run_page(page)
    page.write_text(
        "```python\nx = 1\n```\n<!-- not run: it needs a piano -->\n```python\nassert x == 2\n```\n"
    )
    assert run_page(page) == 1


@pytest.mark.parametrize(
    "line",
    [
        "antiphon rnu musicrl",
        "antiphon run",
        "antiphon run musicr",
        "antiphon run musicrl --sise smoke",
        "antiphon music sing",
        "antiphon music generate x --sede 3",
        "antiphon music data",
    ],
)
def test_a_wrong_command_is_found(line, monkeypatch):
    with pytest.raises(UserError):
        check_command(shlex.split(line), monkeypatch)
