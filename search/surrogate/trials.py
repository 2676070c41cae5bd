"""The trials of a space as the surrogate needs them: one row per subset."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.observation import Observation
from search.space import LayerSpace, Subset

FLAT = 1e-9
"""Scores that differ by no more are taken for equal: far above rounding, and far below the change
that one query makes in a mean NDCG@10.
"""

# A seed is taken to change nothing once two repeats came out the same to the last digits: one may
# be chance with scores of few queries.
_REPEATS_TO_BE_SURE = 2
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class PooledTrials:
    """The trials of a space, pooled over the seeds of each subset.

    Attributes:
        subsets: n scored members.
        means: (n,), mean score of each over its trials.
        counts: (n,), number of its trials.
        squares: (n,), squared deviations of the trials of each from its mean, summed.
        pending: members that workers are running, once for every trial.
    """

    subsets: tuple[Subset, ...]
    means: NDArray[np.float64]
    counts: NDArray[np.float64]
    squares: NDArray[np.float64]
    pending: tuple[Subset, ...]

    @classmethod
    def of(cls, history: Iterable[Observation], space: LayerSpace) -> "PooledTrials":
        """Pool the trials in `history` that are members of `space`; a score must be finite."""
        scores: dict[Subset, list[float]] = {}
        pending = []
        for trial in history:
            if trial.subset not in space:
                continue
            if trial.is_pending:
                pending.append(trial.subset)
            elif trial.score is not None and math.isfinite(trial.score):
                scores.setdefault(trial.subset, []).append(trial.score)

        means = np.array([math.fsum(found) / len(found) for found in scores.values()])
        squares = np.array(
            [
                math.fsum((score - mean) ** 2 for score in found)
                for found, mean in zip(scores.values(), means.tolist(), strict=True)
            ]
        )
        counts = np.array([len(found) for found in scores.values()], dtype=np.float64)
        return cls(tuple(scores), means, counts, squares, tuple(pending))

    def __len__(self) -> int:
        """Return the number of scored subsets."""
        return len(self.subsets)

    @property
    def is_exact(self) -> bool:
        """Whether repeats came out exactly the same: a seed changes nothing."""
        repeats = self.counts.sum() - len(self)
        return bool(repeats >= _REPEATS_TO_BE_SURE and np.sqrt(self.squares).max() < _ROUNDING)

    @property
    def deviation(self) -> float:
        """Root mean square distance of a trial from the mean, each subset counting once."""
        if not len(self):
            return 0.0
        return math.sqrt(float((self.means.var() + self.squares / self.counts).mean()))

    def best(self, number: int) -> "PooledTrials":
        """Return at most `number` subsets: half the best, half the latest of the rest."""
        if len(self) <= number:
            return self
        order = np.argsort(-self.means, kind="stable")
        best, rest = order[: number // 2], np.sort(order[number // 2 :])
        return self.take(np.sort(np.concatenate([best, rest[-(number - len(best)) :]])))

    def take(self, chosen: NDArray[np.intp]) -> "PooledTrials":
        """Return the scored subsets at the places `chosen`, and all pending ones."""
        subsets = tuple(self.subsets[i] for i in chosen)
        numbers = (self.means[chosen], self.counts[chosen], self.squares[chosen])
        return PooledTrials(subsets, *numbers, self.pending)
