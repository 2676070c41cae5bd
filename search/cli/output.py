"""The output of commands: lines for people, JSON and CSV for programs, one line for an error."""

import csv
import json
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TextIO

from rich.console import Console

from search.errors import InputError

NO_GLOBAL_POSITION = "no layer of a cut model attends globally (see the cadence 'periodic')"
"""Remark on a space."""

_PIPE_WIDTH = 240  # columns of a pipe, which has none of its own: enough for all but huge tables
_LONGEST_LINE = 4000  # characters of an error: a list of a hundred names fits
_LONG_WORD = re.compile(r"(\S{120})\S{120,}(\S{40})")  # no path that a person chose
_PASSWORD = re.compile(r"(://[^:/\s]*):\S*@")


def _console(stream: TextIO, *, stderr: bool = False) -> Console:
    """Return a console on a standard stream."""
    return Console(stderr=stderr, width=None if stream.isatty() else _PIPE_WIDTH)


console = _console(sys.stdout)
"""Standard output: results."""

errors = _console(sys.stderr, stderr=True)
"""Standard error: progress, remarks and mistakes."""


def say(text: str) -> None:
    """Print a line of a result as it stands, never wrapped."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def remark(text: str) -> None:
    """Print a line on the course of a command to stderr as it stands, never wrapped."""
    errors.print(text, markup=False, highlight=False, soft_wrap=True)


def fail(message: str, code: int) -> int:
    """Print a message as one line on stderr without passwords of URLs, and return `code`."""
    line = " ".join(message.split())
    line = _abridge(_PASSWORD.sub(r"\1:***@", line))
    print(f"error: {line}", file=sys.stderr)  # rich would wrap it
    return code


def _abridge(line: str) -> str:
    """Return a line without the middle of its longest words, and of itself where it is too long.

    Both ends stay: a mistake is named at the beginning, and the way to mend it at the end.
    """
    line = _LONG_WORD.sub(r"\1...\2", line)
    if len(line) <= _LONGEST_LINE:
        return line
    return f"{line[: _LONGEST_LINE // 2]} ... {line[-_LONGEST_LINE // 2 :]}"


def print_json(rows: object) -> None:
    """Print `rows` as JSON."""
    print(json.dumps(rows, indent=2, default=_as_text))  # rich would wrap long lines


def print_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print `rows` as CSV with a header."""
    if rows:
        writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def require_one_format(*, as_json: bool, as_csv: bool) -> None:
    """Refuse two formats at once.

    Raises:
        InputError: both were asked for.
    """
    if as_json and as_csv:
        message = "--json and --csv cannot both be printed: choose one"
        raise InputError(message)


def _as_text(value: object) -> str:
    """Return a value that JSON does not know as text."""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return str(value)
