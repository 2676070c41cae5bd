"""Gaussian process regression with a given covariance, after Rasmussen and Williams (2006)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from search.surrogate.features import Array

Vector = NDArray[np.float64]

JITTER = 1e-6
"""Added to the diagonal of every covariance, which keeps it positive in floating point."""


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
        total[np.diag_indices(len(total))] += noise + JITTER
        lower = linalg.cholesky(total, lower=True, check_finite=False)
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
