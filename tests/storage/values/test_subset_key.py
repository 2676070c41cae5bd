"""The canonical key of a subset."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import InputError
from storage.values.subset_key import format_subset, parse_subset

SUBSETS = st.sets(st.integers(0, 9999), min_size=1, max_size=30).map(lambda s: tuple(sorted(s)))


@given(subset=SUBSETS)
def test_key_is_read_back(subset: tuple[int, ...]) -> None:
    assert parse_subset(format_subset(subset)) == subset


def test_key_by_example() -> None:
    assert format_subset((0, 1, 2, 18)) == "0_1_2_18"
    assert parse_subset("7") == (7,)


@pytest.mark.parametrize(
    "text",
    ["", "_", "0_", "_0", "0__1", "0-1", "0_1 ", "0_1\n", "1_0", "0_0", "01", "0_x", "٣", "10000"],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_subset(text)
    assert str(caught.value) == (
        f"{text!r} is not a subset: write ascending layer numbers, such as 0_1_2_18"
    )
