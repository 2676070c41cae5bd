"""The screen: scores all subsets of all depths before the first trial, and judges them after it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sqlalchemy import Engine

import evaluators
from search import subsets
from search.interrupts import signals
from search.prefixtree import PrefixTree
from search.space import LayerSpace
from search.subsets import Subset
from search.surrogate.model import Hint
from storage import retry, screens
from storage.screens import Fit, Screened

MEASURES = ("ndcg", "agreement")
TOP = 10
"""How many of the best the recall is about; half of the subsets where that is fewer."""
LEAST = 5
"""Subsets with trials below which a correlation says nothing."""

_FLUSH_SECONDS = 5.0
_RESAMPLES, _FEWEST = 2000, 200
_RANKED = 400_000  # subsets that are ranked for one interval: many subsets take fewer resamples
_BATCH = 50  # resamples held in memory at once


def screen(
    engine: Engine,
    study_id: int,
    spaces: Sequence[LayerSpace],
    screener: evaluators.Screener,
    options: evaluators.ScreenOptions,
    *,
    progress: evaluators.Progress = evaluators.silent,
) -> int:
    """Score every subset of `spaces` that has no score with these weights yet.

    What is scored is stored every few seconds, and when the walk ends, however it ends.

    Returns:
        Number of subsets that were scored now.
    """
    with signals.held():
        return _screen(engine, study_id, spaces, screener, options, progress)


def _screen(
    engine: Engine,
    study_id: int,
    spaces: Sequence[LayerSpace],
    screener: evaluators.Screener,
    options: evaluators.ScreenOptions,
    progress: evaluators.Progress,
) -> int:
    """`screen`, with signals held back."""
    known = screens.scores(engine, study_id).get(options.weights, [])
    tree = PrefixTree(tuple(spaces), frozenset(subsets.parse(row.subset) for row in known))
    total, done = tree.count, sum(any(s in space for space in spaces) for s in tree.done)
    if done == total:
        return 0
    before, waiting, flushed = done, list[Screened](), time.monotonic()
    walk = screener.screen(tree, options, progress)
    try:
        while (found := _next(walk)) is not None:
            key = subsets.key(found.subset)
            waiting.append(Screened(key, len(found.subset), found.ndcg, found.agreement))
            done += 1
            progress("screen", done, total)
            if time.monotonic() - flushed > _FLUSH_SECONDS:
                retry.patiently(screens.record)(engine, study_id, options.weights, waiting)
                waiting, flushed = [], time.monotonic()
    finally:
        retry.patiently(screens.record)(engine, study_id, options.weights, waiting)
    return done - before


def _next(walk: Iterator[evaluators.ScreenScore]) -> evaluators.ScreenScore | None:
    """The next score of a walk; a signal ends it here, and never while scores are written."""
    with signals.let_through():
        return next(walk, None)


def unfinished(engine: Engine, study_id: int, spaces: Sequence[LayerSpace]) -> list[str]:
    """A line for each screen that has scored some of a space, but not all of it."""
    sizes = {space.depth: space.count for space in spaces}
    return [
        f"depth {depth}, weights {weights}: screened {known} of {sizes[depth]} subsets, "
        "in the order of the layers; `layer-search screen` goes on"
        for (weights, depth), known in screens.counts(engine, study_id).items()
        if known < sizes.get(depth, 0)
    ]


def hints(engine: Engine, study_id: int, depth: int) -> list[Hint]:
    """What the screens say of one depth: a hint for each kind of weights and each measure."""
    found: list[Hint] = []
    for rows in screens.scores(engine, study_id, depth).values():
        for measure in MEASURES:
            table = {subsets.parse(row.subset): float(getattr(row, measure)) for row in rows}
            if len(set(table.values())) > 1:  # what never varies says nothing
                found.append(hint(table))
    return found


def hint(table: Mapping[Subset, float]) -> Hint:
    """A hint that knows the subsets in `table`; their scores are put on a hint's scale."""
    values = np.array(list(table.values()))
    scaled = (values - values.mean()) / values.std()
    known = dict(zip(table, scaled.tolist(), strict=True))

    def guess(asked: Sequence[Subset]) -> NDArray[np.float64]:
        return np.array([known.get(subset, np.nan) for subset in asked], dtype=np.float64)

    return guess


def fits(engine: Engine, study_id: int, depths: Sequence[int]) -> list[Fit]:
    """How well each measure of each screen predicts the trials of `depths`."""
    found = []
    for depth in depths:
        means = screens.means(engine, study_id, depth)
        for weights, rows in screens.scores(engine, study_id, depth).items():
            tried = [row for row in rows if row.subset in means]
            if len(tried) < LEAST:
                continue
            trials = np.array([means[row.subset] for row in tried])
            for measure in MEASURES:
                guessed = np.array([getattr(row, measure) for row in tried])
                found.append(fit(depth, weights, measure, guessed, trials))
    return found


def fit(
    depth: int,
    weights: str,
    measure: str,
    guessed: NDArray[np.float64],
    trials: NDArray[np.float64],
) -> Fit:
    """How well one measure predicts: rank correlation and recall, with bootstrap intervals.

    Args:
        depth: depth of the subsets.
        weights: weights they were screened with.
        measure: what was measured.
        guessed: (n,), by screen.
        trials: (n,), mean of the trials of the same subsets.
    """
    spearman = (
        spearman_correlation(guessed, trials),
        *_interval(spearman_correlation, guessed, trials),
    )
    recall = (recall_of_best(guessed, trials), *_interval(recall_of_best, guessed, trials))
    return Fit(depth, weights, measure, len(trials), *spearman, *recall)


def spearman_correlation(guessed: NDArray[np.float64], trials: NDArray[np.float64]) -> float:
    """Spearman's rank correlation; 0 where one side does not vary."""
    if np.ptp(guessed) == 0 or np.ptp(trials) == 0:
        return 0.0
    return float(stats.spearmanr(guessed, trials).statistic)


def recall_of_best(guessed: NDArray[np.float64], trials: NDArray[np.float64]) -> float:
    """Share of the best by trial, `TOP` or half of them, that are among as many best by guess."""
    top = min(TOP, len(trials) // 2)
    best, likely = (
        set(np.argsort(-side, kind="stable")[:top].tolist()) for side in (trials, guessed)
    )
    return len(best & likely) / len(best)


def _interval(
    statistic: Callable[[NDArray[np.float64], NDArray[np.float64]], float],
    guessed: NDArray[np.float64],
    trials: NDArray[np.float64],
) -> tuple[float, float]:
    """95 % percentile interval of the bootstrap, resampling subsets."""
    resamples = min(_RESAMPLES, max(_FEWEST, _RANKED // len(trials)))
    found = stats.bootstrap(
        (guessed, trials), statistic, paired=True, vectorized=False, method="percentile",
        n_resamples=resamples, batch=_BATCH, rng=np.random.default_rng(0),
    )  # fmt: skip
    return float(found.confidence_interval.low), float(found.confidence_interval.high)
