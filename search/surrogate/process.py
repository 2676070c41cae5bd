"""Gaussian process regression with a sum of fixed covariances, after Rasmussen and Williams (2006).

Our own because none of the libraries fits: scikit-learn's has no gradient-free sum of precomputed
covariances and no replicates, BoTorch's takes seconds a fit where a proposal may take 0.2 s. The
linear algebra and the optimiser are SciPy's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize

from search.surrogate.features import Array

Vector = NDArray[np.float64]

_LEVEL = 4.0  # variance of the unknown mean level, in units of the variance of the scores
_JITTER = 1e-6
_STEPS = 40  # of the optimiser; it has converged long before
_BOUNDS = (-6.0, 1.5)  # of the logarithm of an amplitude
_NOISE_BOUNDS = (-4.0, 1.0)  # of that of the noise: none at all would be singular


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed of the logarithms of amplitudes, in standard deviations of the scores.

    Attributes:
        means: one for each component.
        noise: of the noise of one trial. An underestimated noise lets a lucky trial lead for long.
        spread: standard deviation of the belief about a component,
        noise_spread: and about the noise.
    """

    means: tuple[float, ...]
    noise: float = math.log(0.25)
    spread: float = 1.0
    noise_spread: float = 0.4


@dataclass(frozen=True, slots=True)
class Amplitudes:
    """Learned scales.

    Attributes:
        variances: of each component, in units of the variance of the scores.
        noise: variance of the noise of one trial, in the same units.
        loss: negative logarithm of their posterior density, up to a constant.
    """

    variances: Vector
    noise: float
    loss: float

    def mix(self, components: Sequence[Array]) -> Array:
        """The covariance that the components make up, level included."""
        total = np.full_like(components[0], _LEVEL)
        for variance, component in zip(self.variances, components, strict=True):
            total += np.float32(variance) * component
        return total


def learn(
    components: Sequence[Array], scores: Vector, counts: Vector, squares: float, prior: Prior
) -> Amplitudes:
    """The most probable amplitudes.

    Args:
        components: (n, n) each, between the n scored subsets.
        scores: (n,), mean score of each subset, with mean 0 and variance 1.
        counts: (n,), trials behind each mean.
        squares: squared deviations of all trials from the means of their subsets, summed.
        prior: what is believed before the first score.
    """
    stack = np.stack(components).astype(np.float64)
    flat = stack.reshape(len(stack), -1)
    number, repeats = len(scores), float(counts.sum()) - len(counts)
    centre = np.array([*prior.means, prior.noise])
    spread = np.array([*[prior.spread] * len(prior.means), prior.noise_spread])

    def loss(logs: Vector) -> tuple[float, Vector]:
        """Negative logarithm of the posterior, and its gradient."""
        variances, noise = np.exp(2 * logs[:-1]), math.exp(2 * logs[-1])
        total = (variances @ flat).reshape(number, number) + _LEVEL
        total[np.diag_indices(number)] += noise / counts + _JITTER
        lower = linalg.cholesky(total, lower=True, check_finite=False)
        inverse = linalg.cho_solve((lower, True), np.eye(number), check_finite=False)
        weights = inverse @ scores
        rest = inverse - np.outer(weights, weights)
        far = (logs - centre) / spread
        far[:-1] -= far[:-1].mean()  # all components together are free: trials may be much alike
        value = 0.5 * scores @ weights + np.log(np.diag(lower)).sum() + 0.5 * far @ far
        value += repeats * logs[-1] + 0.5 * squares / noise
        slope = np.append(
            variances * (flat @ rest.ravel()),
            noise * (np.diag(rest) / counts).sum() + repeats - squares / noise,
        )
        return float(value), slope + far / spread

    bounds = [*[_BOUNDS] * len(prior.means), _NOISE_BOUNDS]
    options = {"maxiter": _STEPS}
    found = optimize.minimize(
        loss, centre, jac=True, method="L-BFGS-B", bounds=bounds, options=options
    )
    return Amplitudes(np.exp(2 * found.x[:-1]), math.exp(2 * found.x[-1]), float(found.fun))


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
        total[np.diag_indices(len(total))] += noise + _JITTER
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
