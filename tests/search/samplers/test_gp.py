"""The sampler `gp`: expected improvement by the surrogate, after a startup far and wide."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from search.observation import Observation
from search.samplers.gp import GPSampler, _fantasy_draws
from search.space import LayerSpace, Subset
from search.surrogate import Posterior, Surrogate
from tests.support.landscapes import (
    SHALLOW,
    SPACE,
    Landscape,
    additive,
    hint_of,
    observe,
    unrelated,
)

LARGE = LayerSpace(24, 8, 3, "free")
"""A space too large to be kept in memory."""


def search(sampler: GPSampler, trials: int, landscape: Landscape = additive) -> list[Observation]:
    """Return the trials that the sampler proposes one after the other, without noise."""
    history: list[Observation] = []
    for _ in range(trials):
        subset = sampler.next_subset(history)
        history.append(Observation(subset, landscape(subset)))
    return history


def best_score(history: Sequence[Observation]) -> float:
    """Return the best score."""
    return max(trial.score or 0 for trial in history)


# finding the best


def test_the_best_of_a_space_is_found_in_a_fraction_of_its_trials() -> None:
    best = max(additive(subset) for subset in SPACE)
    assert SPACE.count == 330
    found = best_score(search(GPSampler(SPACE, seed=3), trials=30))
    assert found == pytest.approx(best)


@pytest.mark.slow
def test_a_space_too_large_to_hold_is_climbed() -> None:
    assert not GPSampler(LARGE).surrogate.fits_in_memory
    found = best_score(search(GPSampler(LARGE, seed=1), trials=30))
    best = additive((0, 1, 2, 3, 4, 5, 6, 9))
    typical = float(np.mean([trial.score for trial in observe(200, space=LARGE)]))
    assert found > typical + 0.8 * (best - typical)


def test_workers_side_by_side_look_at_different_places() -> None:
    """Pending trials count: the next proposal is not the neighbour that runs already."""
    history = observe(20)
    sampler = GPSampler(SPACE, seed=1)
    for _ in range(6):
        proposed = sampler.next_subset(history)
        assert proposed not in {trial.subset for trial in history}
        history.append(Observation(proposed, is_pending=True))
    assert len({trial.subset for trial in history}) == 26


def test_climbing_stops_where_no_swap_gains() -> None:
    """At the best subset near by, or where nothing untried is left near by."""
    looked_at: list[Subset] = []

    def gain(subsets: Sequence[Subset]) -> NDArray[np.float64]:
        looked_at.extend(subsets)
        return np.array([additive(subset) for subset in subsets])

    sampler, start = GPSampler(SPACE), (0, 5, 6, 7, 8)
    assert sampler._climb([start], set(), gain) == max(SPACE, key=additive)
    assert len(set(looked_at)) == len(looked_at)  # none twice

    near = set(SPACE.neighbours(start))
    assert sampler._climb([start], near, gain) == start
    assert sampler._climb([start], set(SPACE) - {start, min(near)}, gain) in {start, min(near)}


def test_climbing_ends_after_some_rounds() -> None:
    """The best is further away than so many swaps of the best eight lead."""
    space = LayerSpace(40, 20, None, "free")
    far = GPSampler(space)._climb(
        [tuple(range(20))], set(), lambda subsets: np.array([float(sum(s)) for s in subsets])
    )
    assert sum(range(20)) < sum(far) < sum(range(21, 40))


def test_fantasized_outcomes_are_even() -> None:
    draws = _fantasy_draws(3)
    assert draws.shape == (16, 3)
    assert (draws[:8] == -draws[8:]).all()
    assert (_fantasy_draws(3) == draws).all()
    assert _fantasy_draws(0).shape == (1, 0)


# the startup


def test_a_small_space_has_a_short_startup() -> None:
    assert GPSampler(SPACE).startup == 10
    assert GPSampler(SPACE, startup=99).startup == 82  # a quarter of the space
    assert GPSampler(LayerSpace(6, 3, None, "free"), startup=99).startup == 4
    assert GPSampler(SPACE, startup=1).startup == 1


def test_the_startup_keeps_apart() -> None:
    """Each shares fewer layers with the ones before it than random subsets do."""
    subsets = [trial.subset for trial in search(GPSampler(SPACE, seed=2), trials=10)]
    shared = [
        max(len({*subset} & {*before}) for before in subsets[:place])
        for place, subset in enumerate(subsets)
        if place
    ]

    rng = random.Random(0)
    random_subsets = [SPACE.sample(rng) for _ in range(10)]
    usual = [
        max(len({*subset} & {*before}) for before in random_subsets[:place])
        for place, subset in enumerate(random_subsets)
        if place
    ]
    assert sum(shared) < sum(usual)


def test_nothing_is_fitted_before_the_startup_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = note_fits(monkeypatch)
    search(GPSampler(SPACE), trials=10)
    assert fitted == []
    search(GPSampler(SPACE), trials=12)
    assert fitted == [10, 11]


def note_fits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by the length of the history with every fit of a surrogate."""
    fitted: list[int] = []
    whole = Surrogate.fit

    def noted(
        self: Surrogate, history: Sequence[Observation], *, trust: bool = False
    ) -> Posterior | None:
        fitted.append(len(history))
        return whole(self, history, trust=trust)

    monkeypatch.setattr(Surrogate, "fit", noted)
    return fitted


