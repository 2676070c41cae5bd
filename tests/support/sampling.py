"""Samplers, histories of trials and a landscape of scores to search."""

import random
from collections.abc import Iterable, Sequence

import optuna

from search import samplers
from search.samplers import Observation, SubsetSampler
from search.space import LayerSpace, Subset

SPACE = LayerSpace(22, 7)
NAN = float("nan")


def make_sampler(name: str, space: LayerSpace = SPACE, seed: int = 1) -> SubsetSampler:
    """Return the sampler `name` over `space`."""
    return samplers.load(name)(space, seed=seed)


def score(subset: Subset) -> float:
    """Return the score in an additive landscape with one best layer for each position."""
    return sum(1.0 / (1 + (7 * layer) % 11) for layer in subset)


def simulate(sampler: SubsetSampler, trials: int, workers: int = 1) -> list[Observation]:
    """Return the history of `trials` trials that `workers` workers ran side by side."""
    history: list[Observation] = []
    running: list[int] = []
    for number in range(trials):
        if len(running) == workers:
            done = running.pop(number % workers)
            subset = history[done].subset
            history[done] = Observation(subset, score(subset))

        history.append(Observation(sampler.next_subset(history), is_pending=True))
        running.append(number)
    return history


def complete(subsets: Iterable[Subset]) -> list[Observation]:
    """Return a history in which all `subsets` have their score."""
    return [Observation(subset, score(subset)) for subset in subsets]


def draw_members(space: LayerSpace, number: int, seed: int = 0) -> list[Subset]:
    """Return members of `space`, all different."""
    return [space.unrank(rank) for rank in random.Random(seed).sample(range(space.count), k=number)]


def run_study(space: LayerSpace, sampler: SubsetSampler, trials: int) -> optuna.Study:
    """Return a plain Optuna study after `trials` trials."""
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(lambda trial: score(space.suggest(trial)), n_trials=trials)
    return study


def tried_subsets(space: LayerSpace, study: optuna.Study) -> list[Subset]:
    """Return the subset of each trial of an Optuna study; every trial must have one."""
    found = [space.decode_parameters(trial.params) for trial in study.trials]
    subsets = [subset for subset in found if subset is not None]
    assert len(subsets) == len(found)
    return subsets


def add_baseline(space: LayerSpace, study: optuna.Study, subset: Subset) -> None:
    """Add a trial with a high score that no sampler proposed, of a member or not."""
    parameters = space.encode(subset)
    zero_or_one = optuna.distributions.IntDistribution(0, 1)
    trial = optuna.create_trial(
        params=dict(parameters),
        distributions=dict.fromkeys(parameters, zero_or_one),
        value=9.0,
    )
    study.add_trial(trial)


def assert_untried(proposed: Subset, history: Sequence[Observation]) -> None:
    """Check that a proposal over `SPACE` is a member that no trial in `history` has tried."""
    assert proposed in SPACE
    assert proposed not in {trial.subset for trial in history}
