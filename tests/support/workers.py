"""Evaluators without models, observers of workers, and Optuna's mirror, to watch a worker work."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy import Engine

from evaluators import Description, Evaluation, Progress, TaskEvaluation, silent
from search.space import Subset, format_subset, parse_subset
from search.study.file import StudyFile, parse_study_file
from search.worker.session import Session
from storage.database.optuna_storage import open_optuna
from storage.queue import Claim, Result
from tests.support.stores import Row, trial_rows

LAYERS = 6
"""Layers of the toy base."""
FREE = {"cadence": "free", "keep_first": False}
"""Section `[space]` of a space of all subsets."""
ENDS = {"complete": TrialState.COMPLETE, "failed": TrialState.FAIL}
"""State of an Optuna trial by the state of the trial that it mirrors."""

on_one_database = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
"""Mark of a test whose subject is decided before the store is asked, so that one will do."""

Begin = Callable[..., Session]
"""Type of the fixture `begin`: begins or joins the study, as a new worker would."""


# a study


def study_file(
    sampler: str | dict[str, Any] = "uniform", space: dict[str, Any] = FREE, **changed: Any
) -> StudyFile:
    """Return a study file over the toy base.

    Args:
        sampler: the section `[sampler]`, or the name in it.
        space: the section `[space]`.
        **changed: keys of `[study]` that differ from three trials at depths 2 and 3, no reference.
    """
    return parse_study_file(
        {
            "study": {
                "name": "s",
                "depths": [2, 3],
                "trials": {"2": 3, "3": 3},
                "reference": False,
                **changed,
            },
            "space": space,
            "sampler": {"name": sampler} if isinstance(sampler, str) else sampler,
            "evaluator": {"name": "table", "path": "toy.csv", "layers": LAYERS, "period": 3},
        }
    )


def score(subset: Subset) -> float:
    """Return the score of a subset of the toy base."""
    return sum(subset) / 100


def write_table(folder: Path) -> None:
    """Write the scores of depths 2 and 3 as `toy.csv`, for workers in other processes."""
    lines = [
        f"{format_subset(subset)},{score(subset)}"
        for depth in (2, 3)
        for subset in combinations(range(LAYERS), depth)
    ]
    (folder / "toy.csv").write_text("\n".join(["subset,mean", *lines, ""]), encoding="utf-8")


class Sums:
    """An evaluator whose score of a subset is its sum.

    Args:
        before: called with the subset at each evaluation; may raise.

    Attributes:
        description: the toy base.
        seen: the subsets that were evaluated.
    """

    description = Description("toy", LAYERS, 3, fingerprints={"base": "none"})

    def __init__(self, before: Callable[[Subset], object] = lambda _: None) -> None:
        self.seen: list[Subset] = []
        self._before = before

    def evaluate(self, subset: Subset, seed: int, progress: Progress = silent) -> Evaluation:
        """Return the sum plus the seed, as the score of one task with one query."""
        self.seen.append(subset)
        progress("evaluate", 0, 1)
        self._before(subset)

        found = score(subset) + seed
        tasks = {"nano": TaskEvaluation(found, {"q": found})}
        return Evaluation(found, tasks, {"evaluate": 0.5})


class Watcher:
    """An observer that remembers the events of a worker.

    Attributes:
        events: the events, in words.
    """

    def __init__(self) -> None:
        self.events: list[str] = []

    def started(self, claim: Claim) -> None:
        """Note that a trial begins."""
        self.events.append(f"started {claim.key}")

    def stage(self, name: str, done: int, total: int) -> None:
        """Note a stage of the trial."""
        self.events.append(f"{name} {done}/{total}")

    def finished(self, claim: Claim, result: Result) -> None:
        """Note the end of the trial."""
        self.events.append(f"finished {claim.key} {result.state}")

    def waiting(self, running: int) -> None:
        """Note that nothing is left to claim."""
        self.events.append(f"waiting for {running}")


# the store and the mirror


def states(engine: Engine) -> list[str]:
    """Return the state of each trial of the study `s`, oldest first."""
    return [row["state"] for row in trial_rows(engine)]


def mirrored_trials(engine: Engine, depth: int) -> list[optuna.trial.FrozenTrial]:
    """Return Optuna's trials of one depth of the study `s`."""
    storage = open_optuna(engine.url)
    try:
        return optuna.load_study(study_name=f"s/L{depth}", storage=storage).trials
    finally:
        storage.remove_session()
        storage.engine.dispose()


def assert_mirrored(engine: Engine) -> None:
    """Check that Optuna has each trial of the study `s` once, finished, with its parameters."""
    ours = trial_rows(engine)
    for depth in {row["depth"] for row in ours}:
        theirs = {trial.number: trial for trial in mirrored_trials(engine, depth)}
        here = [row for row in ours if row["depth"] == depth]

        assert sorted(theirs) == sorted(row["optuna_number"] for row in here)
        for row in here:
            _assert_same(theirs[row["optuna_number"]], row)


def _assert_same(mirrored: optuna.trial.FrozenTrial, row: Row) -> None:
    """Check that an Optuna trial says the same as the row of the trial that it mirrors."""
    kept = parse_subset(row["subset"])
    assert mirrored.state is ENDS[row["state"]]
    assert mirrored.values == (None if row["mean"] is None else [row["mean"]])
    assert mirrored.params == {f"keep_{i:02d}": int(i in kept) for i in range(LAYERS)}
    assert mirrored.user_attrs["subset"] == row["subset"]