# hints


def test_the_first_trial_is_the_one_that_the_hints_favour() -> None:
    best = max(SPACE, key=additive)
    assert GPSampler(SPACE, hints=[hint_of(additive)]).next_subset([]) == best


def test_every_third_trial_of_the_startup_follows_the_hints() -> None:
    favoured = sorted(SPACE, key=additive, reverse=True)
    sampler = GPSampler(SPACE, hints=[hint_of(additive)], startup=9)
    history = search(sampler, trials=7, landscape=unrelated)
    subsets = [trial.subset for trial in history]
    assert [subsets[0], subsets[3], subsets[6]] == favoured[:3]
    assert not {*favoured[:10]} >= {subsets[1], subsets[2], subsets[4], subsets[5]}


def test_hints_without_support_prolong_the_startup() -> None:
    """While the scores do not bear them out, up to half as many trials again."""

    def proposals(length: int) -> tuple[Subset, Subset]:
        history = observe(length, unrelated, seed=3)
        hinted = GPSampler(SPACE, hints=[hint_of(additive)], seed=1)
        return hinted.next_subset(history), GPSampler(SPACE, seed=1).next_subset(history)

    for length in (10, 14):
        hinted, plain = proposals(length)
        assert hinted != plain  # one of many that are far from the tried ones
    hinted, plain = proposals(15)
    assert hinted == plain  # the same posterior: a hint without support has no part in it


def test_hints_that_are_borne_out_shorten_the_startup() -> None:
    history = observe(8)
    sampler = GPSampler(SPACE, hints=[hint_of(additive)])
    posterior = sampler.surrogate.fit(history)
    assert posterior is not None
    assert posterior.trusts_guidance
    proposed = sampler.next_subset(history)
    assert additive(proposed) == max(
        additive(s) for s in SPACE if s not in posterior.trials.subsets
    )


def test_hints_in_a_space_too_large_to_hold() -> None:
    """The most favoured of some thousands of subsets."""

    def hint(subsets: Sequence[Subset]) -> NDArray[np.float64]:
        values = np.array([additive(subset) for subset in subsets])
        return (values - 0.35) / 0.015

    first = GPSampler(LARGE, hints=[hint]).next_subset([])
    better = sum(additive(trial.subset) > additive(first) for trial in observe(1000, space=LARGE))
    assert better < 5


# other depths


def test_the_first_trial_follows_other_depths() -> None:
    others = observe(50, space=SHALLOW)
    first = GPSampler(SPACE, transfer=True).next_subset(others)
    assert sum(additive(subset) > additive(first) for subset in SPACE) < 0.05 * SPACE.count


def test_other_depths_may_hold_anything() -> None:
    """Hand-picked subsets, the whole base, and tuples that never were subsets."""
    history = [Observation(tuple(range(depth)), 0.1 * depth) for depth in range(1, 13)]
    history += [Observation(()), Observation((0, 40), 0.5)]
    history += observe(20, space=SHALLOW)
    assert GPSampler(SPACE, transfer=True).next_subset(history) in SPACE
