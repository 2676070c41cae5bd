"""The worth of one more trial, against simulations."""

import numpy as np
import pytest
from scipy.special import ndtr

from search.surrogate.acquisition import (
    expected_improvement,
    knowledge_gradient,
    probability_first_is_best,
)

MEAN = np.array([0.5, 0.49, 0.4, 0.45])
ROOT = np.random.default_rng(4).normal(0, 0.02, (4, 4))
COVARIANCE = ROOT @ ROOT.T
"""Posterior of four subsets whose true scores are correlated."""


# expected improvement


def test_improvement_against_a_simulation() -> None:
    mean, deviation = np.array([0.4, 0.5, 0.3]), np.array([0.1, 0.02, 0.3])
    draws = np.random.default_rng(0).normal(mean, deviation, (400_000, 3))
    expected = np.maximum(draws - 0.45, 0).mean(axis=0)
    np.testing.assert_allclose(expected_improvement(mean, deviation, 0.45), expected, rtol=0.02)


def test_improvement_takes_a_target_for_each_outcome() -> None:
    means, deviation = np.array([[0.4, 0.5], [0.3, 0.6]]), np.array([0.1, 0.02])
    targets = np.array([0.45, 0.55])
    found = expected_improvement(means, deviation, targets[:, None])
    for mean, target, gains in zip(means, targets.tolist(), found, strict=True):
        np.testing.assert_allclose(gains, expected_improvement(mean, deviation, target))


# knowledge gradient


def test_knowledge_gradient_against_a_simulation() -> None:
    """Of one trial of each subset: the scores it may bring, and the best mean after each."""
    noise = 0.01
    rng = np.random.default_rng(0)
    for i in range(4):
        deviation = np.sqrt(COVARIANCE[i, i] + noise**2)
        surprises = rng.normal(0, deviation, 200_000)
        after = MEAN + np.outer(surprises, COVARIANCE[:, i] / deviation**2)
        expected = after.max(axis=1).mean() - MEAN.max()
        found = knowledge_gradient(MEAN, COVARIANCE, noise, tried=4)[i]
        assert found == pytest.approx(expected, abs=2e-4)


def test_an_untried_subset_becomes_the_best_by_its_own_trial_alone() -> None:
    """Three are tried: the fourth, though it moves with them, is no answer before its trial."""
    noise = 0.01
    mean = np.array([0.5, 0.49, 0.4, 0.6])
    rng = np.random.default_rng(0)
    found = knowledge_gradient(mean, COVARIANCE, noise, tried=3)
    for i in range(4):
        deviation = np.sqrt(COVARIANCE[i, i] + noise**2)
        after = mean + np.outer(rng.normal(0, deviation, 200_000), COVARIANCE[:, i] / deviation**2)
        best = after[:, [0, 1, 2, 3] if i == 3 else [0, 1, 2]].max(axis=1)
        assert found[i] == pytest.approx(best.mean() - 0.5, abs=2e-4)
    assert found[3] > found[:3].max()


def test_a_trial_gains_the_less_the_noisier_it_is() -> None:
    gains = [knowledge_gradient(MEAN, COVARIANCE, noise, 4).max() for noise in (0.0, 0.05, 10.0)]
    assert gains[0] > gains[1] > gains[2]
    assert gains[2] == pytest.approx(0, abs=1e-5)


# the best of several


def test_probability_of_two_is_known() -> None:
    mean, covariance = np.array([0.5, 0.48]), np.array([[4e-4, 1e-4], [1e-4, 9e-4]])
    expected = float(ndtr(0.02 / np.sqrt(4e-4 + 9e-4 - 2e-4)))
    found = probability_first_is_best(mean, covariance)
    assert found == pytest.approx(expected, abs=0.025)
    assert probability_first_is_best(mean, covariance) == found  # the same draws every time
    turned = probability_first_is_best(mean[::-1], covariance[::-1, ::-1])
    assert found + turned == pytest.approx(1, abs=0.03)


def test_probability_where_nothing_is_left_to_chance() -> None:
    """Scores that move together exactly: a covariance without an inverse."""
    together = np.full((3, 3), 1e-4)
    assert probability_first_is_best(np.array([0.5, 0.49, 0.3]), together) == 1
    assert probability_first_is_best(np.array([0.49, 0.5, 0.3]), together) == 0
    assert probability_first_is_best(np.array([0.5]), np.array([[0.01]])) == 1
