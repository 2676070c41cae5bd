"""The variance between seeds: from the nearest repeats that say enough."""

from collections.abc import Sequence

import numpy as np
import pytest
from sqlalchemy import Engine

from storage.leaderboard import read_seed_variance
from storage.queue import Result
from storage.studies import StudyRecord
from storage.values.subset_key import Subset
from tests.support.stores import begin, finish_trial, new_trial

BUDGETS = {2: 99, 3: 99}
FAR = (0.1, 0.9)
"""Two scores with a variance of 0.32."""


@pytest.fixture
def study(engine: Engine) -> StudyRecord:
    """A study without any trial."""
    return begin(engine, BUDGETS, recipe_hash="mine", base="toy")


def repeat(
    engine: Engine, study: StudyRecord, subset: Subset, scores: Sequence[float]
) -> list[float]:
    """Run a subset with several seeds, and return the squared deviations from its mean."""
    for seed, score in enumerate(scores):
        finish_trial(engine, study, new_trial(subset, seed), Result(score))
    return [float((score - np.mean(scores)) ** 2) for score in scores]


def test_nothing_is_known_without_a_repeat(engine: Engine, study: StudyRecord) -> None:
    repeat(engine, study, (0, 1), [0.5])
    assert read_seed_variance(engine, study, 2) is None


def test_enough_repeats_of_the_depth_are_all_that_count(engine: Engine, study: StudyRecord) -> None:
    own = repeat(engine, study, (0, 1), [0.5, 0.52, 0.51]) + repeat(
        engine, study, (0, 2), [0.4, 0.41]
    )
    repeat(engine, study, (0, 1, 2), FAR)
    assert read_seed_variance(engine, study, 2) == pytest.approx(sum(own) / 3)


@pytest.mark.parametrize(
    "other",
    [
        {"recipe_hash": "mine", "base": "else"},
        {"recipe_hash": "else", "base": "toy"},
        {"recipe_hash": "else", "base": "else"},
    ],
    ids=["recipe", "base", "store"],
)
def test_few_repeats_are_pooled_with_those_further_off(
    engine: Engine, study: StudyRecord, other: dict[str, str]
) -> None:
    near = repeat(engine, study, (0, 1), [0.5, 0.50001])
    near += repeat(engine, study, (0, 1, 2), [0.5, 0.52])
    elsewhere = begin(engine, BUDGETS, "other", **other)
    near += repeat(engine, elsewhere, (0, 3), [0.3, 0.32])
    assert read_seed_variance(engine, study, 2) == pytest.approx(sum(near) / 3)


def test_nearer_repeats_come_first(engine: Engine, study: StudyRecord) -> None:
    near = repeat(engine, study, (0, 1, 2), [0.5, 0.52, 0.51, 0.5])
    far = begin(engine, BUDGETS, "other", recipe_hash="mine")
    repeat(engine, far, (0, 3), FAR)
    assert read_seed_variance(engine, study, 2) == pytest.approx(sum(near) / 3)


def test_few_repeats_are_better_than_none(engine: Engine, study: StudyRecord) -> None:
    far = begin(engine, BUDGETS, "other", recipe_hash="else", base="else")
    repeat(engine, far, (0, 3), FAR)
    assert read_seed_variance(engine, study, 2) == pytest.approx(0.32)
