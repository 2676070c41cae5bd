"""Subsets as Optuna parameters, and any proposal as the closest valid subset."""

import os
import random
import subprocess
import sys
from collections.abc import Callable

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.space import LayerSpace, Subset, cadences, parameter_name
from tests.support.spaces import PROPERTY, Case, members, overlap, possible_cases

PROPOSE = """
import random
from search.space import LayerSpace

rng, space = random.Random(5), LayerSpace(22, 7)
print([space.decode([rng.randrange(2) for _ in range(22)]) for _ in range(20)])
"""
"""Program that decodes twenty random proposals."""


def decode_random(space: LayerSpace, rng: random.Random, number: int) -> list[Subset]:
    """Return the subsets that random proposals stand for."""
    return [space.decode([rng.randrange(2) for _ in range(space.layers)]) for _ in range(number)]


# there and back


@PROPERTY
@given(possible_cases())
def test_valid_proposals_are_kept(case: Case) -> None:
    space = case.space
    for subset in members(case):
        parameters = space.encode(subset)
        assert list(parameters) == [parameter_name(layer) for layer in range(case.layers)]
        assert space.decode_parameters(parameters) == subset
        assert space.decode(list(parameters.values())) == subset


def test_encode_names_each_layer() -> None:
    assert LayerSpace(4, 2, None, "free").encode((0, 3)) == {
        "keep_00": 1,
        "keep_01": 0,
        "keep_02": 0,
        "keep_03": 1,
    }


@pytest.mark.parametrize(
    "strange",
    [
        {},
        {"keep_00": 1, "keep_01": 0},
        {"keep_00": 1, "keep_01": 0, "keep_02": 2},
        {"keep_00": 1, "keep_01": 0, "keep_02": "1"},
        {"keep_00": 1, "keep_01": 0, "keep_02": None},
        {"keep_0": 1, "keep_1": 0, "keep_2": 1},
        {"keep_00": 1, "keep_01": 0, "keep_02": 1, "keep_03": 1},  # a base of more layers
    ],
)
def test_parameters_of_another_base(strange: dict[str, object]) -> None:
    assert LayerSpace(3, 2, None, "free").decode_parameters(strange) is None


def test_parameters_may_have_company() -> None:
    parameters = {"keep_00": 1, "lr": 1e-4, "keep_01": 0, "keep_02": 1}
    assert LayerSpace(3, 2, None, "free").decode_parameters(parameters) == (0, 2)


# the closest valid subset


@PROPERTY
@given(possible_cases(), st.data())
def test_decode_shares_the_most_layers(case: Case, data: st.DataObject) -> None:
    keep = data.draw(st.lists(st.integers(0, 1), min_size=case.layers, max_size=case.layers))
    proposed = tuple(layer for layer in range(case.layers) if keep[layer])

    decoded = case.space.decode(keep)
    assert decoded in members(case)
    assert decoded == case.space.decode(keep)
    assert overlap(decoded, proposed) == max(overlap(one, proposed) for one in members(case))


def test_ties_reach_the_whole_space() -> None:
    """Proposals that fit badly do not decode to the first members again and again."""
    drawn = decode_random(LayerSpace(22, 7), random.Random(0), 400)
    assert len(set(drawn)) > 340
    late = sum(layer > 10 for subset in drawn for layer in subset) / (7 * 400)
    assert 0.4 < late < 0.5  # of uniform draws: 0.47; with ties to the lowest layers: 0.30


def test_decode_is_the_same_in_every_process() -> None:
    here = decode_random(LayerSpace(22, 7), random.Random(5), 20)
    there = subprocess.run(
        [sys.executable, "-c", PROPOSE],
        env={**os.environ, "PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout == f"{here}\n"


# any Optuna trial


@pytest.mark.parametrize("cadence", cadences.names())
@pytest.mark.parametrize("foreign", [optuna.samplers.TPESampler, optuna.samplers.RandomSampler])
def test_suggest_with_a_foreign_sampler(
    foreign: Callable[..., optuna.samplers.BaseSampler], cadence: str
) -> None:
    space = LayerSpace(22, 7, 3, cadence)
    study = optuna.create_study(direction="maximize", sampler=foreign(seed=3))
    found: list[Subset] = []

    def objective(trial: optuna.Trial) -> float:
        found.append(space.suggest(trial))
        return float(sum(found[-1]))

    study.optimize(objective, n_trials=25)
    assert all(subset in space for subset in found)
    assert len(set(found)) > 15

    again = LayerSpace(22, 7, 3, cadence)
    for trial, subset in zip(study.trials, found, strict=True):
        assert set(trial.params) == {parameter_name(layer) for layer in range(22)}
        assert again.suggest(optuna.trial.FixedTrial(trial.params)) == subset


def test_suggest_keeps_a_valid_fixed_trial() -> None:
    space = LayerSpace(22, 4)
    parameters: dict[str, object] = {**space.encode((0, 1, 2, 18))}
    assert space.suggest(optuna.trial.FixedTrial(parameters)) == (0, 1, 2, 18)
