"""Hints from other depths: what their trials say of layers, and of pairs of layers.

A layer that helps at depth 4 may help at depth 7. The trials of each other depth are explained by
an effect of every layer and of every pair of layers; a hint adds up the effects that a subset of
this depth would have. How far to trust it is for the trials of this depth to say.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from search.samplers import Observation
from search.subsets import Subset
from search.surrogate.covariance import Rows, between
from search.surrogate.features import Encoder
from search.surrogate.process import Prior, Regression, Vector, learn
from search.surrogate.trials import Trials

LEAST = 8
"""Scored subsets that another depth must have to be listened to."""

_FLAT = 1e-9  # scores that differ by no more say nothing
_MOST = 400  # subsets of another depth that are learned from
_PARTS = (0, 1, 4, 5)  # of `covariance.COMPONENTS`: what does not depend on the depth
_PRIOR = Prior((-0.7, -0.7, -1.2, -1.2))


@dataclass(frozen=True, slots=True)
class Effects:
    """What the trials of another depth say of each layer and of each two.

    Attributes:
        centre: (layers,), share of the subsets of the depth that is asked about which keep a layer.
        layers: (layers,), effect of keeping one.
        pairs: (layers, layers), effect of keeping two at once.
        mean: mean of the sums over the space, subtracted from each.
        deviation: their standard deviation, by which each is divided.
    """

    centre: Vector
    layers: Vector
    pairs: NDArray[np.float64]
    mean: float = 0.0
    deviation: float = 1.0

    def __call__(self, subsets: Sequence[Subset]) -> Vector:
        """The sum of the effects in each of `subsets`, with mean 0 and variance 1 over a space."""
        kept = np.zeros((len(subsets), len(self.centre)))
        np.put_along_axis(kept, np.asarray(subsets, dtype=np.intp), 1.0, axis=1)
        kept -= self.centre
        total: Vector = kept @ self.layers + np.einsum("ni,ij,nj->n", kept, self.pairs, kept)
        return (total - self.mean) / self.deviation

    def over(self, members: Sequence[Subset]) -> "Effects":
        """These effects on the scale of `members`."""
        found = self(members)
        return replace(self, mean=float(found.mean()), deviation=max(float(found.std()), 1e-9))


def hints(history: Iterable[Observation], encoder: Encoder) -> list[Effects]:
    """A hint from each other depth that `history` has enough trials of, ascending by depth."""
    space = encoder.space
    by_depth: dict[int, list[Observation]] = {}
    for trial in history:
        if len(trial.subset) not in (0, space.depth):
            by_depth.setdefault(len(trial.subset), []).append(trial)
    found = []
    for depth, trials in sorted(by_depth.items()):
        if depth > space.layers:
            continue
        there = space.unconstrained(depth)
        scored = Trials.of(trials, there).best(_MOST)
        if len(scored) >= LEAST and np.ptp(scored.means) > _FLAT:
            found.append(_effects(scored, Encoder(there), encoder).over(encoder.sample))
    return found


def _effects(trials: Trials, there: Encoder, here: Encoder) -> Effects:
    """Explain `trials` of another depth by effects of layers and pairs."""
    rows = Rows(there(trials.subsets), np.empty((len(trials), 0), dtype=np.float32))
    scale = float(trials.means.std())
    scores = (trials.means - trials.means.mean()) / scale
    every = between(rows, rows)
    parts = [every[part] for part in _PARTS]
    amplitudes = learn(parts, scores, trials.counts, float(trials.squares.sum()) / scale**2, _PRIOR)
    process = Regression.on(amplitudes.mix(parts), scores, amplitudes.noise / trials.counts)
    # the covariances are linear and quadratic in what is kept, so the mean is, too
    kept = rows.features.layers.astype(np.float64)
    smooth = rows.features.smooth.astype(np.float64)
    one, near = there.maps()
    single, alike, double, alikes = amplitudes.variances
    weights = process.weights.astype(np.float64)
    layers = single * one @ (kept.T @ weights) + alike * near @ (smooth.T @ weights)
    pairs = double * one @ ((kept.T * weights) @ kept) @ one.T
    pairs += alikes * near @ ((smooth.T * weights) @ smooth) @ near.T
    return Effects(here.share(), layers, pairs)
