"""Small landscapes of scores over subsets, trials in them, and guesses at them."""

import random
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from search.observation import Observation
from search.space import LayerSpace, Subset
from search.surrogate import Hint, Posterior, Surrogate

Landscape = Callable[[Subset], float]
"""The true score of every subset."""

SPACE = LayerSpace(12, 5, 3, "free")
SHALLOW = LayerSpace(12, 3, 3, "free")
"""Another depth of the same base."""


def additive(subset: Subset) -> float:
    """Return a score to which early layers add, and layer 9, too."""
    return 0.3 + sum(0.02 / (1 + layer) for layer in subset) + 0.02 * (9 in subset)


def unrelated(subset: Subset) -> float:
    """Return a number that has nothing to do with any score."""
    return random.Random(f"hint {subset}").gauss(0, 1)


def truth(landscape: Landscape = additive) -> NDArray[np.float64]:
    """Return the true score of every member of `SPACE`, in its order."""
    return np.array([landscape(subset) for subset in SPACE])


def observe(
    number: int,
    landscape: Landscape = additive,
    *,
    noise: float = 0.001,
    space: LayerSpace = SPACE,
    seed: int = 0,
) -> list[Observation]:
    """Return complete trials of different members.

    Args:
        number: how many.
        landscape: the true scores.
        noise: standard deviation of a trial.
        space: the space of the members.
        seed: of the draw of members and noise.
    """
    rng = random.Random(seed)
    members = [space.unrank(rank) for rank in rng.sample(range(space.count), number)]
    return [Observation(subset, landscape(subset) + rng.gauss(0, noise)) for subset in members]


def hint_of(values: Landscape) -> Hint:
    """Return a hint with mean 0 and variance 1 over `SPACE`."""
    every = truth(values)
    return lambda subsets: (np.array([values(s) for s in subsets]) - every.mean()) / every.std()


def fit(
    history: Sequence[Observation],
    hints: Sequence[Hint] = (),
    *,
    space: LayerSpace = SPACE,
    transfer: bool = False,
    trust: bool = False,
) -> Posterior:
    """Return the posterior after `history`, which must have one.

    Args:
        history: the trials.
        hints: guesses made before them.
        space: the space of the surrogate.
        transfer: whether trials of other depths count.
        trust: whether other depths are believed at once.
    """
    posterior = Surrogate(space, hints, transfer=transfer).fit(history, trust=trust)
    assert posterior is not None
    return posterior


def predict_all(posterior: Posterior) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of every member of its space."""
    return posterior.predict(posterior.surrogate.everything)


def correlation(posterior: Posterior, landscape: Landscape = additive) -> float:
    """Return the correlation of the posterior mean with the truth over `SPACE`."""
    mean, _ = predict_all(posterior)
    return float(np.corrcoef(mean, truth(landscape))[0, 1])
