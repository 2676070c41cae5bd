"""Compares two subsets on what both were measured on: query by query, or task by task."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search.errors import InputError
from storage.comparison import Measured

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 9999
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class TaskDifference:
    """One task: both scores, and their difference with its standard error over queries."""

    task: str
    first: float
    second: float
    difference: float
    error: float | None
    """None where the task has a single value."""
    queries: int
    """Queries that both subsets have; 0 where only the score of the task is known."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two subsets side by side; `difference` is the first minus the second.

    Attributes:
        first: mean of the first over tasks.
        second: mean of the second.
        difference: what lies between them.
        query_error: standard error that stems from the choice of queries (or of tasks).
        seed_error: standard error that stems from the seeds; None when no subset was repeated.
        error: both together.
        low: lower end of the 95 % bootstrap interval of `difference`.
        high: upper end.
        seeds: seeds behind each mean.
        paired_over: `queries` or `tasks`.
        tasks: each task.
    """

    first: float
    second: float
    difference: float
    query_error: float | None
    seed_error: float | None
    error: float | None
    low: float | None
    high: float | None
    seeds: tuple[int, int]
    paired_over: str
    tasks: Sequence[TaskDifference]


def compare(first: Measured, second: Measured) -> Comparison:
    """Compare two subsets, paired over the queries (or tasks) that both have.

    The interval is the percentile bootstrap over queries within each task (over tasks where queries
    were not recorded), of the choice of queries alone: it does not know the seeds.

    Args:
        first: a subset.
        second: another, of any depth.

    Raises:
        InputError: they share no task.
    """
    shared = sorted({*first.tasks} & {*second.tasks})
    if not shared:
        message = f"{first.subset} and {second.subset} have no task in common"
        raise InputError(message)
    values = {task: _differences(first.queries, second.queries, task) for task in shared}
    tasks = [_task(task, first, second, values[task]) for task in shared]
    means = [task.difference for task in tasks]
    by_query = all(len(found) > 1 for found in values.values())
    samples = list(values.values()) if by_query else [means]
    variance, seeds = _variance(samples), _seed_variance(first, second)
    known = [part for part in (variance, seeds) if part is not None]
    low, high = _interval(samples)
    return Comparison(
        first=_mean([task.first for task in tasks]),
        second=_mean([task.second for task in tasks]),
        difference=_mean(means),
        query_error=_root(variance),
        seed_error=_root(seeds),
        error=_root(sum(known)) if known else None,
        low=low,
        high=high,
        seeds=(first.seeds, second.seeds),
        paired_over="queries" if by_query else "tasks",
        tasks=tasks,
    )


def _task(
    task: str, first: Measured, second: Measured, differences: Sequence[float]
) -> TaskDifference:
    return TaskDifference(
        task,
        first.tasks[task],
        second.tasks[task],
        first.tasks[task] - second.tasks[task],
        _root(_variance([differences])),
        len(differences),
    )


def _differences(
    first: Mapping[tuple[str, str], float], second: Mapping[tuple[str, str], float], task: str
) -> list[float]:
    """Differences query by query of one task."""
    shared = sorted(where for where in first if where[0] == task and where in second)
    return [first[where] - second[where] for where in shared]


def _variance(samples: Sequence[Sequence[float]]) -> float | None:
    """Variance of the mean of the samples' means; None where a sample has a single value."""
    if any(len(sample) < 2 for sample in samples):  # noqa: PLR2004 - a variance needs two
        return None
    total = 0.0
    for sample in samples:
        mean = _mean(sample)
        squares = sum((value - mean) ** 2 for value in sample)
        total += squares / (len(sample) - 1) / len(sample)
    return total / len(samples) ** 2


def _seed_variance(first: Measured, second: Measured) -> float | None:
    """Variance of the difference that stems from the seeds; None where it is unknown."""
    if first.seed_variance is None or second.seed_variance is None:
        return None
    return first.seed_variance / first.seeds + second.seed_variance / second.seeds


def _interval(samples: Sequence[Sequence[float]]) -> tuple[float | None, float | None]:
    """Percentile bootstrap interval of the mean of the samples' means."""
    if any(len(sample) < 2 for sample in samples):  # noqa: PLR2004 - nothing to draw from
        return None, None
    import numpy as np  # noqa: PLC0415 - only this command needs it
    from scipy.stats import bootstrap  # noqa: PLC0415

    def statistic(*drawn: "NDArray[np.float64]", axis: int = -1) -> "NDArray[np.float64]":
        means = [np.mean(sample, axis=axis) for sample in drawn]
        return np.asarray(np.mean(means, axis=0))

    found = bootstrap(
        samples,
        statistic,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _root(variance: float | None) -> float | None:
    return None if variance is None else math.sqrt(variance)
