"""The covariance of two subsets: a sum of components whose amplitudes are learned.

Each component says in which sense two subsets are alike, on a scale on which an average member of
the space has variance 1. Only amplitudes are learned: the components themselves stay fixed, so a
fit costs milliseconds and cannot run away, and a component that explains nothing fades out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.surrogate.features import Array, Features

COMPONENTS = ("layers", "smooth", "order", "shape", "pairs", "smooth pairs", "local")
"""What subsets share: layers kept; neighbours of these; layers at positions; gaps and ends; pairs
of layers; pairs of neighbours of these; nearly everything.
"""

_LOCAL = 0.2  # share of the layers by which two subsets may differ and still be alike in detail


@dataclass(frozen=True, slots=True)
class Rows:
    """Subsets with everything the covariance looks at.

    Attributes:
        features: of n subsets.
        hints: (n, hints), what was known of them before the first trial; mean 0, variance 1.
    """

    features: Features
    hints: Array

    def __len__(self) -> int:
        """Number of subsets."""
        return len(self.features)

    @property
    def depth(self) -> int:
        """Number of kept layers, the same in each."""
        return int(self.features.kept[:1].sum())

    def take(self, rows: NDArray[np.intp]) -> "Rows":
        """Some of the subsets."""
        return Rows(self.features.take(rows), self.hints[rows])


def between(these: Rows, those: Rows) -> list[Array]:
    """Each component between every two subsets, (n, m) each; one more for every hint.

    Layers at positions and what is left mean nothing across depths: there they are 0, as hints are.
    """
    a, b = these.features, those.features
    layers, smooth = a.layers @ b.layers.T, a.smooth @ b.smooth.T
    shape, hints = a.shape @ b.shape.T, range(these.hints.shape[1])
    if these.depth != those.depth:
        nothing = np.zeros_like(layers)
        shared = [layers, smooth, nothing, shape, layers**2, smooth**2, nothing]
        return [*shared, *(nothing for _ in hints)]
    order = a.order @ b.order.T
    differ = these.depth - a.kept @ b.kept.T
    local = np.exp(-differ / max(1.0, _LOCAL * these.depth), dtype=np.float32)
    told = (np.outer(these.hints[:, i], those.hints[:, i]) for i in hints)
    return [layers, smooth, order, shape, layers**2, smooth**2, local, *told]


def within(these: Rows) -> list[Array]:
    """Each component of every subset with itself, (n,) each; the diagonals of `between`."""
    a = these.features
    layers, smooth, order, shape = (
        (block**2).sum(axis=1) for block in (a.layers, a.smooth, a.order, a.shape)
    )
    local = np.ones(len(these), dtype=np.float32)
    return [layers, smooth, order, shape, layers**2, smooth**2, local, *(these.hints**2).T]
