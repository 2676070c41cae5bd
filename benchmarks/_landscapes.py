"""Landscapes whose best subset is known: seeded synthetic ones, and recorded tables."""

import csv
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search import subsets
from search.space import LayerSpace
from search.subsets import Subset

ROUGHNESS = (0.1, 0.3, 0.5)
"""Shares of the variance that do not add up over layers."""
LOW, HIGH = 0.33, 0.47
NOISE = 0.004


@dataclass(frozen=True)
class Effects:
    """What decides a landscape, whatever its depth.

    Attributes:
        layers: (layers,), effect of keeping each.
        redundancy: (layers, layers), what keeping two at once takes away.
    """

    layers: NDArray[np.float64]
    redundancy: NDArray[np.float64]

    @classmethod
    def drawn(cls, layers: int, seed: int, period: int = 3) -> "Effects":
        """Early layers help, one late global layer does, and neighbours are redundant."""
        rng = np.random.default_rng(seed)
        place = np.arange(layers)
        effect = np.exp(-place / 6) + 0.3 * rng.normal(size=layers)
        late = [layer for layer in range(0, layers, period) if layer >= 0.6 * layers]
        effect[rng.choice(late)] += 1.0
        near = np.exp(-np.abs(place[:, None] - place[None]) / 2)
        own = near * (0.5 + 0.5 * rng.random((layers, layers)))
        own += 0.3 * rng.normal(size=(layers, layers))
        redundancy = (own + own.T) / 2
        np.fill_diagonal(redundancy, 0.0)
        return cls(effect, redundancy)


class Landscape:
    """True scores of all members of a space, and noisy trials of them.

    Args:
        space: the space.
        scores: true score of each member.
        noise: standard deviation of a trial.
        seed: of the noise.
        trials: recorded trials by subset, replayed by seed instead of drawing noise.
    """

    def __init__(
        self,
        space: LayerSpace,
        scores: dict[Subset, float],
        *,
        noise: float = NOISE,
        seed: int = 0,
        trials: dict[Subset, list[float]] | None = None,
    ) -> None:
        self.space, self.scores = space, scores
        self.noise, self.seed, self.trials = noise, seed, trials
        self.best = max(scores.values())

    @classmethod
    def drawn(
        cls,
        space: LayerSpace,
        seed: int,
        *,
        roughness: float,
        noise: float = NOISE,
        effects: Effects | None = None,
    ) -> "Landscape":
        """A synthetic landscape; with `effects` it shares those of another depth.

        Of the part that does not add up, redundancy of pairs is the most, and a penalty on gaps
        larger than half again the even one the rest.
        """
        found = effects or Effects.drawn(space.layers, seed)
        members = np.array(list(space))
        kept = np.zeros((len(members), space.layers))
        np.put_along_axis(kept, members, 1.0, axis=1)
        additive = kept @ found.layers
        pairs = -0.5 * ((kept @ found.redundancy) * kept).sum(axis=1)
        widest = np.diff(members, axis=1).max(axis=1) if space.depth > 1 else np.zeros(len(members))
        gaps = -np.maximum(0.0, widest - 1.5 * space.layers / space.depth)
        rough = 0.8 * _standard(pairs) + 0.5 * _standard(gaps)
        total = np.sqrt(1 - roughness) * _standard(additive) + np.sqrt(roughness) * rough
        scaled = LOW + (HIGH - LOW) * (total - total.min()) / np.ptp(total)
        keys = [tuple(member) for member in members.tolist()]
        return cls(space, dict(zip(keys, scaled.tolist(), strict=True)), noise=noise, seed=seed)

    @classmethod
    def recorded(cls, path: Path, space: LayerSpace, *, seed: int = 0) -> "Landscape":
        """A table of real trials, columns `subset`, `seed`, `mean`; their mean is the truth."""
        trials: dict[Subset, list[float]] = {}
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                subset = subsets.parse(row["subset"])
                if subset in space:
                    trials.setdefault(subset, []).append(float(row["mean"]))
        scores = {subset: sum(found) / len(found) for subset, found in trials.items()}
        return cls(space, scores, seed=seed, trials=trials)

    def trial(self, subset: Subset, seed: int = 0) -> float:
        """Score of a trial; the same subset and seed score the same."""
        rng = random.Random(f"{self.seed}:{subset}:{seed}")
        if self.trials is not None:
            return rng.choice(self.trials[subset])
        return self.scores[subset] + rng.gauss(0.0, self.noise)

    def regret(self, subset: Subset) -> float:
        """How much better the best subset truly is."""
        return self.best - self.scores[subset]


def _standard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    deviation = values.std()
    return (values - values.mean()) / (deviation if deviation > 0 else 1.0)
