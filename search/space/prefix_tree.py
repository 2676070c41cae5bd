"""The prefix tree: all subsets of all depths as nodes of one tree, which a screen walks."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, zip_longest
from random import Random

from search.space.layer_space import LayerSpace
from search.space.subset import Subset

_RUN = 16
"""Neighbours that a screen scores one after the other. Shorter runs are a fairer sample, and longer
ones run fewer layers again: `python benchmarks/screen.py --part order` shows both.
"""


@dataclass(frozen=True)
class PrefixTree:
    """The tree of the members of several spaces, and of all their prefixes.

    Attributes:
        spaces: one for each depth, of one base and cadence.
        done: members that need not be walked again.
        depths: depths to walk; all when None. Random subsets are drawn from all of them anyway.
    """

    spaces: tuple[LayerSpace, ...]
    done: AbstractSet[Subset] = field(default=frozenset(), repr=False)
    depths: AbstractSet[int] | None = field(default=None, repr=False)

    @cached_property
    def walked(self) -> tuple[LayerSpace, ...]:
        """The spaces of the depths to walk."""
        return tuple(s for s in self.spaces if self.depths is None or s.depth in self.depths)

    @property
    def count(self) -> int:
        """Number of subsets to walk, the ones that are done included."""
        return sum(space.count for space in self.walked)

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

    def order(self, seed: int = 0) -> Iterator[Subset]:
        """Yield every subset that is not done once, so that any beginning is a fair sample.

        Short runs of neighbours, which share most of their layers, come one after the other from
        all over the tree: see `_spread`. Each subset comes early with the same probability, and
        each depth by its share.

        Args:
            seed: the same seed gives the same order, whatever is done.
        """
        for run in _spread(range(0, self.count, _RUN), Random(seed)):
            for subset in self._members_below((), run, run + _RUN):
                if subset not in self.done:
                    yield subset

    def draw(self, rng: Random) -> Subset:
        """Return a random subset, done or not: first its depth, then one of that depth."""
        return rng.choice(self.spaces).sample(rng)

    def _following(self, prefix: Subset) -> list[int]:
        """Return the layers that some member has after `prefix`."""
        return [layer for layer, _ in self._branches(prefix)]

    def _branches(self, prefix: Subset) -> list[tuple[int, int]]:
        """Return the layers that can follow `prefix`, and the number of members below each."""
        if prefix not in self._known:
            spaces = [space for space in self.walked if space.beginning_with(prefix)]
            first = prefix[-1] + 1 if prefix else 0
            counts = (
                (layer, sum(space.beginning_with((*prefix, layer)) for space in spaces))
                for layer in range(first, self.spaces[0].layers)
            )
            self._known[prefix] = [(layer, inside) for layer, inside in counts if inside]
        return self._known[prefix]

    @cached_property
    def _known(self) -> dict[Subset, list[tuple[int, int]]]:
        """The branches that were counted: a run begins at the root, like the one before."""
        return {}

    def _members_below(self, prefix: Subset, start: int, stop: int) -> Iterator[Subset]:
        """Yield the subsets that begin with `prefix`, from number `start` to before `stop`.

        They are numbered as a walk down the tree meets them: a prefix before its continuations.
        """
        number = 0
        if any(len(prefix) == space.depth and prefix in space for space in self.walked):
            if start <= 0 < stop:
                yield prefix
            number = 1

        for layer, inside in self._branches(prefix):
            if number >= stop:
                return
            if number + inside > start:
                yield from self._members_below((*prefix, layer), start - number, stop - number)
            number += inside


def _spread(places: Sequence[int], rng: Random) -> list[int]:
    """Return places in an order whose beginnings lie evenly all over them, with random choices.

    The halves take turns, and so within them do their halves: a scrambled van der Corput sequence
    (Owen 1995). A sample of neighbours that lie evenly varies less than one drawn at random.
    """
    if len(places) < 2:  # noqa: PLR2004 - there is no half
        return list(places)

    middle = (len(places) + rng.randrange(2)) // 2
    halves = _spread(places[:middle], rng), _spread(places[middle:], rng)
    first, second = sorted(halves, key=lambda half: (-len(half), rng.random()))
    turns = chain.from_iterable(zip_longest(first, second))
    return [place for place in turns if place is not None]
