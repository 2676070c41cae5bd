"""Trials given back: by their worker, for a worker that has died, for a host that is gone."""

import signal
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import pytest
from sqlalchemy import Engine, text

from storage.database import write
from storage.errors import InputError
from storage.queue import Result, TrialQueue, WorkerId, release_host
from storage.states import TrialState
from storage.studies import StudyRecord, set_budgets
from tests.support.stores import Workers, attempts, begin, new_trial, only_trial, trial_rows

if TYPE_CHECKING:
    import subprocess

SCORED = Result(0.5)


# by their worker


def test_trial_given_back_names_the_optuna_trial_that_waits_with_it(worker: Workers) -> None:
    queue = worker()
    held = queue.claim(new_trial((0, 1, 2, 3)))
    assert queue.give_back(held) is None  # it has none

    taken = queue.take_over([4])
    assert taken is not None
    queue.link(taken, 7)
    assert queue.give_back(taken) == 7
    assert queue.give_back(taken) is None  # no longer ours


def test_every_trial_that_a_worker_still_holds_is_given_back(worker: Workers) -> None:
    a, b = worker("a"), worker("b")
    mine, other = a.claim(new_trial((0, 1, 2, 3))), b.claim(new_trial((0, 1, 2, 6)))
    a.give_back_all()
    assert a.state(mine.subset, mine.seed) is TrialState.WAITING
    assert a.state(other.subset, other.seed) is TrialState.RUNNING
    assert a.state((0, 1), 0) is None


# for a worker that has died


def test_trial_of_a_killed_process_is_released_and_no_other(
    engine: Engine, study: StudyRecord, holder: "subprocess.Popen[str]"
) -> None:
    set_budgets(engine, study, {4: 9})
    dead = WorkerId.parse(only_trial(engine)["owner"])
    me = WorkerId.current()
    queue = TrialQueue(engine, study, me)

    others = {
        (0, 1, 2, 4): me,
        (0, 1, 2, 5): replace(dead, host="elsewhere"),
        (0, 1, 2, 6): replace(dead, boot="pid:[1]"),  # a container of this host
    }
    for subset, owner in others.items():
        TrialQueue(engine, study, owner).claim(new_trial(subset))
    assert queue.release_dead() == 0

    holder.send_signal(signal.SIGKILL)
    holder.wait()
    # this pid, but a process that ran before this one did
    TrialQueue(engine, study, replace(me, start="1")).claim(new_trial((0, 1, 2, 7)))

    assert queue.release_dead() == 2
    states = {row["subset"]: row["state"] for row in trial_rows(engine)}
    assert states == {
        "0_1_2_3": "waiting",
        "0_1_2_4": "running",
        "0_1_2_5": "running",
        "0_1_2_6": "running",
        "0_1_2_7": "waiting",
    }
    assert queue.release_dead() == 0


def test_killed_process_that_nobody_waited_for_is_dead_too(
    engine: Engine, worker: Workers, holder: "subprocess.Popen[str]"
) -> None:
    holder.send_signal(signal.SIGKILL)
    while psutil.Process(holder.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert worker().release_dead() == 1
    assert only_trial(engine)["state"] == "waiting"


def test_worker_whose_process_ended_has_died(
    engine: Engine, worker: Workers, holder: "subprocess.Popen[str]"
) -> None:
    holder.kill()
    holder.wait()
    queue = worker("b")
    assert queue.release_dead() == 1
    ((number, _, outcome, reason),) = attempts(engine)
    assert (number, outcome, reason) == (1, "died", "its process ended")

    taken = queue.take_over([4])
    assert taken is not None
    queue.finish(taken, SCORED)
    assert [one[2] for one in attempts(engine)] == ["died", "complete"]


def test_only_workers_of_this_host_are_looked_at(
    engine: Engine, study: StudyRecord, worker: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands may work elsewhere, and a worker looks before each of its trials."""
    me = WorkerId.current()
    others = [replace(me, host=f"{me.host}x"), replace(me, host=me.host[:-1] + "_"), me]
    for last, owner in enumerate(others, 3):
        TrialQueue(engine, study, owner).claim(new_trial((0, 1, 2, last)))

    seen = []

    def look(worker: WorkerId) -> bool:
        seen.append(worker)
        return False

    monkeypatch.setattr(WorkerId, "has_ended", look)
    assert worker().release_dead() == 0
    assert seen == [me]


def test_trial_taken_over_meanwhile_stays_with_its_new_holder(
    engine: Engine, worker: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = socket.gethostname()
    worker(here, lease=-1).claim(new_trial((0, 1, 2, 3)))

    def has_ended(_: WorkerId) -> bool:
        assert worker("b").take_over([4]) is not None  # between the look and the release
        return True

    monkeypatch.setattr(WorkerId, "has_ended", has_ended)
    assert worker("c").release_dead() == 0
    assert [one[:3] for one in attempts(engine)] == [(1, here, "died"), (2, "b", "running")]
    assert only_trial(engine)["state"] == "running"


# for a host that is gone


def test_host_that_is_gone_gives_everything_back(engine: Engine, study: StudyRecord) -> None:
    gone = [WorkerId("gpu", pid, "x", "y:z") for pid in ("1", "2")]
    queues = [
        TrialQueue(engine, study, owner) for owner in (*gone, WorkerId("gpu-2", "1", "x", "y:z"))
    ]
    held = [queue.claim(new_trial((0, 1, 2, 3 + n))) for n, queue in enumerate(queues)]
    elsewhere = begin(engine, {4: 9}, "other")
    TrialQueue(engine, elsewhere, gone[0]).claim(new_trial((0, 1, 2, 3)))

    assert release_host(engine, "gpu", study.id) == 2
    reason = "its host was said to be dead"
    assert attempts(engine) == [
        (1, "gpu:1:x:y:z", "released", reason),
        (1, "gpu:2:x:y:z", "released", reason),
        (1, "gpu-2:1:x:y:z", "running", None),
    ]
    rows = trial_rows(engine)
    assert [row["state"] for row in rows] == ["waiting", "waiting", "running"]
    assert [row["crashes"] for row in rows] == [0, 0, 0]  # no fault of the trial's

    assert queues[0].finish(held[0], SCORED) is True  # it lived after all
    assert attempts(engine)[0] == (1, "gpu:1:x:y:z", "complete", None)
    assert release_host(engine, "gpu") == 1
    assert [one[2] for one in attempts(engine, "other")] == ["released"]


def test_unknown_host_is_refused_with_the_hosts_that_hold_trials(
    engine: Engine, study: StudyRecord, worker: Workers
) -> None:
    with pytest.raises(InputError, match="no worker of 'gpu' holds a trial: no trial is held"):
        release_host(engine, "gpu")

    worker("one").claim(new_trial((0, 1, 2, 3)))
    worker("nobody").claim(new_trial((0, 1, 2, 5)))
    with write(engine) as connection:  # no release of this project leaves a row like this
        connection.execute(text("UPDATE search_trials SET owner = NULL WHERE subset = '0_1_2_5'"))
    worker("two").claim(new_trial((0, 1, 2, 4)))
    with pytest.raises(InputError, match=r"'gpu' holds a trial: trials are held by one, two$"):
        release_host(engine, "gpu", study.id)
    assert [one[2] for one in attempts(engine)] == ["running"] * 3
