"""Several seeds for a subset: as many as asked for, or where they decide something."""

import math
from collections import Counter
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from evaluators import Evaluation, Progress, TaskEvaluation, silent
from search.space import Subset
from search.worker.loop import run_trials
from tests.support.stores import queue_of, trial_rows
from tests.support.workers import Begin, Sums, Watcher, assert_mirrored, on_one_database

pytestmark = pytest.mark.slow


@on_one_database
def test_each_subset_is_tried_with_its_replicates(engine: Engine, begin: Begin) -> None:
    every = {"depths": [1, 5], "trials": 12}  # of 6 subsets each
    run_trials(begin(sampler="exhaustive", replicates=2, seed=7, **every), Watcher())

    found = trial_rows(engine)
    assert Counter(row["depth"] for row in found) == {1: 12, 5: 12}
    assert {(row["seed"], row["origin"]) for row in found} == {(7, "exhaustive"), (8, "repeat")}
    assert len({(row["subset"], row["seed"]) for row in found}) == 24
    assert_mirrored(engine)


class Leaves(Watcher):
    """Ends its worker when nothing is left to claim."""

    def waiting(self, running: int) -> None:
        """End it."""
        raise KeyboardInterrupt


def test_two_workers_share_the_replicates(engine: Engine, begin: Begin) -> None:
    """The second begins while the first runs: together they run each pair once."""
    joined = begin(replicates=2, trials=6, depths=[2])
    second = replace(joined, queue=queue_of(engine, joined.study, "second"))

    def join(_: Subset) -> None:
        if len(trial_rows(engine)) == 1:
            with pytest.raises(KeyboardInterrupt):
                run_trials(second, Leaves())

    first = begin(Sums(join), replicates=2, trials=6, depths=[2])
    run_trials(first, Watcher())

    rows = trial_rows(engine)
    assert len({row["owner"] for row in rows}) == 2
    found = Counter((row["subset"], row["seed"]) for row in rows)
    assert set(found.values()) == {1}
    assert len(found) == 6
    assert len({subset for subset, _ in found}) == 3


class Noisy(Sums):
    """Scores that differ little between subsets and much between seeds, so no leader is clear."""

    def evaluate(self, subset: Subset, seed: int, progress: Progress = silent) -> Evaluation:
        """Return the same score for the same subset and seed."""
        found = super().evaluate(subset, seed, progress)
        score = 0.5 + 0.1 * math.sin(hash((subset, seed)))
        return Evaluation(score, {"nano": TaskEvaluation(score, {"q": score})}, found.seconds)


@on_one_database
def test_auto_replicates_count_within_the_budget(engine: Engine, begin: Begin) -> None:
    session = begin(Noisy(), replicates="auto", trials=20, depths=[3], sampler="gp")
    run_trials(session, Watcher())

    found = trial_rows(engine)
    assert len(found) == 20
    assert all(row["origin"] == "gp" for row in found[:15])
    assert {row["origin"] for row in found[15:]} <= {"repeat", "gp"}
    assert any(row["origin"] == "repeat" for row in found[15:])
    assert len({(row["subset"], row["seed"]) for row in found}) == 20
    assert_mirrored(engine)
