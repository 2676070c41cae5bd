"""Ctrl-C and SIGTERM at any moment: no result is lost, and no trial stays claimed."""

import signal
from collections import Counter

import pytest
from optuna.trial import TrialState
from sqlalchemy import Engine, event

from search.errors import SearchError
from search.space import Subset
from search.worker.loop import run_trials
from storage.queue import Claim, NewTrial, Result, TrialQueue
from tests.support.stores import new_trial, queue_of, trial_rows
from tests.support.workers import (
    Begin,
    Sums,
    Watcher,
    assert_mirrored,
    mirrored_trials,
    states,
)


def test_interrupted_trial_waits_and_is_finished_by_the_next_worker(
    engine: Engine, begin: Begin
) -> None:
    def interrupt(_: Subset) -> None:
        if len(evaluator.seen) == 2:
            raise KeyboardInterrupt

    evaluator = Sums(interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_trials(begin(evaluator), Watcher())

    assert states(engine) == ["complete", "waiting"]
    waiting = trial_rows(engine)[1]
    assert (waiting["owner"], waiting["lease_until"], waiting["mean"]) == (None, None, None)
    shown = [trial.state for trial in mirrored_trials(engine, 2)]
    assert shown == [TrialState.COMPLETE, TrialState.WAITING]

    following = Sums()
    run_trials(begin(following), Watcher())
    assert following.seen[0] == evaluator.seen[1]

    finished = trial_rows(engine)[1]
    assert (finished["state"], finished["token"]) == ("complete", 2)
    assert finished["optuna_number"] == waiting["optuna_number"] == 1
    assert Counter(states(engine)) == {"complete": 6}
    assert_mirrored(engine)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_while_a_result_is_written_does_not_lose_it(
    engine: Engine, begin: Begin, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    finish = TrialQueue.finish

    def strike(self: TrialQueue, claim: Claim, result: Result) -> bool:
        signal.raise_signal(number)
        return finish(self, claim, result)

    session = begin()
    monkeypatch.setattr(TrialQueue, "finish", strike)
    with pytest.raises(KeyboardInterrupt):
        run_trials(session, Watcher())

    assert states(engine) == ["complete"]
    assert session.queue.unmirrored() == []
    assert_mirrored(engine)

    monkeypatch.undo()
    run_trials(begin(), Watcher())
    assert Counter(states(engine)) == {"complete": 6}
    assert_mirrored(engine)


def test_signal_just_after_a_claim_leaves_nothing_running(
    engine: Engine, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = TrialQueue.claim

    def strike(self: TrialQueue, trial: NewTrial) -> Claim:
        held = claim(self, trial)
        signal.raise_signal(signal.SIGINT)
        return held

    session = begin()
    monkeypatch.setattr(TrialQueue, "claim", strike)
    with pytest.raises(KeyboardInterrupt):
        run_trials(session, Watcher())
    assert states(engine) == ["waiting"]

    monkeypatch.undo()
    run_trials(begin(), Watcher())
    assert Counter(states(engine)) == {"complete": 6}
    assert_mirrored(engine)


def test_signal_just_after_taking_over_leaves_nothing_running(
    engine: Engine, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = begin()
    other = queue_of(engine, session.study, "w")
    other.give_back(other.claim(new_trial((0, 1))))
    take_over = TrialQueue.take_over

    def strike(self: TrialQueue, depths: list[int], *, reference: bool) -> Claim | None:
        held = take_over(self, depths, reference=reference)
        signal.raise_signal(signal.SIGINT)
        return held

    monkeypatch.setattr(TrialQueue, "take_over", strike)
    with pytest.raises(KeyboardInterrupt):
        run_trials(session, Watcher())
    assert states(engine) == ["waiting"]

    monkeypatch.undo()
    run_trials(begin(), Watcher())
    assert Counter(states(engine)) == {"complete": 6}
    assert_mirrored(engine)


@pytest.mark.slow
def test_signal_at_any_statement_leaves_nothing_running(engine: Engine, begin: Begin) -> None:
    # raised inside a transaction, it can leave a lock behind that giving back then waits for
    strike, seen = 0, 0

    def count(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == strike:
            signal.raise_signal(signal.SIGINT)

    event.listen(engine, "after_cursor_execute", count)
    budgets = {"2": 15, "3": 20}
    for statement in range(2, 150, 13):
        session = begin(trials=budgets)
        event.listen(session.mirror._storage.engine, "after_cursor_execute", count)
        strike, seen = statement, 0
        with pytest.raises(KeyboardInterrupt):
            run_trials(session, Watcher())

        assert seen >= strike
        strike = 0
        assert "running" not in states(engine)

    run_trials(begin(trials=budgets), Watcher())
    assert Counter(states(engine)) == {"complete": 35}
    assert_mirrored(engine)


class Dying:
    """An object whose destructor is running when Ctrl-C strikes: Python drops what it raises."""

    def __del__(self) -> None:
        """Strike."""
        signal.raise_signal(signal.SIGINT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_signal_in_a_destructor_during_a_trial_is_not_lost(engine: Engine, begin: Begin) -> None:
    session = begin(Sums(lambda _: Dying()))
    with pytest.raises(KeyboardInterrupt):
        run_trials(session, Watcher())
    assert "running" not in states(engine)
    assert len(states(engine)) <= 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_signal_in_a_destructor_between_trials_is_not_lost(
    engine: Engine, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    remaining = TrialQueue.remaining

    def strike(self: TrialQueue, depth: int) -> int:
        Dying()
        return remaining(self, depth)

    session = begin()
    monkeypatch.setattr(TrialQueue, "remaining", strike)
    with pytest.raises(KeyboardInterrupt):
        run_trials(session, Watcher())
    assert "running" not in states(engine)
    assert len(states(engine)) <= 1


@pytest.mark.slow
def test_interruptions_are_no_reason_to_give_a_trial_up(engine: Engine, begin: Begin) -> None:
    def end(_: Subset) -> None:
        if len(evaluator.seen) < 4:
            raise KeyboardInterrupt
        if len(evaluator.seen) == 4:
            raise MemoryError

    evaluator = Sums(end)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            run_trials(begin(evaluator), Watcher())
    with pytest.raises(SearchError, match="MemoryError"):
        run_trials(begin(evaluator), Watcher())
    assert states(engine) == ["waiting"]

    run_trials(begin(evaluator), Watcher())
    assert Counter(states(engine)) == {"complete": 6}
    assert_mirrored(engine)
