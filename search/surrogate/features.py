"""Subsets as numbers: which layers are kept, where they sit, and how the whole is shaped."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from search.space import LayerSpace, Subset

Array = NDArray[np.float32]
"""Features and kernels are in single precision: half the memory of a space kept whole."""

# Layers over which the effect of a layer fades by a factor e, in units of layers. A heuristic:
# neighbouring layers of an encoder do similar work, layers a third of the stack apart do not.
_LENGTH_SCALE = 2.5

_SAMPLE = 2000  # members that means and scales are taken from: they are known to 2 % then
_CONSTANT = 1e-6  # standard deviation below which a column never varies, but for rounding


@dataclass(frozen=True, slots=True)
class Features:
    """Features of n subsets; in each block the mean is 0 and the mean square of a row is 1.

    Attributes:
        layers: (n, layers), which layers are kept.
        smooth: (n, layers), the same where neighbouring layers count as alike.
        order: (n, depth x layers), which layer sits at which position, neighbours alike.
        shape: (n, shapes), gaps, ends, and number of global layers.
        kept: (n, layers), 1 where a layer is kept.
    """

    layers: Array
    smooth: Array
    order: Array
    shape: Array
    kept: Array

    def __len__(self) -> int:
        """Return the number of subsets."""
        return len(self.kept)

    def take(self, rows: Sequence[int] | NDArray[np.intp]) -> "Features":
        """Return the features of the subsets at the places `rows`."""
        at = np.asarray(rows, dtype=np.intp)
        blocks = (self.layers, self.smooth, self.order, self.shape, self.kept)
        return Features(*(block[at] for block in blocks))


class Encoder:
    """Turns the subsets of one space into features.

    Args:
        space: the space; means and scales are taken over its members.
    """

    def __init__(self, space: LayerSpace) -> None:
        self.space = space

        # neighbouring layers are alike by exp(-distance / length scale); a row of the Cholesky
        # factor of that matrix stands for one layer
        layer = np.arange(space.layers)
        alike = np.exp(-np.abs(layer[:, None] - layer[None]) / _LENGTH_SCALE)
        self._layer_vectors: Array = np.linalg.cholesky(alike).astype(np.float32)

    def __call__(self, subsets: Sequence[Subset] | NDArray[np.int16]) -> Features:
        """Return the features of `subsets`, each of the space's depth."""
        kept, *blocks = self._raw(np.asarray(subsets, dtype=np.int16))
        layers, smooth, order, shape = (
            (block - mean) / scale
            for block, (mean, scale) in zip(blocks, self._scales, strict=True)
        )
        return Features(layers, smooth, order, shape, kept)

    @cached_property
    def members(self) -> NDArray[np.int16]:
        """(count, depth), all members in lexicographic order; for spaces that fit in memory."""
        return np.array(list(self.space), dtype=np.int16)

    @cached_property
    def sample(self) -> list[Subset]:
        """Members that stand for the space: all of them, or a random part."""
        if self.space.count <= _SAMPLE:
            return list(self.space)
        rng = random.Random(0)
        return [self.space.sample(rng) for _ in range(_SAMPLE)]

    @cached_property
    def everything(self) -> Features:
        """All members, encoded."""
        return self(self.members)

    @cached_property
    def _scales(self) -> list[tuple[Array, Array]]:
        """Mean of each column, and divisor of its rows, for each block."""
        _, *blocks, shape = self._raw(np.asarray(self.sample, dtype=np.int16))

        scales: list[tuple[Array, Array]] = []
        for block in blocks:
            variance = float(block.var(axis=0).sum())
            divisor = np.full(1, max(variance, 1e-9) ** 0.5, dtype=np.float32)
            scales.append((block.mean(axis=0), divisor))

        # the columns of `shape` differ in kind: each has its own scale; a constant one fades out
        columns = shape.std(axis=0)
        columns[columns < _CONSTANT] = np.inf
        scales.append((shape.mean(axis=0), columns * np.float32(shape.shape[1] ** 0.5)))
        return scales

    def _raw(self, subsets: NDArray[np.int16]) -> tuple[Array, ...]:
        """Return the kept layers, then the blocks of `Features`, neither centred nor scaled.

        Args:
            subsets: (n, depth), ascending.
        """
        space, number = self.space, len(subsets)
        kept = np.zeros((number, space.layers), dtype=np.float32)
        np.put_along_axis(kept, subsets.astype(np.intp), 1.0, axis=1)
        order = self._layer_vectors[subsets].reshape(number, space.depth * space.layers)
        return kept, kept, kept @ self._layer_vectors, order, self._shape(subsets)

    def _shape(self, subsets: NDArray[np.int16]) -> Array:
        """Return breaks, largest gap, root of the squared gaps, both ends, global layers."""
        steps = np.diff(subsets.astype(np.float32), axis=1, prepend=subsets[:, :1] - 1.0)
        columns = [
            (steps > 1).sum(axis=1),
            steps.max(axis=1),
            np.sqrt((steps**2).sum(axis=1)),
            subsets[:, 0],
            subsets[:, -1],
        ]
        if (rhythm := self.space.rhythm) is not None:
            is_global = np.array([rhythm.is_global(i) for i in range(self.space.layers)])
            columns.append(is_global[subsets].sum(axis=1))
        return np.stack(columns, axis=1).astype(np.float32)
