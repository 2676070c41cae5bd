"""Subsets as numbers: which layers are kept, where they sit, and how the whole is shaped."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from search.space import LayerSpace
from search.subsets import Subset

Array = NDArray[np.float32]

_REACH = 2.5  # layers over which the effect of a layer is shared with its neighbours
_SAMPLE = 2000  # members that means and scales are taken from in a space that is larger


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
        """Number of subsets."""
        return len(self.kept)

    def take(self, rows: Sequence[int] | NDArray[np.intp]) -> "Features":
        """The features of some of the subsets."""
        at = np.asarray(rows, dtype=np.intp)
        blocks = (self.layers, self.smooth, self.order, self.shape, self.kept)
        return Features(*(block[at] for block in blocks))


class Encoder:
    """Turns the subsets of one space into features.

    Args:
        space: the space; its members are what means and scales are taken over.
    """

    def __init__(self, space: LayerSpace) -> None:
        self.space = space
        layer = np.arange(space.layers)
        alike = np.exp(-np.abs(layer[:, None] - layer[None]) / _REACH)
        self._root: Array = np.linalg.cholesky(alike).astype(np.float32)

    def __call__(self, subsets: Sequence[Subset] | NDArray[np.int16]) -> Features:
        """Features of `subsets`, each of the space's depth."""
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
        rng = random.Random(0)  # noqa: S311 - reproducible, not secret
        return [self.space.sample(rng) for _ in range(_SAMPLE)]

    @cached_property
    def everything(self) -> Features:
        """All members, encoded."""
        return self(self.members)

    @cached_property
    def _scales(self) -> list[tuple[Array, Array]]:
        """Mean of each column of each block, and what its rows are divided by."""
        _, *blocks, shape = self._raw(np.asarray(self.sample, dtype=np.int16))
        scales: list[tuple[Array, Array]] = []
        for block in blocks:
            spread = float(block.var(axis=0).sum())
            scales.append(
                (block.mean(axis=0), np.full(1, max(spread, 1e-9) ** 0.5, dtype=np.float32))
            )
        columns = shape.std(axis=0)
        columns[columns < 1e-6] = np.inf  # noqa: PLR2004 - a column that never varies says nothing
        scales.append((shape.mean(axis=0), columns * np.float32(shape.shape[1] ** 0.5)))
        return scales

    def _raw(self, subsets: NDArray[np.int16]) -> tuple[Array, ...]:
        """What layers are kept, then the blocks of `Features` in order, neither centred nor scaled.

        Args:
            subsets: (n, depth), ascending.
        """
        space, number = self.space, len(subsets)
        kept = np.zeros((number, space.layers), dtype=np.float32)
        np.put_along_axis(kept, subsets.astype(np.intp), 1.0, axis=1)
        order = self._root[subsets].reshape(number, space.depth * space.layers)
        return kept, kept, kept @ self._root, order, self._shape(subsets)

    def _shape(self, subsets: NDArray[np.int16]) -> Array:
        """Breaks, the largest gap, the root of the squared gaps, both ends, global layers."""
        steps = np.diff(subsets.astype(np.float32), axis=1, prepend=subsets[:, :1] - 1.0)
        columns = [
            (steps > 1).sum(axis=1),
            steps.max(axis=1),
            np.sqrt((steps**2).sum(axis=1)),
            subsets[:, 0],
            subsets[:, -1],
        ]
        if self.space.period:
            columns.append((subsets % self.space.period == 0).sum(axis=1))
        return np.stack(columns, axis=1).astype(np.float32)
