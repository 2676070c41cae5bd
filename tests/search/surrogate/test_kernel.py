"""The kernel: proper covariances, put together as the notation of the package says."""

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.space import LayerSpace, Subset
from search.surrogate import Surrogate
from search.surrogate.hyperparameters import LEVEL, Hyperparameters, TrainingData
from search.surrogate.kernel import (
    COMPONENTS,
    TARGET,
    Inputs,
    Kernel,
    _component_diagonals,
    evaluate_components,
    joint_components,
)
from tests.support.landscapes import SHALLOW, SPACE, hint_of, unrelated

PARTS = len(COMPONENTS) + 1
"""Number of components with the one hint of these tests."""


def encode(space: LayerSpace, number: int = 12, task: int = TARGET) -> Inputs:
    """Return some members of a space, encoded as a task, with a hint at each."""
    rng = random.Random(number)
    subsets = sorted({space.sample(rng) for _ in range(number)})
    return replace(Surrogate(space, [hint_of(unrelated)]).inputs(subsets), task=task)


@pytest.fixture
def hyperparameters() -> Hyperparameters:
    """Random ones of three tasks, of which the target comes last."""
    rng = np.random.default_rng(0)
    return Hyperparameters(
        variances=rng.uniform(0.1, 1.0, PARTS),
        noise=0.1,
        objective=0.0,
        correlations=np.vstack([rng.uniform(0.1, 0.9, (2, PARTS)), np.ones(PARTS)]),
        scales=np.array([0.5, 2.0, 1.0]),
    )


@pytest.fixture
def parts() -> list[Inputs]:
    """Inputs of two other depths and of the target."""
    middle = LayerSpace(12, 4, 3, "free")
    return [encode(SHALLOW, 5, task=0), encode(middle, 6, task=1), encode(SPACE, 7)]


# components


@given(
    layers=st.integers(1, 14),
    share=st.floats(0, 1),
    cadence=st.sampled_from(["strict", "free"]),
)
@settings(max_examples=40, deadline=None)
def test_covariances_are_proper(layers: int, share: float, cadence: str) -> None:
    """Symmetric, nowhere negative, and with the diagonal that is computed by itself."""
    space = LayerSpace(layers, max(1, round(share * layers)), 3, cadence)
    rng = random.Random(0)
    inputs = Surrogate(space).inputs(sorted({space.sample(rng) for _ in range(20)}))

    components, diagonals = evaluate_components(inputs, inputs), _component_diagonals(inputs)
    for component, diagonal in zip(components, diagonals, strict=True):
        assert np.isfinite(component).all()
        np.testing.assert_allclose(component, component.T, atol=1e-4)
        np.testing.assert_allclose(np.diag(component), diagonal, rtol=1e-4, atol=1e-5)
        lowest = np.linalg.eigvalsh(component.astype(np.float64)).min()
        assert lowest > -1e-4 * max(1.0, float(np.abs(component).max()))


def test_an_average_member_has_variance_one() -> None:
    inputs = Surrogate(SPACE, [hint_of(unrelated)]).everything
    for name, diagonal in zip([*COMPONENTS, "hint"], _component_diagonals(inputs), strict=True):
        assert 0.8 < diagonal.mean() < 2.0, name


def test_alike_in_detail_fades_with_exchanged_layers() -> None:
    subsets: list[Subset] = [(0, 1, 2, 3, 4), (0, 1, 2, 3, 5), (0, 1, 2, 5, 6)]
    inputs = Surrogate(SPACE).inputs(subsets)
    local = evaluate_components(inputs, inputs)[COMPONENTS.index("local")]
    np.testing.assert_allclose(local[0], np.exp([0.0, -1.0, -2.0]), rtol=1e-6)


def test_components_are_symmetric_between_depths() -> None:
    here, there = encode(SPACE), encode(SHALLOW)
    forth, back = evaluate_components(here, there), evaluate_components(there, here)
    for one, other in zip(forth, back, strict=True):
        assert one.shape == (len(here), len(there))
        np.testing.assert_allclose(one, other.T, atol=1e-6)


def test_positions_details_and_hints_mean_nothing_across_depths() -> None:
    components = evaluate_components(encode(SPACE), encode(SHALLOW))
    named = dict(zip([*COMPONENTS, "hint"], components, strict=True))
    empty = {name for name, component in named.items() if not component.any()}
    assert empty == {"order", "local", "hint"}


# the kernel


def test_the_kernel_is_the_weighted_sum_of_its_components(
    hyperparameters: Hyperparameters, parts: list[Inputs]
) -> None:
    kernel = Kernel(hyperparameters)
    for a in parts:
        for b in parts:
            same = a.task == b.task
            expected = np.full((len(a), len(b)), LEVEL if same else 0.0)
            for c, component in enumerate(evaluate_components(a, b)):
                rho = 1.0 if same else np.prod(hyperparameters.correlations[[a.task, b.task], c])
                scale = hyperparameters.scales[a.task] * hyperparameters.scales[b.task]
                expected += hyperparameters.variances[c] * scale * rho * component
            np.testing.assert_allclose(kernel(a, b), expected, rtol=1e-5, atol=1e-5)


def test_diag_is_the_diagonal_of_the_kernel(
    hyperparameters: Hyperparameters, parts: list[Inputs]
) -> None:
    kernel = Kernel(hyperparameters)
    for inputs in parts:
        np.testing.assert_allclose(kernel.diag(inputs), np.diag(kernel(inputs, inputs)), rtol=1e-5)


def test_the_matrix_of_all_tasks_is_a_covariance(
    hyperparameters: Hyperparameters, parts: list[Inputs]
) -> None:
    matrix = Kernel(hyperparameters).matrix(parts, parts)
    assert matrix.shape == (18, 18)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-4)
    assert np.linalg.eigvalsh(matrix.astype(np.float64)).min() > -1e-4


def test_prediction_and_learning_number_the_tasks_alike(
    hyperparameters: Hyperparameters, parts: list[Inputs]
) -> None:
    """The kernel's matrix is the covariance that the hyperparameters are learned with."""
    sizes = tuple(len(inputs) for inputs in parts)
    number = sum(sizes)
    data = TrainingData(joint_components(parts), np.zeros(number), np.ones(number), 0.0, sizes)
    stack = data.scaled_stack(hyperparameters.scales, hyperparameters.correlations)
    learned = np.tensordot(hyperparameters.variances, stack, 1) + LEVEL * data.is_same_task
    matrix = Kernel(hyperparameters).matrix(parts, parts)
    np.testing.assert_allclose(matrix, learned, rtol=1e-4, atol=1e-4)


# inputs


def test_some_inputs_keep_hints_and_task() -> None:
    inputs = encode(SHALLOW, task=4)
    some = inputs.take(np.array([2, 0]))
    assert (len(some), some.task, some.depth) == (2, 4, 3)
    np.testing.assert_array_equal(some.hints, inputs.hints[[2, 0]])
    np.testing.assert_array_equal(some.features.kept, inputs.features.kept[[2, 0]])
