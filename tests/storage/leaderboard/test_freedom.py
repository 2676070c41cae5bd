"""Degrees of freedom: known cases, and the variance of simulated variances."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from storage.leaderboard.freedom import freedom_of_queries, freedom_of_tasks

UNEQUAL = [0.4, 0.3, 0.1, 0.1, 0.1]


@given(st.integers(2, 40), st.integers(2, 60), st.floats(1e-3, 1e3))
def test_equal_shares_have_the_usual_degrees(tasks: int, queries: int, share: float) -> None:
    assert freedom_of_tasks([share] * tasks) == tasks - 1
    assert freedom_of_queries([(share, queries)] * tasks) == tasks * (queries - 1)


@given(st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=20), st.floats(1e-3, 1e3))
def test_only_the_ratio_of_shares_counts(shares: list[float], factor: float) -> None:
    # a ratio at a whole number may be rounded to either side
    more = freedom_of_tasks([factor * share for share in shares])
    assert abs(more - freedom_of_tasks(shares)) <= 1
    assert 0 <= more <= len(shares) - 1


@pytest.mark.parametrize("shares", [[], [1.0]])
def test_a_single_task_has_none(shares: list[float]) -> None:
    assert freedom_of_tasks(shares) == 0


def satterthwaite(drawn: NDArray[np.float64]) -> float:
    """Return the degrees of freedom 2 e^2 / v of drawn sums of squares."""
    return float(2 * drawn.mean() ** 2 / drawn.var())


def test_tasks_of_unequal_shares_have_the_degrees_of_their_sum_of_squares() -> None:
    scores = np.random.default_rng(0).normal(0.5, 0.1, (200_000, len(UNEQUAL)))
    mean = scores @ UNEQUAL
    drawn = ((scores - mean[:, None]) ** 2) @ UNEQUAL
    assert satterthwaite(drawn) == pytest.approx(3.042, abs=0.05)
    assert freedom_of_tasks(UNEQUAL) == 3


def test_queries_of_unequal_tasks_have_the_degrees_of_their_sum_of_squares() -> None:
    tasks = list(zip(UNEQUAL, (5, 20, 3, 8, 40), strict=True))
    rng = np.random.default_rng(1)
    drawn = np.sum(
        [a * a / n * rng.normal(0, 0.3, (100_000, n)).var(axis=1, ddof=1) for a, n in tasks], axis=0
    )
    assert satterthwaite(drawn) == pytest.approx(6.5, abs=0.1)
    assert freedom_of_queries(tasks) == 6
