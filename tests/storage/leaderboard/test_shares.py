"""Tasks of unequal shares: means, errors and per-set means, against NumPy."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Engine

from storage.leaderboard import rank_by_set, rank_subsets, read_measured
from storage.queue import Result, TaskResult
from storage.studies import StudyRecord, TaskShare, find_study
from tests.support.scores import (
    QUERIES,
    SUBSETS,
    ScoredTrial,
    averaged,
    draw_trials,
    leaderboard_rows,
    record_trials,
)
from tests.support.stores import begin, finish_trial, new_trial, query, queue_of

SHARES = {"arg": 0.5, "fever": 0.125, "nq": 0.375}
SETS = {"arg": "en", "fever": "ja", "nq": "ja"}
TASKS = {task: TaskShare(SETS[task], share) for task, share in SHARES.items()}
Scores = dict[str, NDArray[np.float64]]


def begin_shared(engine: Engine) -> StudyRecord:
    """Begin the study `s` with tasks of unequal shares."""
    return begin(engine, {3: 99}, tasks=TASKS)


def variance(values: Scores, *, queries: bool) -> float:
    """Return the variance of a mean by shares, with queries or with tasks as units."""
    if queries:
        return float(sum(SHARES[t] ** 2 * np.var(v, ddof=1) / len(v) for t, v in values.items()))

    shares = np.array([SHARES[task] for task in values])
    means = np.array([np.mean(found) for found in values.values()])
    squares = float(shares @ shares)
    deviations = (means - shares @ means) ** 2
    return float(shares @ deviations) * squares / (1 - squares)


@pytest.mark.parametrize("queries", [True, False])
def test_errors_weigh_tasks_by_their_shares(engine: Engine, *, queries: bool) -> None:
    trials = draw_trials(3, queries=queries, repeated=True)
    study = begin_shared(engine)
    record_trials(engine, study, trials)

    def check() -> None:
        rows = leaderboard_rows(engine)
        assert set(rows) == {trial.subset for trial in trials}
        leader = next(subset for subset, row in rows.items() if row["difference"] == 0)
        best = averaged(trials, leader)
        for subset, row in rows.items():
            own = averaged(trials, subset)
            assert row["query_error"] ** 2 == pytest.approx(variance(own, queries=queries))
            if subset == leader:
                continue

            paired = {task: own[task] - best[task] for task in own}
            seeds = query(engine, "SELECT seed_variance, leader_seeds FROM search_depths")
            seed_variance = seeds[0][0] * (1 / row["seeds"] + 1 / seeds[0][1])
            assert row["difference_error"] ** 2 - seed_variance == pytest.approx(
                variance(paired, queries=queries)
            )

    check()  # as the views compute them
    queue_of(engine, study).refresh_standings(3)
    check()  # as they are stored


def test_equal_shares_give_what_no_shares_give(engine: Engine) -> None:
    trials = draw_trials(4, queries=True, repeated=False)
    equal = {task: TaskShare("one", 1 / 3) for task in QUERIES}
    for name, tasks in (("listed", equal), ("bare", {})):
        record_trials(engine, begin(engine, {3: 99}, name, tasks=tasks), trials)

    listed, bare = rank_subsets(engine, "listed"), rank_subsets(engine, "bare")
    for one, other in zip(listed, bare, strict=True):
        apart = {"study", "finished_at"}
        assert {k: v for k, v in one.items() if k not in apart} == pytest.approx(
            {k: v for k, v in other.items() if k not in apart}
        )
    critical = query(engine, "SELECT DISTINCT critical FROM search_depths")
    assert len(critical) == 1


def test_the_share_of_one_task_may_be_nearly_all(engine: Engine) -> None:
    tasks = {"a": TaskShare("x", 1 - 1e-9), "b": TaskShare("y", 1e-9)}
    study = begin(engine, {2: 9}, tasks=tasks)
    for layer, score in ((1, 0.5), (2, 0.25)):
        result = Result(score, {"a": TaskResult(score), "b": TaskResult(0.9)})
        finish_trial(engine, study, new_trial((0, layer)), result)
    rows = rank_subsets(engine, "s")
    assert all(row["standard_error"] >= 0 for row in rows)


# by set


def test_means_by_set_and_their_weights(engine: Engine) -> None:
    study = begin_shared(engine)
    trials = [
        ScoredTrial((0, 1, 2), 0, {"arg": [0.5, 0.25], "fever": [0.5], "nq": [0.25]}),
        ScoredTrial((0, 1, 2), 1, {"arg": [0.25, 0.25], "fever": [1.0], "nq": [0.75]}),
        ScoredTrial((0, 1, 18), 0, {"arg": [0.0, 0.0], "fever": [0.0], "nq": [0.5]}),
    ]
    record_trials(engine, study, trials)

    rows = rank_by_set(engine, "s", 3)
    names = ("rank", "subset", "test_set", "mean", "seeds", "tasks", "weight")
    assert [tuple(row[name] for name in names) for row in rows] == [
        (1, "0_1_2", "en", 0.3125, 2, 1, 0.5),
        (1, "0_1_2", "ja", 0.625, 2, 2, 0.5),
        (2, "0_1_18", "en", 0.0, 1, 1, 0.5),
        (2, "0_1_18", "ja", 0.25, 1, 2, 0.5),
    ]
    assert rank_by_set(engine, "s", 3, top=1) == rows[:2]
    assert rank_by_set(engine, "other") == []


def test_a_study_that_lists_no_tasks_has_one_set(engine: Engine) -> None:
    study = begin(engine, {3: 99})
    record_trials(engine, study, [ScoredTrial((0, 1, 2), 0, {"arg": [0.5], "nq": [0.25]})])
    (row,) = rank_by_set(engine, "s")
    assert (row["test_set"], row["mean"], row["tasks"], row["weight"]) == ("test", 0.375, 2, 1.0)


def test_sets_of_several_studies_stay_apart(engine: Engine) -> None:
    for name, share in (("a", 0.25), ("b", 0.75)):
        tasks = {"t": TaskShare("x", share), "u": TaskShare("y", 1 - share)}
        study = begin(engine, {3: 99}, name, tasks=tasks)
        record_trials(engine, study, [ScoredTrial((0, 1, 2), 0, {"t": [0.5], "u": [0.25]})])
    weights = {(row["study"], row["test_set"]): row["weight"] for row in rank_by_set(engine)}
    assert weights == {("a", "x"): 0.25, ("a", "y"): 0.75, ("b", "x"): 0.75, ("b", "y"): 0.25}


# in the store


def test_tasks_are_kept_with_the_study(engine: Engine) -> None:
    begin_shared(engine)
    assert find_study(engine, "s").tasks == TASKS
    begin(engine, {3: 99}, "plain")
    assert find_study(engine, "plain").tasks == {}


def test_whoever_joins_a_study_changes_no_share(engine: Engine) -> None:
    begin_shared(engine)
    others = {"arg": TaskShare("en", 0.9), "new": TaskShare("fr", 0.1)}
    joined = begin(engine, {3: 99}, tasks=others)
    assert joined.tasks == TASKS | {"new": others["new"]}


def test_a_study_of_an_earlier_release_learns_its_tasks_when_it_is_joined(engine: Engine) -> None:
    begin(engine, {3: 99})
    assert begin_shared(engine).tasks == TASKS


def test_measured_subsets_bring_the_shares(engine: Engine) -> None:
    study = begin_shared(engine)
    subset = SUBSETS[0]
    record_trials(engine, study, [ScoredTrial(subset, 0, {"arg": [0.5], "nq": [0.25]})])
    assert read_measured(engine, find_study(engine, "s"), subset).shares == SHARES
