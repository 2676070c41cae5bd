"""The sampler `swap`: local search that changes one layer of the best subset so far."""

import math
import random
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from search.errors import InputError
from search.observation import Observation
from search.samplers._base import SubsetSampler
from search.samplers._untried import draw_untried
from search.space import LayerSpace, Subset
from storage.values.bounds import LARGEST_INTEGER


class SwapSampler(SubsetSampler):
    """Mutates the best subset by one swap; when all its neighbours are tried, the next best.

    The defaults are the usual heuristics of a local search: a short uniform phase, and one trial in
    ten that explores.

    Args:
        space: the space that is searched.
        seed: the same seed and history give the same proposal.
        startup: trials drawn uniformly before the first swap.
        explore: share of later trials that are drawn uniformly.

    Raises:
        InputError: `startup` is negative or `explore` is not a share.
    """

    def __init__(
        self,
        space: LayerSpace,
        *,
        seed: int = 0,
        startup: Annotated[int, Field(ge=0, le=LARGEST_INTEGER)] = 8,
        explore: Annotated[float, Field(ge=0, le=1)] = 0.1,
    ) -> None:
        super().__init__(space, seed=seed)
        if startup < 0 or not 0 <= explore <= 1:
            message = f"swap takes startup >= 0 and explore in 0 to 1, not {startup} and {explore}"
            raise InputError(message)
        self.startup = startup
        self.explore = explore

    def propose(self, history: Sequence[Observation], rng: random.Random) -> Subset:
        """Return an untried neighbour of the best subset that has one, or an untried subset."""
        if len(history) < self.startup or rng.random() < self.explore:
            return draw_untried(self.space, history, rng)

        tried = {trial.subset for trial in history}
        for parent in _best_first(history):
            fresh = [near for near in self.space.neighbours(parent) if near not in tried]
            if fresh:
                return rng.choice(fresh)
        return draw_untried(self.space, history, rng)


def _best_first(history: Sequence[Observation]) -> list[Subset]:
    """Return the scored subsets by falling mean score; ties keep the order of their trials."""
    scores: dict[Subset, list[float]] = {}
    for trial in history:
        if trial.score is not None and math.isfinite(trial.score):
            scores.setdefault(trial.subset, []).append(trial.score)
    return sorted(scores, key=lambda subset: -sum(scores[subset]) / len(scores[subset]))
