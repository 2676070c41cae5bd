"""What the trials say of every subset: fits the process, and predicts in units of the score."""

import math
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.samplers import Observation
from search.space import LayerSpace
from search.subsets import Subset
from search.surrogate import transfer
from search.surrogate.covariance import COMPONENTS, Rows, between, within
from search.surrogate.features import Array, Encoder
from search.surrogate.process import Amplitudes, Prior, Regression, Vector, learn
from search.surrogate.trials import Trials

Hint = Callable[[Sequence[Subset]], Vector]
"""A guess at the scores of subsets, with mean 0 and variance 1; NaN where it has none."""

WHOLE = 60_000
"""A space with at most so many members is kept in memory whole."""

_PRIOR = tuple(math.log(scale) for scale in (0.5, 0.5, 0.4, 0.3, 0.3, 0.3, 0.3))  # of COMPONENTS
_HINT = math.log(0.4)
_EVIDENCE = 2.0  # by how much a hint must raise the logarithm of the posterior density
_LEARN_FROM = 250  # subsets that amplitudes are learned from: more change them little
_REMEMBER = 1200  # subsets a posterior is conditioned on: a fit grows with their cube
_CHUNK = 8192  # subsets predicted at once, to bound memory


class Surrogate:
    """A Gaussian process over the subsets of one space.

    Args:
        space: the space.
        hints: guesses made before the first trial; how much each says is learned from the trials.
        transfer: whether trials of other depths give hints, too.
    """

    def __init__(
        self, space: LayerSpace, hints: Sequence[Hint] = (), *, transfer: bool = False
    ) -> None:
        self.space = space
        self.hints = tuple(hints)
        self.transfer = transfer
        self.encode = Encoder(space)

    def informed(self, history: Sequence[Observation]) -> "Surrogate":
        """This surrogate with the hints that other depths in `history` give, if it is to listen."""
        found = transfer.hints(history, self.encode) if self.transfer else []
        if not found:
            return self
        other = copy(self)
        other.hints = (*self.hints, *found)
        return other

    @property
    def everything(self) -> Rows:
        """All members in lexicographic order, encoded; for spaces that fit in memory."""
        members = self.encode.members
        subsets = [tuple(row) for row in members.tolist()] if self.hints else []
        return Rows(self.encode.everything, self._columns(subsets, len(members)))

    def rows(self, subsets: Sequence[Subset]) -> Rows:
        """The subsets, encoded."""
        features = self.encode(np.asarray(subsets, dtype=np.int16).reshape(-1, self.space.depth))
        return Rows(features, self._columns(subsets, len(subsets)))

    def _columns(self, subsets: Sequence[Subset], number: int) -> Array:
        """(number, hints), what each hint says of the subsets; 0 where it says nothing."""
        columns = np.empty((number, len(self.hints)), dtype=np.float32)
        for i, hint in enumerate(self.hints):
            columns[:, i] = np.nan_to_num(hint(subsets))
        return columns

    def fit(self, history: Sequence[Observation]) -> "Posterior | None":
        """What the trials in `history` say; None before the second scored subset.

        Trials of other depths count only for what `informed` made of them.
        """
        trials = Trials.of(history, self.space)
        if len(trials) < 2:  # noqa: PLR2004 - a single score has no scale
            return None
        return Posterior.of(self, trials.best(_REMEMBER))


