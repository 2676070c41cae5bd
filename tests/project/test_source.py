"""House rules of the source: which words and paths it may hold, and how it may be run."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import structure

ROOT = Path(__file__).resolve().parents[2]
PRIVATE = re.compile(r"(?<![\w.:/}])/(home|Users|root|work|workspace|mnt|tmp)/\w")
TEXTS = sorted(
    path
    for folder in (*structure.PACKAGES, "tests", "benchmarks", "examples", "docs")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".toml", ".mako", ".sql", ".sh", ".md", ".csv", ".svg"}
)


def relative(path: Path) -> str:
    """`path` as it stands in the repository."""
    return path.relative_to(ROOT).as_posix()


def test_packages_cannot_be_run_by_name() -> None:
    """`python -m storage` would run a stray `storage.py` of the working folder instead."""
    assert [path for path in structure.sources(ROOT) if path.name == "__main__.py"] == []


def test_packages_are_typed() -> None:
    for package in structure.PACKAGES:
        assert (ROOT / package / "py.typed").is_file()


@pytest.mark.parametrize("path", TEXTS, ids=relative)
def test_no_private_paths(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = [line for line in text.splitlines() if PRIVATE.search(line)]
    assert found == []
    homes = {str(folder) for folder in (ROOT, Path.home()) if len(folder.parts) > 2}
    assert [home for home in homes if home in text] == []


@pytest.mark.parametrize(
    ("text", "private"),
    [
        ('open("/ho' + 'me/ada/models")', True),
        ("# see /Us" + "ers/ada", True),
        ("/ro" + "ot/x", True),
        ("https://example.org/ho" + "me/page", False),
        ("../shared/work/data", False),
        ("f'{folder}/mnt/x'", False),
    ],
)
def test_what_a_private_path_is(text: str, *, private: bool) -> None:
    assert bool(PRIVATE.search(text)) == private


DOOR = ROOT / "search" / "cli" / "output.py"
PRINTS = re.compile(
    r"\bprint\(|sys\.std(out|err)\b(?!\.isatty)|typer\.(echo|secho|confirm|prompt)|\bConsole\("
    r"|from_markup|rich\.markup|traceback\.print"
)


@pytest.mark.parametrize(
    "path", [path for path in structure.sources(ROOT) if path != DOOR], ids=relative
)
def test_only_one_module_prints(path: Path) -> None:
    """What is printed may come from a stranger's store: that module makes it harmless."""
    code = re.sub(r'"""(.|\n)*?"""', "", path.read_text(encoding="utf-8"))
    assert [line for line in code.splitlines() if PRINTS.search(line)] == []


# words that once meant standard things here; the glossary has the standard ones
OLD_WORDS = re.compile(
    r"\b(Amplitudes|kinship|relatives|untold|keep_log_ahead|mistakes\.py|look\.py|owner\.py)\b"
)


def old_words() -> Iterator[str]:
    """Each line of code or documents with one of them."""
    for path in [*structure.sources(ROOT), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md")]:
        if path.name == "CHANGELOG.md":
            continue
        for line in path.read_text(encoding="utf-8").splitlines():
            if OLD_WORDS.search(line):
                yield f"{relative(path)}: {line.strip()}"


def test_private_words_for_standard_things_are_gone() -> None:
    assert list(old_words()) == []
