"""Critical values of ties: when a subset can be told apart from the leader.

Notation
    k       number of other subsets, each compared with one
    nu      degrees of freedom of the standard errors
    d       critical value: standard errors between the leader and a subset that is told apart
    Phi     standard normal distribution function, phi its density
    S       standard error over the true one; nu S^2 is chi-square with nu degrees of freedom

The leader is the best of many, and leads partly by luck. Were a subset the best, the largest of its
k differences to the others would stay below d standard errors with probability 0.95, so the subsets
within d of the leader hold the best one with at least that probability: multiple comparisons with
the best (Hsu 1984, doi:10.1214/aos/1176346720). The differences share one mean, so that any two
correlate by 1/2, and d is the one-sided critical value of Dunnett (1955,
doi:10.1080/01621459.1955.10501294), the root of

    P(d) = integral over s of f_S(s) G(d s) ds = 0.95
    G(x) = integral over z of phi(z) Phi(z + sqrt(2) x)^k dz

where G is the probability for known standard errors: z is the luck of the common mean.
"""

from collections.abc import Callable
from functools import cache
from math import erf, exp, lgamma, log, pi, sqrt

CONFIDENCE = 0.95
"""Probability that the set of the tied holds the truly best subset; the usual convention."""

_PRECISION = 1e-6  # of a critical value: far below the error of any standard error

# Steps and ranges of the integrals. With finer and wider ones a critical value moves by at most
# 0.3 %, and at 200 degrees of freedom, where the standard errors begin to count as known, by 0.5 %
# for one other subset and 1.1 % for 2,500: a standard error is itself less certain than that.
_KNOWN_FROM = 200  # degrees of freedom
_SKEWED_BELOW = 10  # degrees of freedom below which f_S is far from a bell, and takes more steps
_STEPS, _STEPS_SKEWED, _STEPS_NORMAL = 30, 300, 50
_WIDTH = 5  # half the range of s, in units of 1 / sqrt(nu): seven standard deviations of S
_TAIL = 6  # half the range of z: beyond it phi is below 1e-8


def interval_width(freedom: int) -> float:
    """Return the standard errors on either side of a 95 % interval; 0 with nothing to judge by.

    It is a quantile of Student's distribution: a critical value d with a single comparison, and
    half of what the interval leaves out beyond either end.

    Args:
        freedom: degrees of freedom nu of the standard error.
    """
    return critical_value(1, freedom, (1 + CONFIDENCE) / 2)


@cache
def critical_value(comparisons: int, freedom: int, confidence: float = CONFIDENCE) -> float:
    """Return the standard errors from the leader at which a subset is told apart from it.

    Args:
        comparisons: number k of other subsets.
        freedom: degrees of freedom nu of the standard errors.
        confidence: probability that all k differences stay below.

    Returns:
        The critical value d; 0 where there is nothing to compare, or nothing to judge by.
    """
    if comparisons < 1 or freedom < 1:
        return 0.0

    # double until the root is enclosed, then halve
    low, high = 0.0, 4.0
    while _probability(high, comparisons, freedom) < confidence:
        low, high = high, 2 * high

    while high - low > _PRECISION:
        middle = (low + high) / 2
        if _probability(middle, comparisons, freedom) < confidence:
            low = middle
        else:
            high = middle
    return high


def _probability(d: float, comparisons: int, freedom: int) -> float:
    """Return P(d): that all k differences lie below d estimated standard errors."""
    if freedom >= _KNOWN_FROM:
        return _probability_if_known(d, comparisons)

    # log of the constant of f_S(s) = 2 (nu/2)^(nu/2) / Gamma(nu/2) * s^(nu-1) * exp(-nu s^2 / 2)
    constant = log(2) + freedom / 2 * log(freedom / 2) - lgamma(freedom / 2)

    def weighted(s: float) -> float:
        density = exp(constant + (freedom - 1) * log(s) - freedom * s * s / 2)
        return density * _probability_if_known(d * s, comparisons)

    width = _WIDTH / sqrt(freedom)
    steps = _STEPS if freedom >= _SKEWED_BELOW else _STEPS_SKEWED
    return _integral(weighted, max(1e-6, 1 - width), 1 + width, steps)


def _probability_if_known(x: float, comparisons: int) -> float:
    """Return G(x): that all k differences lie below x known standard errors."""
    # Phi(z + sqrt(2) x) = (1 + erf(z / sqrt(2) + x)) / 2
    return sum(weight * ((1 + erf(z + x)) / 2) ** comparisons for z, weight in _LUCK)


def _integral(function: Callable[[float], float], low: float, high: float, steps: int) -> float:
    """Integrate by the trapezoidal rule, exact to many digits for bell-shaped functions."""
    return sum(weight * function(point) for point, weight in _nodes(low, high, steps))


def _nodes(low: float, high: float, steps: int) -> list[tuple[float, float]]:
    """Return the points of the trapezoidal rule, and the weight of each."""
    width = (high - low) / steps
    weights = [width / 2, *[width] * (steps - 1), width / 2]
    return [(low + step * width, weight) for step, weight in enumerate(weights)]


_LUCK = [
    (z / sqrt(2), weight * exp(-z * z / 2) / sqrt(2 * pi))
    for z, weight in _nodes(-_TAIL, _TAIL, _STEPS_NORMAL)
]
"""Points z / sqrt(2) of the integral over z, with the weight phi(z) dz of each. Computed once: G is
asked for hundreds of times for one critical value.
"""
