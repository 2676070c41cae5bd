"""The trials of a space as the surrogate needs them: one row per subset."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.samplers import Observation
from search.space import LayerSpace
from search.subsets import Subset

FLAT = 1e-9
"""Scores that differ by no more say nothing."""

_SURE = 2  # repeats that must have come out the same before a seed is taken to change nothing
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Trials:
    """What is known of a space; seeds of one subset are pooled.

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
    def of(cls, history: Iterable[Observation], space: LayerSpace) -> "Trials":
        """Pool the trials in `history` that are members of `space`; a score must be finite."""
        scores: dict[Subset, list[float]] = {}
        pending = []
        for trial in history:
            if trial.subset not in space:
                continue
            if trial.state in ("running", "waiting"):
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
        """Number of scored subsets."""
        return len(self.subsets)

    @property
    def exact(self) -> bool:
        """Whether repeats came out exactly the same: a seed changes nothing."""
        repeats = self.counts.sum() - len(self)
        return bool(repeats >= _SURE and np.sqrt(self.squares).max() < _ROUNDING)

    @property
    def spread(self) -> float:
        """Root mean square distance of a trial from the mean, each subset counting once."""
        if not len(self):
            return 0.0
        return math.sqrt(float((self.means.var() + self.squares / self.counts).mean()))

    def best(self, number: int) -> "Trials":
        """At most `number` subsets: the best, and those begun last of the rest."""
        if len(self) <= number:
            return self
        order = np.argsort(-self.means, kind="stable")
        best, rest = order[: number // 2], np.sort(order[number // 2 :])
        return self.take(np.sort(np.concatenate([best, rest[-(number - len(best)) :]])))

    def take(self, chosen: NDArray[np.intp]) -> "Trials":
        """Some of the subsets, and all that is pending."""
        subsets = tuple(self.subsets[i] for i in chosen)
        numbers = (self.means[chosen], self.counts[chosen], self.squares[chosen])
        return Trials(subsets, *numbers, self.pending)
