"""Rows of local data files, one by one, each with its place for errors."""

import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO, cast

import pyarrow as pa
from pyarrow import parquet

from evaluators._errors import InputError, first_line
from evaluators.retrieval.data.sources import format_of

Row = tuple[str, Mapping[str, Any]]
"""Place of a row, `corpus/MyTask.jsonl, line 3`, and its values by column."""

_LONGEST_CELL = 2**31 - 1
"""Characters of the longest cell: the most that the parser can be told on every platform; its own
default of 131,072 refuses long documents."""
_BROKEN = (
    OSError,
    EOFError,
    ValueError,
    RecursionError,
    zlib.error,
    csv.Error,
    pa.ArrowException,
)


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a data file.

    Args:
        path: a file of a format that `sources.format_of` knows.

    Raises:
        InputError: it cannot be read, or a row is no table of columns.
    """
    reader = _READERS[format_of(path) or ""]
    try:
        yield from reader(path)
    except _BROKEN as error:
        if isinstance(error, InputError):
            raise
        message = f"cannot read {path}: {first_line(error)}"
        raise InputError(message) from error


def _open(path: Path) -> TextIO:
    """Open a text file, which may be compressed, or begin with a byte order mark."""
    if path.suffix.lower() == ".gz":
        # in text mode it is a text file, which the types of the library leave open
        return cast("TextIO", gzip.open(path, "rt", encoding="utf-8-sig", newline=""))
    return path.open(encoding="utf-8-sig", newline="")


def _read_lines(path: Path) -> Iterator[Row]:
    """Yield the rows of JSON Lines."""
    with _open(path) as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                place = f"{path}, line {number}"
                yield place, _as_table(_parse_json(line, place), place)


def _read_json(path: Path) -> Iterator[Row]:
    """Yield the rows of a JSON file: of one list of objects, or of an object in each line."""
    with _open(path) as file:
        is_list = file.read(1024).lstrip().startswith("[")
        if is_list:
            file.seek(0)
            for number, row in enumerate(_parse_json(file.read(), str(path)), 1):
                place = f"{path}, row {number}"
                yield place, _as_table(row, place)
            return
    yield from _read_lines(path)


def _read_csv(path: Path) -> Iterator[Row]:
    """Yield the rows of comma-separated values with a header."""
    yield from _read_separated(path, ",")


def _read_tsv(path: Path) -> Iterator[Row]:
    """Yield the rows of tab-separated values with a header."""
    yield from _read_separated(path, "\t")


def _read_separated(path: Path, separator: str) -> Iterator[Row]:
    """Yield the rows of separated values with a header; each value is text as it stands."""
    csv.field_size_limit(_LONGEST_CELL)
    with _open(path) as file:
        reader = csv.DictReader(file, delimiter=separator, strict=True)
        for row in reader:
            place = f"{path}, line {reader.line_num}"
            if None in row or None in row.values():
                message = f"{place}: it has not as many values as the header has columns"
                raise InputError(message)
            yield place, row


def _read_parquet(path: Path) -> Iterator[Row]:
    """Yield the rows of a Parquet file."""
    number = 0
    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield f"{path}, row {number}", row


_READERS: Mapping[str, Callable[[Path], Iterator[Row]]] = {
    "jsonl": _read_lines,
    "json": _read_json,
    "csv": _read_csv,
    "tsv": _read_tsv,
    "parquet": _read_parquet,
}


def _parse_json(text: str, place: str) -> Any:
    """Return the value of a JSON text."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        message = f"{place}: not JSON: {error}"
        raise InputError(message) from error


def _as_table(value: object, place: str) -> Mapping[str, Any]:
    """Return a value that must be an object of JSON."""
    if not isinstance(value, dict):
        message = f'{place}: a row is an object such as {{"_id": ...}}, not {str(value)[:40]!r}'
        raise InputError(message)
    return value
