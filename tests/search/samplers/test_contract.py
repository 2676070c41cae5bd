"""The contract of every sampler: valid proposals, that follow from seed and history alone."""

import logging
import random

import optuna
import pytest

from search import samplers
from search.errors import SpaceExhaustedError
from search.samplers import Observation, SubsetSampler
from search.space import LayerSpace, Subset, cadences
from search.space.rhythm import Phase
from tests.support.sampling import (
    NAN,
    SPACE,
    assert_untried,
    complete,
    draw_members,
    make_sampler,
    score,
    simulate,
)

# proposals


@pytest.mark.parametrize("workers", [1, 16])
def test_proposals_are_members_and_never_repeat(name: str, workers: int) -> None:
    history = simulate(make_sampler(name), trials=32, workers=workers)
    subsets = [trial.subset for trial in history]
    assert all(subset in SPACE for subset in subsets)
    assert len(set(subsets)) == 32


def test_nothing_repeats_until_a_space_is_used_up(name: str) -> None:
    space = LayerSpace(7, 3, None, "free")
    history = simulate(make_sampler(name, space), trials=15, workers=4)
    assert sorted(trial.subset for trial in history) == list(space)


@pytest.mark.parametrize("layers", [1, 2, 3, 6, 12, 22, 48])
@pytest.mark.parametrize("cadence", ["strict", "free"])
def test_bases_of_any_size(name: str, layers: int, cadence: str) -> None:
    depth = (layers + 1) // 2
    space = LayerSpace(layers, depth, 3 if cadence == "strict" else None, cadence)
    trials = min(space.count, 12)
    subsets = [trial.subset for trial in simulate(make_sampler(name, space), trials)]
    assert all(subset in space for subset in subsets)
    assert len(set(subsets)) == trials


@pytest.mark.parametrize("cadence", cadences.names())
@pytest.mark.parametrize("phase", ["first", "last"])
def test_every_cadence_in_either_phase(name: str, cadence: str, phase: Phase) -> None:
    space = LayerSpace(10, 4, 3, cadence, phase=phase)
    trials = min(space.count, 14)
    subsets = [trial.subset for trial in simulate(make_sampler(name, space), trials, workers=3)]
    assert all(subset in space for subset in subsets)
    assert len(set(subsets)) == trials


def test_pinned_and_forbidden_layers(name: str) -> None:
    space = LayerSpace(22, 7, 3, "anchored", keep_first=False, pinned={5, 18}, forbidden={0, 1, 21})
    for trial in simulate(make_sampler(name, space), trials=20, workers=3):
        assert {5, 18} <= set(trial.subset)
        assert not {0, 1, 21} & set(trial.subset)
        assert trial.subset in space


# chance


def test_seed_and_history_decide(name: str) -> None:
    for length in (0, 5, 12, 30):
        history = complete(draw_members(SPACE, length))
        random.seed(length)  # global chance has no part in it
        first = make_sampler(name).next_subset(history)
        again = make_sampler(name, LayerSpace(22, 7))
        again.next_subset(history[:3])  # nor have earlier proposals
        assert again.next_subset(history) == first


def test_propose_takes_all_its_chance_from_rng(name: str) -> None:
    history = complete(draw_members(SPACE, 20))
    once = make_sampler(name, seed=1).propose(history, random.Random(5))
    assert make_sampler(name, seed=2).propose(history, random.Random(5)) == once


def test_seeds_differ(name: str) -> None:
    if name == "exhaustive":
        pytest.skip("leaves nothing to chance")
    histories = [complete(draw_members(SPACE, length)) for length in (0, 5, 12, 30)]
    one, other = (
        [make_sampler(name, seed=seed).next_subset(history) for history in histories]
        for seed in (1, 2)
    )
    assert one != other


# the end of a space


def test_space_of_one_subset(name: str) -> None:
    space = LayerSpace(5, 5)
    sampler = make_sampler(name, space)
    assert sampler.next_subset([]) == (0, 1, 2, 3, 4)
    with pytest.raises(SpaceExhaustedError, match=r"^all 1 subsets of the space have been tried$"):
        sampler.next_subset(complete([(0, 1, 2, 3, 4)]))


@pytest.mark.parametrize(
    ("value", "is_pending"),
    [
        pytest.param(0.5, False, id="complete"),
        pytest.param(None, True, id="pending"),
        pytest.param(None, False, id="failed"),
    ],
)
def test_exhausted_space(name: str, value: float | None, *, is_pending: bool) -> None:
    space = LayerSpace(7, 3, None, "free")
    history = [Observation(subset, value, is_pending) for subset in space]
    sampler = make_sampler(name, space)
    message = "^all 15 subsets of the space have been tried$"
    with pytest.raises(SpaceExhaustedError, match=message):
        sampler.next_subset(history)
    with pytest.raises(SpaceExhaustedError, match=message):
        sampler.propose(history, random.Random(0))

    missing = history.pop(6).subset
    assert sampler.next_subset(history) == missing


# odd histories


def test_failed_trials_and_lost_scores(name: str) -> None:
    tried = draw_members(SPACE, 40)
    history = complete(tried)
    history[::4] = [Observation(trial.subset) for trial in history[::4]]
    history[1::4] = [Observation(trial.subset, NAN) for trial in history[1::4]]
    history[2] = Observation(tried[2], float("-inf"))
    history[6] = Observation(tried[6], float("inf"))

    for _ in range(10):
        proposed = make_sampler(name).next_subset(history)
        assert_untried(proposed, history)
        history.append(Observation(proposed))


@pytest.mark.parametrize("value", [None, NAN, 0.0])
def test_histories_that_teach_nothing(name: str, value: float | None) -> None:
    history = [Observation(subset, value) for subset in draw_members(SPACE, 30)]
    assert_untried(make_sampler(name).next_subset(history), history)


def test_trials_outside_the_space(name: str) -> None:
    """Hand-picked baselines may break the rules; the best one here does."""
    outside: list[Subset] = [
        (15, 16, 17, 18, 19, 20, 21),
        (0, 1, 2, 3, 6, 7, 8),
        (0, 1, 2, 3, 6, 8, 18),
        (0, 1, 2, 18),
        tuple(range(22)),
        (),
    ]
    history = [Observation(subset, 9.0) for subset in outside]
    history += complete(draw_members(SPACE, 6))

    for _ in range(20):
        proposed = make_sampler(name).next_subset(history)
        assert_untried(proposed, history)
        history.append(Observation(proposed, score(proposed)))


def test_repeated_trials_of_one_subset(name: str) -> None:
    """Several seeds of a subset are several trials."""
    few = draw_members(SPACE, 5)
    history = [Observation(few[i % 5], score(few[i % 5]) + i / 100) for i in range(25)]
    assert_untried(make_sampler(name).next_subset(history), history)


# manners


def test_proposing_says_nothing(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """A sampler may use Optuna inside; its messages would come with every trial."""
    caplog.set_level(logging.INFO, logger="optuna")
    optuna.create_study()
    assert "new study" in caplog.text  # this is how it would be seen
    caplog.clear()
    make_sampler(name).next_subset(complete(draw_members(SPACE, 20)))
    assert caplog.text == ""


def test_every_sampler_is_described(name: str) -> None:
    """Its options, with their defaults, are the keys of `[sampler]` in a study file."""
    found = samplers.load(name)
    assert issubclass(found, SubsetSampler)
    assert found.__doc__
    assert found.__doc__ != SubsetSampler.__doc__
