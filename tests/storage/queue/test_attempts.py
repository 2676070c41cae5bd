"""The history of a trial: every claim of it, and how that ended."""

from datetime import datetime

import pytest
from sqlalchemy import Engine

from storage.database import write
from storage.errors import ClaimTakenError
from storage.leaderboard import list_attempts
from storage.queue import Claim, Result, TaskResult, TrialQueue, enqueue
from storage.queue.attempts import end_attempts
from storage.states import AttemptOutcome, Origin
from storage.studies import StudyRecord, delete_study
from tests.support.stores import (
    Dump,
    Workers,
    attempts,
    new_trial,
    only_trial,
    worker_id,
)

SUBSET = (0, 1, 2, 3)
SCORED = Result(0.5, {"nano": TaskResult(0.5, {"q1": 0.25, "q2": 0.75})})
FAILED = Result(None, error="the loss is NaN")


def take_over(queue: TrialQueue) -> Claim:
    """Take a trial over; there must be one."""
    held = queue.take_over([4])
    assert held is not None
    return held


# the beginning


def test_claim_begins_an_attempt_that_lasts(engine: Engine, worker: Workers) -> None:
    worker().claim(new_trial(SUBSET, seed=3))
    (row,) = list_attempts(engine, "s")
    begun = datetime.fromisoformat(str(row["started_at"]))
    assert begun >= only_trial(engine)["created_at"]

    known = {name: row[name] for name in row if name != "started_at"}
    assert known == {
        "study": "s",
        "depth": 4,
        "subset": "0_1_2_3",
        "seed": 3,
        "attempt": 1,
        "worker": str(worker_id("a")),
        "ended_at": None,
        "outcome": "running",
        "reason": None,
    }


def test_refused_and_repeated_claims_are_no_attempts(
    engine: Engine, study: StudyRecord, worker: Workers
) -> None:
    held = worker().claim(new_trial(SUBSET))
    assert worker().claim(new_trial(SUBSET)) == held
    assert take_over(worker()) == held
    with pytest.raises(ClaimTakenError):
        worker("b").claim(new_trial(SUBSET))

    waiting = new_trial((0, 1, 2, 4), origin=Origin.REPLICATE)
    assert enqueue(engine, study.id, [waiting]) == 1  # nobody has it
    assert attempts(engine) == [(1, "a", "running", None)]


def test_attempts_are_listed_by_depth(engine: Engine, worker: Workers) -> None:
    worker().claim(new_trial(SUBSET))
    worker().claim(new_trial((0, 1)))
    assert [row["subset"] for row in list_attempts(engine, "s")] == ["0_1", "0_1_2_3"]
    assert [row["subset"] for row in list_attempts(engine, "s", 4)] == ["0_1_2_3"]
    assert list_attempts(engine, "other") == []


# the end


@pytest.mark.parametrize(
    ("result", "outcome", "reason"),
    [(SCORED, "complete", None), (FAILED, "failed", "the loss is NaN")],
)
def test_result_ends_an_attempt(
    engine: Engine, worker: Workers, result: Result, outcome: str, reason: str | None
) -> None:
    queue = worker()
    held = queue.claim(new_trial(SUBSET))
    for _ in range(2):  # repeated: its answer was lost
        queue.finish(held, result)
    assert attempts(engine) == [(1, "a", outcome, reason)]


def test_worker_that_gives_back_was_interrupted_or_broke(engine: Engine, worker: Workers) -> None:
    worker().give_back(worker().claim(new_trial(SUBSET)))
    worker("b").give_back(take_over(worker("b")), "ValueError: no such layer")
    take_over(worker("c"))
    worker("c").give_back_all()
    ended = [
        (1, "a", "interrupted", None),
        (2, "b", "broke", "ValueError: no such layer"),
        (3, "c", "interrupted", None),
    ]
    assert attempts(engine) == ended

    take_over(worker("d"))
    assert attempts(engine) == [*ended, (4, "d", "running", None)]


def test_claim_that_is_no_longer_ours_cannot_be_given_back(engine: Engine, worker: Workers) -> None:
    held = worker(lease=-1).claim(new_trial(SUBSET))
    take_over(worker("b"))
    worker().give_back(held, "RuntimeError")
    broke = (1, "a", "broke", "RuntimeError")
    assert attempts(engine) == [broke, (2, "b", "running", None)]


def test_attempt_ends_once(engine: Engine, worker: Workers) -> None:
    held = worker().claim(new_trial(SUBSET))
    with write(engine) as connection:
        end_attempts(connection, held.trial_id, AttemptOutcome.BROKE, "why")
        end_attempts(connection, held.trial_id, AttemptOutcome.DIED, "later")
    assert attempts(engine) == [(1, "a", "broke", "why")]


def test_late_result_of_a_dead_worker_supersedes_the_one_that_took_over(
    engine: Engine, worker: Workers
) -> None:
    late = worker(lease=-1).claim(new_trial(SUBSET))
    taken = take_over(worker("b"))
    assert worker().finish(late, SCORED) is True
    ended = [(1, "a", "complete", None), (2, "b", "superseded", None)]
    assert attempts(engine) == ended

    assert worker("b").finish(taken, FAILED) is False
    assert attempts(engine) == ended


def test_failed_trial_that_is_tried_again_keeps_its_past(engine: Engine, worker: Workers) -> None:
    worker().finish(worker().claim(new_trial(SUBSET)), FAILED)
    again = worker("b").reopen(SUBSET, 0)
    assert again is not None
    worker("b").finish(again, SCORED)
    assert attempts(engine) == [
        (1, "a", "failed", "the loss is NaN"),
        (2, "b", "complete", None),
    ]


def test_attempts_go_with_their_study(engine: Engine, worker: Workers, dump: Dump) -> None:
    worker().claim(new_trial(SUBSET))
    delete_study(engine, "s")
    assert dump(engine)["search_attempts"] == []
