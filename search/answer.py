"""The answer of a study: the subset with the best posterior, not the luckiest single score."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from search.samplers import Observation
from search.space import LayerSpace
from search.subsets import Subset
from search.surrogate import Posterior, Surrogate, Trials
from search.surrogate.model import Hint

CLEAR = 0.95
"""Probability of being the best tried subset from which on a leader is clear."""

_RIVALS = 16  # subsets that may be repeated: those with the best posterior means
_DRAWS = 4000
_QUANTILES = 64


@dataclass(frozen=True, slots=True)
class Answer:
    """The subset to keep.

    Attributes:
        subset: the tried subset with the best posterior mean.
        mean: that mean, in units of the score.
        deviation: its posterior standard deviation; None while a single subset has a score.
        probability: that no other tried subset is truly better.
        trials: complete trials of it.
    """

    subset: Subset
    mean: float
    deviation: float | None
    probability: float
    trials: int


def judge(space: LayerSpace, hints: Sequence[Hint] = (), *, transfer: bool = False) -> Surrogate:
    """What judges the trials of one depth, hand-picked subsets outside its space included."""
    return Surrogate(space.unconstrained(space.depth), hints, transfer=transfer)


def answer(surrogate: Surrogate, history: Sequence[Observation]) -> Answer | None:
    """The answer after the trials in `history`; None before the first score."""
    done = [trial for trial in history if trial.state == "complete"]  # no hopes in running ones
    posterior = surrogate.informed(done).fit(done)
    if posterior is None:
        only = Trials.of(done, surrogate.space)
        if not len(only):
            return None
        return Answer(only.subsets[0], float(only.means[0]), None, 1.0, int(only.counts[0]))
    rivals = _rivals(posterior)
    mean, covariance = posterior.joint([posterior.trials.subsets[i] for i in rivals])
    return Answer(
        subset=posterior.trials.subsets[rivals[0]],
        mean=float(mean[0]),
        deviation=float(np.sqrt(covariance[0, 0])),
        probability=_probability_of_first(mean, covariance),
        trials=int(posterior.trials.counts[rivals[0]]),
    )


def worth_repeating(surrogate: Surrogate, history: Sequence[Observation]) -> Subset | None:
    """The tried subset whose next seed improves the answer most; None when the answer is clear.

    The gain is the knowledge gradient for correlated beliefs (Frazier, Powell and Dayanik 2009):
    how much better the best posterior mean is expected to be after one more trial. Running trials
    count as if they had scored what is expected of them. A subset of which a trial failed is not
    repeated.
    """
    posterior = surrogate.informed(history).fit(history)
    if posterior is None:
        return None
    rivals = _rivals(posterior)
    mean, covariance = posterior.joint([posterior.trials.subsets[i] for i in rivals])
    if _probability_of_first(mean, covariance) >= CLEAR:
        return None
    spread = np.sqrt(np.diag(covariance) + posterior.noise**2)
    shift = covariance / spread  # column i: how all means move per standard score of trial i
    quantiles = ndtri((np.arange(_QUANTILES) + 0.5) / _QUANTILES)
    after = mean[:, None, None] + shift[:, :, None] * quantiles
    gains = after.max(axis=0).mean(axis=1) - mean.max()
    broken = {trial.subset for trial in history if trial.state == "failed"}
    names = [posterior.trials.subsets[i] for i in rivals]
    sound = [i for i, subset in enumerate(names) if subset not in broken]
    return names[max(sound, key=lambda i: gains[i])] if sound else None


def _rivals(posterior: Posterior) -> NDArray[np.intp]:
    """Places of the tried subsets with the best posterior means, best first."""
    means, _ = posterior.tried()
    return np.argsort(-means, kind="stable")[:_RIVALS]


def _probability_of_first(mean: NDArray[np.float64], covariance: NDArray[np.float64]) -> float:
    """Probability that the first of several jointly normal values is the largest."""
    rng = np.random.default_rng(0)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    draws = mean + rng.standard_normal((_DRAWS, len(mean))) @ root.T
    return float((draws.argmax(axis=1) == 0).mean())
