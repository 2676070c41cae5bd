"""Acquisition: the worth of one more trial, by the posterior of the surrogate.

Notation
    mu, s       posterior mean and standard deviation of a true score
    T           target: the best posterior mean of the tried subsets
    Phi, phi    standard normal distribution function and density
    Sigma       posterior covariance of several true scores
    sigma       standard deviation of the noise of one trial
"""

import math

import numpy as np
from scipy.special import ndtr, ndtri

from search.surrogate.regression import Floats

RIVALS = 16
"""Number of subsets, the best by posterior mean, of which one is taken to be the best: the rest has
next to no chance. A heuristic.
"""

# Accuracy against time. With 4,000 draws a probability has a standard error of at most 0.008. 64
# quantiles of Z end at 2.4 standard deviations, so that the gain of a subset that far behind counts
# as none, which only ranks the hopeless alike.
_DRAWS = 4000
_QUANTILES = 64


def expected_improvement(mean: Floats, deviation: Floats, target: float | Floats) -> Floats:
    """Return the expected improvement over `target` (Mockus 1978; Jones et al. 1998).

        EI = s (z Phi(z) + phi(z)),  z = (mu - T) / s

    Args:
        mean: mu, of any shape.
        deviation: s, of a shape that broadcasts with it.
        target: T, of a shape that broadcasts with both.
    """
    z = (mean - target) / deviation
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    gains: Floats = deviation * (z * ndtr(z) + density)
    return gains


def knowledge_gradient(mean: Floats, covariance: Floats, noise: float, tried: int) -> Floats:
    """Return the expected gain in the best posterior mean by one more trial of each subset.

    The knowledge gradient for correlated beliefs (Frazier, Powell and Dayanik 2009). A trial of
    subset i moves all means along column i of the covariance, by a standard normal number Z:

        KG_i = E[max over j in J_i of (mu_j + q_ji Z)] - max over j in J of mu_j
        q_ji = Sigma_ji / sqrt(Sigma_ii + sigma^2)

    where J are the tried subsets, and J_i are these and i: an untried subset can become the best
    only by its own trial.

    Args:
        mean: mu, (q,), of the tried subsets first.
        covariance: Sigma, (q, q), of the true scores.
        noise: sigma.
        tried: how many of the subsets were tried.
    """
    q = covariance / np.sqrt(np.diag(covariance) + noise**2)
    z = ndtri((np.arange(_QUANTILES) + 0.5) / _QUANTILES)

    after = mean[:, None, None] + q[:, :, None] * z  # (mean of, trial of, quantile)
    best = after[:tried].max(axis=0)
    for untried in range(tried, len(mean)):
        best[untried] = np.maximum(best[untried], after[untried, untried])

    gains: Floats = best.mean(axis=1) - mean[:tried].max()
    return gains


def probability_first_is_best(mean: Floats, covariance: Floats) -> float:
    """Return the probability that the first of several jointly normal scores is the largest.

    By Monte Carlo, with the same draws every time.

    Args:
        mean: mu, (q,).
        covariance: Sigma, (q, q); may be singular.
    """
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))

    rng = np.random.default_rng(0)
    draws = mean + rng.standard_normal((_DRAWS, len(mean))) @ root.T
    return float((draws.argmax(axis=1) == 0).mean())