@dataclass(frozen=True, slots=True)
class Posterior:
    """The process after the trials so far.

    Attributes:
        trials: what it is conditioned on.
        noise: standard deviation of a score between seeds, as learned.
        surrogate: the surrogate that it comes from, with the hints of other depths.
    """

    trials: Trials
    noise: float
    surrogate: Surrogate
    _amplitudes: Amplitudes
    _regression: Regression
    _rows: Rows
    _centre: float
    _scale: float

    @classmethod
    def of(cls, surrogate: Surrogate, trials: Trials) -> "Posterior":
        """Learn the amplitudes and condition on the trials."""
        centre = float(trials.means.mean())
        scale = max(float(trials.means.std()), 1e-9)
        scores = (trials.means - centre) / scale
        rows = surrogate.rows([*trials.subsets, *trials.pending])
        some = np.unique(np.linspace(0, len(trials) - 1, _LEARN_FROM).astype(np.intp))
        part = rows.take(some)
        amplitudes = _learn(
            between(part, part),
            scores[some],
            trials.counts[some],
            float(trials.squares[some].sum()) / scale**2,
        )
        noise = amplitudes.noise / np.append(trials.counts, np.ones(len(trials.pending)))
        covariance = amplitudes.mix(between(rows, rows))
        regression = Regression.on(covariance, scores, noise)
        seed_noise = math.sqrt(amplitudes.noise) * scale
        return cls(trials, seed_noise, surrogate, amplitudes, regression, rows, centre, scale)

    @property
    def hinted(self) -> bool:
        """Whether the scores bear a hint out."""
        return any(weight > 0 and name not in COMPONENTS for name, weight in self.weights().items())

    def predict(self, rows: Rows) -> tuple[Vector, Vector]:
        """Mean and standard deviation of the true scores of encoded subsets, (k,) each.

        Trials that are running count as if they had scored what is expected of them, so that
        little is left to learn from their neighbours.
        """
        means, deviations = [], []
        for start in range(0, len(rows), _CHUNK):
            part = rows.take(np.arange(start, min(start + _CHUNK, len(rows))))
            covariance = self._amplitudes.mix(between(part, self._rows))
            own = self._amplitudes.mix(within(part))
            explained = (self._regression.explained(covariance) ** 2).sum(axis=0)
            means.append(self._regression.mean(covariance))
            deviations.append(np.sqrt(np.maximum(own - explained, 1e-10)))
        mean = np.concatenate(means).astype(np.float64)
        deviation = np.concatenate(deviations).astype(np.float64)
        return mean * self._scale + self._centre, deviation * self._scale

    def joint(self, subsets: Sequence[Subset]) -> tuple[Vector, NDArray[np.float64]]:
        """Mean (k,) and covariance (k, k) of the true scores of `subsets`."""
        rows = self.surrogate.rows(subsets)
        covariance = self._amplitudes.mix(between(rows, self._rows))
        explained = self._regression.explained(covariance).astype(np.float64)
        prior = self._amplitudes.mix(between(rows, rows)).astype(np.float64)
        mean = self._regression.mean(covariance).astype(np.float64)
        rest = prior - explained.T @ explained
        return mean * self._scale + self._centre, (rest + rest.T) / 2 * self._scale**2

    def tried(self) -> tuple[Vector, Vector]:
        """Mean and standard deviation of the true scores of `trials.subsets`."""
        return self.predict(self._rows.take(np.arange(len(self.trials))))

    def weights(self) -> dict[str, float]:
        """Standard deviation of the score that each component explains, by name."""
        names = [*COMPONENTS, *(f"hint {i}" for i in range(1, len(self.surrogate.hints) + 1))]
        roots = np.sqrt(self._amplitudes.variances) * self._scale
        return dict(zip(names, roots.tolist(), strict=True))


def _learn(
    components: Sequence[Array], scores: Vector, counts: Vector, squares: float
) -> Amplitudes:
    """The amplitudes; a hint gets one above 0 only if the scores are likelier with it."""
    kept = list(range(len(COMPONENTS)))
    found = learn(components[: len(kept)], scores, counts, squares, Prior(_PRIOR))
    for hint in range(len(COMPONENTS), len(components)):
        chosen = [*kept, hint]
        prior = Prior((*_PRIOR, *[_HINT] * (len(chosen) - len(_PRIOR))))
        other = learn([components[i] for i in chosen], scores, counts, squares, prior)
        if other.loss < found.loss - _EVIDENCE:
            kept, found = chosen, other
    variances = np.zeros(len(components))
    variances[kept] = found.variances
    return Amplitudes(variances, found.noise, found.loss)
