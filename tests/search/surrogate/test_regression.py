"""Regression with a given covariance, against scikit-learn."""

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF

from search.surrogate.features import Array
from search.surrogate.regression import Floats, Regression, cholesky


def covariance(a: Floats, b: Floats, scale: float = 1.0) -> Array:
    """Return the covariance of points, (n, m), in single precision."""
    return np.asarray(RBF(scale)(a, b), dtype=np.float32)


def test_predictions_equal_those_of_scikit_learn() -> None:
    """With the same covariance: mean and variance, given scores and noise."""
    rng = np.random.default_rng(0)
    points, others = rng.normal(size=(25, 3)), rng.normal(size=(10, 3))
    scores = np.sin(points).sum(axis=1)
    library = GaussianProcessRegressor(RBF(1.3), alpha=0.04 + 1e-6, optimizer=None)
    mean, deviation = library.fit(points, scores).predict(others, return_std=True)

    ours = Regression.on(covariance(points, points, 1.3), scores, np.full(25, 0.04))
    there = covariance(others, points, 1.3)
    np.testing.assert_allclose(ours.mean(there), mean, atol=1e-3)
    explained = (ours.explained(there) ** 2).sum(axis=0)
    np.testing.assert_allclose(1 - explained, deviation**2, atol=1e-3)


def test_fantasized_outcomes_of_pending_trials_equal_scoring_them() -> None:
    rng = np.random.default_rng(1)
    points, others, scores = rng.normal(size=(12, 2)), rng.normal(size=(5, 2)), rng.normal(size=10)
    every, there = covariance(points, points), covariance(others, points)
    noise = np.full(12, 0.04)

    pending = Regression.on(every, scores, noise)
    draws = np.array([0.7, -1.2], dtype=np.float32)
    fantasized = pending.mean(there) + draws @ pending.explained(there)[10:]

    # the outcomes that these draws stand for, and the process that knows them
    ends = pending.mean(every[10:]) + pending.lower[10:, 10:] @ draws
    known = Regression.on(every, np.append(scores, ends), noise)
    np.testing.assert_allclose(fantasized, known.mean(there), atol=1e-4)


def test_a_matrix_that_is_no_covariance_is_refused() -> None:
    with pytest.raises(np.linalg.LinAlgError):
        cholesky(np.array([[1.0, 2.0], [2.0, 1.0]]))


def test_a_singular_covariance_gets_as_much_jitter_as_it_takes() -> None:
    lower = cholesky(np.ones((3, 3)))
    np.testing.assert_allclose(lower @ lower.T, np.ones((3, 3)), atol=1e-4)

    rounded = np.ones((3, 3))
    rounded[0, 1] = rounded[1, 0] = 1 + 1e-4  # as rounding may leave it: more than the least jitter
    lower = cholesky(rounded)
    np.testing.assert_allclose(lower @ lower.T, np.ones((3, 3)), atol=2e-3)
