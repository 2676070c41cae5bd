"""How many subsets a space holds, and in which order, against enumeration."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import InputError
from search.space import LayerSpace
from tests.support.spaces import PROPERTY, Case, cases, members, possible_cases

# counts


@pytest.mark.parametrize(
    ("cadence", "depth", "count"),
    [
        ("strict", 4, 252),
        ("strict", 7, 2478),
        ("strict", 13, 2357),
        ("anchored", 4, 511),
        ("anchored", 7, 8085),
        ("anchored", 13, 8333),
        ("free", 4, 1330),
        ("free", 7, 54264),
        ("free", 13, 293930),
    ],
)
def test_counts_of_the_reference(cadence: str, depth: int, count: int) -> None:
    assert LayerSpace(22, depth, 3, cadence).count == count


def test_count_of_the_reference_over_all_depths() -> None:
    assert sum(LayerSpace(22, depth).count for depth in range(1, 23)) == 24173


@PROPERTY
@given(cases())
def test_refused_exactly_when_no_subset_obeys(case: Case) -> None:
    if members(case):
        assert case.space.count == len(members(case))
    else:
        with pytest.raises(InputError):
            LayerSpace(*case)


@given(st.integers(1, 8), st.integers(1, 8), st.data())
def test_beginning_with_counts_members(layers: int, depth: int, data: st.DataObject) -> None:
    depth = min(depth, layers)
    space = LayerSpace(layers, depth, None, "free", keep_first=data.draw(st.booleans()))
    prefix = tuple(sorted(data.draw(st.sets(st.integers(0, layers - 1)))))
    expected = sum(member[: len(prefix)] == prefix for member in space)
    assert space.beginning_with(prefix) == expected


@PROPERTY
@given(possible_cases(), st.data())
def test_beginning_with_obeys_every_rule(case: Case, data: st.DataObject) -> None:
    prefix = tuple(sorted(data.draw(st.sets(st.integers(0, case.layers - 1), max_size=4))))
    expected = sum(member[: len(prefix)] == prefix for member in members(case))
    assert case.space.beginning_with(prefix) == expected


# order


@PROPERTY
@given(possible_cases())
def test_iteration_is_lexicographic(case: Case) -> None:
    assert list(case.space) == members(case)


@PROPERTY
@given(possible_cases())
def test_rank_and_unrank_are_inverse(case: Case) -> None:
    space = case.space
    for rank, subset in enumerate(members(case)):
        assert space.rank(subset) == rank
        assert space.unrank(rank) == subset


@pytest.mark.parametrize("rank", [-1, 252, 10**9])
def test_unrank_refuses(rank: int) -> None:
    with pytest.raises(InputError, match=f"^rank {rank} is outside 0 to 251$"):
        LayerSpace(22, 4).unrank(rank)


def test_rank_refuses() -> None:
    with pytest.raises(InputError, match=r"^\(0, 1, 2, 4\) is not in the space$"):
        LayerSpace(22, 4).rank((0, 1, 2, 4))
