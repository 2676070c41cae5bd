"""The documents: their pages, fenced blocks, links and anchors."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
"""The pages whose every block is run."""
LINKED = sorted({*PAGES, *ROOT.glob("*.md")})
"""The pages whose links are followed."""

MARKS = ("not run", "file", "output", "shortened", "part of a study file", "store")
"""Remarks to the tests that may stand in a comment above a block."""

_FENCE = re.compile(r"^```(\w*)$")
_MARK = re.compile(rf"^<!-- ({'|'.join(MARKS)})(?:: (.+))? -->$")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block.

    Attributes:
        page: the page it stands in.
        line: number of its first line within the fence.
        language: the word behind the fence.
        text: its text.
        marks: remarks to the tests, by their first words.
    """

    page: str
    line: int
    language: str
    text: str
    marks: dict[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """The place of the block, for messages."""
        return f"{self.page}:{self.line}"


def name_of(page: Path) -> str:
    """Return the path of a page within the project."""
    return page.relative_to(ROOT).as_posix()


def read_blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    lines = page.read_text(encoding="utf-8").splitlines()
    found: list[Block] = []
    start, language = None, ""

    for number, line in enumerate(lines):
        fence = _FENCE.match(line)
        if fence is None:
            continue
        if start is None:
            start, language = number, fence[1]
        else:
            text = "".join(f"{inside}\n" for inside in lines[start + 1 : number])
            marks = _marks_above(lines, start)
            found.append(Block(name_of(page), start + 2, language, text, marks))
            start = None

    assert start is None, f"{name_of(page)}: a block is left open"
    return found


def _marks_above(lines: list[str], fence: int) -> dict[str, str]:
    """Return the remarks in the lines right above a fence."""
    marks: dict[str, str] = {}
    while fence and (mark := _MARK.match(lines[fence - 1])):
        marks[mark[1]] = mark[2] or ""
        fence -= 1
    return marks


def all_blocks(language: str = "") -> list[Block]:
    """Return the blocks of all pages, of one language or of any."""
    blocks = [block for page in PAGES for block in read_blocks(page)]
    return [block for block in blocks if language in ("", block.language)]


def prose(page: Path) -> str:
    """Return the text of a page without its fenced blocks."""
    text = page.read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, as a forge makes them."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", heading.lower())
        found.add(plain.replace(" ", "-"))
    return found


def links(page: Path) -> Iterator[str]:
    """Yield the targets of all links and pictures of a page."""
    yield from _LINK.findall(prose(page))


def table_rows(page: Path, first: str) -> list[list[str]]:
    """Return the cells of all rows of a page's tables whose first column is headed `first`."""
    text = page.read_text(encoding="utf-8")
    found = []
    for rows in re.findall(rf"^\| {first} \|.*\n\|[ -|]*\n((?:\|.*\n?)+)", text, re.MULTILINE):
        found += [[cell.strip() for cell in line.split("|")[1:-1]] for line in rows.splitlines()]
    return found
