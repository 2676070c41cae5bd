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

SETTLED = 15
"""Scored subsets before a repeat may take the place of a new one."""

PREFERENCE = 3.0
"""How much more a repeat must gain than a new subset, whose gain does not end with its one trial.

Chosen with `benchmarks/regret.py --part replicates`, where 1 leaves twice the regret at depth 4.
"""

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
        measured: mean of these.
    """

    subset: Subset
    mean: float
    deviation: float | None
    probability: float
    trials: int
    measured: float


def judge(space: LayerSpace, hints: Sequence[Hint] = (), *, transfer: bool = False) -> Surrogate:
    """What judges the trials of one depth, hand-picked subsets outside its space included."""
    return Surrogate(space.unconstrained(space.depth), hints, transfer=transfer)


def answer(surrogate: Surrogate, history: Sequence[Observation]) -> Answer | None:
    """The answer after the trials in `history`; None before the first score."""
    done = [trial for trial in history if trial.state == "complete"]  # no hopes in running ones
    posterior = surrogate.fit(done)
    if posterior is None:
        only = Trials.of(done, surrogate.space)
        if not len(only):
            return None
        score = float(only.means[0])
        return Answer(only.subsets[0], score, None, 1.0, int(only.counts[0]), score)
    rivals = _rivals(posterior)
    mean, covariance = posterior.joint([posterior.trials.subsets[i] for i in rivals])
    return Answer(
        subset=posterior.trials.subsets[rivals[0]],
        mean=float(mean[0]),
        deviation=float(np.sqrt(covariance[0, 0])),
        probability=_probability_of_first(mean, covariance),
        trials=int(posterior.trials.counts[rivals[0]]),
        measured=float(posterior.trials.means[rivals[0]]),
    )


def worth_repeating(
    surrogate: Surrogate, history: Sequence[Observation], instead: Subset | None = None
) -> Subset | None:
    """The tried subset whose next seed improves the answer most; None if that is not worth it.

    The gain is the knowledge gradient for correlated beliefs (Frazier, Powell and Dayanik 2009):
    how much better the best posterior mean is expected to be after one more trial. Running trials
    count as if they had scored what is expected of them. A subset of which a trial failed is not
    repeated, and none is once repeats have come out exactly the same.

    Args:
        surrogate: what judges.
        history: the trials so far.
        instead: an untried subset that could be tried instead; it is, unless repeating gains
            `PREFERENCE` times as much. Without one, a repeat is worth it until the answer is clear.
    """
    posterior = surrogate.fit(history)
    if posterior is None or (instead is not None and len(posterior.trials) < SETTLED):
        return None
    if posterior.trials.exact:
        return None
    names = [posterior.trials.subsets[i] for i in _rivals(posterior)]
    number = len(names)
    mean, covariance = posterior.joint([*names, *([instead] if instead else [])])
    if instead is None and _probability_of_first(mean, covariance) >= CLEAR:
        return None
    gains = _gains(mean, covariance, posterior.noise, number)
    broken = {trial.subset for trial in history if trial.state == "failed"}
    sound = [i for i, subset in enumerate(names) if subset not in broken]
    best = max(sound, key=lambda i: gains[i], default=None)
    if best is None or (instead is not None and gains[best] <= PREFERENCE * gains[number]):
        return None
    return names[best]


def _gains(
    mean: NDArray[np.float64], covariance: NDArray[np.float64], noise: float, tried: int
) -> NDArray[np.float64]:
    """How much better the best of the tried is expected to be after one more trial of each.

    Args:
        mean: (k,) posterior means, those of the tried first.
        covariance: (k, k), of the true scores.
        noise: standard deviation of a trial.
        tried: how many were tried; another one can become the best only by its own trial.
    """
    spread = np.sqrt(np.diag(covariance) + noise**2)
    shift = covariance / spread  # column i: how all means move per standard score of trial i
    quantiles = ndtri((np.arange(_QUANTILES) + 0.5) / _QUANTILES)
    after = mean[:, None, None] + shift[:, :, None] * quantiles  # (mean of, trial of, quantile)
    best = after[:tried].max(axis=0)
    for other in range(tried, len(mean)):
        best[other] = np.maximum(best[other], after[other, other])
    gains: NDArray[np.float64] = best.mean(axis=1) - mean[:tried].max()
    return gains


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
