"""Trials that nobody works on any more: taken over, renewed in time, or opened again."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from storage.queue import Result, TaskResult
from tests.support.stores import Dump, Workers, attempts, new_trial, only_trial, worker_id

SUBSET = (0, 1, 2, 3)
TASK = TaskResult(0.5, {"q1": 0.25, "q2": 0.75})
SCORED = Result(0.5, {"nano": TASK})
FAILED = Result(None, error="the loss is NaN")


# idle trials


def test_given_back_is_taken_over_with_a_higher_token(engine: Engine, worker: Workers) -> None:
    a, b = worker("a"), worker("b")
    held = a.claim(new_trial(SUBSET))
    a.link(held, 7)
    assert b.take_over([4]) is None

    a.give_back(held)
    row = only_trial(engine)
    assert (row["state"], row["owner"], row["lease_until"]) == ("waiting", None, None)
    assert a.unfinished([4]) == 1

    taken = b.take_over([4])
    assert taken == replace(held, token=2, optuna_number=7)
    row = only_trial(engine)
    assert (row["state"], row["owner"], row["token"]) == ("running", str(worker_id("b")), 2)
    assert a.unfinished([4]) == 1
    assert row["crashes"] == taken.crashes == 0  # given back in good order

    assert b.finish(taken, SCORED)
    assert a.unfinished([4]) == 0


def test_only_the_depths_asked_for_are_taken_over(worker: Workers) -> None:
    queue = worker()
    queue.give_back(queue.claim(new_trial((0, 1))))
    assert worker("b").take_over([4]) is None

    taken = worker("b").take_over([4, 2])
    assert taken is not None
    assert taken.subset == (0, 1)


def test_expired_lease_is_taken_over_and_an_unexpired_one_not(worker: Workers) -> None:
    worker(lease=30).claim(new_trial((0, 1, 2, 3)))
    worker(lease=-1).claim(new_trial((0, 1, 2, 4)))

    taken = worker("b").take_over([4])
    assert taken is not None
    assert (taken.subset, taken.token) == ((0, 1, 2, 4), 2)
    assert worker("c").take_over([4]) is None


def test_oldest_is_taken_over_first(worker: Workers) -> None:
    queue = worker()
    for layer in (9, 3):
        queue.give_back(queue.claim(new_trial((0, 1, 2, layer))))

    taken = worker("b").take_over([4])
    assert taken is not None
    assert taken.subset == (0, 1, 2, 9)


def test_worker_takes_its_own_trial_over_anew_only_after_its_lease(
    engine: Engine, worker: Workers
) -> None:
    held = worker(lease=-1).claim(new_trial(SUBSET))
    taken = worker(lease=60).take_over([4])
    assert taken == replace(held, token=2, crashes=1)
    assert worker().take_over([4]) == taken  # its lease is good: the same claim

    died = (1, "a", "died", "its lease ran out")
    assert attempts(engine) == [died, (2, "a", "running", None)]


def test_a_lease_that_ran_out_counts_as_a_break(engine: Engine, worker: Workers) -> None:
    worker(lease=-1).claim(new_trial(SUBSET))
    first = worker("b", lease=-1).take_over([4])
    assert first is not None
    again = worker("b").take_over([4])
    assert again is not None
    assert (first.crashes, again.crashes) == (1, 2)

    worker("b").give_back(again, broke="RuntimeError")
    assert only_trial(engine)["crashes"] == 3


# renewed trials


def test_renewing_extends_the_lease_until_the_trial_is_taken_over(
    engine: Engine, worker: Workers
) -> None:
    held = worker(lease=-1).claim(new_trial(SUBSET))
    expired = only_trial(engine)["lease_until"]
    assert worker(lease=60).renew(held) is True
    assert only_trial(engine)["lease_until"] - expired >= timedelta(seconds=60)
    assert worker("b").take_over([4]) is None

    assert worker(lease=-1).renew(held) is True
    taken = worker("b").take_over([4])
    assert taken is not None
    until = only_trial(engine)["lease_until"]

    assert worker(lease=600).renew(held) is False
    assert worker().give_back(held) is None  # no longer ours to give
    row = only_trial(engine)
    owner = str(worker_id("b"))
    assert (row["lease_until"], row["state"], row["owner"]) == (until, "running", owner)
    assert worker("b", lease=60).renew(taken) is True


# opened again


def test_failed_trial_is_tried_again_only_when_asked_for(
    engine: Engine, worker: Workers, dump: Dump
) -> None:
    a, b = worker("a"), worker("b")
    held = a.claim(new_trial(SUBSET))
    a.link(held, 5)
    a.finish(held, FAILED)
    a.mark_mirrored(held.trial_id)
    row = only_trial(engine)
    assert (row["state"], row["error"], row["mean"]) == ("failed", "the loss is NaN", None)

    assert b.take_over([4]) is None
    assert b.reopen(SUBSET, 1) is None
    again = b.reopen(SUBSET, 0)
    # Optuna cannot reopen a finished trial, so the new attempt gets a number of its own
    assert again == replace(held, token=2)
    row = only_trial(engine)
    assert (row["state"], row["error"], row["finished_at"]) == ("running", None, None)

    assert b.finish(again, SCORED) is True
    (unmirrored,) = a.unmirrored()
    assert (unmirrored.trial_id, unmirrored.mean) == (held.trial_id, 0.5)
    assert len(dump(engine)["search_task_scores"]) == 1
    assert a.state(SUBSET, 0) == "complete"


def test_trial_that_was_set_aside_starts_without_that_mark(engine: Engine, worker: Workers) -> None:
    worker(lease=-1).claim(new_trial(SUBSET))
    queue = worker("b")
    held = queue.take_over([4])
    assert held is not None
    assert held.crashes == 1
    queue.finish(held, Result(None, error="its worker ended once", set_aside=True))
    assert only_trial(engine)["set_aside"] is True

    again = queue.reopen(SUBSET, 0)
    assert again is not None
    row = only_trial(engine)
    assert (row["set_aside"], row["error"], row["crashes"]) == (False, None, 0)
    assert again.crashes == 0


@pytest.mark.parametrize("ended", [True, False])
def test_complete_or_running_trial_is_not_tried_again(
    engine: Engine, worker: Workers, *, ended: bool
) -> None:
    queue = worker()
    held = queue.claim(new_trial(SUBSET))
    if ended:
        queue.finish(held, SCORED)
    assert worker("b").reopen(SUBSET, 0) is None
    assert only_trial(engine)["token"] == 1
