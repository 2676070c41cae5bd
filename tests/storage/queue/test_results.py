"""Results: written whole, and counted once whoever comes first."""

import pytest
from sqlalchemy import Engine

from storage.errors import InputError
from storage.queue import Result, TaskResult
from storage.studies import StudyRecord, delete_study, set_budgets
from tests.support.race import race
from tests.support.stores import (
    Dump,
    Workers,
    new_trial,
    only_trial,
    query,
    queue_of,
    trial_rows,
    worker_id,
)

TRIAL = new_trial((0, 1, 2, 3))
SCORED = Result(0.5, {"nano": TaskResult(0.5, {"q1": 0.25, "q2": 0.75})}, {"cut": 1.5})
OTHER = Result(0.75, {"nano": TaskResult(0.75, {"q1": 1.0, "q3": 0.5})})
FAILED = Result(None, error="the loss is NaN")


# one result


def test_result_is_recorded_whole(engine: Engine, worker: Workers, dump: Dump) -> None:
    result = Result(
        0.5,
        {"nano": TaskResult(0.25, {"q1": 0.25}), "other": TaskResult(0.75)},
        {"cut": 1.0, "train": 2.0, "evaluate": 3.0},
        "cpu",
        {"torch": "2"},
        ["first norm dropped", "small batches"],
        "torch 2 (it began with 1)",
    )
    queue = worker()
    assert queue.finish(queue.claim(TRIAL), result) is True

    row = only_trial(engine)
    expected = {
        "state": "complete",
        "mean": 0.5,
        "device": "cpu",
        "versions": {"torch": "2"},
        "cut_seconds": 1.0,
        "train_seconds": 2.0,
        "evaluate_seconds": 3.0,
        "error": None,
        "set_aside": False,
        "notes": "first norm dropped; small batches",
        "drift": "torch 2 (it began with 1)",
        "lease_until": None,
        "owner": str(worker_id("a")),
    }
    assert {name: row[name] for name in expected} == expected
    assert row["finished_at"] >= row["started_at"]

    tables = dump(engine)
    assert [values[1:] for values in tables["search_task_scores"]] == [
        ("nano", 0.25),
        ("other", 0.75),
    ]
    assert [values[2:] for values in tables["search_queries"]] == [("nano", "q1")]
    assert [values[2] for values in tables["search_query_scores"]] == [0.25]


def test_failure_is_recorded_with_its_reason(engine: Engine, worker: Workers, dump: Dump) -> None:
    queue = worker()
    reason = "its worker ended 3 times without a result"
    assert queue.finish(queue.claim(TRIAL), Result(None, error=reason, set_aside=True)) is True
    row = only_trial(engine)
    assert (row["state"], row["error"], row["set_aside"]) == ("failed", reason, True)
    assert (row["mean"], row["notes"], row["lease_until"]) == (None, None, None)
    assert dump(engine)["search_standings"] == []


def test_finishing_twice_is_the_same_as_once(engine: Engine, worker: Workers, dump: Dump) -> None:
    queue = worker()
    held = queue.claim(TRIAL)
    assert queue.finish(held, SCORED) is True
    before = dump(engine)
    assert queue.finish(held, SCORED) is True
    assert dump(engine) == before


def test_result_of_a_deleted_study_is_refused(
    engine: Engine, study: StudyRecord, worker: Workers
) -> None:
    queue = worker()
    held = queue.claim(TRIAL)
    delete_study(engine, study.name)
    assert queue.finish(held, SCORED) is False
    assert trial_rows(engine) == []
    with pytest.raises(InputError):
        queue.claim(TRIAL)


# late results


def test_late_result_counts_when_nobody_has_finished(engine: Engine, worker: Workers) -> None:
    late = worker(lease=-1)
    held = late.claim(TRIAL)
    assert worker("b").take_over([4]) is not None
    assert late.finish(held, SCORED) is True
    row = only_trial(engine)
    assert (row["state"], row["mean"]) == ("complete", 0.5)


def test_result_of_a_trial_that_waits_counts(engine: Engine, worker: Workers) -> None:
    queue = worker()
    held = queue.claim(TRIAL)
    queue.give_back(held)
    assert queue.finish(held, SCORED) is True
    assert only_trial(engine)["state"] == "complete"


