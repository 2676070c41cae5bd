"""The kernel: the covariance of two subsets, a sum of components with learned amplitudes.

Each component says in which sense two subsets are alike, on a scale on which an average member of
the space has variance 1. Only amplitudes and task correlations are learned: the components stay
fixed, so a fit costs milliseconds and cannot run away, and a component that explains nothing fades
out. The notation is that of the package.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.surrogate.features import Array, Features
from search.surrogate.hyperparameters import LEVEL, Hyperparameters

COMPONENTS = ("layers", "smooth", "order", "shape", "pairs", "smooth pairs", "local")
"""Properties that subsets share: layers kept; neighbours of kept layers; layers at positions; gaps
and ends; pairs of layers; pairs of neighbours of kept layers; nearly everything.
"""

TARGET = -1
"""Number of the target task, the depth in question, which comes last."""

# Share of the layers by which two subsets may differ and still be alike in detail. A heuristic: at
# depth 7 the local component fades by a factor e with 1.4 exchanged layers.
_LOCAL_LENGTH_SCALE = 0.2


@dataclass(frozen=True, slots=True)
class Inputs:
    """Encoded subsets of one task, the inputs x of the kernel.

    Attributes:
        features: of n subsets.
        hints: (n, hints), guesses at their scores before the first trial; mean 0, variance 1.
        task: number of their task.
    """

    features: Features
    hints: Array
    task: int = TARGET

    def __len__(self) -> int:
        """Return the number of subsets."""
        return len(self.features)

    @property
    def depth(self) -> int:
        """Number of kept layers, the same in each."""
        return int(self.features.kept[:1].sum())

    def take(self, rows: NDArray[np.intp]) -> "Inputs":
        """Return the subsets at the places `rows`."""
        return Inputs(self.features.take(rows), self.hints[rows], self.task)


@dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel k with given hyperparameters."""

    hyperparameters: Hyperparameters

    def __call__(self, a: Inputs, b: Inputs) -> Array:
        """Return k(a, b), (n, m)."""
        total = np.full((len(a), len(b)), LEVEL if a.task == b.task else 0.0, dtype=np.float32)
        weights = self.hyperparameters.weights(a.task, b.task)
        for weight, component in zip(weights, evaluate_components(a, b), strict=True):
            total += np.float32(weight) * component
        return total

    def diag(self, a: Inputs) -> Array:
        """Return the diagonal of k(a, a), (n,)."""
        total = np.full(len(a), LEVEL, dtype=np.float32)
        weights = self.hyperparameters.weights(a.task, a.task)
        for weight, component in zip(weights, _component_diagonals(a), strict=True):
            total += np.float32(weight) * component
        return total

    def matrix(self, rows: Sequence[Inputs], columns: Sequence[Inputs]) -> Array:
        """Return k between the inputs of several tasks, one block for each pair of tasks."""
        return np.block([[self(a, b) for b in columns] for a in rows])


def evaluate_components(a: Inputs, b: Inputs) -> list[Array]:
    """Return k_c(a, b), (n, m), for each component c, and one more for every hint.

    Positions, nearly everything and hints mean nothing across depths: there they are 0.
    """
    left, right = a.features, b.features
    layers, smooth = left.layers @ right.layers.T, left.smooth @ right.smooth.T
    shape, hints = left.shape @ right.shape.T, range(a.hints.shape[1])
    if a.depth != b.depth:
        nothing = np.zeros_like(layers)
        shared = [layers, smooth, nothing, shape, layers**2, smooth**2, nothing]
        return [*shared, *(nothing for _ in hints)]

    order = left.order @ right.order.T
    exchanged = a.depth - left.kept @ right.kept.T
    length_scale = max(1.0, _LOCAL_LENGTH_SCALE * a.depth)
    local = np.exp(-exchanged / length_scale, dtype=np.float32)
    guessed = (np.outer(a.hints[:, i], b.hints[:, i]) for i in hints)
    return [layers, smooth, order, shape, layers**2, smooth**2, local, *guessed]


def joint_components(parts: Sequence[Inputs]) -> list[Array]:
    """Return each component between the inputs of all tasks, (n, n) each."""
    blocks = [[evaluate_components(a, b) for b in parts] for a in parts]
    number = len(blocks[0][0])
    return [np.block([[block[i] for block in row] for row in blocks]) for i in range(number)]


def _component_diagonals(a: Inputs) -> list[Array]:
    """Return the diagonal of k_c(a, a), (n,), for each component c."""
    features = a.features
    layers, smooth, order, shape = (
        (block**2).sum(axis=1)
        for block in (features.layers, features.smooth, features.order, features.shape)
    )
    local = np.ones(len(a), dtype=np.float32)
    return [layers, smooth, order, shape, layers**2, smooth**2, local, *(a.hints**2).T]
