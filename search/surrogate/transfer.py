"""Relatives: what was tried at other depths of the same base.

A layer that helps at depth 4 may help at depth 7. How far to trust that is for the scores to say.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from search.samplers import Observation
from search.space import LayerSpace
from search.surrogate.covariance import Rows
from search.surrogate.features import Encoder
from search.surrogate.trials import FLAT, Trials

LEAST = 8
"""Scored subsets that another depth must have to be listened to."""

_FEW, _MOST = 60, 200  # subsets of all other depths that are learned from: a fit grows as the cube


@dataclass(frozen=True, slots=True)
class Relative:
    """The trials of another depth.

    Attributes:
        encode: turns its subsets into features.
        trials: its scored subsets; what runs there does not matter here.
    """

    encode: Encoder
    trials: Trials

    def rows(self, hints: int) -> Rows:
        """Its subsets, encoded; of them none of so many `hints` says anything."""
        nothing = np.zeros((len(self.trials), hints), dtype=np.float32)
        return Rows(self.encode(self.trials.subsets), nothing)


def relatives(history: Iterable[Observation], space: LayerSpace) -> list[Relative]:
    """Each other depth that `history` has enough trials of, ascending by depth."""
    by_depth: dict[int, list[Observation]] = {}
    own = 0
    for trial in history:
        if len(trial.subset) == space.depth:
            own += 1
        elif 0 < len(trial.subset) <= space.layers:
            by_depth.setdefault(len(trial.subset), []).append(trial)
    found = []
    for depth, trials in sorted(by_depth.items()):
        there = space.unconstrained(depth)
        scored = Trials.of(trials, there)
        if len(scored) >= LEAST and np.ptp(scored.means) > FLAT:
            found.append(Relative(_encoder(there), scored))
    most = max(_FEW, _MOST - own)  # many trials of our own leave little to be told
    each = max(LEAST, most // max(1, len(found)))
    return [replace(one, trials=one.trials.best(each)) for one in found]


@lru_cache(maxsize=64)
def _encoder(space: LayerSpace) -> Encoder:
    return Encoder(space)
