"""Spaces of subsets as their rules are told in words, found by enumeration."""

from functools import cache
from itertools import combinations
from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st

from search.space import LayerSpace, Subset, cadences
from search.space.rhythm import Phase

PROPERTY = settings(deadline=None, derandomize=True, max_examples=200)
"""Settings of the properties that hold for every space."""


class Case(NamedTuple):
    """The arguments of a space, in its own order."""

    layers: int
    depth: int
    period: int | None
    cadence: str
    keep_first: bool
    pinned: frozenset[int]
    forbidden: frozenset[int]
    phase: Phase = "first"

    @property
    def space(self) -> LayerSpace:
        """The space with these arguments."""
        return LayerSpace(*self)


@st.composite
def cases(draw: st.DrawFn, most_layers: int = 12) -> Case:
    """Draw arguments of spaces of up to `most_layers` layers, some of them impossible."""
    layers = draw(st.integers(1, most_layers))
    period = draw(st.none() | st.integers(1, 5))
    some = st.frozensets(st.integers(0, layers - 1), max_size=2)
    return Case(
        layers=layers,
        depth=draw(st.integers(1, layers)),
        period=period,
        cadence=draw(st.sampled_from(cadences.names())) if period else "free",
        keep_first=draw(st.booleans()),
        pinned=draw(some),
        forbidden=draw(some),
        phase=draw(st.sampled_from(["first", "last"])),
    )


def possible_cases() -> st.SearchStrategy[Case]:
    """Draw arguments of small spaces that hold at least one subset."""
    return cases().filter(members)


def types(number: int, period: int, phase: Phase) -> str:
    """Write the types of `number` layers, `G` global and `L` local: `GLLGLL`, or `LLGLLG`."""
    one = "G" + "L" * (period - 1) if phase == "first" else "L" * (period - 1) + "G"
    return (one * number)[:number]


@cache
def members(case: Case) -> list[Subset]:
    """Return all subsets that obey the rules of `case`, in lexicographic order."""
    kinds = types(case.layers, case.period or 1, case.phase)
    by_position = kinds[: case.depth]
    by_any_period = [types(case.depth, period, case.phase) for period in range(1, case.depth + 2)]

    def obeys(subset: Subset) -> bool:
        if case.keep_first and subset[0] != 0:
            return False
        if not all(layer in subset for layer in case.pinned):
            return False
        if any(layer in subset for layer in case.forbidden):
            return False

        own = "".join(kinds[layer] for layer in subset)
        if case.cadence == "strict":
            return own == by_position
        if case.cadence == "periodic":
            return own in by_any_period
        pairs = set(zip(by_position, own, strict=True))
        return case.cadence == "free" or ("G", "L") not in pairs

    return [subset for subset in combinations(range(case.layers), case.depth) if obeys(subset)]


def overlap(one: Subset, other: Subset) -> int:
    """Return how many layers two subsets share."""
    return len(set(one) & set(other))
