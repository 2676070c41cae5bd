"""When a subset can be told apart from the leader: multiple comparisons with the best."""

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from math import erf, exp, lgamma, log, pi, sqrt

CONFIDENCE = 0.95
_FEW = 10  # below, the distribution of a variance is no bell
_PRECISION = 1e-6
_MANY = 200  # degrees of freedom from which on the variance counts as known


@cache
def critical_value(comparisons: int, freedom: int) -> float:
    """Standard errors by which the leader must lie above a subset that is not the best.

    The leader is the best of many, and leads partly by luck. Were the subset the best, the largest
    of its `comparisons` differences to the others would stay below this with probability 0.95, so
    the subsets within it hold the best one with at least that. It is the one-sided critical value
    of Dunnett (1955, doi:10.1080/01621459.1955.10501294) for many comparisons with one mean, whose
    differences correlate by 1/2, used as in the multiple comparisons with the best of Hsu (1984,
    doi:10.1214/aos/1176346720).

    Args:
        comparisons: number of other subsets.
        freedom: degrees of freedom of the standard errors.
    """
    if comparisons < 1 or freedom < 1:
        return 0.0
    low, high = 0.0, 4.0
    while _below(high, comparisons, freedom) < CONFIDENCE:
        low, high = high, 2 * high
    while high - low > _PRECISION:
        middle = (low + high) / 2
        if _below(middle, comparisons, freedom) < CONFIDENCE:
            low = middle
        else:
            high = middle
    return high


def _below(value: float, comparisons: int, freedom: int) -> float:
    """Probability that all of `comparisons` differences lie below `value` standard errors.

    The standard errors are themselves estimates: theirs over the true ones is distributed as the
    root of chi-square over its degrees of freedom.
    """
    if freedom >= _MANY:
        return _below_known(value, comparisons)
    constant = log(2) + freedom / 2 * log(freedom / 2) - lgamma(freedom / 2)

    def weighted(s: float) -> float:
        density = exp(constant + (freedom - 1) * log(s) - freedom * s * s / 2)
        return density * _below_known(value * s, comparisons)

    spread = 5 / sqrt(freedom)
    steps = 30 if freedom >= _FEW else 300
    return _integral(weighted, max(1e-6, 1 - spread), 1 + spread, steps)


def _below_known(value: float, comparisons: int) -> float:
    """The same for standard errors that are known: what the common subset's luck leaves them."""

    def weighted(z: float) -> float:
        return exp(-z * z / 2) / sqrt(2 * pi) * _normal(z + sqrt(2) * value) ** comparisons

    return _integral(weighted, -6, 6, steps=50)


def _integral(function: Callable[[float], float], low: float, high: float, steps: int) -> float:
    """By the trapezoidal rule, which is exact to many digits for bell-shaped functions."""
    points = [low + (high - low) * step / steps for step in range(steps + 1)]
    values = [function(point) for point in points]
    return sum(left + right for left, right in pairwise(values)) * (high - low) / steps / 2


def _normal(z: float) -> float:
    """The standard normal distribution function."""
    return (1 + erf(z / sqrt(2))) / 2
