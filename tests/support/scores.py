"""Trials with random scores by task and query, and their errors as NumPy computes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from storage.leaderboard import Row, rank_subsets
from storage.queue import Result, TaskResult
from storage.studies import StudyRecord
from storage.values.subset_key import Subset, parse_subset
from tests.support.stores import begin, finish_trial, new_trial

SUBSETS: list[Subset] = [
    (0, 1, 2),
    (0, 1, 18),
    (0, 2, 5),
    (0, 3, 4),
    (1, 2, 3),
    (0, 4, 7),
    (2, 3, 9),
    (0, 1, 9),
]
QUERIES = {"arg": 3, "fever": 5, "nq": 4}
"""Number of queries by task."""


@dataclass(frozen=True)
class ScoredTrial:
    """One trial: scores by task and query, or by task alone.

    Attributes:
        subset: the kept layers.
        seed: its seed.
        tasks: scores of the queries by task.
        queries: whether the store is told the scores by query.
    """

    subset: Subset
    seed: int
    tasks: Mapping[str, Sequence[float]]
    queries: bool = True

    @property
    def mean(self) -> float:
        """Mean over tasks."""
        return float(np.mean([np.mean(values) for values in self.tasks.values()]))

    @property
    def result(self) -> Result:
        """Its result as a worker records it."""
        tasks = {
            task: TaskResult(
                float(np.mean(values)),
                {f"q{n}": value for n, value in enumerate(values)} if self.queries else {},
            )
            for task, values in self.tasks.items()
        }
        return Result(self.mean, tasks)


def draw_trials(
    seed: int, *, queries: bool, repeated: bool, step: float = 0.02
) -> list[ScoredTrial]:
    """Return trials of all subsets, in random order.

    Args:
        seed: of the random numbers.
        queries: whether the store is told the scores by query.
        repeated: whether some subsets have several seeds, and some none.
        step: by how much each subset is better than the one before.
    """
    rng = np.random.default_rng(seed)
    hard = {task: rng.normal(0, 0.3, n) for task, n in QUERIES.items()}

    trials = []
    for number, subset in enumerate(SUBSETS):
        own = {
            task: 0.5 + hard[task] + rng.normal(step * number, 0.1, n)
            for task, n in QUERIES.items()
        }
        for again in range(1 + (number % 3 if repeated else 0)):
            noise = rng.normal(0, 0.02)
            tasks = {task: [float(v) for v in values + noise] for task, values in own.items()}
            trials.append(ScoredTrial(subset, again, tasks, queries))

    return [trials[place] for place in rng.permutation(len(trials))]


def begin_scored(engine: Engine, name: str = "s") -> StudyRecord:
    """Begin a study of depth 3 with room for every trial."""
    return begin(engine, {3: 99}, name, file={"study": {"name": name, "seed": 0}})


def record_trials(engine: Engine, study: StudyRecord, trials: Sequence[ScoredTrial]) -> None:
    """Run the trials as workers do."""
    for trial in trials:
        finish_trial(engine, study, new_trial(trial.subset, trial.seed), trial.result)


def averaged(trials: Sequence[ScoredTrial], subset: Subset) -> dict[str, NDArray[np.float64]]:
    """Return the scores of one subset by task, averaged over its seeds."""
    own = [trial.tasks for trial in trials if trial.subset == subset]
    return {
        task: np.asarray(np.mean([tasks[task] for tasks in own], axis=0), dtype=np.float64)
        for task in QUERIES
    }


def query_variance(values: Mapping[str, NDArray[np.float64]], *, queries: bool) -> float:
    """Return the variance of a mean over tasks that stems from the choice of queries.

    Args:
        values: scores of the queries by task.
        queries: whether the queries are the units; the tasks otherwise.
    """
    if queries:
        parts = [np.var(found, ddof=1) / len(found) for found in values.values()]
        return float(np.sum(parts)) / len(parts) ** 2
    means = [np.mean(found) for found in values.values()]
    return float(np.var(means, ddof=1)) / len(means)


def leaderboard_rows(engine: Engine) -> dict[Subset, Row]:
    """Return the leaderboard of depth 3 of the study `s`, by subset."""
    return {parse_subset(row["subset"]): row for row in rank_subsets(engine, "s", 3)}
