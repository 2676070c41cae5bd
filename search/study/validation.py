"""One line for the first mistake in a study file, written for the person who made it."""

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from search.errors import InputError

Record = TypeVar("Record", bound=BaseModel)

_ALTERNATIVE = re.compile(
    r"constrained-\w+|dict\[.*\]|\[(key|one|several)\]"
)  # pydantic's own parts of a path
_LONGEST_VALUE = 80  # characters of a wrong value that a message repeats: one line of a terminal


def validate(record: type[Record], data: Mapping[str, Any], prefix: str) -> Record:
    """Return `data` as a `record`.

    Args:
        record: the pydantic model.
        data: plain values, as read from TOML.
        prefix: put before the key's name in a message, such as `sampler.`.

    Raises:
        InputError: for the first mistake: the key's full name, the mistake, and the allowed values.
    """
    try:
        return record.model_validate_json(json.dumps(data, default=_refuse_date))
    except ValidationError as error:
        raise InputError(_explain(error, record, prefix)) from error


def _refuse_date(value: object) -> object:
    """Return a date or time of TOML, which is no JSON, as a value that no key takes."""
    return {"date": str(value)}


def _explain(error: ValidationError, record: type[BaseModel], prefix: str) -> str:
    """Return the first mistake of `error` in words."""
    # an unknown key first: it is usually the misspelt form of one that is reported missing;
    # then the deepest: of the alternatives of a key it is the one that was meant
    mistake = min(
        error.errors(include_url=False),
        key=lambda mistake: (mistake["type"] != "extra_forbidden", -len(mistake["loc"])),
    )
    path = [part for part in mistake["loc"] if not _ALTERNATIVE.fullmatch(str(part))]
    where = prefix + _dotted(path)

    if mistake["type"] == "extra_forbidden":
        allowed = ", ".join(_fields_at(record, path[:-1]))
        return f"unknown key {where}: allowed are {allowed or 'no keys'}"
    if mistake["type"] == "missing":
        return f"{where} is missing"
    if mistake["type"] == "too_short":
        return f"{where}: should have at least 1, not none"
    if mistake["type"] == "too_long":
        return f"{where}: should have at most {mistake['ctx']['max_length']} entries"

    problem = mistake["msg"].removeprefix("Input ").removeprefix("Value error, ")
    problem = problem[0].lower() + problem[1:]
    given = json.dumps(mistake["input"], default=str)[:_LONGEST_VALUE]
    return f"{where}: {problem}, not {given}"


def _dotted(path: list[int | str]) -> str:
    """Return the full name of a key; of several tables of one name the second is `[2]`."""
    name = ""
    for place, part in enumerate(path, 1):
        is_table = isinstance(part, int) and place < len(path)
        name += f"[{int(part) + 1}]" if is_table else f".{str(part)[:_LONGEST_VALUE]}"
    return name.removeprefix(".")


def _fields_at(record: type[BaseModel], path: list[int | str]) -> Iterator[str]:
    """Yield the names of the keys allowed at `path` inside `record`."""
    for part in path:
        if isinstance(part, int):  # which of several tables
            continue
        annotation = record.model_fields[part].annotation
        options = [annotation, *get_args(annotation)]
        record = next(o for o in options if inspect.isclass(o) and issubclass(o, BaseModel))
    yield from record.model_fields
