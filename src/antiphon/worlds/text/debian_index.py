"""The index of the Debian archive that this machine's apt knows, fetched into a folder of our own."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from antiphon.core.errors import UserError

LANGUAGES = ("en", "de")


@dataclass(frozen=True)
class Index:
    """Texts of an archive's index.

    Attributes:
        archive: its address, with the release and component, as in ``SITE bookworm/main``.
        packages: the index ``Packages``.
        translations: the indices ``Translation-LANGUAGE``, by language.
    """

    archive: str
    packages: str
    translations: dict[str, str]


def fetch_index(state: Path) -> Index:
    """Update a private copy of the index, 18 MB over the network; the system's own stays untouched.

    Args:
        state: folder for it, made if need be.

    Raises:
        UserError: there is no apt, it cannot reach its archive, or the archive has no German descriptions.
    """
    apt = shutil.which("apt-get")
    if apt is None:
        raise UserError(
            "apt", "there is no apt-get on this machine", "run this on Debian or Ubuntu, or in a container"
        )
    for folder in (state / "lists" / "partial", state / "cache" / "archives" / "partial"):
        folder.mkdir(parents=True, exist_ok=True)
    command = (apt, *_options(state))
    _run((*command, "update"))
    listed = _run(
        (*command, "indextargets", "--format", "$(CREATED_BY)|$(FILENAME)|$(SITE) $(RELEASE)/$(COMPONENT)")
    )
    return read_index(listed)


def read_index(listed: str) -> Index:
    """The largest archive of those that ``apt-get indextargets`` lists and that have all languages.

    Args:
        listed: ``kind|file|archive`` a line.

    Raises:
        UserError: none has them.
    """
    archives: dict[str, list[tuple[str, Path]]] = {}
    for line in listed.splitlines():
        kind, _, rest = line.partition("|")
        file, _, archive = rest.partition("|")
        if Path(file).is_file():
            archives.setdefault(archive, []).append((kind, Path(file)))
    best: tuple[int, Index] | None = None
    for archive, files in archives.items():
        packages = [path for kind, path in files if kind == "Packages"]
        translations = {
            language: path
            for language in LANGUAGES
            for kind, path in files
            if kind == "Translations" and path.name.endswith(f"Translation-{language}")
        }
        if not packages or set(translations) != set(LANGUAGES):
            continue
        texts = {language: _read(path) for language, path in translations.items()}
        size = sum(map(len, texts.values()))
        if best is None or size > best[0]:
            best = size, Index(archive, _read(packages[0]), texts)
    if best is None:
        raise UserError(
            "apt",
            f"none of this machine's {len(archives)} archives has descriptions in {' and '.join(LANGUAGES)}",
            "name a Debian mirror with its component main in apt's sources",
        )
    return best[1]


def _options(state: Path) -> Sequence[str]:
    settings = {
        "Dir::State": state.resolve(),
        "Dir::State::Lists": state.resolve() / "lists",
        "Dir::Cache": state.resolve() / "cache",
        "Acquire::Languages": ",".join(LANGUAGES),
        # Indices may be kept compressed in a format that Python does not read.
        "Acquire::GzipIndexes": "false",
        "APT::Sandbox::User": "",
        "APT::Update::Error-Mode": "any",
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W:"))] or [
            "no reason given"
        ]
        raise UserError(
            "apt",
            f"apt-get {command[-1]} failed ({said[0][3:].strip()})",
            "see that apt-get update works here",
        )
    return done.stdout


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UserError("file", f"{path} cannot be read ({error})", "check its permissions") from error
