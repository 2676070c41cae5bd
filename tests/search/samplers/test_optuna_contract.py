"""The contract of every sampler as the sampler of a plain Optuna study."""

from collections import Counter

import optuna
import pytest
from optuna.trial import TrialState

from search.samplers import SubsetSampler
from search.space import LayerSpace, Subset, cadences
from tests.support.sampling import (
    NAN,
    SPACE,
    add_baseline,
    make_sampler,
    run_study,
    score,
    simulate,
    tried_subsets,
)


@pytest.fixture
def sampler(name: str) -> SubsetSampler:
    """Each sampler there is."""
    return make_sampler(name)


def begin(sampler: SubsetSampler) -> optuna.Study:
    """Return an empty Optuna study."""
    return optuna.create_study(direction="maximize", sampler=sampler)


# proposals


def test_a_study_tries_as_the_sampler_proposes(name: str, sampler: SubsetSampler) -> None:
    found: list[Subset] = []

    def objective(trial: optuna.Trial) -> float:
        found.append(SPACE.suggest(trial))
        return score(found[-1])

    study = begin(sampler)
    study.optimize(objective, n_trials=18)
    assert len(set(found)) == 18
    assert all(subset in SPACE for subset in found)
    assert [trial.params for trial in study.trials] == [SPACE.encode(subset) for subset in found]

    # the study proposed the subsets that the sampler proposes by itself
    assert [trial.subset for trial in simulate(make_sampler(name), trials=19)][:18] == found


def test_trials_at_once(sampler: SubsetSampler) -> None:
    study = begin(sampler)
    pending = []
    for _ in range(16):
        trial = study.ask()
        pending.append((trial, SPACE.suggest(trial)))
    assert len({subset for _, subset in pending}) == 16

    for trial, subset in pending:
        study.tell(trial, score(subset))
    assert SPACE.suggest(study.ask()) not in {subset for _, subset in pending}


def test_failing_objective(sampler: SubsetSampler) -> None:
    def objective(trial: optuna.Trial) -> float:
        subset = SPACE.suggest(trial)
        if trial.number % 3 == 0:
            message = "no score"
            raise RuntimeError(message)
        return NAN if trial.number % 3 == 1 else score(subset)

    study = begin(sampler)
    study.optimize(objective, n_trials=24, catch=RuntimeError)
    assert len(set(tried_subsets(SPACE, study))) == 24
    states = Counter(trial.state for trial in study.trials)
    assert states == {TrialState.FAIL: 16, TrialState.COMPLETE: 8}


def test_resuming_goes_on_as_if_never_stopped(name: str, sampler: SubsetSampler) -> None:
    through = run_study(SPACE, sampler, trials=18)
    resumed = run_study(SPACE, make_sampler(name), trials=12)
    resumed.sampler = make_sampler(name, LayerSpace(22, 7))
    resumed.optimize(lambda trial: score(SPACE.suggest(trial)), n_trials=6)
    assert [trial.params for trial in resumed.trials] == [trial.params for trial in through.trials]


# other parameters and trials


def test_foreign_parameters_are_sampled_too(sampler: SubsetSampler) -> None:
    rates = []

    def objective(trial: optuna.Trial) -> float:
        rates.append(trial.suggest_float("rate", 1e-5, 1e-3, log=True))
        pooling = trial.suggest_categorical("pooling", [0.0, 1.0])
        return score(SPACE.suggest(trial)) + float(pooling)

    study = begin(sampler)
    study.optimize(objective, n_trials=20)
    subsets = tried_subsets(SPACE, study)
    assert all(subset in SPACE for subset in subsets)
    assert len(set(subsets)) == 20

    assert all(1e-5 <= rate <= 1e-3 for rate in rates)
    assert len(set(rates)) > 10
    assert {trial.params["pooling"] for trial in study.trials} == {0.0, 1.0}


def test_other_trials_of_a_study_are_survived(sampler: SubsetSampler) -> None:
    """A study may hold trials of other parameters, and a baseline outside the space."""
    study = begin(sampler)
    add_baseline(SPACE, study, (0, 1, 2, 3, 6, 7, 8))
    stranger = optuna.create_trial(
        params={"x": 1},
        distributions={"x": optuna.distributions.IntDistribution(0, 1)},
        value=9.0,
    )
    study.add_trial(stranger)
    study.enqueue_trial({**SPACE.encode((0, 1, 2, 3, 4, 5, 18))})

    study.optimize(lambda trial: score(SPACE.suggest(trial)), n_trials=15)
    found = [SPACE.decode_parameters(trial.params) for trial in study.trials[2:]]
    assert found[0] == (0, 1, 2, 3, 4, 5, 18)
    assert all(subset in SPACE for subset in found)
    assert len(set(found)) == 15


@pytest.mark.parametrize("cadence", cadences.names())
def test_a_study_of_every_cadence(name: str, cadence: str) -> None:
    space = LayerSpace(12, 5, 6, cadence, phase="last")
    study = run_study(space, make_sampler(name, space), trials=6)
    subsets = tried_subsets(space, study)
    assert all(subset in space for subset in subsets)
    assert len(set(subsets)) == 6


# the end of a space


def test_exhausted_space_ends_a_study(name: str) -> None:
    space = LayerSpace(6, 3, None, "free")
    study = run_study(space, make_sampler(name, space), trials=30)
    subsets = tried_subsets(space, study)
    assert sorted(subsets[:10]) == list(space)
    assert len(subsets) <= 11  # the trial in which it turned out may be run once more
    assert all(trial.state is TrialState.COMPLETE for trial in study.trials)


def test_the_last_trial_of_a_study_records_the_subset_it_ran(name: str) -> None:
    """Also after a baseline outside the space, which stands first."""
    space = LayerSpace(4, 2, None, "free")
    study = begin(make_sampler(name, space))
    add_baseline(space, study, (2, 3))
    found: list[Subset] = []

    def objective(trial: optuna.Trial) -> float:
        found.append(space.suggest(trial))
        return 0.0

    study.optimize(objective, n_trials=20)
    assert set(found) == set(space)
    assert len(found) <= 4
    assert tried_subsets(space, study)[1:] == found
