"""The answer of a study: the subset of each depth with the best posterior, not a lucky score.

Notation
    mu, Sigma   posterior mean and covariance of the tried subsets' scores on the measured queries
    Q           covariance of their means that stems from the choice of queries (`chance`)
    sigma_0^2   variance of a score between seeds, as the store shows it
    m_i         trials of subset i

The true scores, on all queries like the measured ones, are taken to be normal with mean mu and
covariance Sigma + Q. The noise of the surrogate is no less than sigma_0; while few subsets have a
score, neither is Sigma_ii less than sigma_0^2 / m_i, for the scale of the process is itself learned
from them.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Engine

from search.analysis.chance import Chance, Covariance, read_chance
from search.observation import Observation
from search.space import LayerSpace, Subset
from search.study.file import parse_study_file
from search.study.history import History
from search.study.proposal import SETTLED
from search.study.screening import screen_hints
from search.surrogate import PooledTrials, Posterior, Surrogate
from search.surrogate.acquisition import RIVALS, probability_first_is_best
from search.surrogate.regression import Floats
from storage.leaderboard import CONFIDENCE
from storage.studies import StudyRecord

_MOST_RIVALS = 64
"""Subsets, the best of those that may be the best, that the answer is compared with: it bounds the
scores by query that are read. A heuristic.
"""

ALONE = "one subset has a score: nothing to compare with"
NOTHING_KNOWN = "neither queries nor seeds show how far chance goes: nothing can be said of p"
SEEDS_UNKNOWN = "no subset of the store has several seeds: what chance in training adds is unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    """The subset to keep at one depth.

    Attributes:
        subset: the subset with the best posterior mean, of those that the leaderboard does not tell
            apart from the leader.
        mean: posterior mean of its true score.
        deviation: standard deviation of that; None where nothing is known of it.
        probability: that no other tried subset is truly better; None where nothing is known of it.
        tied: number of other subsets that are tied with the leader or are not known not to be; None
            where the store is not asked.
        trials: complete trials of it.
        measured: mean score of these trials.
        remarks: sentences on what is not known.
    """

    subset: Subset
    mean: float
    deviation: float | None
    probability: float | None
    tied: int | None
    trials: int
    measured: float
    remarks: tuple[str, ...] = ()

    @property
    def depth(self) -> int:
        """Number of kept layers."""
        return len(self.subset)


def find_answer(
    surrogate: Surrogate, history: Sequence[Observation], chance: Chance | None = None
) -> Answer | None:
    """Return the answer after the trials in `history`; None before the first score.

    Args:
        surrogate: the surrogate of the depth, hand-picked subsets included.
        history: trials; those of other depths count if the surrogate learns from them.
        chance: the chance in the scores; without it, the posterior speaks of the measured queries
            alone, and trusts its own noise.
    """
    done = [trial for trial in history if trial.score is not None]  # no hopes in pending ones
    pooled = PooledTrials.of(done, surrogate.space)
    if not len(pooled):
        return None

    least = chance.seed_variance if chance and chance.seed_variance else 0.0
    posterior = surrogate.fit(done, least_noise=math.sqrt(least))
    if posterior is None:  # a single subset has a score, and it is its own posterior mean
        trials, rivals = pooled, list(pooled.subsets)
        mean, on_measured = pooled.means, np.zeros((1, 1))
    else:
        trials, rivals = posterior.trials, _rivals(posterior, chance)
        mean, on_measured = posterior.joint(rivals)

    place = trials.subsets.index(rivals[0])
    covariance: Covariance | None = on_measured
    if chance is not None:
        covariance = _with_chance(on_measured, rivals, trials, chance)
    deviation = None if covariance is None else float(np.sqrt(covariance[0, 0])) or None
    return Answer(
        subset=rivals[0],
        mean=float(mean[0]),
        deviation=deviation,
        probability=_probability(mean, covariance, rivals, chance),
        tied=None if chance is None or chance.unknown else len(chance.tied - {rivals[0]}),
        trials=int(trials.counts[place]),
        measured=float(trials.means[place]),
        remarks=tuple(_remarks(trials, covariance, chance)),
    )


def _rivals(posterior: Posterior, chance: Chance | None) -> list[Subset]:
    """Return the answer, then the subsets that it is compared with, best posterior mean first."""
    ranked = [posterior.trials.subsets[i] for i in posterior.leaders(len(posterior.trials))]
    if chance is None:
        return ranked[:RIVALS]

    open_ = [subset for subset in ranked if chance.may_be_best(subset)]
    first = open_[0] if open_ else ranked[0]
    others = dict.fromkeys([*ranked[:RIVALS], *open_])
    return [first, *(subset for subset in others if subset != first)][:_MOST_RIVALS]


def _with_chance(
    covariance: Covariance, rivals: Sequence[Subset], trials: PooledTrials, chance: Chance
) -> Covariance | None:
    """Return the covariance of the true scores of `rivals`; None where nothing is known of it.

    Args:
        covariance: Sigma, of their scores on the measured queries.
        rivals: the subsets.
        trials: all scored subsets.
        chance: the chance in their scores.
    """
    over_queries = chance.query_covariance(rivals)
    if over_queries is None and chance.seed_variance is None:
        return None

    total = covariance.copy()
    if chance.seed_variance is not None and len(trials) < SETTLED:
        counts = dict(zip(trials.subsets, trials.counts.tolist(), strict=True))
        least = np.array([chance.seed_variance / counts[subset] for subset in rivals])
        total[np.diag_indices(len(total))] += np.maximum(least - np.diag(total), 0.0)
    return total if over_queries is None else total + over_queries


def _probability(
    mean: Floats, covariance: Covariance | None, rivals: Sequence[Subset], chance: Chance | None
) -> float | None:
    """Return the probability that the first of `rivals` is the best; None where it is unknown.

    While the leaderboard ties it with others, it is no more than the confidence of the ties.
    """
    if covariance is None or len(rivals) == 1:
        return None
    found = probability_first_is_best(mean, covariance)
    if chance is not None and (chance.tied | chance.unknown) - {rivals[0]}:
        return min(found, CONFIDENCE)
    return found


def _remarks(
    trials: PooledTrials, covariance: Covariance | None, chance: Chance | None
) -> Iterator[str]:
    """Yield a sentence on each thing that is not known."""
    if len(trials) == 1:
        yield ALONE
    elif covariance is None:
        yield NOTHING_KNOWN
    elif chance is not None and chance.seed_variance is None:
        yield SEEDS_UNKNOWN


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
        chance = read_chance(engine, study, depth)  # before the trials: they may be more by now
        history = History(engine, study.id, depth)
        others = history.read_other_depths() if transfer else []
        answer = find_answer(surrogate, [*others, *history.read()], chance)
        if answer is not None:
            found.append(answer)
    return found
