"""The cadence rules: one contract for all, and what each allows."""

import pytest

from search.errors import InputError
from search.space import cadences


def allowed(name: str, period: int = 3, size: int = 9) -> set[tuple[int, int]]:
    """Return the pairs of position and layer that a rule allows."""
    rule = cadences.load(name)
    places = range(size)
    return {(i, layer) for i in places for layer in places if rule.allows(i, layer, period)}


def test_names() -> None:
    assert {"anchored", "free", "strict"} <= set(cadences.names())
    assert cadences.names() == sorted(cadences.names())


@pytest.mark.parametrize("name", cadences.names())
@pytest.mark.parametrize("period", [1, 2, 3, 6])
def test_every_rule_keeps_the_base_as_it_is(name: str, period: int) -> None:
    assert {(layer, layer) for layer in range(9)} <= allowed(name, period)


@pytest.mark.parametrize("name", cadences.names())
def test_every_rule_allows_all_where_every_layer_is_global(name: str) -> None:
    assert len(allowed(name, period=1)) == 81


def test_strict_is_for_both_types() -> None:
    assert allowed("strict") == {
        (i, layer) for i in range(9) for layer in range(9) if (i % 3 == 0) == (layer % 3 == 0)
    }


def test_anchored_binds_global_positions_alone() -> None:
    loose = {(i, layer) for i in range(9) if i % 3 for layer in range(9)}
    assert allowed("anchored") == loose | allowed("strict")


def test_free_binds_nothing() -> None:
    assert len(allowed("free")) == 81


@pytest.mark.parametrize("wrong", ["loose", "", "_strict", "strict.py"])
def test_unknown_rule(wrong: str) -> None:
    with pytest.raises(InputError) as caught:
        cadences.load(wrong)
    choices = ", ".join(cadences.names())
    assert str(caught.value) == f"unknown cadence {wrong!r}: choose one of {choices}"
