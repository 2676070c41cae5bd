"""What the trials say of every subset: fits the process, and predicts in units of the score."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.samplers import Observation
from search.space import LayerSpace
from search.subsets import Subset
from search.surrogate.covariance import COMPONENTS, Rows, between, within
from search.surrogate.features import Array, Encoder
from search.surrogate.learning import Amplitudes
from search.surrogate.process import Regression, Vector
from search.surrogate.scored import learned
from search.surrogate.transfer import Relative, relatives
from search.surrogate.trials import Trials

Hint = Callable[[Sequence[Subset]], Vector]
"""A guess at the scores of subsets, with mean 0 and variance 1; NaN where it has none."""

_WHOLE = 60_000  # members of a space that is kept in memory whole,
_CELLS = 20_000_000  # and numbers that say which layer sits where, in all of them

_REMEMBER = 800  # subsets a posterior is conditioned on: a fit grows with their cube
_CERTAIN = 1e-10  # variance of what is known, up to rounding
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

    def relatives(self, history: Sequence[Observation]) -> list[Relative]:
        """The other depths in `history` that there is something to learn from, if it may."""
        return relatives(history, self.space) if self.transfer else []

    @property
    def fits_in_memory(self) -> bool:
        """Whether the whole space may be kept in memory; else only parts of it are looked at."""
        cells = self.space.count * self.space.depth * self.space.layers
        return self.space.count <= _WHOLE and cells <= _CELLS

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

    def fit(self, history: Sequence[Observation], *, trusting: bool = False) -> "Posterior | None":
        """What the trials in `history` say; None before the second scored subset.

        Args:
            history: trials; those of other depths count with `transfer` alone.
            trusting: whether other depths are believed before the scores bear them out; then it is
                None only if they say nothing, either.
        """
        trials = Trials.of(history, self.space).best(_REMEMBER)
        found = self.relatives(history)
        if len(trials) < 2 and not (trusting and found):  # noqa: PLR2004 - one score has no scale
            return None
        return Posterior.of(self, trials, found, trusting=trusting)


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
    _parts: tuple[Rows, ...]
    _centre: float
    _scale: float

    @classmethod
    def of(
        cls, surrogate: Surrogate, trials: Trials, others: Sequence[Relative], *, trusting: bool
    ) -> "Posterior":
        """Learn the amplitudes and condition on the trials."""
        rows = surrogate.rows([*trials.subsets, *trials.pending])
        own = rows.take(np.arange(len(trials)))
        scored, amplitudes = learned(own, trials, others, trusting=trusting)
        parts = (*scored.parts[:-1], rows)
        depths = range(len(parts))
        covariance = np.block(
            [[amplitudes.mix(between(parts[a], parts[b]), a, b) for b in depths] for a in depths]
        )
        noise = amplitudes.noise / np.append(scored.counts, np.ones(len(trials.pending)))
        regression = Regression.on(covariance, scored.scores, noise)
        seed_noise = math.sqrt(amplitudes.noise) * scored.scale
        numbers = (scored.centre, scored.scale)
        return cls(trials, seed_noise, surrogate, amplitudes, regression, parts, *numbers)

    @property
    def hinted(self) -> bool:
        """Whether the scores bear a hint out."""
        told = any(weight > 0 and name not in COMPONENTS for name, weight in self.weights().items())
        return told or len(self._parts) > 1

    def predict(self, rows: Rows) -> tuple[Vector, Vector]:
        """Mean and standard deviation of the true scores of encoded subsets, (k,) each.

        Trials that are running count as if they had scored what is expected of them, so that
        little is left to learn from their neighbours.
        """
        mean, deviation = self.imagine(rows, np.zeros((1, len(self.trials.pending))))
        return mean[0], deviation

    def imagine(self, rows: Rows, draws: Vector) -> tuple[Vector, Vector]:
        """What would be known of encoded subsets if running trials ended in this way or that.

        Args:
            rows: k encoded subsets.
            draws: (s, pending), standard normal numbers that stand for s ways to end.

        Returns:
            Mean (s, k) of the true scores in each case, and standard deviation (k,) in all.
        """
        pending = self._regression.lower.shape[0] - len(self.trials.pending)
        means, deviations = [], []
        for start in range(0, len(rows), _CHUNK):
            part = rows.take(np.arange(start, min(start + _CHUNK, len(rows))))
            covariance = self._covariance(part)
            own = self._amplitudes.mix(within(part))
            explained = self._regression.explained(covariance)
            shifts = draws.astype(np.float32) @ explained[pending:]
            means.append(self._regression.mean(covariance) + shifts)
            deviations.append(np.sqrt(np.maximum(own - (explained**2).sum(axis=0), _CERTAIN)))
        mean = np.concatenate(means, axis=1).astype(np.float64)
        deviation = np.concatenate(deviations).astype(np.float64)
        return mean * self._scale + self._centre, deviation * self._scale

    def joint(self, subsets: Sequence[Subset]) -> tuple[Vector, NDArray[np.float64]]:
        """Mean (k,) and covariance (k, k) of the true scores of `subsets`."""
        rows = self.surrogate.rows(subsets)
        covariance = self._covariance(rows)
        explained = self._regression.explained(covariance).astype(np.float64)
        prior = self._amplitudes.mix(between(rows, rows)).astype(np.float64)
        mean = self._regression.mean(covariance).astype(np.float64)
        rest = prior - explained.T @ explained
        certain = np.diag_indices(len(rest))
        rest[certain] = np.maximum(rest[certain], _CERTAIN)
        return mean * self._scale + self._centre, (rest + rest.T) / 2 * self._scale**2

    def tried(self) -> tuple[Vector, Vector]:
        """Mean and standard deviation of the true scores of `trials.subsets`."""
        return self.predict(self.begun.take(np.arange(len(self.trials))))

    @property
    def begun(self) -> Rows:
        """The scored subsets, and those of the running trials after them, encoded."""
        return self._parts[-1]

    def _covariance(self, rows: Rows) -> Array:
        """(k, m), of encoded subsets with everything conditioned on."""
        last = len(self._parts) - 1
        blocks = [
            self._amplitudes.mix(between(rows, part), last, group)
            for group, part in enumerate(self._parts)
        ]
        return blocks[0] if last == 0 else np.concatenate(blocks, axis=1)

    def weights(self) -> dict[str, float]:
        """Standard deviation of the score that each component explains, by name."""
        names = [*COMPONENTS, *(f"hint {i}" for i in range(1, len(self.surrogate.hints) + 1))]
        roots = np.sqrt(self._amplitudes.variances) * self._scale
        return dict(zip(names, roots.tolist(), strict=True))
