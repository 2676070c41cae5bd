"""Gaussian process regression with a given covariance, after Rasmussen and Williams (2006)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from search.surrogate.features import Array

Floats = NDArray[np.float64]
"""An array of any shape in double precision."""

JITTER = 1e-6
"""Added to the diagonal of every covariance, which keeps it positive in floating point: some eight
times the rounding of single precision.
"""

_MOST_JITTER = 1e-1  # rounding is never so large: a matrix that needs more is no covariance


@dataclass(frozen=True, slots=True)
class Regression:
    """A process conditioned on scores, ready to predict.

    Attributes:
        alpha: (n,), A^-1 y of the scored subsets.
        lower: (n + pending) squared, Cholesky factor L of A for all subsets conditioned on.
    """

    alpha: Array
    lower: Array

    @classmethod
    def on(cls, covariance: Array, scores: Floats, noise: Floats) -> "Regression":
        """Condition on the scores of the first subsets; the subsets after them are pending.

        Args:
            covariance: (m, m), between the scored subsets and the pending ones after them.
            scores: (n,), y of the scored ones, with mean 0 and variance 1.
            noise: (m,), variance of the noise of each, also of subsets whose score is to come.
        """
        number = len(scores)
        total = covariance.astype(np.float64)
        total[np.diag_indices(len(total))] += noise

        lower = cholesky(total)
        alpha = linalg.cho_solve((lower[:number, :number], True), scores, check_finite=False)
        return cls(alpha.astype(np.float32), lower.astype(np.float32))

    def mean(self, covariance: Array) -> Array:
        """Return the mean k(x, X) alpha of q more subsets, (q,).

        A pending score is taken to be its own expectation, which leaves every mean as it is.

        Args:
            covariance: (q, m), of these subsets with all subsets conditioned on.
        """
        return covariance[:, : len(self.alpha)] @ self.alpha

    def explained(self, covariance: Array) -> Array:
        """Return L^-1 k(X, x) of q more subsets, (m, q).

        The sum of squares of a column is the variance that the scores take away, pending ones
        included: var(x) = k(x, x) - |L^-1 k(X, x)|^2.

        Args:
            covariance: (q, m), of these subsets with all subsets conditioned on.
        """
        solved: Array = linalg.solve_triangular(
            self.lower, covariance.T, lower=True, check_finite=False
        )
        return solved


def cholesky(covariance: Floats) -> Floats:
    """Return the lower Cholesky factor of a covariance with as much jitter as it takes.

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
            lower: Floats = linalg.cholesky(total, lower=True, check_finite=False)
        except linalg.LinAlgError:
            jitter *= 10
            if jitter > _MOST_JITTER:
                raise
        else:
            return lower
