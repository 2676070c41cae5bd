"""Trials that nobody works on any more: taken over, renewed in time, or opened again."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from storage.queue import Claim, Result, TaskResult, TrialQueue
from storage.studies import StudyRecord
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
    assert taken == replace(held, token=2)  # it lives: nobody has died
    assert worker().take_over([4]) == taken  # its lease is good: the same claim

    ended = (1, "a", "interrupted", "its lease ran out")
    assert attempts(engine) == [ended, (2, "a", "running", None)]


def test_worker_that_nobody_sees_is_taken_for_dead_when_its_lease_ran_out(
    engine: Engine, worker: Workers
) -> None:
    worker(lease=-1).claim(new_trial(SUBSET))
    first = worker("b", lease=-1).take_over([4])
    assert first is not None
    again = worker("c").take_over([4])
    assert again is not None
    assert (first.crashes, again.crashes) == (1, 2)

    worker("c").give_back(again, broke="RuntimeError")
    assert only_trial(engine)["crashes"] == 3


# workers that lost their lease and live


def lose(worker: Workers, names: str) -> list[Claim]:
    """Let workers take one trial from each other as their leases run out, and return the claims."""
    claims = [worker(names[0], lease=-1).claim(new_trial(SUBSET))]
    for name in names[1:]:
        taken = worker(name, lease=-1).take_over([4])
        assert taken is not None
        claims.append(taken)
    return claims


def test_worker_that_lives_has_not_died_of_its_lease(engine: Engine, worker: Workers) -> None:
    claims = lose(worker, "abcd")
    assert [held.crashes for held in claims] == [0, 1, 2, 3]
    for name, held in zip("abc", claims, strict=False):
        for _ in range(2):  # repeated: its answer was lost
            assert worker(name).renew(held) is False

    assert only_trial(engine)["crashes"] == 0
    assert attempts(engine) == [(n, w, "running", None) for n, w in enumerate("abcd", 1)]
    assert worker("d").finish(claims[3], SCORED)
    ends = [(name, outcome) for _, name, outcome, _ in attempts(engine)]
    assert ends == [*((name, "superseded") for name in "abc"), ("d", "complete")]


def test_worker_of_this_host_is_seen_to_live(
    engine: Engine, study: StudyRecord, worker: Workers
) -> None:
    TrialQueue(engine, study, lease=-1).claim(new_trial(SUBSET))  # this process
    taken = worker("b").take_over([4])
    assert taken is not None
    assert (taken.crashes, only_trial(engine)["crashes"]) == (0, 0)
    assert [end[2] for end in attempts(engine)] == ["running", "running"]


@pytest.mark.parametrize(
    ("broke", "outcome", "crashes"), [(None, "interrupted", 0), ("E", "broke", 1)]
)
def test_end_of_a_worker_that_lives_is_its_own(
    engine: Engine, worker: Workers, broke: str | None, outcome: str, crashes: int
) -> None:
    first, _ = lose(worker, "ab")
    assert worker().give_back(first, broke) is None  # no longer ours to give
    assert attempts(engine) == [(1, "a", outcome, broke), (2, "b", "running", None)]
    assert only_trial(engine)["crashes"] == crashes


def test_life_after_the_trial_was_finished_changes_its_attempt_alone(
    engine: Engine, worker: Workers
) -> None:
    first, second = lose(worker, "ab")
    assert worker("b").finish(second, FAILED)
    assert worker().renew(first) is False
    assert [end[1:3] for end in attempts(engine)] == [("a", "superseded"), ("b", "failed")]

    # tried again from the start: what was before the failure does not count
    assert worker("c", lease=-1).reopen(SUBSET, 0) is not None
    assert worker("d").take_over([4]) is not None
    assert worker().renew(first) is False
    assert only_trial(engine)["crashes"] == 1


def test_deaths_of_others_are_not_given_back_with_a_trial(engine: Engine, worker: Workers) -> None:
    first, second = lose(worker, "ab")
    assert worker().renew(first) is False
    worker("b").give_back(second, "RuntimeError")  # knows of one death, which was none
    assert only_trial(engine)["crashes"] == 1


@pytest.mark.parametrize("late", [0, 2])
def test_score_of_a_trial_that_was_set_aside_counts(
    engine: Engine, worker: Workers, late: int
) -> None:
    claims = lose(worker, "abcd")
    worker("d").link(claims[3], 7)
    aside = Result(None, error="its worker ended 3 times without a result", set_aside=True)
    assert worker("d").finish(claims[3], aside)
    worker("d").mark_mirrored(claims[3].trial_id)
    assert worker("abc"[late]).finish(claims[late], FAILED) is False  # not a score

    for _ in range(2):  # repeated: its answer was lost
        assert worker("abc"[late]).finish(claims[late], SCORED) is True
    row = only_trial(engine)
    found = [row[name] for name in ("state", "mean", "error", "set_aside", "optuna_number")]
    assert found == ["complete", 0.5, None, False, None]
    assert [one.mean for one in worker().unmirrored()] == [0.5]
    assert worker("d").finish(claims[3], aside) is False


def test_score_of_a_trial_that_failed_for_a_known_reason_does_not(
    engine: Engine, worker: Workers
) -> None:
    first, second = lose(worker, "ab")
    assert worker("b").finish(second, FAILED)
    assert worker().finish(first, SCORED) is False
    assert only_trial(engine)["state"] == "failed"


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
