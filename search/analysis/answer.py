"""The answer of a study: the subset of each depth with the best posterior, not a lucky score."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Engine

from search.observation import Observation
from search.space import LayerSpace, Subset
from search.study.file import parse_study_file
from search.study.history import History
from search.study.screening import screen_hints
from search.surrogate import PooledTrials, Surrogate
from search.surrogate.acquisition import RIVALS, probability_first_is_best
from storage.studies import StudyRecord


@dataclass(frozen=True, slots=True)
class Answer:
    """The subset to keep at one depth.

    Attributes:
        subset: the tried subset with the best posterior mean.
        mean: posterior mean of its true score.
        deviation: posterior standard deviation of that; None while a single subset has a score.
        probability: that no other tried subset is truly better.
        trials: complete trials of it.
        measured: mean score of these trials.
    """

    subset: Subset
    mean: float
    deviation: float | None
    probability: float
    trials: int
    measured: float

    @property
    def depth(self) -> int:
        """Number of kept layers."""
        return len(self.subset)


def find_answer(surrogate: Surrogate, history: Sequence[Observation]) -> Answer | None:
    """Return the answer after the trials in `history`; None before the first score.

    Args:
        surrogate: the surrogate of the depth, hand-picked subsets included.
        history: trials; those of other depths count if the surrogate learns from them.
    """
    done = [trial for trial in history if trial.score is not None]  # no hopes in pending ones
    posterior = surrogate.fit(done)
    if posterior is None:
        return _only_answer(PooledTrials.of(done, surrogate.space))

    trials = posterior.trials
    rivals = posterior.leaders(RIVALS)
    mean, covariance = posterior.joint([trials.subsets[i] for i in rivals])
    return Answer(
        subset=trials.subsets[rivals[0]],
        mean=float(mean[0]),
        deviation=float(np.sqrt(covariance[0, 0])),
        probability=probability_first_is_best(mean, covariance),
        trials=int(trials.counts[rivals[0]]),
        measured=float(trials.means[rivals[0]]),
    )


def _only_answer(trials: PooledTrials) -> Answer | None:
    """Return the only subset that has a score, if there is one."""
    if not len(trials):
        return None
    score = float(trials.means[0])
    return Answer(trials.subsets[0], score, None, 1.0, int(trials.counts[0]), score)


def find_answers(engine: Engine, study: StudyRecord, depths: Sequence[int]) -> list[Answer]:
    """Return the answer of each of `depths` that has one, by its trials and screens."""
    transfer = parse_study_file(study.file).transfer

    found = []
    for depth in depths:
        space = LayerSpace(
            study.layers, depth, study.period, "free", keep_first=False, phase=study.phase
        )
        hints = screen_hints(engine, study.id, depth)
        surrogate = Surrogate.unconstrained(space, hints, transfer=transfer)
        history = History(engine, study.id, depth)
        others = history.read_other_depths() if transfer else []
        if (answer := find_answer(surrogate, [*others, *history.read()])) is not None:
            found.append(answer)
    return found
