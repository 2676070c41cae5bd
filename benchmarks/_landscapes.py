"""Landscapes whose best subset is known: seeded synthetic ones, and recorded tables.

A landscape holds the true score of every subset of a space. The shape of the synthetic ones is a
heuristic: `Effects.drawn` and `Landscape.drawn` say how each of its parts was imagined.
"""

import csv
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search.space import LayerSpace, Subset, parse_subset

ROUGHNESS = (0.1, 0.3, 0.5)
"""Shares of the variance that do not add up over layers: from nearly additive to half of it."""

LOW, HIGH = 0.33, 0.47
"""Lowest and highest true score of a synthetic landscape; a heuristic."""

NOISE = 0.004
"""Standard deviation of one trial; between the two seeds recorded in `minilm.csv` it is 0.003."""

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Effects:
    """The effects of layers behind a landscape, which depths of one base can share.

    Attributes:
        layers: (layers,), effect of keeping each.
        redundancy: (layers, layers), loss from keeping two at once.
    """

    layers: Vector
    redundancy: Vector

    @classmethod
    def drawn(cls, layers: int, seed: int, period: int = 3) -> "Effects":
        """Draw effects: early layers help, one late global layer does, neighbours are redundant."""
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
        seed: seed of the noise.
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
        self.space = space
        self.scores = scores

        self.noise = noise
        self.seed = seed
        self.trials = trials

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
        """Draw a synthetic landscape.

        Redundancy of pairs is most of the part that does not add up; the rest is a penalty on gaps
        larger than half again the even one.

        Args:
            space: the space.
            seed: seed of the effects and of the noise.
            roughness: share of the variance that does not add up over layers.
            noise: standard deviation of a trial.
            effects: effects of layers that another depth has, too; drawn when left out.
        """
        found = effects or Effects.drawn(space.layers, seed)
        members = np.array(list(space))
        kept = np.zeros((len(members), space.layers))
        np.put_along_axis(kept, members, 1.0, axis=1)

        additive = kept @ found.layers
        pairs = -0.5 * ((kept @ found.redundancy) * kept).sum(axis=1)
        widest = np.diff(members, axis=1).max(axis=1) if space.depth > 1 else np.zeros(len(members))
        gaps = -np.maximum(0.0, widest - 1.5 * space.layers / space.depth)

        rough = 0.8 * _standardize(pairs) + 0.5 * _standardize(gaps)
        total = np.sqrt(1 - roughness) * _standardize(additive) + np.sqrt(roughness) * rough
        scaled = LOW + (HIGH - LOW) * (total - total.min()) / np.ptp(total)

        subsets = [tuple(member) for member in members.tolist()]
        scores = dict(zip(subsets, scaled.tolist(), strict=True))
        return cls(space, scores, noise=noise, seed=seed)

    @classmethod
    def recorded(cls, path: Path, space: LayerSpace, *, seed: int = 0) -> "Landscape":
        """Read a table of real trials, columns `subset`, `seed`, `mean`; their mean is the truth.

        Args:
            path: the CSV file.
            space: the space; rows of other subsets are left out.
            seed: seed of the order in which trials are replayed.
        """
        trials: dict[Subset, list[float]] = {}
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                subset = parse_subset(row["subset"])
                if subset in space:
                    trials.setdefault(subset, []).append(float(row["mean"]))

        scores = {subset: sum(found) / len(found) for subset, found in trials.items()}
        return cls(space, scores, seed=seed, trials=trials)

    def trial(self, subset: Subset, seed: int = 0) -> float:
        """Return the score of a trial; the same subset and seed score the same."""
        rng = random.Random(f"{self.seed}:{subset}:{seed}")
        if self.trials is not None:
            return rng.choice(self.trials[subset])
        return self.scores[subset] + rng.gauss(0.0, self.noise)

    def regret(self, subset: Subset) -> float:
        """Return by how much the best subset is truly better."""
        return self.best - self.scores[subset]


def _standardize(values: Vector) -> Vector:
    """Return values with mean 0 and variance 1; zeros when they do not vary."""
    deviation = float(values.std())
    standardized: Vector = (values - values.mean()) / (deviation if deviation > 0 else 1.0)
    return standardized
