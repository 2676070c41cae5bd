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
        # prefixes alike in length, last layer and possible cut rhythms are completed alike
        below: dict[tuple[object, ...], int] = {}

        def count(prefix: Subset) -> int:
            rhythms = (space.cut_rhythms(prefix) for space in self.spaces)
            kind = (len(prefix), prefix[-1:], *rhythms)
            if kind not in below:
                layers = self._following(prefix)
                below[kind] = len(layers) + sum(count((*prefix, layer)) for layer in layers)
            return below[kind]

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
        """Return the layers that some member has after `prefix`, ascending."""
        return sorted({layer for space in self.spaces for layer in space.followers(prefix)})

    def _is_open(self, prefix: Subset) -> bool:
        """Whether a subset that begins with `prefix` is not done."""
        done = self._done_by_prefix[prefix]
        return not done or done < sum(space.beginning_with(prefix) for space in self.spaces)

    @cached_property
    def _done_by_prefix(self) -> Counter[Subset]:
        """Number of members that are done, by prefix."""
        return Counter(
            subset[:length]
            for subset in self.done
            if any(subset in space for space in self.spaces)
            for length in range(1, len(subset) + 1)
        )
