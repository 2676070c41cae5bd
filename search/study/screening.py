"""The screen: scores all subsets of all depths before the first trial, and hints at the best."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

import evaluators
from search.signals import signals
from search.space import LayerSpace, Subset
from search.space.prefix_tree import PrefixTree
from search.surrogate import Hint
from storage.screens import ScreenedSubset, read_screened, record_screened

MEASURES = ("ndcg", "agreement")
"""Scores that a screen gives a subset, by their names in `storage.screens.ScreenedSubset`."""

_FLUSH_SECONDS = 5.0  # between two writes of scores: the loss when power fails, and hardly a cost


def run_screen(
    engine: Engine,
    study_id: int,
    spaces: Sequence[LayerSpace],
    screener: evaluators.Screener,
    options: evaluators.ScreenOptions,
    *,
    depths: Collection[int] | None = None,
    progress: evaluators.Progress = evaluators.silent,
) -> int:
    """Score every subset of `spaces` that has no score with the weights of `options` yet.

    They are scored in an order of which any beginning is a fair sample. Scores are stored
    every few seconds, and when the walk ends, however it ends.

    Args:
        engine: the store.
        study_id: the study.
        spaces: one for each depth.
        screener: scores subsets with shared weights.
        options: the section `[screen]` of the study file.
        depths: score subsets of these depths only; shared weights are trained for all of them.
        progress: called after every subset.

    Returns:
        Number of subsets that were scored now.
    """
    with signals.held():
        known = read_screened(engine, study_id).get(options.weights, [])
        wanted = None if depths is None else frozenset(depths)
        tree = PrefixTree(tuple(spaces), frozenset(one.subset for one in known), wanted)
        total, before = tree.count, sum(any(s in one for one in tree.walked) for s in tree.done)
        if before == total:
            return 0

        done, waiting, flushed = before, list[ScreenedSubset](), time.monotonic()
        walk = screener.screen(tree, options, progress)
        try:
            while (found := _next_score(walk)) is not None:
                waiting.append(ScreenedSubset(found.subset, found.ndcg, found.agreement))
                done += 1
                progress("screen", done, total)
                if time.monotonic() - flushed > _FLUSH_SECONDS:
                    record_screened(engine, study_id, options.weights, waiting)
                    waiting, flushed = [], time.monotonic()
        finally:
            record_screened(engine, study_id, options.weights, waiting)
        return done - before


def _next_score(walk: Iterator[evaluators.ScreenScore]) -> evaluators.ScreenScore | None:
    """Return the next score of a walk; a signal ends it here, never while scores are written."""
    with signals.let_through():
        return next(walk, None)


def unfinished_screens(engine: Engine, study_id: int, spaces: Sequence[LayerSpace]) -> list[str]:
    """Return a line for each screen that has scored some of a space, but not all of it."""
    lines = []
    for weights, screened in read_screened(engine, study_id).items():
        for space in spaces:
            known = sum(one.subset in space for one in screened)
            if 0 < known < space.count:
                lines.append(
                    f"depth {space.depth}, weights {weights}: screened a random sample of "
                    f"{known} of {space.count} subsets; `layer-search screen` goes on"
                )
    return lines


def screen_hints(engine: Engine, study_id: int, depth: int) -> list[Hint]:
    """Return a hint for each kind of weights and each measure that screened one depth."""
    found: list[Hint] = []
    for screened in read_screened(engine, study_id, depth).values():
        for measure in MEASURES:
            table = {one.subset: float(getattr(one, measure)) for one in screened}
            if len(set(table.values())) > 1:  # a constant says nothing
                found.append(table_hint(table))
    return found


def table_hint(table: Mapping[Subset, float]) -> Hint:
    """Return a hint that knows the subsets in `table`; their scores are put on a hint's scale."""
    values = np.array(list(table.values()))
    scaled = (values - values.mean()) / values.std()
    known = dict(zip(table, scaled.tolist(), strict=True))

    def guess(subsets: Sequence[Subset]) -> NDArray[np.float64]:
        return np.array([known.get(subset, np.nan) for subset in subsets], dtype=np.float64)

    return guess
