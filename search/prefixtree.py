"""All subsets of all depths as the nodes of one tree, which a screen walks."""

from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from random import Random

from search.space import LayerSpace
from search.subsets import Subset


@dataclass(frozen=True)
class PrefixTree:
    """The tree of the members of several spaces, and of what they begin with.

    Attributes:
        spaces: one for each depth, of one base and cadence.
        done: members that need not be walked again.
    """

    spaces: tuple[LayerSpace, ...]
    done: AbstractSet[Subset] = field(default=frozenset(), repr=False)

    @property
    def count(self) -> int:
        """Number of subsets, those that are done included."""
        return sum(space.count for space in self.spaces)

    @cached_property
    def edges(self) -> int:
        """Number of nodes below the root: layers run by a walk over the whole tree."""
        below: dict[tuple[int, int], int] = {}  # by length and last layer: nothing else matters

        def count(prefix: Subset) -> int:
            place = (len(prefix), prefix[-1] if prefix else -1)
            if place not in below:
                layers = self._follow(prefix)
                below[place] = len(layers) + sum(count((*prefix, layer)) for layer in layers)
            return below[place]

        return count(())

    def children(self, prefix: Subset) -> Sequence[int]:
        """Layers that can follow `prefix` on the way to a subset that is not done, ascending."""
        return [layer for layer in self._follow(prefix) if self._missing((*prefix, layer))]

    def wanted(self, subset: Subset) -> bool:
        """Whether this node is a subset to score, and not only a way to others."""
        return subset not in self.done and any(subset in space for space in self.spaces)

    def draw(self, rng: Random) -> Subset:
        """A random subset, done or not: first its depth, then one of that depth."""
        return rng.choice(self.spaces).sample(rng)

    def _follow(self, prefix: Subset) -> list[int]:
        """Layers that some member has after `prefix`."""
        first = prefix[-1] + 1 if prefix else 0
        layers = range(first, self.spaces[0].layers)
        return [layer for layer in layers if self._beginning_with((*prefix, layer))]

    def _missing(self, prefix: Subset) -> bool:
        """Whether a subset that begins with `prefix` is not done."""
        return self._finished[prefix] < self._beginning_with(prefix)

    def _beginning_with(self, prefix: Subset) -> int:
        return sum(space.beginning_with(prefix) for space in self.spaces)

    @cached_property
    def _finished(self) -> Counter[Subset]:
        """Number of members that are done, by what they begin with."""
        return Counter(
            subset[:length]
            for subset in self.done
            if any(subset in space for space in self.spaces)
            for length in range(1, len(subset) + 1)
        )
