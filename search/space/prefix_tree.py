"""The prefix tree: all subsets of all depths as nodes of one tree, which a screen walks."""

from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from random import Random

from search.space.layer_space import LayerSpace
from search.space.subset import Subset


@dataclass(frozen=True)
class PrefixTree:
    """The tree of the members of several spaces, and of all their prefixes.

    Attributes:
        spaces: one for each depth, of one base and cadence.
        done: members that need not be walked again.
    """

    spaces: tuple[LayerSpace, ...]
    done: AbstractSet[Subset] = field(default=frozenset(), repr=False)

    @property
    def count(self) -> int:
        """Number of subsets, the ones that are done included."""
        return sum(space.count for space in self.spaces)

    @cached_property
    def edges(self) -> int:
        """Number of nodes below the root: layers run by a walk over the whole tree."""
        below: dict[tuple[int, int], int] = {}  # by length and last layer: nothing else matters

        def count(prefix: Subset) -> int:
            place = (len(prefix), prefix[-1] if prefix else -1)
            if place not in below:
                layers = self._following(prefix)
                below[place] = len(layers) + sum(count((*prefix, layer)) for layer in layers)
            return below[place]

        return count(())

    def children(self, prefix: Subset) -> Sequence[int]:
        """Return the layers that can follow `prefix` on the way to an open subset, ascending."""
        return [layer for layer in self._following(prefix) if self._is_open((*prefix, layer))]

    def wanted(self, subset: Subset) -> bool:
        """Whether this node is a subset to score, and not only the prefix of one."""
        return subset not in self.done and any(subset in space for space in self.spaces)

    def draw(self, rng: Random) -> Subset:
        """Return a random subset, done or not: first its depth, then one of that depth."""
        return rng.choice(self.spaces).sample(rng)

    def _following(self, prefix: Subset) -> list[int]:
        """Return the layers that some member has after `prefix`."""
        first = prefix[-1] + 1 if prefix else 0
        layers = range(first, self.spaces[0].layers)
        return [layer for layer in layers if self._beginning_with((*prefix, layer))]

    def _is_open(self, prefix: Subset) -> bool:
        """Whether a subset that begins with `prefix` is not done."""
        return self._done_by_prefix[prefix] < self._beginning_with(prefix)

    def _beginning_with(self, prefix: Subset) -> int:
        """Return the number of members that begin with `prefix`."""
        return sum(space.beginning_with(prefix) for space in self.spaces)

    @cached_property
    def _done_by_prefix(self) -> Counter[Subset]:
        """Number of members that are done, by prefix."""
        return Counter(
            subset[:length]
            for subset in self.done
            if any(subset in space for space in self.spaces)
            for length in range(1, len(subset) + 1)
        )
