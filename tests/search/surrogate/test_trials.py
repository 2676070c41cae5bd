"""The trials of a space, pooled over seeds."""

import math

import numpy as np
import pytest

from search.observation import Observation
from search.space import Subset
from search.surrogate import PooledTrials
from tests.support.landscapes import SPACE, observe

FIRST: Subset = (0, 1, 2, 3, 4)
SECOND: Subset = (0, 1, 2, 3, 5)
THIRD: Subset = (0, 1, 2, 3, 6)


def pool(scores: dict[Subset, list[float]]) -> PooledTrials:
    """Return the trials with these scores, one list for each subset."""
    trials = [Observation(subset, score) for subset, found in scores.items() for score in found]
    return PooledTrials.of(trials, SPACE)


def test_seeds_of_a_subset_are_pooled() -> None:
    seen = [Observation(FIRST, score) for score in (0.4, 0.5)]
    seen += [Observation(SECOND, 0.3), Observation((0, 1), 9.0)]
    seen += [Observation(THIRD), *[Observation(THIRD, is_pending=True)] * 2]
    seen += [Observation((0, 1, 2, 3, 7), float("nan"))]

    trials = PooledTrials.of(seen, SPACE)
    assert trials.subsets == (FIRST, SECOND)
    assert trials.means.tolist() == pytest.approx([0.45, 0.3])
    assert trials.counts.tolist() == [2, 1]
    assert trials.squares.tolist() == pytest.approx([0.005, 0])
    assert trials.pending == (THIRD,) * 2


def test_without_a_score_there_is_nothing() -> None:
    trials = PooledTrials.of([Observation(FIRST)], SPACE)
    assert len(trials) == 0
    assert trials.deviation == 0
    assert not trials.is_exact


def test_deviation_is_of_single_trials_each_subset_counting_once() -> None:
    trials = pool({FIRST: [0.4, 0.6, 0.5], SECOND: [0.1]})
    within = (0.01 + 0.01) / 3
    assert trials.deviation == pytest.approx(math.sqrt(0.04 + within / 2))


# the same score for every seed


@pytest.mark.parametrize(
    ("scores", "is_exact"),
    [
        ({FIRST: [0.4, 0.4, 0.4], SECOND: [0.3]}, True),
        ({FIRST: [0.4, 0.4], SECOND: [0.3, 0.3]}, True),
        ({FIRST: [0.4, 0.4], SECOND: [0.3]}, False),  # once may be chance
        ({FIRST: [0.4, 0.4, 0.4], SECOND: [0.3, 0.31]}, False),
        ({FIRST: [0.4], SECOND: [0.3]}, False),
        ({FIRST: [0.1 + 0.2, 0.3, 0.3]}, True),  # but for rounding
    ],
)
def test_exact_once_two_repeats_say_so(
    scores: dict[Subset, list[float]], *, is_exact: bool
) -> None:
    assert pool(scores).is_exact == is_exact


# a part


def test_of_many_trials_the_best_and_the_last_are_kept() -> None:
    trials = PooledTrials.of(observe(100), SPACE)
    some = trials.best(40)
    assert len(some) == 40
    assert set(np.sort(trials.means)[-20:]) <= set(some.means)
    assert trials.subsets[-1] in some.subsets
    assert trials.best(100) is trials


def test_kept_trials_stay_in_order_and_pending_ones_remain() -> None:
    waiting = Observation(THIRD, is_pending=True)
    trials = PooledTrials.of([*observe(30), waiting], SPACE)
    some = trials.best(11)
    places = [trials.subsets.index(subset) for subset in some.subsets]
    assert places == sorted(places)
    assert len(places) == 11
    assert some.pending == (THIRD,)

    part = trials.take(np.array([3, 1]))
    assert part.subsets == (trials.subsets[3], trials.subsets[1])
    assert part.means.tolist() == trials.means[[3, 1]].tolist()
    assert part.pending == (THIRD,)
