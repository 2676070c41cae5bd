"""Completions: the ways to go on from a prefix to a member of a space, for one cut rhythm.

Notation
    L           number of layers of the base
    K           depth: number of positions of the cut model, one kept layer each
    T[i][l]     number of ways to fill the positions from i on with layers from l on

Everything rests on the table T, filled from the end by

    T[K][L] = 1
    T[i][l] = T[i][l + 1]           if layer l need not be kept, and is skipped
            + T[i + 1][l + 1]       if layer l may take position i, and is kept

It has (K + 1) x (L + 1) entries, so 48 layers cost microseconds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from search.space.rhythm import Rhythm
from search.space.subset import Subset


@dataclass(frozen=True)
class Completions:
    """The members of a space whose cut models have one rhythm.

    Attributes:
        rhythm: that rhythm.
        allowed: `allowed[i][l]`, whether layer l may take position i, pinned layers aside.
        is_pinned: for each layer, whether it must be kept.
    """

    rhythm: Rhythm
    allowed: Sequence[Sequence[bool]]
    is_pinned: Sequence[bool]

    @cached_property
    def ways(self) -> list[list[int]]:
        """The table T of the module's text."""
        depth, layers = len(self.allowed), len(self.is_pinned)
        ways = [[0] * (layers + 1) for _ in range(depth + 1)]
        ways[depth][layers] = 1

        for layer in reversed(range(layers)):
            for position in range(depth + 1):
                if not self.is_pinned[layer]:
                    ways[position][layer] = ways[position][layer + 1]
                if position < depth and self.allowed[position][layer]:
                    ways[position][layer] += ways[position + 1][layer + 1]
        return ways

    def taking(self, position: int, layer: int) -> int:
        """Return the number of ways to fill the positions from `position` on, first by `layer`."""
        return self.ways[position + 1][layer + 1] if self.allowed[position][layer] else 0

    def allow(self, prefix: Subset) -> bool:
        """Whether each layer of `prefix` may take its position."""
        return all(self.allowed[position][layer] for position, layer in enumerate(prefix))

    def closest(self, cost: Callable[[int, int], float]) -> tuple[float, Subset]:
        """Return the least total `cost(position, layer)` of a member, and that member.

        Of members with equal cost, it is the one with the lowest layers.
        """
        infinity, depth, layers = float("inf"), len(self.allowed), len(self.is_pinned)
        best = [[infinity] * (layers + 1) for _ in range(depth + 1)]
        taken = [[False] * (layers + 1) for _ in range(depth + 1)]
        best[depth][layers] = 0.0

        # least cost of the positions from each on, with layers from each on: the table T again
        for layer in reversed(range(layers)):
            for position in range(depth + 1):
                skipping = infinity if self.is_pinned[layer] else best[position][layer + 1]
                taking = infinity
                if position < depth and self.allowed[position][layer]:
                    taking = cost(position, layer) + best[position + 1][layer + 1]
                best[position][layer] = min(skipping, taking)
                taken[position][layer] = taking <= skipping and taking < infinity

        kept: list[int] = []
        for layer in range(layers):
            if taken[len(kept)][layer]:
                kept.append(layer)
        return best[0][0], tuple(kept)
