"""Trials without a score: their reason is recorded, unforeseen errors are tried again."""

import math
from collections import Counter

import pytest
from optuna.trial import TrialState
from sqlalchemy import Engine

from evaluators import Evaluation, Progress, TaskEvaluation, TrialFailure, silent
from search.errors import SearchError
from search.space import Subset, format_subset
from search.worker.loop import run_trials
from storage.leaderboard import rank_subsets
from storage.queue import TrialQueue
from tests.support.stores import attempts, new_trial, queue_of, trial_rows
from tests.support.workers import (
    Begin,
    Sums,
    Watcher,
    assert_mirrored,
    mirrored_trials,
    states,
)


def test_failure_is_recorded_and_the_study_goes_on(engine: Engine, begin: Begin) -> None:
    def fail(_: Subset) -> None:
        if len(evaluator.seen) == 2:
            reason = "the loss is NaN after step 3"
            raise TrialFailure(reason)

    evaluator, watcher = Sums(fail), Watcher()
    run_trials(begin(evaluator), watcher)
    assert Counter(states(engine)) == {"complete": 5, "failed": 1}

    failed = trial_rows(engine)[1]
    assert (failed["state"], failed["error"]) == ("failed", "the loss is NaN after step 3")
    assert (failed["mean"], failed["lease_until"], failed["set_aside"]) == (None, None, False)
    assert f"finished {failed['subset']} failed" in watcher.events
    assert failed["subset"] not in [row["subset"] for row in rank_subsets(engine)]
    assert_mirrored(engine)


class Broken(Sums):
    """Scores its second trial with NaN."""

    def evaluate(self, subset: Subset, seed: int, progress: Progress = silent) -> Evaluation:
        """Return the sum, or NaN."""
        found = super().evaluate(subset, seed, progress)
        return Evaluation(math.nan, {}) if len(self.seen) == 2 else found


def test_score_that_is_no_number_is_a_failure(engine: Engine, begin: Begin) -> None:
    run_trials(begin(Broken()), Watcher())
    assert Counter(states(engine)) == {"complete": 5, "failed": 1}
    assert "nan" in trial_rows(engine)[1]["error"]
    assert len(rank_subsets(engine)) == 5
    assert_mirrored(engine)


class Endless(Sums):
    """Names the one query of its second trial by more letters than an index holds."""

    def evaluate(self, subset: Subset, seed: int, progress: Progress = silent) -> Evaluation:
        """Return the sum."""
        found = super().evaluate(subset, seed, progress)
        query = "q" * 3000 if len(self.seen) == 2 else "q"
        return Evaluation(found.mean, {"nano": TaskEvaluation(found.mean, {query: found.mean})})


def test_name_that_the_store_cannot_keep_is_a_failure(engine: Engine, begin: Begin) -> None:
    run_trials(begin(Endless()), Watcher())
    assert Counter(states(engine)) == {"complete": 5, "failed": 1}
    assert "that the store cannot keep" in trial_rows(engine)[1]["error"]


def test_unforeseen_error_gives_back_and_counts_as_failed_the_third_time(
    engine: Engine, begin: Begin
) -> None:
    broken: list[Subset] = []

    def explode(subset: Subset) -> None:
        if subset in broken or (not broken and len(evaluator.seen) == 2):
            broken.append(subset)
            message = "cuDNN is unhappy\nwith many details"
            raise RuntimeError(message)

    evaluator, reason = Sums(explode), "RuntimeError: cuDNN is unhappy"
    for attempt in (1, 2):
        with pytest.raises(SearchError) as caught:
            run_trials(begin(evaluator), Watcher())
        assert (
            str(caught.value)
            == f"trial {format_subset(broken[0])} broke and was given back: {reason}"
        )
        assert states(engine) == ["complete", "waiting"]
        assert trial_rows(engine)[1]["token"] == attempt
        assert mirrored_trials(engine, 2)[1].state is TrialState.WAITING

    run_trials(begin(evaluator), Watcher())
    assert Counter(states(engine)) == {"complete": 5, "failed": 1}
    failed = trial_rows(engine)[1]
    assert failed["error"] == f"broke 3 times, last with {reason}"
    assert failed["set_aside"] is True
    assert_mirrored(engine)


def test_trial_that_keeps_ending_its_workers_is_set_aside(engine: Engine, begin: Begin) -> None:
    session = begin()
    dying = queue_of(engine, session.study, "there", lease=-1)
    dying.claim(new_trial((0, 1)))
    for name in ("here", "there"):  # a worker that claims what it holds would only be told so
        assert queue_of(engine, session.study, name, lease=-1).take_over([2]) is not None

    evaluator = Sums()
    run_trials(begin(evaluator), Watcher())
    failed = trial_rows(engine)[0]
    assert failed["error"] == "its worker ended 3 times without a result"
    assert failed["set_aside"] is True
    assert (0, 1) not in evaluator.seen
    assert Counter(states(engine)) == {"complete": 5, "failed": 1}
    assert_mirrored(engine)


def test_error_is_told_also_when_the_trial_cannot_be_given_back(
    engine: Engine,
    begin: Begin,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def explode(_: Subset) -> None:
        message = "no memory left"
        raise RuntimeError(message)

    def refuse(*_: object) -> None:
        message = "the store is away"
        raise OSError(message)

    for step in ("give_back", "give_back_all"):
        monkeypatch.setattr(TrialQueue, step, refuse)
    with pytest.raises(SearchError, match="RuntimeError: no memory left"):
        run_trials(begin(Sums(explode)), Watcher())

    (row,) = trial_rows(engine)
    assert caplog.messages == [
        f"could not give {row['subset']} back now: OSError: the store is away",
        "could not give back what is held now: OSError: the store is away",
    ]
    assert row["state"] == "running"  # until its lease runs out, or the worker is seen to be gone
    assert [outcome for _, _, outcome, _ in attempts(engine)] == ["running"]
