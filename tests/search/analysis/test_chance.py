"""The chance in the scores of a depth: as the leaderboard has it, subset by subset."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Engine

from search.analysis.chance import covariance_over_queries, read_chance
from search.space import Subset
from storage.leaderboard import MeasuredSubset
from storage.queue import Result
from storage.studies import StudyRecord
from tests.support.scores import (
    QUERIES,
    SUBSETS,
    ScoredTrial,
    averaged,
    begin_scored,
    draw_trials,
    leaderboard_rows,
    record_trials,
)
from tests.support.stores import begin, finish_trial, new_trial


def recorded(
    engine: Engine, *, queries: bool, repeated: bool = False
) -> tuple[StudyRecord, Sequence[ScoredTrial]]:
    """Return a study with trials of all subsets, and these trials."""
    study = begin_scored(engine)
    trials = draw_trials(3, queries=queries, repeated=repeated)
    record_trials(engine, study, trials)
    return study, trials


def expected(trials: Sequence[ScoredTrial], subsets: Sequence[Subset]) -> NDArray[np.float64]:
    """Return Q as NumPy computes it from the scores by query."""
    total = np.zeros((len(subsets), len(subsets)))
    for task, number in QUERIES.items():
        scores = np.array([averaged(trials, subset)[task] for subset in subsets])
        total += np.cov(scores) / number
    return total / len(QUERIES) ** 2


@pytest.mark.parametrize("repeated", [False, True])
def test_covariance_is_that_of_the_queries_within_their_tasks(
    engine: Engine, *, repeated: bool
) -> None:
    study, trials = recorded(engine, queries=True, repeated=repeated)
    found = read_chance(engine, study, 3).query_covariance(SUBSETS[:4])
    assert found is not None
    np.testing.assert_allclose(found, expected(trials, SUBSETS[:4]), atol=1e-15)


@pytest.mark.parametrize("queries", [True, False])
def test_errors_are_those_of_the_leaderboard(engine: Engine, *, queries: bool) -> None:
    study, _ = recorded(engine, queries=queries)
    rows = leaderboard_rows(engine)
    leader = next(subset for subset, row in rows.items() if row["rank"] == 1)
    others = [subset for subset in SUBSETS if subset != leader]

    found = read_chance(engine, study, 3).query_covariance([leader, *others])
    assert found is not None
    for place, subset in enumerate(others, 1):
        assert found[place, place] == pytest.approx(rows[subset]["query_error"] ** 2)
        of_difference = found[0, 0] + found[place, place] - 2 * found[0, place]
        assert of_difference == pytest.approx(rows[subset]["difference_error"] ** 2)


def test_ties_are_those_of_the_leaderboard(engine: Engine) -> None:
    study, _ = recorded(engine, queries=True)
    chance, rows = read_chance(engine, study, 3), leaderboard_rows(engine)
    assert 1 < len(chance.tied) < len(SUBSETS)
    assert chance.tied == {subset for subset, row in rows.items() if row["tied"]}
    assert chance.unknown == frozenset()
    assert chance.seed_variance is None
    assert {subset for subset in SUBSETS if chance.may_be_best(subset)} == chance.tied


def test_where_nothing_is_known_no_subset_is_ruled_out(engine: Engine) -> None:
    study = begin(engine, {3: 9})
    for subset, score in zip(SUBSETS[:3], (0.9, 0.1, 0.2), strict=True):
        finish_trial(engine, study, new_trial(subset), Result(score))

    chance = read_chance(engine, study, 3)
    assert chance.tied == frozenset({SUBSETS[0]})
    assert chance.unknown == frozenset(SUBSETS[1:3])
    assert all(map(chance.may_be_best, SUBSETS[:3]))
    assert chance.query_covariance(SUBSETS[:3]) is None


def measured(
    tasks: dict[str, float], queries: dict[tuple[str, str], float] | None = None
) -> MeasuredSubset:
    """Return a measured subset with these scores."""
    return MeasuredSubset((0, 1), 1, tasks, queries or {}, None)


def test_a_single_task_without_queries_says_nothing() -> None:
    assert covariance_over_queries([measured({"nq": 0.5}), measured({"nq": 0.4})]) is None
    assert covariance_over_queries([measured({"nq": 0.5}), measured({"arg": 0.4})]) is None


def test_a_single_subset_has_a_variance() -> None:
    queries = {("nq", name): score for name, score in zip("abc", (0.1, 0.4, 0.7), strict=True)}
    found = covariance_over_queries([measured({"nq": 0.4}, queries)])
    assert found is not None
    assert found == pytest.approx(np.array([[0.09 / 3]]))
    found = covariance_over_queries([measured({"nq": 0.4, "arg": 0.6}, queries)])
    assert found is not None
    assert found == pytest.approx(np.array([[0.02 / 2]]))  # a task without queries: tasks are units
