"""One line for the first mistake in plain values."""

import datetime as dt
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

import evaluators
from search.errors import InputError
from search.study.validation import validate


class Inner(evaluators.StrictRecord):
    """A section."""

    size: Annotated[int, Field(ge=1)] = 3
    names: tuple[str, ...] = ()


class Outer(evaluators.StrictRecord):
    """A record with sections, one of them optional."""

    name: str
    inner: Inner = Inner()
    maybe: Inner | None = None
    number: int | dict[int, int] | Literal["auto"] = 1
    several: Annotated[tuple[int, ...], Field(min_length=1)] = (1,)


class Empty(evaluators.StrictRecord):
    """A record without keys."""


def message_of(data: dict[str, Any], prefix: str = "") -> str:
    """Return the message that `data` is refused with."""
    with pytest.raises(InputError) as caught:
        validate(Outer, data, prefix)
    return str(caught.value)


def test_valid_values_become_a_record() -> None:
    data = {"name": "a", "inner": {"size": 2, "names": ["x"]}, "number": {"4": 9}}
    assert validate(Outer, data, "") == Outer(
        name="a", inner=Inner(size=2, names=("x",)), number={4: 9}
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "name is missing"),
        ({"name": 3}, "name: should be a valid string, not 3"),
        ({"name": "a", "inner": {"size": 0}}, "inner.size: should be greater than or equal to 1, "),
        ({"name": "a", "inner": {"names": ["x", 4]}}, "inner.names.1: should be a valid string, "),
        ({"name": "a", "several": []}, "several: should have at least 1, not none"),
        ({"name": dt.date(2026, 1, 31)}, 'name: should be a valid string, not {"date": "202'),
        ({"name": "a", "inner": 3}, "inner: should be an object, not 3"),
        # the deepest of several alternatives is the one that was meant
        ({"name": "a", "number": {"4": "x"}}, 'number.4: should be a valid integer, not "x"'),
        ({"name": "a", "maybe": {"size": 0}}, "maybe.size: should be greater than or equal to 1, "),
        # an unknown key is usually the misspelt form of one that is missing
        ({"nmae": "a"}, "unknown key nmae: allowed are name, inner, maybe, number, several"),
        ({"name": "a", "inner": {"x": 1}}, "unknown key inner.x: allowed are size, names"),
        ({"name": "a", "maybe": {"x": 1}}, "unknown key maybe.x: allowed are size, names"),
    ],
)
def test_mistakes(data: dict[str, Any], message: str) -> None:
    assert message_of(data).startswith(message)
    assert message_of(data, "outer.").replace("outer.", "", 1).startswith(message)


def test_a_long_value_is_cut() -> None:
    message = message_of({"name": ["x" * 500]})
    assert message.startswith('name: should be a valid string, not ["xxx')
    assert len(message) == len("name: should be a valid string, not ") + 80


def test_a_record_without_keys_says_so() -> None:
    with pytest.raises(InputError) as caught:
        validate(Empty, {"x": 1}, "evaluator.")
    assert str(caught.value) == "unknown key evaluator.x: allowed are no keys"
