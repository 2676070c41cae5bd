"""Random scores of subsets on three tasks, as values and in a store."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from sqlalchemy import Engine

from storage.leaderboard import MeasuredSubset
from storage.queue import Result, TaskResult
from storage.studies import StudyRecord
from storage.values.subset_key import Subset
from tests.support.stores import begin, finish_trial, new_trial

SIZES = {"arg": 12, "fever": 30, "nq": 20}
"""Number of queries by task."""


def measure(number: int, subset: Subset = (0, 1)) -> MeasuredSubset:
    """Return random scores of a subset, the same ones for the same `number`."""
    rng = np.random.default_rng(number)
    queries = {
        (task, f"q{place}"): float(rng.uniform())
        for task, size in SIZES.items()
        for place in range(size)
    }
    return with_queries(MeasuredSubset(subset, 1, {}, {}, None), queries)


def with_queries(
    measured: MeasuredSubset, queries: Mapping[tuple[str, str], float]
) -> MeasuredSubset:
    """Return a copy with other scores by query, and the scores by task that follow from them."""
    tasks = {
        task: float(np.mean([score for (name, _), score in queries.items() if name == task]))
        for task in SIZES
    }
    return replace(measured, queries=queries, tasks=tasks)


RUNS: Mapping[Subset, Sequence[int]] = {
    (0, 1): [1, 2, 3],
    (0, 2): [4],
    (0, 3): [5, 6],
    (0, 1, 2): [7],
}
"""The subsets of a small study, with the number of the scores of each of their seeds."""


def record_runs(engine: Engine) -> tuple[StudyRecord, dict[Subset, list[MeasuredSubset]]]:
    """Begin the study `s` with the trials of `RUNS`, and return it with their scores."""
    study = begin(engine, {2: 9, 3: 9})
    scores = {
        subset: [measure(number, subset) for number in numbers] for subset, numbers in RUNS.items()
    }
    for subset, runs in scores.items():
        for seed, run in enumerate(runs):
            finish_trial(engine, study, new_trial(subset, seed), result_of(run))
    return study, scores


def result_of(run: MeasuredSubset) -> Result:
    """Return the result of a trial with these scores."""
    tasks = {
        task: TaskResult(
            score, {query: value for (t, query), value in run.queries.items() if t == task}
        )
        for task, score in run.tasks.items()
    }
    return Result(float(np.mean([*run.tasks.values()])), tasks)
