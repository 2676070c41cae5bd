"""Gaussian process regression with a given covariance, after Rasmussen and Williams (2006)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from search.surrogate.features import Array

Vector = NDArray[np.float64]

JITTER = 1e-6
"""Added to the diagonal of every covariance, which keeps it positive in floating point."""

_MOST = 1e-1  # more than that no rounding takes away


@dataclass(frozen=True, slots=True)
class Regression:
    """A process conditioned on scores, ready to predict.

    Attributes:
        weights: (n,), of the covariances to the scored subsets.
        lower: (n + pending) squared, factor of the covariance of all subsets conditioned on.
    """

    weights: Array
    lower: Array

    @classmethod
    def on(cls, covariance: Array, scores: Vector, noise: Vector) -> "Regression":
        """Condition on `scores` of the first subsets; the others are pending.

        Args:
            covariance: (m, m), between the scored subsets and the pending ones after them.
            scores: (n,), of the scored ones, with mean 0 and variance 1.
            noise: (m,), variance of the noise of each, also of those whose score is to come.
        """
        number = len(scores)
        total = covariance.astype(np.float64)
        total[np.diag_indices(len(total))] += noise
        lower = factor(total)
        weights = linalg.cho_solve((lower[:number, :number], True), scores, check_finite=False)
        return cls(weights.astype(np.float32), lower.astype(np.float32))

    def mean(self, covariance: Array) -> Array:
        """Mean of other subsets, from their covariances (k, m) to those conditioned on.

        Pending scores are taken to be what is expected of them, which leaves every mean as it is.
        """
        return covariance[:, : len(self.weights)] @ self.weights

    def explained(self, covariance: Array) -> Array:
        """(m, k), what is known of other subsets, from their covariances (k, m).

        The sums of squares of its columns are the variances that the scores take away, those of
        the pending ones included.
        """
        solved: Array = linalg.solve_triangular(
            self.lower, covariance.T, lower=True, check_finite=False
        )
        return solved


def factor(covariance: Vector) -> Vector:
    """Lower Cholesky factor of a covariance with as much jitter as it takes.

    Components are computed in single precision. Where scores have next to no noise, and many seeds
    each, that rounding is more than `JITTER`.

    Raises:
        LinAlgError: the matrix is no covariance, whatever the rounding.
    """
    jitter = JITTER
    while True:
        total = covariance.copy()
        total[np.diag_indices(len(total))] += jitter
        try:
            lower: Vector = linalg.cholesky(total, lower=True, check_finite=False)
        except linalg.LinAlgError:
            jitter *= 10
            if jitter > _MOST:
                raise
        else:
            return lower
