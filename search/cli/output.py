"""The one door of all output: lines for people, JSON and CSV for programs, one line for an error.

Whatever is printed may come from a store that strangers write to. So no module but this one prints:
here text of it does nothing to a terminal (see `storage.values.text`), and never becomes markup.
"""

import csv
import json
import logging
import re
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, TextIO

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.status import Status
from rich.text import Text

from search.errors import InputError
from storage.values.text import printable, printable_lines

NO_GLOBAL_POSITION = "no layer of a cut model attends globally (see the cadence 'periodic')"
"""Remark on a space."""

_PIPE_WIDTH = 240  # columns of a pipe, which has none of its own: enough for all but huge tables
_LONGEST_LINE = 4000  # characters of an error: a list of a hundred names fits
_LONG_WORD = re.compile(r"(\S{120})\S{120,}(\S{40})")  # no path that a person chose
_PASSWORD = re.compile(r"(://[^:/\s]*):\S*@")


class InertConsole(Console):
    """A console on which text is text: without markup, emoji codes or control characters.

    Escape sequences that are printed are those of `rich` itself.

    Args:
        stream: a standard stream.
        stderr: whether it is standard error.
    """

    def __init__(self, stream: TextIO, *, stderr: bool = False) -> None:
        width = None if stream.isatty() else _PIPE_WIDTH
        super().__init__(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield the segments of anything, the text in them printable."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(printable_lines(segment.text), segment.style)


console = InertConsole(sys.stdout)
"""Standard output: results."""

errors = InertConsole(sys.stderr, stderr=True)
"""Standard error: progress, remarks and mistakes."""


def say(text: str) -> None:
    """Print a line of a result, never wrapped."""
    console.print(printable(text), soft_wrap=True)


def say_titled(title: str, drawing: RenderableType) -> None:
    """Print a line and below it a table, whose own title would be wrapped to its width."""
    console.print(Text(printable(title), style="italic"), soft_wrap=True)
    console.print(drawing)


def remark(text: str) -> None:
    """Print a line on the course of a command to stderr, never wrapped."""
    errors.print(printable(text), soft_wrap=True)


def remark_styled(*parts: tuple[str, str]) -> None:
    """Print a line on the course of a command to stderr, of texts with the style of each."""
    line = Text.assemble(*((printable(text), style) for text, style in parts))
    errors.print(line, soft_wrap=True)


def busy(doing: str) -> Status:
    """Return the sign, while its block runs, that a command is at work; only on a terminal."""
    return errors.status(Text(printable(doing)))


def ask(question: str) -> bool:
    """Ask a question that is answered by yes or no, and return the answer."""
    return typer.confirm(printable(question))


def fail(message: str, code: int) -> int:
    """Print a message as one line on stderr without passwords of URLs, and return `code`."""
    line = printable(_abridge(_without_passwords(" ".join(message.split()))))
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


def print_traceback() -> None:
    """Print where the error that is being handled came from on stderr."""
    text = _without_passwords(traceback.format_exc())
    print(printable_lines(text), end="", file=sys.stderr)


def log_to_stderr(level: int) -> None:
    """Print the messages of this project from `level` on, and warnings of all libraries."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("layer-search").setLevel(level)


class LogFormatter(logging.Formatter):
    """Writes a log record as its message, and the traceback that may belong to it."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        """Return the message as one line."""
        return printable(_without_passwords(super().formatMessage(record)))

    def formatException(  # noqa: N802 - the library's name
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        """Return the lines of a traceback."""
        return printable_lines(_without_passwords(super().formatException(ei)))


def print_json(rows: object) -> None:
    """Print `rows` as JSON, in ASCII."""
    text = json.dumps(rows, indent=2, default=_as_text)
    print(text.replace("\x7f", "\\u007f"))  # the one control character that JSON leaves as it is


def print_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print `rows` as CSV with a header, one line each."""
    if rows:
        writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _as_cell(value) for name, value in row.items()} for row in rows)


def require_one_format(*, as_json: bool, as_csv: bool) -> None:
    """Refuse two formats at once.

    Raises:
        InputError: both were asked for.
    """
    if as_json and as_csv:
        message = "--json and --csv cannot both be printed: choose one"
        raise InputError(message)


def _without_passwords(text: str) -> str:
    """Return `text` without the passwords in URLs."""
    return _PASSWORD.sub(r"\1:***@", text)


def _as_cell(value: object) -> object:
    """Return a value as a cell of CSV: a number, nothing, or one line of text."""
    return value if value is None or isinstance(value, int | float) else printable(str(value))


def _as_text(value: object) -> str:
    """Return a value that JSON does not know as text."""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return str(value)
