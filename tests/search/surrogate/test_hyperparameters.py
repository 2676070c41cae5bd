"""The learned hyperparameters are the most probable ones, and their gradient is right."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize

from search.surrogate import PooledTrials, Surrogate
from search.surrogate.hyperparameters import (
    LEVEL,
    Hyperparameters,
    Prior,
    TrainingData,
    _objective,
    _unpack,
    fit_hyperparameters,
)
from search.surrogate.kernel import evaluate_components, joint_components
from search.surrogate.regression import JITTER, Floats
from tests.support.landscapes import SHALLOW, SPACE, additive, observe

PRIOR = Prior((-0.7, -0.7))
"""Beliefs about the two components that these tests learn."""


def nelder_mead(objective: Callable[[Floats], float], start: Sequence[float]) -> float:
    """Return the lowest value that a search without gradients finds."""
    options = {"maxiter": 4000, "maxfev": 4000}
    best = optimize.minimize(objective, start, method="Nelder-Mead", tol=1e-9, options=options)
    return float(best.fun)


def density(total: Floats, scores: Floats, logs: Floats, log_noise: float) -> float:
    """Return the negative logarithm of the posterior density, without the scales of tasks."""
    far = logs + 0.7
    far = far - far.mean()
    prior = 0.5 * far @ far + 0.5 * ((log_noise - np.log(0.25)) / 0.4) ** 2

    noisy = total + (np.exp(2 * log_noise) + JITTER) * np.eye(len(scores))
    _, logdet = np.linalg.slogdet(noisy)
    return float(0.5 * scores @ np.linalg.solve(noisy, scores) + 0.5 * logdet + prior)


@pytest.fixture(scope="module")
def two_depths() -> TrainingData:
    """Scores of one other depth, then of the target."""
    here = PooledTrials.of(observe(15, noise=0.003), SPACE)
    there = PooledTrials.of(
        observe(25, lambda s: additive(s) + 0.01 * (11 in s), space=SHALLOW), SHALLOW
    )
    inputs = [
        Surrogate(space).inputs(one.subsets) for space, one in ((SHALLOW, there), (SPACE, here))
    ]
    scores = np.concatenate([there.means - there.means.mean(), here.means - here.means.mean()])
    return TrainingData(
        joint_components(inputs)[:2], scores / scores.std(), np.ones(40), 0.0, (25, 15)
    )


# the optimum


def test_the_learned_amplitudes_are_the_most_probable_ones() -> None:
    """No other amplitudes that a search without gradients finds are more probable."""
    trials = PooledTrials.of(observe(30), SPACE)
    inputs = Surrogate(SPACE).inputs(trials.subsets)
    parts = evaluate_components(inputs, inputs)[:2]
    scores = (trials.means - trials.means.mean()) / trials.means.std()
    found = fit_hyperparameters(TrainingData(parts, scores, trials.counts, 0.0, (30,)), PRIOR)

    def objective(at: Floats) -> float:
        total = np.tensordot(np.exp(2 * at[:2]), parts, 1) + LEVEL
        return density(total, scores, at[:2], at[2])

    best = nelder_mead(objective, [-0.5, -0.5, -1.5])
    assert found.objective == pytest.approx(best, abs=0.01)


def test_task_correlations_are_the_most_probable_ones_too(two_depths: TrainingData) -> None:
    """One other depth: a scale of its own, and a task correlation of each component."""
    found = fit_hyperparameters(two_depths, PRIOR)
    apart = fit_hyperparameters(two_depths, PRIOR, correlated=False)
    stack = [component.astype(np.float64) for component in two_depths.components]
    first = np.arange(40) < 25
    same = np.equal.outer(first, first)

    def objective(at: Floats) -> float:
        at = np.clip(at, [-6, -6, -4, -1, 0.001, 0.001], [1.5, 1.5, 1, 1, 0.99, 0.99])
        scale = np.where(first, np.exp(at[3]), 1.0)
        total = LEVEL * same
        for i in (0, 1):
            rho = np.where(same, 1.0, at[4 + i])
            total = total + np.exp(2 * at[i]) * stack[i] * rho * np.outer(scale, scale)
        by_scale = 0.5 * float(at[3] / 0.3) ** 2
        return density(total, two_depths.scores, at[:2], at[2]) + by_scale

    starts = [[-0.5, -0.5, -1.5, 0.0, both, both] for both in (0.5, 0.9)]
    assert found.objective < min(nelder_mead(objective, start) for start in starts) + 0.02

    logs = (np.log(found.variances) / 2, [np.log(found.noise) / 2], np.log(found.scales[:1]))
    there = np.concatenate([*logs, found.correlations[0]])
    assert found.objective == pytest.approx(objective(there), abs=1e-6)

    assert found.objective < apart.objective - 3  # they do share effects
    assert (apart.correlations[0] == 0).all()
    assert (found.correlations[-1] == 1).all()
    assert found.scales[-1] == 1


# the gradient


@pytest.mark.parametrize(
    "sizes", [pytest.param((20,), id="alone"), pytest.param((6, 5, 9), id="three tasks")]
)
def test_the_gradient_equals_finite_differences(sizes: tuple[int, ...]) -> None:
    """At random points, with repeats within subsets."""
    rng = np.random.default_rng(len(sizes))
    number, others, parts = sum(sizes), len(sizes) - 1, 3
    roots = rng.normal(size=(parts, number, 30)).astype(np.float32)
    data = TrainingData(
        [root @ root.T / 30 for root in roots],
        rng.normal(size=number),
        rng.integers(1, 4, number).astype(np.float64),
        4.0,
        sizes,
    )
    prior = Prior((-0.7, -0.4, -1.0))

    def value(at: Floats) -> float:
        return _objective(_unpack(at, parts, others), data, prior)[0]

    for _ in range(3):
        at = np.concatenate(
            [
                rng.uniform(-1.5, 0.5, parts),
                rng.uniform(-1.5, 0.0, 1),
                rng.uniform(-0.5, 0.5, others),
                rng.uniform(0.1, 0.9, others * parts),
            ]
        )
        _, gradient = _objective(_unpack(at, parts, others), data, prior)
        np.testing.assert_allclose(gradient, central_differences(value, at), rtol=1e-4, atol=1e-4)


def central_differences(function: Callable[[Floats], float], at: Floats) -> NDArray[np.float64]:
    """Return the gradient of `function` by small steps both ways."""
    steps = 1e-5 * np.eye(len(at))
    return np.array([(function(at + step) - function(at - step)) / 2e-5 for step in steps])


# weights


def test_weights_of_two_tasks() -> None:
    found = Hyperparameters(
        variances=np.array([1.0, 4.0]),
        noise=0.1,
        objective=0.0,
        correlations=np.array([[0.5, 0.25], [0.2, 0.0], [1.0, 1.0]]),
        scales=np.array([2.0, 3.0, 1.0]),
    )
    assert found.weights(2, 2).tolist() == [1.0, 4.0]
    assert found.weights(-1, -1).tolist() == [1.0, 4.0]
    assert found.weights(0, 0).tolist() == [4.0, 16.0]  # a task is like itself in everything
    assert found.weights(0, -1).tolist() == [1.0, 2.0]
    assert found.weights(0, 1).tolist() == pytest.approx([0.6, 0.0])
    assert found.weights(1, 0).tolist() == found.weights(0, 1).tolist()
