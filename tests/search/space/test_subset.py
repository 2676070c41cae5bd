"""The canonical key of a subset."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.space import Subset, format_subset, parse_subset
from storage.errors import InputError

PROPERTY = settings(deadline=None, derandomize=True, max_examples=200)


@pytest.mark.parametrize(
    ("subset", "written"),
    [((0, 1, 2, 18), "0_1_2_18"), ((0,), "0"), ((7, 10, 9999), "7_10_9999")],
)
def test_key_and_parse(subset: Subset, written: str) -> None:
    assert format_subset(subset) == written
    assert parse_subset(written) == subset


@PROPERTY
@given(st.sets(st.integers(0, 9999), min_size=1, max_size=48))
def test_parse_undoes_key(layers: set[int]) -> None:
    subset = tuple(sorted(layers))
    assert parse_subset(format_subset(subset)) == subset


@PROPERTY
@given(st.text("0123456789_ -+.\n٣²", max_size=12))
def test_only_canonical_keys_are_read(text: str) -> None:
    try:
        subset = parse_subset(text)
    except InputError:
        return
    assert format_subset(subset) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "_",
        "0_",
        "_0",
        "0__1",
        "0_1\n",
        " 0_1",
        "0 1",
        "0,1",
        "-1_2",
        "00_1",
        "01",
        "2_1",
        "1_1",
        "0_10000",
        "0_x",
        "front",
        "1٣",  # a digit, but not an ASCII one: int() would read 13
        "0_²",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_subset(text)
    assert str(caught.value) == (
        f"{text!r} is not a subset: write ascending layer numbers, such as 0_1_2_18"
    )
