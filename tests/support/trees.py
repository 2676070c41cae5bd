"""Prefix trees over the 22 layers of the toy base."""

from collections.abc import Iterable
from itertools import takewhile

from search.space import LayerSpace, Subset
from search.space.prefix_tree import PrefixTree


def tree_of(*members: Subset) -> PrefixTree:
    """A tree of these members only: all other subsets of their depths count as done."""
    spaces = tuple(
        LayerSpace(22, depth, 3, "free", keep_first=False)
        for depth in sorted({len(subset) for subset in members})
    )
    done = frozenset(subset for space in spaces for subset in space) - set(members)
    return PrefixTree(spaces, done)


def layers_run(subsets: Iterable[Subset]) -> int:
    """Return the layers that a walk runs which keeps those that two neighbours share."""
    layers, path = 0, tuple[int, ...]()
    for subset in subsets:
        pairs = zip(path, subset, strict=False)
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        layers, path = layers + len(subset) - shared, subset
    return layers
