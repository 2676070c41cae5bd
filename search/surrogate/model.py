"""The process itself: fitted to the trials, it predicts in units of the score."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from search.observation import Observation
from search.space import LayerSpace, Subset
from search.surrogate.features import Array, Encoder
from search.surrogate.kernel import COMPONENTS, Inputs, Kernel
from search.surrogate.multitask import JointScores, OtherTask, find_other_tasks, fit_jointly
from search.surrogate.regression import Floats, Regression
from search.surrogate.trials import PooledTrials

Hint = Callable[[Sequence[Subset]], Floats]
"""A guess at the scores of subsets, with mean 0 and variance 1; NaN where it has none."""

# Spaces that are kept in memory whole, and scored in a second: the number of their members, and of
# the numbers that say which layer sits where in all of them (80 MB).
_MOST_MEMBERS = 60_000
_MOST_CELLS = 20_000_000

# Subsets of a posterior: a fit grows as their cube, and a proposal takes some 2 s there.
_MOST_CONDITIONED = 800
_CERTAIN = 1e-10  # least variance: of a score that is known, up to rounding
_CHUNK = 8192  # subsets predicted at once, which bounds memory to some 250 MB


class Surrogate:
    """A Gaussian process over the subsets of one space.

    Args:
        space: the space.
        hints: guesses made before the first trial; the trials tell how much each says.
        transfer: whether trials of other depths count, too.
    """

    def __init__(
        self, space: LayerSpace, hints: Sequence[Hint] = (), *, transfer: bool = False
    ) -> None:
        self.space = space
        self.hints = tuple(hints)
        self.transfer = transfer
        self.encode = Encoder(space)

    @classmethod
    def unconstrained(
        cls, space: LayerSpace, hints: Sequence[Hint] = (), *, transfer: bool = False
    ) -> "Surrogate":
        """Return the surrogate of all subsets of the depth of `space`, hand-picked ones included.

        Args:
            space: the space that is searched.
            hints: guesses made before the first trial.
            transfer: whether trials of other depths count, too.
        """
        return cls(space.unconstrained(space.depth), hints, transfer=transfer)

    def other_tasks(self, history: Sequence[Observation]) -> list[OtherTask]:
        """Return the other depths in `history` to learn from; none without `transfer`."""
        return find_other_tasks(history, self.space) if self.transfer else []

    @property
    def fits_in_memory(self) -> bool:
        """Whether the whole space may be kept in memory; else only parts of it are looked at."""
        cells = self.space.count * self.space.depth * self.space.layers
        return self.space.count <= _MOST_MEMBERS and cells <= _MOST_CELLS

    @property
    def everything(self) -> Inputs:
        """All members in lexicographic order, encoded; for spaces that fit in memory."""
        members = self.encode.members
        subsets = [tuple(row) for row in members.tolist()] if self.hints else []
        return Inputs(self.encode.everything, self._hint_columns(subsets, len(members)))

    def inputs(self, subsets: Sequence[Subset]) -> Inputs:
        """Return `subsets`, encoded."""
        features = self.encode(np.asarray(subsets, dtype=np.int16).reshape(-1, self.space.depth))
        return Inputs(features, self._hint_columns(subsets, len(subsets)))

    def _hint_columns(self, subsets: Sequence[Subset], number: int) -> Array:
        """Return the guess of each hint at each subset, (number, hints); 0 where it has none."""
        columns = np.empty((number, len(self.hints)), dtype=np.float32)
        for i, hint in enumerate(self.hints):
            columns[:, i] = np.nan_to_num(hint(subsets))
        return columns

    def fit(
        self, history: Sequence[Observation], *, trust: bool = False, least_noise: float = 0.0
    ) -> "Posterior | None":
        """Return the posterior after the trials in `history`; None before two scored subsets.

        Args:
            history: trials; those of other depths count with `transfer` alone.
            trust: whether other depths are believed before the scores bear them out; then it is
                None only if they say nothing, either.
            least_noise: what the standard deviation between seeds is known to be at least, in units
                of the score.
        """
        trials = PooledTrials.of(history, self.space).best(_MOST_CONDITIONED)
        others = self.other_tasks(history)
        scale_is_known = len(trials) > 1
        if not scale_is_known and not (trust and others):
            return None
        return Posterior.of(self, trials, others, trust=trust, least_noise=least_noise)


@dataclass(frozen=True, slots=True)
class Posterior:
    """The process after the trials so far.

    Attributes:
        trials: the trials that it is conditioned on.
        surrogate: the surrogate that it comes from.
        data: their scores in units of their own, and the scores of other tasks; the last of its
            parts holds the scored subsets of the target, then the pending ones.
        kernel: the kernel with its learned hyperparameters.
        regression: the process conditioned on them.
    """

    trials: PooledTrials
    surrogate: Surrogate
    data: JointScores
    kernel: Kernel
    regression: Regression

    @classmethod
    def of(
        cls,
        surrogate: Surrogate,
        trials: PooledTrials,
        others: Sequence[OtherTask],
        *,
        trust: bool,
        least_noise: float = 0.0,
    ) -> "Posterior":
        """Learn the hyperparameters and condition on the trials."""
        inputs = surrogate.inputs([*trials.subsets, *trials.pending])
        scored = inputs.take(np.arange(len(trials)))
        data, hyperparameters = fit_jointly(scored, trials, others, trust=trust)

        least = (least_noise / data.unit) ** 2
        hyperparameters = replace(hyperparameters, noise=max(hyperparameters.noise, least))

        # the pending subsets come after the scored ones of the target, each as a trial of its own
        kernel = Kernel(hyperparameters)
        data = replace(data, parts=(*data.parts[:-1], inputs))
        covariance = kernel.matrix(data.parts, data.parts)
        noise = hyperparameters.noise / np.append(data.counts, np.ones(len(trials.pending)))
        regression = Regression.on(covariance, data.scores, noise)
        return cls(trials, surrogate, data, kernel, regression)

    @property
    def inputs(self) -> Inputs:
        """The scored subsets of the target, then the pending ones, encoded."""
        return self.data.parts[-1]

    @property
    def noise(self) -> float:
        """Standard deviation sigma of a score between seeds, in units of the score."""
        return math.sqrt(self.kernel.hyperparameters.noise) * self.data.unit

    @property
    def trusts_guidance(self) -> bool:
        """Whether the scores bear out a hint or another task."""
        of_hints = self.kernel.hyperparameters.variances[len(COMPONENTS) :]
        return bool(of_hints.any()) or len(self.data.parts) > 1

    def predict(self, inputs: Inputs) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of the true scores of encoded subsets, (k,) each.

        Pending trials count as if they had scored their expectation, so that little is left to
        learn from their neighbours.
        """
        mean, deviation = self.fantasize(inputs, np.zeros((1, len(self.trials.pending))))
        return mean[0], deviation

    def fantasize(self, inputs: Inputs, draws: Floats) -> tuple[Floats, Floats]:
        """Return the predictions after each of several fantasized outcomes of the pending trials.

        Conditioning on an outcome moves the means and not the deviations (Ginsbourger, Le Riche and
        Carraro 2010; Snoek, Larochelle and Adams 2012).

        Args:
            inputs: k encoded subsets.
            draws: (s, pending), standard normal numbers that stand for s outcomes.

        Returns:
            Mean (s, k) of the true scores after each outcome, and standard deviation (k,).
        """
        known = self.regression.lower.shape[0] - len(self.trials.pending)
        means, deviations = [], []
        for start in range(0, len(inputs), _CHUNK):
            part = inputs.take(np.arange(start, min(start + _CHUNK, len(inputs))))
            covariance = self._covariance(part)
            explained = self.regression.explained(covariance)

            shifts = draws.astype(np.float32) @ explained[known:]
            means.append(self.regression.mean(covariance) + shifts)
            variance = self.kernel.diag(part) - (explained**2).sum(axis=0)
            deviations.append(np.sqrt(np.maximum(variance, _CERTAIN)))

        mean = np.concatenate(means, axis=1).astype(np.float64)
        deviation = np.concatenate(deviations).astype(np.float64)
        return self._in_units_of_score(mean), deviation * self.data.unit

    def joint(self, subsets: Sequence[Subset]) -> tuple[Floats, NDArray[np.float64]]:
        """Return mean (k,) and covariance (k, k) of the true scores of `subsets`."""
        inputs = self.surrogate.inputs(subsets)
        covariance = self._covariance(inputs)
        explained = self.regression.explained(covariance).astype(np.float64)
        mean = self.regression.mean(covariance).astype(np.float64)

        rest = self.kernel(inputs, inputs).astype(np.float64) - explained.T @ explained
        diagonal = np.diag_indices(len(rest))
        rest[diagonal] = np.maximum(rest[diagonal], _CERTAIN)
        return self._in_units_of_score(mean), (rest + rest.T) / 2 * self.data.unit**2

    def at_scored(self) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of the true scores of `trials.subsets`."""
        return self.predict(self.inputs.take(np.arange(len(self.trials))))

    def leaders(self, number: int) -> NDArray[np.intp]:
        """Return the places of the scored subsets with the best posterior means, best first."""
        means, _ = self.at_scored()
        return np.argsort(-means, kind="stable")[:number]

    def explained_deviations(self) -> dict[str, float]:
        """Return the standard deviation of the scores that each component explains, by name."""
        names = [*COMPONENTS, *(f"hint {i}" for i in range(1, len(self.surrogate.hints) + 1))]
        roots = np.sqrt(self.kernel.hyperparameters.variances) * self.data.unit
        return dict(zip(names, roots.tolist(), strict=True))

    def _covariance(self, inputs: Inputs) -> Array:
        """Return the covariance (k, m) of encoded subsets with all subsets conditioned on."""
        return self.kernel.matrix([inputs], self.data.parts)

    def _in_units_of_score(self, mean: Floats) -> Floats:
        """Return means in units of the score."""
        scaled: Floats = mean * self.data.unit + self.data.centre
        return scaled
