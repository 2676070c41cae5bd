"""What commands print: tables for people, JSON and CSV for programs, one line for an error."""

import csv
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table

WIDE = 240  # a pipe has no width: tables are as wide as they are


def _console(stream: TextIO, *, stderr: bool = False) -> Console:
    return Console(stderr=stderr, width=None if stream.isatty() else WIDE)


console = _console(sys.stdout)
errors = _console(sys.stderr, stderr=True)
_PASSWORD = re.compile(r"(://[^:/\s]*):\S*@")


def fail(message: str, code: int) -> int:
    """Print `message` as one line on stderr, with passwords in URLs blotted out; returns `code`."""
    line = " ".join(message.split())
    line = _PASSWORD.sub(r"\1:***@", line)
    print(f"error: {line}", file=sys.stderr)  # noqa: T201 - rich would wrap it
    return code


def print_json(rows: object) -> None:
    """Print `rows` as JSON."""
    print(json.dumps(rows, indent=2, default=_plain))  # noqa: T201 - rich would wrap long lines


def print_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print `rows` as CSV with a header."""
    if rows:
        writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; numbers are set flush right."""
    table = Table(title=title, title_justify="left", header_style="bold")
    cells = [[_cell(value) for value in row] for row in rows]
    for number, column in enumerate(columns):
        numeric = all(re.fullmatch(r"[-\d.:+]*", row[number]) for row in cells)
        # keys of subsets are copied and pasted: they must not be cut
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        table.add_row(*map(escape, row))  # an error may hold [brackets], which are no markup
    console.print(table)


def score(value: float | None) -> str:
    """A score with four decimals, as model cards print it."""
    return "" if value is None else f"{value:.4f}"


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return str(value)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return str(value)
