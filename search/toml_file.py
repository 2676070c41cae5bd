"""Reading of TOML files within bounds, so that any file is answered within a second."""

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from search.errors import InputError

LARGEST_FILE = 2**18
"""Bytes of a file: a quarter of a megabyte holds 10,000 hand-picked subsets of 7 layers, and is
parsed within a second whatever it holds.
"""

DEEPEST = 16
"""Tables and lists inside each other. A heuristic: a study file has four levels, and the parser
takes the square of the parts of a dotted key.
"""

_LONG_CHAIN = re.compile(rf"""(?<![\w"'-])(?:[\w"'-]+[ \t]*\.[ \t]*){{{DEEPEST}}}""")
"""The beginning of a dotted key with too many parts, `a.b.c`; such a text in a string is none, but
no path, name or prompt has so many words without a blank either.
"""


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Args:
        path: the file; it may also be a pipe.

    Raises:
        InputError: it cannot be read, is too large, or is not TOML; the message names it.
    """
    text = _read_text(path)
    if _LONG_CHAIN.search(text):
        raise InputError(_too_deep(path))

    try:
        data = tomllib.loads(text)
    except RecursionError as error:
        raise InputError(_too_deep(path)) from error
    except ValueError as error:  # a mistake in the syntax, or a number of thousands of digits
        message = f"{path} is not TOML: {error}"
        raise InputError(message) from error

    if not _is_shallow(data):
        raise InputError(_too_deep(path))
    return data


def _read_text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        InputError: it cannot be read, is too large, or is no text.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        message = f"cannot read study file {path}: {reason}"
        raise InputError(message) from error

    if len(content) > LARGEST_FILE:
        message = f"cannot read study file {path}: it is larger than {LARGEST_FILE} bytes"
        raise InputError(message)
    return text


def _too_deep(path: Path) -> str:
    """Return the message on a file with too many levels."""
    return f"{path} has more than {DEEPEST} tables or lists inside each other: it is no study file"


def _is_shallow(data: object) -> bool:
    """Whether `data` has at most `DEEPEST` levels; it asks no call for each, as recursion would."""
    level: list[Any] = [data]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _values(outer) if _holds_values(inner)]
    return not level


def _holds_values(value: object) -> bool:
    """Whether `value` is a table or a list."""
    return isinstance(value, dict | list)


def _values(outer: dict[str, Any] | list[Any]) -> Iterable[Any]:
    """Return the values that a table or a list holds."""
    return outer.values() if isinstance(outer, dict) else outer
