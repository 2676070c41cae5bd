"""Draws among the members of a space that were not tried yet, exactly and without rejection.

The tried members are known by their ranks. With the ranks r_0 < r_1 < ..., there are r_i - i
untried members before the i-th tried one, so the untried member at a given place is found by
bisection.
"""

import random
from bisect import bisect_right
from collections.abc import Sequence

from search.errors import SpaceExhaustedError
from search.observation import Observation
from search.space import LayerSpace, Subset


def draw_untried(space: LayerSpace, history: Sequence[Observation], rng: random.Random) -> Subset:
    """Return a member of `space` that is not in `history`, drawn uniformly.

    Raises:
        SpaceExhaustedError: there is none.
    """
    tried = _tried_ranks(space, history)
    return _untried_at(space, tried, rng.randrange(space.count - len(tried)))


def draw_several_untried(
    space: LayerSpace, history: Sequence[Observation], rng: random.Random, number: int
) -> list[Subset]:
    """Return at most `number` different members that are not in `history`, ascending.

    Raises:
        SpaceExhaustedError: there is none.
    """
    tried = _tried_ranks(space, history)
    left = space.count - len(tried)
    places = rng.sample(range(left), min(number, left))
    return sorted(_untried_at(space, tried, place) for place in places)


def first_untried(space: LayerSpace, history: Sequence[Observation]) -> Subset:
    """Return the first member of `space`, in lexicographic order, that is not in `history`.

    Raises:
        SpaceExhaustedError: there is none.
    """
    return _untried_at(space, _tried_ranks(space, history), 0)


def _tried_ranks(space: LayerSpace, history: Sequence[Observation]) -> list[int]:
    """Return the ranks of the members in `history`, ascending; never all of them."""
    tried = sorted({space.rank(trial.subset) for trial in history if trial.subset in space})
    if len(tried) == space.count:
        message = f"all {space.count} subsets of the space have been tried"
        raise SpaceExhaustedError(message)
    return tried


def _untried_at(space: LayerSpace, tried: list[int], place: int) -> Subset:
    """Return the member at `place`, from 0, among the untried ones."""
    before = bisect_right(range(len(tried)), place, key=lambda i: tried[i] - i)
    return space.unrank(place + before)
