"""Workers that are gone: their trials are taken over, and every trial counts once."""

import signal
import subprocess
import sys
from collections import Counter

import pytest
from optuna.trial import TrialState
from sqlalchemy import Engine

from search.space import format_subset, parse_subset
from search.worker import loop
from search.worker.loop import run_trials
from storage.queue import Claim, Outbox, Result, TaskResult, WorkerId
from tests.support.stores import new_trial, only_trial, queue_of, trial_rows, worker_id
from tests.support.workers import (
    Begin,
    Sums,
    Watcher,
    assert_mirrored,
    mirrored_trials,
    states,
)

HANGS = """
import sys
import time
from pathlib import Path

from evaluators import Description, Evaluation
from search.study.file import parse_study_file
from search.worker.loop import run_trials
from search.worker.session import begin_session
from storage.setup import open_store
from storage.studies import find_study

class Hangs:
    description, done = Description("toy", 6, 3, fingerprints={"base": "none"}), 0

    def evaluate(self, subset, seed, progress):
        self.done += 1
        if self.done == 3:
            print("hangs", flush=True)
            time.sleep(60)
        return Evaluation(sum(subset) / 100, {})

class Silent:
    def __getattr__(self, name):
        return lambda *_: None

engine = open_store(sys.argv[1])
file = parse_study_file(find_study(engine, "s").file)
run_trials(begin_session(engine, file, Path.cwd(), Hangs()), Silent())
"""
"""A worker that hangs in its third trial."""


def test_abandoned_trial_is_waited_for_and_taken_over(
    engine: Engine, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "POLL_SECONDS", 0.01)
    session = begin()
    held = queue_of(engine, session.study, "elsewhere").claim(new_trial((0, 1, 2)))

    class Expires(Watcher):
        """Lets the lease of the other worker run out at the third look."""

        def waiting(self, running: int) -> None:
            super().waiting(running)
            if self.events.count("waiting for 1") == 3:
                queue_of(engine, session.study, lease=-1).renew(held)

    watcher = Expires()
    run_trials(session, watcher)
    assert watcher.events[-6:] == [
        *["waiting for 1"] * 3,
        "started 0_1_2",
        "evaluate 0/1",
        "finished 0_1_2 complete",
    ]

    assert Counter(states(engine)) == {"complete": 6}
    assert trial_rows(engine)[0]["owner"] == str(WorkerId.current())
    assert_mirrored(engine)


def test_result_that_comes_second_is_dropped(
    engine: Engine, begin: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    def overtake(_: object) -> None:
        if len(evaluator.seen) > 1:
            return
        row, study = only_trial(engine), session.study
        held = Claim(row["id"], study.id, parse_subset(row["subset"]), row["seed"], row["token"])
        assert queue_of(engine, study, lease=-1).renew(held)

        other = queue_of(engine, study, "elsewhere")
        taken = other.take_over([2])
        assert taken is not None
        assert other.finish(taken, Result(0.875, {"nano": TaskResult(0.875)}))

    evaluator = Sums(overtake)
    session = begin(evaluator)
    run_trials(session, Watcher())

    first = trial_rows(engine)[0]
    assert (first["mean"], first["owner"]) == (0.875, str(worker_id("elsewhere")))
    assert caplog.messages == [f"trial {first['subset']} was finished by another worker first"]
    assert Counter(states(engine)) == {"complete": 6}
    assert_mirrored(engine)


def test_result_that_a_dead_worker_left_is_delivered_and_mirrored(
    engine: Engine, begin: Begin
) -> None:
    session = begin()
    held = queue_of(engine, session.study, "dead", lease=-1).claim(new_trial((0, 5)))
    kept = Outbox(session.study.uid, session.study.id).keep(held, Result(0.75))
    assert kept is not None

    evaluator = Sums()
    run_trials(session, Watcher())
    assert not kept.exists()
    assert (0, 5) not in evaluator.seen

    first = trial_rows(engine)[0]
    assert (first["subset"], first["mean"], first["token"]) == ("0_5", 0.75, 1)
    assert Counter(states(engine)) == {"complete": 6}
    assert_mirrored(engine)


@pytest.mark.slow
def test_killed_worker_is_replaced_and_every_trial_counts_once(
    engine: Engine, begin: Begin, store_url: str
) -> None:
    begin()
    with subprocess.Popen(
        [sys.executable, "-c", HANGS, store_url], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "hangs\n"
        assert states(engine) == ["complete", "complete", "running"]
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL

    held = trial_rows(engine)[2]
    assert held["owner"].split(":")[1] == str(process.pid)
    assert mirrored_trials(engine, 2)[2].state is TrialState.RUNNING

    evaluator = Sums()
    run_trials(begin(evaluator), Watcher())
    assert (
        format_subset(evaluator.seen[0]) == held["subset"]
    )  # taken over at once, not by its lease

    found = trial_rows(engine)
    assert Counter(states(engine)) == {"complete": 6}
    assert [row["token"] for row in found] == [1, 1, 2, 1, 1, 1]
    assert found[2]["optuna_number"] == held["optuna_number"]
    assert len({row["subset"] for row in found}) == 6
    assert_mirrored(engine)
