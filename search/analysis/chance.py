"""The chance in the scores of one depth: how far queries and seeds alone may move them.

Notation
    k       number of subsets
    a_t     share of task t in a mean; all shares add up to 1
    n_t     number of queries of task t that all k subsets have a score of
    S_t     (k, k), sample covariance of the subsets' scores over these queries
    Q       (k, k), covariance of the subsets' means that stems from the choice of queries

Queries vary within their task, and the tasks are given, so that

    Q = sum over t of a_t^2 S_t / n_t

Where queries are not recorded, or a task has a single one, the tasks are the units. With the scores
x_t of the k subsets on task t, and their means M over all tasks,

    Q = A / (1 - A) sum over t of a_t (x_t - M) (x_t - M)',    A = sum over t of a_t^2

which for m equal shares is the sample covariance of the task means over m. For one subset, Q is the
square of `query_error` of the leaderboard; for two, Q_ii + Q_jj - 2 Q_ij is the query part of the
square of `difference_error`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from search.space import Subset, parse_subset
from storage.leaderboard import (
    MeasuredSubset,
    rank_subsets,
    read_measured,
    read_seed_variance,
)
from storage.studies import StudyRecord

Covariance = NDArray[np.float64]
"""(k, k), symmetric."""


@dataclass(frozen=True, slots=True)
class Chance:
    """Chance in the scores of one depth, as the store shows it.

    Attributes:
        tied: subsets that cannot be told apart from the leader, itself among them.
        unknown: subsets of which it is not known whether they can.
        seed_variance: variance of a score between seeds; None while nothing shows it.
        query_covariance: returns Q of some subsets; None where nothing shows it.
    """

    tied: frozenset[Subset]
    unknown: frozenset[Subset]
    seed_variance: float | None
    query_covariance: Callable[[Sequence[Subset]], Covariance | None]

    def may_be_best(self, subset: Subset) -> bool:
        """Whether the leaderboard does not tell `subset` apart from the leader."""
        return subset in self.tied or subset in self.unknown


def read_chance(engine: Engine, study: StudyRecord, depth: int) -> Chance:
    """Return the chance in the scores of one depth."""
    rows = rank_subsets(engine, study.name, depth)

    def query_covariance(subsets: Sequence[Subset]) -> Covariance | None:
        return covariance_over_queries([read_measured(engine, study, one) for one in subsets])

    return Chance(
        tied=frozenset(parse_subset(row["subset"]) for row in rows if row["tied"] == 1),
        unknown=frozenset(parse_subset(row["subset"]) for row in rows if row["tied"] is None),
        seed_variance=read_seed_variance(engine, study, depth),
        query_covariance=query_covariance,
    )


def covariance_over_queries(measured: Sequence[MeasuredSubset]) -> Covariance | None:
    """Return Q, (k, k), of subsets; None where neither queries nor tasks have a variance.

    Args:
        measured: the scores of k subsets, at least one.
    """
    tasks = sorted(set.intersection(*({*one.tasks} for one in measured)))
    if not tasks:
        return None

    by_task = [_scores_by_query(measured, task) for task in tasks]
    shares = _shares(measured[0], tasks)
    if all(scores.shape[1] > 1 for scores in by_task):
        parts = [np.atleast_2d(np.cov(scores)) / scores.shape[1] for scores in by_task]
        return np.asarray(np.tensordot(shares**2, parts, axes=1), dtype=np.float64)

    if len(tasks) < 2:  # noqa: PLR2004 - one value does not vary
        return None
    scores = np.array([[one.tasks[task] for task in tasks] for one in measured])
    apart = scores - (scores @ shares)[:, None]
    squares = float(np.sum(shares**2))
    return np.asarray(squares / (1 - squares) * (apart * shares) @ apart.T, dtype=np.float64)


def _shares(measured: MeasuredSubset, tasks: Sequence[str]) -> NDArray[np.float64]:
    """Return the shares a_t of some tasks, scaled to add up to 1."""
    shares = np.array([measured.shares.get(task, 1.0) for task in tasks])
    return np.asarray(shares / shares.sum(), dtype=np.float64)


def _scores_by_query(measured: Sequence[MeasuredSubset], task: str) -> NDArray[np.float64]:
    """Return the scores, (k, n_t), of the queries of one task that all subsets have."""
    own = ({place for place in one.queries if place[0] == task} for one in measured)
    shared = sorted(set.intersection(*own))
    return np.array([[one.queries[place] for place in shared] for one in measured])
