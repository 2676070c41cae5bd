"""The sampler `swap`: local search around the best subset so far."""

import pytest

from search.samplers import Observation
from search.samplers.swap import SwapSampler
from search.space import Subset
from tests.support.sampling import (
    NAN,
    SPACE,
    complete,
    draw_members,
    make_sampler,
    score,
    simulate,
)

GOOD: Subset = (0, 1, 2, 3, 4, 5, 18)
OTHER: Subset = (0, 13, 14, 15, 16, 17, 21)


def climber() -> SwapSampler:
    """Return the sampler with its startup done, that never explores."""
    return SwapSampler(SPACE, seed=1, startup=0, explore=0.0)


# the parent


def test_proposes_a_neighbour_of_the_best() -> None:
    history = complete(draw_members(SPACE, 30))
    best = max((trial.subset for trial in history), key=score)
    near = SPACE.neighbours(best)
    proposals = {
        SwapSampler(SPACE, seed=seed, explore=0.0).next_subset(history) for seed in range(40)
    }
    assert proposals <= set(near)
    assert len(proposals) > 10


def test_turns_to_the_next_best_when_all_neighbours_are_tried() -> None:
    history = [Observation(GOOD, 3.0), Observation(OTHER, 2.0)]
    history += [Observation(near) for near in SPACE.neighbours(GOOD)]
    assert climber().next_subset(history) in SPACE.neighbours(OTHER)


def test_draws_when_the_neighbours_of_all_scored_subsets_are_tried() -> None:
    history = [Observation(GOOD, 3.0), *map(Observation, SPACE.neighbours(GOOD))]
    proposed = climber().next_subset(history)
    assert proposed in SPACE
    assert proposed not in {trial.subset for trial in history}


def test_a_subset_has_the_mean_of_its_seeds() -> None:
    lucky, steady = GOOD, OTHER
    scores = [(lucky, 0.9), (lucky, 0.1), (steady, 0.6), (steady, 0.6)]
    history = [Observation(subset, value) for subset, value in scores]
    assert climber().next_subset(history) in SPACE.neighbours(steady)


@pytest.mark.parametrize("lost", [NAN, float("inf"), None])
@pytest.mark.parametrize("last", [True, False])
def test_does_not_climb_from_a_lost_score(lost: float | None, *, last: bool) -> None:
    history = [Observation(GOOD, 0.6)]
    history.insert(int(last), Observation(OTHER, lost))
    assert climber().next_subset(history) in SPACE.neighbours(GOOD)


def test_climbs_from_a_baseline_outside_the_space() -> None:
    baseline = (0, 1, 2, 3, 6, 8, 18)
    assert baseline not in SPACE
    near = SPACE.neighbours(baseline)
    assert near
    history = [*complete(draw_members(SPACE, 5)), Observation(baseline, 9.0)]
    assert climber().next_subset(history) in near


# chance


def test_starts_uniformly() -> None:
    """Before `startup` trials, and always with `explore = 1`, it draws as `uniform` does."""
    history = complete(draw_members(SPACE, 7))
    expected = make_sampler("uniform").next_subset(history)
    assert make_sampler("swap").next_subset(history) == expected

    near = {near for trial in history for near in SPACE.neighbours(trial.subset)}
    exploring = [
        SwapSampler(SPACE, seed=seed, startup=0, explore=1.0).next_subset(history)
        for seed in range(20)
    ]
    assert any(subset not in near for subset in exploring)


def test_beats_uniform_on_an_easy_landscape() -> None:
    def best(name: str, seed: int) -> float:
        history = simulate(make_sampler(name, seed=seed), trials=50)
        return max(trial.score for trial in history if trial.score is not None)

    means = {name: sum(best(name, seed) for seed in range(10)) / 10 for name in ("swap", "uniform")}
    top = max(score(subset) for subset in SPACE)
    regrets = {name: top - mean for name, mean in means.items()}
    assert 0 <= regrets["swap"] < regrets["uniform"] / 2