def test_late_result_is_refused_when_somebody_has_finished(
    engine: Engine, worker: Workers, dump: Dump
) -> None:
    late, other = worker(lease=-1), worker("b")
    held = late.claim(TRIAL)
    taken = other.take_over([4])
    assert taken is not None
    assert other.finish(taken, OTHER) is True

    before = dump(engine)
    assert late.finish(held, SCORED) is False
    assert late.finish(held, FAILED) is False
    assert dump(engine) == before


def test_holder_is_refused_when_a_late_result_came_first(
    engine: Engine, worker: Workers, dump: Dump
) -> None:
    late, other = worker(lease=-1), worker("b")
    held = late.claim(TRIAL)
    taken = other.take_over([4])
    assert taken is not None
    assert late.finish(held, SCORED) is True

    before = dump(engine)
    assert late.finish(held, SCORED) is True  # repeated: its answer was lost
    assert other.finish(taken, OTHER) is False
    assert dump(engine) == before


# races


def test_racing_results_count_once(
    engine: Engine, study: StudyRecord, worker: Workers, store_url: str
) -> None:
    held = {"w0": worker(lease=-1).claim(TRIAL)}
    for number in range(1, 8):
        taken = worker(f"w{number}", lease=-1).take_over([4])
        assert taken is not None
        held[f"w{number}"] = taken
    counted: list[str] = []

    def finish(own: Engine, name: str) -> None:
        mean = int(name[1:]) / 8
        tasks = {"nano": TaskResult(mean, {f"q{number}": mean for number in range(20)})}
        if queue_of(own, study, name).finish(held[name], Result(mean, tasks)):
            counted.append(name)

    race(store_url, finish)
    assert len(counted) == 1
    mean = int(counted[0][1:]) / 8
    assert only_trial(engine)["mean"] == mean
    rows = query(engine, "SELECT query, score FROM query_scores")
    assert sorted(rows) == sorted((f"q{number}", mean) for number in range(20))


@pytest.mark.slow
def test_workers_that_meet_the_same_queries_first_share_them(
    engine: Engine, study: StudyRecord, worker: Workers, store_url: str
) -> None:
    set_budgets(engine, study, {4: 8})
    held = {f"w{i}": worker(f"w{i}").claim(new_trial((0, 1, 2, 3 + i))) for i in range(8)}
    names = [f"q{number}" for number in range(50)]

    def finish(own: Engine, name: str) -> None:
        order = names if int(name[1:]) % 2 else names[::-1]
        tasks = {"nano": TaskResult(0.5, dict.fromkeys(order, int(name[1:]) / 8))}
        assert queue_of(own, study, name).finish(held[name], Result(0.5, tasks))

    race(store_url, finish)
    assert query(engine, "SELECT count(*) FROM search_queries") == [(50,)]
    rows = query(
        engine, "SELECT subset, count(*), min(score), max(score) FROM query_scores GROUP BY 1"
    )
    assert sorted(rows) == sorted((f"0_1_2_{3 + i}", 50, i / 8, i / 8) for i in range(8))


# results that the store would not take


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        (SCORED, None),
        (FAILED, None),
        (Result(float("nan")), "the score is nan"),
        (Result(-1e10), "the score is -10000000000.0"),
        (Result(0.5, {"a": TaskResult(float("inf"))}), "the score of 'a' is inf"),
        (
            Result(0.5, {"a": TaskResult(0.5, {"q": float("nan")})}),
            "the score of 'q' of 'a' is nan",
        ),
        (
            Result(0.5, {"a\0": TaskResult(0.5)}),
            "the score of 'a\\x00' has a name that the store cannot keep",
        ),
        (
            Result(0.5, {"a": TaskResult(0.5, {"q" * 1200: 0.5})}),
            f"the score of '{'q' * 60}' of 'a' has a name that the store cannot keep",
        ),
        (Result(0.5, {"": TaskResult(0.5)}), "the score of '' has a name that the store cannot"),
    ],
)
def test_scores_that_the_store_would_not_take(result: Result, problem: str | None) -> None:
    assert (result.problem or "").startswith(problem or "")
    assert (result.problem is None) == (problem is None)
