"""A screen of two small spaces, whose scores are sums of layer numbers."""

from collections.abc import Iterator

import evaluators
from search.space import LayerSpace, Subset

SPACES = tuple(LayerSpace(10, depth, None, "free") for depth in (2, 3))
TOTAL = sum(space.count for space in SPACES)
"""Number of subsets of both depths."""


class SumScreener:
    """A screener that scores by arithmetic, and may break.

    Args:
        breaks_after: number of scores after which it is interrupted.
    """

    def __init__(self, breaks_after: int = 1000) -> None:
        self.breaks_after = breaks_after
        self.scored: list[Subset] = []

    def screen(
        self,
        tree: evaluators.SubsetTree,
        options: evaluators.ScreenOptions,
        progress: evaluators.Progress = evaluators.silent,
    ) -> Iterator[evaluators.ScreenScore]:
        """Yield the scores of the whole tree."""
        for subset in tree.order():
            if len(self.scored) == self.breaks_after:
                raise KeyboardInterrupt
            self.scored.append(subset)
            yield evaluators.ScreenScore(subset, sum(subset) / 100, 1 - sum(subset) / 100)
