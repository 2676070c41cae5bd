"""Turns the first mistake in a study file into one line for the person who wrote it."""

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from search.errors import InputError

Record = TypeVar("Record", bound=BaseModel)
_ALTERNATIVE = re.compile(r"constrained-\w+|dict\[.*\]|\[key\]")  # pydantic's own parts of a path


def checked(record: type[Record], data: Mapping[str, Any], prefix: str) -> Record:
    """`data` as a `record`.

    Args:
        record: the pydantic model.
        data: plain values, as read from TOML.
        prefix: put before the key's name in a message, such as `sampler.`.

    Raises:
        InputError: for the first mistake: the key's full name, what is wrong, and what is allowed.
    """
    try:
        return record.model_validate_json(json.dumps(data, default=_refuse_date))
    except ValidationError as error:
        raise InputError(_readable(error, record, prefix)) from error


def _refuse_date(value: object) -> object:
    """TOML's dates and times are no JSON: no key takes one, so show it as what no key takes."""
    return {"date": str(value)}


def _readable(error: ValidationError, record: type[BaseModel], prefix: str) -> str:
    """The first mistake of `error`: the key's full name, what is wrong, and what is allowed."""
    mistakes = error.errors(include_url=False)
    # an unknown key first: it is usually the misspelt form of one that is reported missing
    # then the deepest: of the alternatives of a key it is the one that was meant
    first = min(
        mistakes,
        key=lambda mistake: (mistake["type"] != "extra_forbidden", -len(mistake["loc"])),
    )
    path = [str(part) for part in first["loc"] if not _ALTERNATIVE.fullmatch(str(part))]
    where = prefix + ".".join(path)
    if first["type"] == "extra_forbidden":
        allowed = ", ".join(_fields_at(record, path[:-1]))
        return f"unknown key {where}: allowed are {allowed or 'no keys'}"
    if first["type"] == "missing":
        return f"{where} is missing"
    if first["type"] == "too_short":
        return f"{where}: should have at least 1, not none"
    problem = first["msg"].removeprefix("Input ").removeprefix("Value error, ")
    problem = problem[0].lower() + problem[1:]
    return f"{where}: {problem}, not {json.dumps(first['input'], default=str)[:80]}"


def _fields_at(record: type[BaseModel], path: list[str]) -> Iterator[str]:
    """Names of the keys allowed at `path` inside `record`."""
    for part in path:
        annotation = record.model_fields[part].annotation
        options = [annotation, *get_args(annotation)]
        record = next(o for o in options if inspect.isclass(o) and issubclass(o, BaseModel))
    yield from record.model_fields
