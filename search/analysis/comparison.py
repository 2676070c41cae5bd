"""The comparison of two subsets, paired query by query, or task by task."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.errors import InputError
from search.space import format_subset
from storage.leaderboard import MeasuredSubset

RESAMPLES = 9999
"""Resamples of the bootstrap: SciPy's default, which fixes a 95 % bound to two digits."""

CONFIDENCE = 0.95

Array = NDArray[np.float64]


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
        first: mean of the first over tasks, by their shares.
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
    shares = _shares(first, shared)
    is_by_query = all(_has_variance(differences) for differences in by_task.values())

    if is_by_query:
        samples = list(by_task.values())
        query_variance = _variance(samples, shares)
        low, high = _interval_of_queries(samples, shares)
    else:
        differences = [task.difference for task in tasks]
        query_variance = _variance_of_tasks(differences, shares)
        low, high = _interval_of_tasks(differences, shares)

    seed_variance = _seed_variance(first, second)
    known = [part for part in (query_variance, seed_variance) if part is not None]
    return Comparison(
        first=_mean([task.first for task in tasks], shares),
        second=_mean([task.second for task in tasks], shares),
        difference=_mean([task.difference for task in tasks], shares),
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
        _root(_variance([differences], [1.0])),
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


def _shares(measured: MeasuredSubset, tasks: Sequence[str]) -> list[float]:
    """Return the shares of `tasks` in a mean over them; they add up to 1."""
    shares = [measured.shares.get(task, 1.0) for task in tasks]
    return [share / math.fsum(shares) for share in shares]


def _variance(samples: Sequence[Sequence[float]], shares: Sequence[float]) -> float | None:
    """Return the variance of the mean of the samples' means; None where a sample has no variance.

    For samples of n_t values with sample variance s_t^2 and shares a_t it is the sum of
    a_t^2 s_t^2 / n_t; see `storage.leaderboard.variances`.
    """
    if not all(map(_has_variance, samples)):
        return None

    total = 0.0
    for sample, share in zip(samples, shares, strict=True):
        mean = _mean(sample)
        squares = sum((value - mean) ** 2 for value in sample)
        total += share**2 * squares / (len(sample) - 1) / len(sample)
    return total


def _variance_of_tasks(values: Sequence[float], shares: Sequence[float]) -> float | None:
    """Return the variance of the mean of tasks that are the units; None where there is one.

    For values x_t with mean M and shares a_t it is the sum of a_t (x_t - M)^2, times
    sum a_t^2 / (1 - sum a_t^2); see `storage.leaderboard.variances`.
    """
    if not _has_variance(values):
        return None

    mean = _mean(values, shares)
    squared = math.fsum(
        share * (value - mean) ** 2 for value, share in zip(values, shares, strict=True)
    )
    squares = math.fsum(share**2 for share in shares)
    return squared * squares / (1 - squares)


def _seed_variance(first: MeasuredSubset, second: MeasuredSubset) -> float | None:
    """Return the variance of the difference that stems from the seeds; None where it is unknown."""
    if first.seed_variance is None or second.seed_variance is None:
        return None
    return first.seed_variance / first.seeds + second.seed_variance / second.seeds


def _interval_of_queries(
    samples: Sequence[Sequence[float]], shares: Sequence[float]
) -> tuple[float | None, float | None]:
    """Return the percentile bootstrap interval of the mean of the samples' means."""

    def statistic(*drawn: Array, axis: int = -1) -> Array:
        means = [np.mean(sample, axis=axis) for sample in drawn]
        return np.asarray(np.average(means, axis=0, weights=shares))

    return _interval(samples, statistic)


def _interval_of_tasks(
    values: Sequence[float], shares: Sequence[float]
) -> tuple[float | None, float | None]:
    """Return the percentile bootstrap interval of the mean of tasks, drawn with their shares."""
    if not _has_variance(values):
        return None, None

    def statistic(drawn: Array, weights: Array, axis: int = -1) -> Array:
        return np.asarray(np.sum(drawn * weights, axis=axis) / np.sum(weights, axis=axis))

    return _interval([values, shares], statistic, paired=True)


def _interval(
    samples: Sequence[Sequence[float]], statistic: Callable[..., Array], *, paired: bool = False
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a statistic, the same one each time."""
    # imported here: it takes a second, and every worker would wait for it as it starts
    from scipy.stats import bootstrap  # noqa: PLC0415

    found = bootstrap(
        samples,
        statistic,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        paired=paired,
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)


def _mean(values: Sequence[float], shares: Sequence[float] | None = None) -> float:
    """Return the mean, free of rounding errors, by shares that add up to 1 where there are any."""
    if shares is None:
        return math.fsum(values) / len(values)
    return math.fsum(value * share for value, share in zip(values, shares, strict=True))


def _root(variance: float | None) -> float | None:
    """Return the root of a variance, where it is known."""
    return None if variance is None else math.sqrt(variance)
