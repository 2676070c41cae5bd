"""The quality of a screen: how well it predicts the trials, with intervals."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from search.study.screening import MEASURES
from storage.leaderboard import mean_by_subset
from storage.screens import FitRecord, read_screened, replace_fits

TOP = 10
"""Number of the best subsets that the recall is about; half of the subsets where that is fewer."""

LEAST_SUBSETS = 5
"""Subsets with trials below which a correlation says nothing: of four, any order is likely."""

# Resamples of the bootstrap: 2,000 for small studies, as is customary for 95 % intervals; fewer for
# large ones, whose intervals are narrow, to keep the ranking of 400,000 subsets within seconds.
_RESAMPLES, _FEWEST_RESAMPLES = 2000, 200
_MOST_RANKED = 400_000
_BATCH = 50  # resamples held in memory at once

Floats = NDArray[np.float64]


def measure_fits(engine: Engine, study_id: int, depths: Sequence[int]) -> list[FitRecord]:
    """Return how well each measure of each screen predicts the trials of `depths`."""
    found = []
    for depth in depths:
        means = mean_by_subset(engine, study_id, depth)
        for weights, screened in read_screened(engine, study_id, depth).items():
            tried = [one for one in screened if one.subset in means]
            if len(tried) < LEAST_SUBSETS:
                continue

            trials = np.array([means[one.subset] for one in tried])
            for measure in MEASURES:
                predicted = np.array([getattr(one, measure) for one in tried])
                found.append(measure_fit(depth, weights, measure, predicted, trials))
    return found


def store_fits(engine: Engine, study_id: int, depths: Sequence[int]) -> list[FitRecord]:
    """Measure how well the screens of a study predict its trials, and store and return that."""
    found = measure_fits(engine, study_id, depths)
    replace_fits(engine, study_id, depths, found)
    return found


def measure_fit(
    depth: int, weights: str, measure: str, predicted: Floats, trials: Floats
) -> FitRecord:
    """Return rank correlation and recall of one measure, with bootstrap intervals.

    Args:
        depth: depth of the subsets.
        weights: weights they were screened with.
        measure: name of the measure.
        predicted: (n,), scores of the screen.
        trials: (n,), mean of the trials of the same subsets.
    """
    return FitRecord(
        depth,
        weights,
        measure,
        len(trials),
        spearman_correlation(predicted, trials),
        *_interval(spearman_correlation, predicted, trials),
        recall_of_best(predicted, trials),
        *_interval(recall_of_best, predicted, trials),
    )


def spearman_correlation(predicted: Floats, trials: Floats) -> float:
    """Return Spearman's rank correlation; 0 where one side does not vary."""
    if np.ptp(predicted) == 0 or np.ptp(trials) == 0:
        return 0.0

    from scipy import stats  # noqa: PLC0415 - as in `_interval`

    return float(stats.spearmanr(predicted, trials).statistic)


def recall_of_best(predicted: Floats, trials: Floats) -> float:
    """Return the share of the best by trial that are among as many best by prediction."""
    top = min(TOP, len(trials) // 2)
    best, likely = (
        set(np.argsort(-side, kind="stable")[:top].tolist()) for side in (trials, predicted)
    )
    return len(best & likely) / len(best)


def _interval(
    statistic: Callable[[Floats, Floats], float], predicted: Floats, trials: Floats
) -> tuple[float, float]:
    """Return the 95 % percentile interval of the bootstrap, which resamples subsets."""
    # imported here: it takes a second, and every worker would wait for it as it starts
    from scipy import stats  # noqa: PLC0415

    found = stats.bootstrap(
        (predicted, trials),
        statistic,
        paired=True,
        vectorized=False,
        method="percentile",
        n_resamples=min(_RESAMPLES, max(_FEWEST_RESAMPLES, _MOST_RANKED // len(trials))),
        batch=_BATCH,
        rng=np.random.default_rng(0),
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)
