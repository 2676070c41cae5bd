"""A small space whose true scores are known, and trials in it."""

import random
from collections.abc import Iterable

from search.observation import Observation
from search.space import LayerSpace, Subset

SPACE = LayerSpace(8, 4, None, "free")
"""A space of 35 subsets."""


def true_score(subset: Subset) -> float:
    """Return the true score of a subset: early layers and layer 6 help."""
    return 0.3 + sum(0.01 * (8 - layer) for layer in subset) + 0.05 * (6 in subset)


def tried(subsets: Iterable[Subset], noise: float = 0.0, seed: int = 0) -> list[Observation]:
    """Return complete trials of `subsets`.

    Args:
        subsets: the subsets.
        noise: standard deviation of a trial.
        seed: seed of each trial, and of the noise.
    """
    rng = random.Random(seed)
    return [
        Observation(subset, true_score(subset) + rng.gauss(0, noise), seed=seed)
        for subset in subsets
    ]
