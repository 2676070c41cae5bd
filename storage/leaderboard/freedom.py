"""Degrees of freedom of the variances: on how many independent values each of them rests.

Notation as in `variances`. A sum of squares with expectation e and variance v has, by
Satterthwaite (1946, doi:10.2307/3002019), the degrees of freedom of the chi-square distribution
with the same ratio of the two,

    nu = 2 e^2 / v

Both forms assume that the scores have one variance sigma^2 in all tasks, and are normal.
"""

import math
from collections.abc import Sequence


def freedom_of_queries(tasks: Sequence[tuple[float, int]]) -> int:
    """Return the degrees of freedom of a variance from queries within tasks.

    With c_t = a_t^2 / n_t the variance is the sum of c_t s_t^2, and s_t^2 has n_t - 1 degrees:

        nu = (sum c_t)^2 / sum of c_t^2 / (n_t - 1)

    which for m tasks of equal shares with n queries each is m (n - 1).

    Args:
        tasks: share, and number of queries, at least 2, of each task.
    """
    parts = [(share * share / number, number - 1) for share, number in tasks]
    ratio = math.fsum(c for c, _ in parts) ** 2 / math.fsum(c * c / nu for c, nu in parts)
    return _whole(ratio)


def freedom_of_tasks(shares: Sequence[float]) -> int:
    """Return the degrees of freedom of a variance from the tasks.

    The sum of a_t (x_t - M)^2 is the quadratic form of the matrix B = diag(a) - a a'. With
    b_t = 1 - a_t, the sum of the other shares,

        nu = (tr B)^2 / tr B^2 = (sum a_t b_t)^2 / sum of a_t^2 (b_t^2 + sum over s != t of a_s^2)

    which for m tasks of equal shares is m - 1.

    Args:
        shares: shares of the tasks; they need not add up to 1.
    """
    if len(shares) < 2:  # noqa: PLR2004 - a variance needs two values
        return 0

    trace = trace_of_square = 0.0
    for place, share in enumerate(shares):
        # not 1 - a_t, of which a share near 1 would leave nothing but errors of rounding
        others = [*shares[:place], *shares[place + 1 :]]
        rest = math.fsum(others)
        trace += share * rest
        trace_of_square += share**2 * (rest**2 + math.fsum(one**2 for one in others))
    return _whole(trace**2 / trace_of_square)


def _whole(freedom: float) -> int:
    """Return degrees of freedom as a whole number: rounded down, but for errors of rounding."""
    return math.floor(freedom + 1e-6)
