"""The comparison of two subsets, paired query by query, or task by task."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap

from search.errors import InputError
from search.space import format_subset
from storage.leaderboard import MeasuredSubset

RESAMPLES = 9999
"""Resamples of the bootstrap: SciPy's default, which fixes a 95 % bound to two digits."""

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class TaskDifference:
    """Both scores of one task, and their difference.

    Attributes:
        task: name of the task.
        first: score of the first subset.
        second: score of the second subset.
        difference: the first minus the second.
        error: standard error of the difference over queries; None where there is a single one.
        queries: queries that both subsets have; 0 where only the score of the task is known.
    """

    task: str
    first: float
    second: float
    difference: float
    error: float | None
    queries: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two subsets side by side; `difference` is the first minus the second.

    Attributes:
        first: mean of the first over tasks.
        second: mean of the second.
        difference: the first minus the second.
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


def compare_subsets(first: MeasuredSubset, second: MeasuredSubset) -> Comparison:
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
        both = " and ".join(format_subset(one.subset) for one in (first, second))
        message = f"{both} have no task in common"
        raise InputError(message)

    # the units are the queries if every task has some, else the tasks
    by_task = {task: _query_differences(first.queries, second.queries, task) for task in shared}
    tasks = [_compare_task(task, first, second, by_task[task]) for task in shared]
    mean_difference = _mean([task.difference for task in tasks])
    is_by_query = all(_has_variance(differences) for differences in by_task.values())
    samples = list(by_task.values()) if is_by_query else [[task.difference for task in tasks]]

    query_variance, seed_variance = _variance(samples), _seed_variance(first, second)
    known = [part for part in (query_variance, seed_variance) if part is not None]
    low, high = _interval(samples)
    return Comparison(
        first=_mean([task.first for task in tasks]),
        second=_mean([task.second for task in tasks]),
        difference=mean_difference,
        query_error=_root(query_variance),
        seed_error=_root(seed_variance),
        error=_root(sum(known)) if known else None,
        low=low,
        high=high,
        seeds=(first.seeds, second.seeds),
        paired_over="queries" if is_by_query else "tasks",
        tasks=tasks,
    )


def _compare_task(
    task: str, first: MeasuredSubset, second: MeasuredSubset, differences: Sequence[float]
) -> TaskDifference:
    """Return both scores of one task, and their difference."""
    return TaskDifference(
        task,
        first.tasks[task],
        second.tasks[task],
        first.tasks[task] - second.tasks[task],
        _root(_variance([differences])),
        len(differences),
    )


def _query_differences(
    first: Mapping[tuple[str, str], float], second: Mapping[tuple[str, str], float], task: str
) -> list[float]:
    """Return the differences of one task, query by query."""
    shared = sorted(place for place in first if place[0] == task and place in second)
    return [first[place] - second[place] for place in shared]


def _has_variance(sample: Sequence[float]) -> bool:
    """Whether a sample is large enough to have a variance."""
    return len(sample) > 1


def _variance(samples: Sequence[Sequence[float]]) -> float | None:
    """Return the variance of the mean of the samples' means; None where a sample has no variance.

    For m samples of n_t values with sample variance s_t^2 it is the sum of s_t^2 / n_t over m^2.
    """
    if not all(map(_has_variance, samples)):
        return None

    total = 0.0
    for sample in samples:
        mean = _mean(sample)
        squares = sum((value - mean) ** 2 for value in sample)
        total += squares / (len(sample) - 1) / len(sample)
    return total / len(samples) ** 2


def _seed_variance(first: MeasuredSubset, second: MeasuredSubset) -> float | None:
    """Return the variance of the difference that stems from the seeds; None where it is unknown."""
    if first.seed_variance is None or second.seed_variance is None:
        return None
    return first.seed_variance / first.seeds + second.seed_variance / second.seeds


def _interval(samples: Sequence[Sequence[float]]) -> tuple[float | None, float | None]:
    """Return the percentile bootstrap interval of the mean of the samples' means."""
    if not all(map(_has_variance, samples)):
        return None, None

    def statistic(*drawn: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
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
    """Return the mean, free of rounding errors."""
    return math.fsum(values) / len(values)


def _root(variance: float | None) -> float | None:
    """Return the root of a variance, where it is known."""
    return None if variance is None else math.sqrt(variance)
