"""The history of a trial: every claim of it, and how that ended."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine

from storage import claims, leaderboard, release, results, studies
from storage.claims import Claim
from storage.errors import ClaimTakenError, InputError
from storage.results import Result, TaskResult
from storage.studies import StudyRecord

if TYPE_CHECKING:
    import subprocess

SCORED = Result(0.5, {"nano": TaskResult(0.5, {"q1": 0.25, "q2": 0.75})})
FAILED = Result(None, error="the loss is NaN")


def begin(engine: Engine, name: str = "s") -> StudyRecord:
    """A study with room for nine trials of depth 4."""
    return studies.begin(
        engine, name=name, file={"study": {"name": name}}, folder="/", recipe_hash="hash",
        base="toy", layers=22, period=3, fingerprints={}, versions={}, budgets={4: 9},
    )  # fmt: skip


@pytest.fixture
def study(engine: Engine) -> StudyRecord:
    """An empty study."""
    return begin(engine)


@pytest.fixture
def take(engine: Engine, study: StudyRecord) -> Callable[..., Claim]:
    """Claims a subset, as worker `a` unless said otherwise."""

    def claim(subset: str = "0_1_2_3", **changed: Any) -> Claim:  # noqa: ANN401
        given = {"seed": 0, "origin": "uniform", "owner": "a", **changed}
        return claims.claim(engine, study.id, 4, subset=subset, **given)

    return claim


def take_over(engine: Engine, study: StudyRecord, owner: str = "b", **options: Any) -> Claim:  # noqa: ANN401
    """Take a trial over, as worker `b` unless said otherwise."""
    held = claims.take_over(engine, study.id, [4], owner=owner, **options)
    assert held is not None
    return held


def history(engine: Engine) -> list[tuple[Any, ...]]:
    """Attempts at the trials of the study: number, worker, outcome, reason."""
    rows = leaderboard.attempts(engine, "s")
    for row in rows:
        assert (row["ended_at"] is None) == (row["outcome"] == "running")
        assert row["ended_at"] is None or row["ended_at"] >= row["started_at"]
    return [(row["attempt"], row["worker"], row["outcome"], row["reason"]) for row in rows]


def test_claim_begins_an_attempt_that_lasts(engine: Engine, take: Callable[..., Claim]) -> None:
    take(seed=3)
    (row,) = leaderboard.attempts(engine, "s")
    (trial,) = leaderboard.trials(engine, "s")
    assert datetime.fromisoformat(str(row["started_at"])) >= trial["created_at"]
    known = {name: row[name] for name in row if name != "started_at"}
    assert known == {
        "study": "s", "depth": 4, "subset": "0_1_2_3", "seed": 3, "attempt": 1, "worker": "a",
        "ended_at": None, "outcome": "running", "reason": None,
    }  # fmt: skip


def test_refused_and_repeated_claims_are_no_attempts(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim]
) -> None:
    held = take()
    assert take() == held
    assert take_over(engine, study, "a") == held
    with pytest.raises(ClaimTakenError):
        take(owner="b")
    assert claims.repeat(engine, study.id, 4, [("0_1_2_4", 0)]) == 1  # waits: nobody has it
    assert history(engine) == [(1, "a", "running", None)]


@pytest.mark.parametrize(
    ("result", "outcome", "reason"),
    [(SCORED, "complete", None), (FAILED, "failed", "the loss is NaN")],
)
def test_result_ends_an_attempt(
    engine: Engine, take: Callable[..., Claim], result: Result, outcome: str, reason: str | None
) -> None:
    held = take()
    for _ in range(2):  # repeated: its answer was lost
        results.finish(engine, held, result)
    assert history(engine) == [(1, "a", outcome, reason)]


def test_worker_that_gives_back_was_interrupted_or_broke(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim]
) -> None:
    release.give_back(engine, take())
    release.give_back(engine, take_over(engine, study), "ValueError: no such layer")
    take_over(engine, study, "c")
    release.give_back_all(engine, study.id, "c")
    ended = [
        (1, "a", "interrupted", None),
        (2, "b", "broke", "ValueError: no such layer"),
        (3, "c", "interrupted", None),
    ]
    assert history(engine) == ended
    take_over(engine, study, "d")
    assert history(engine) == [*ended, (4, "d", "running", None)]


def test_claim_that_is_no_longer_ours_cannot_be_given_back(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim]
) -> None:
    held = take(lease=-1)
    take_over(engine, study)
    release.give_back(engine, held, "RuntimeError")
    died = (1, "a", "died", "its lease ran out")
    assert history(engine) == [died, (2, "b", "running", None)]


def test_worker_whose_process_ended_has_died(
    engine: Engine, study: StudyRecord, holder: "subprocess.Popen[str]"
) -> None:
    holder.kill()
    holder.wait()
    assert release.release_dead(engine, study.id) == 1
    ((number, _, outcome, reason),) = history(engine)
    assert (number, outcome, reason) == (1, "died", "its process ended")
    results.finish(engine, take_over(engine, study), SCORED)
    assert [one[2] for one in history(engine)] == ["died", "complete"]


def test_host_that_is_gone_gives_everything_back(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim]
) -> None:
    gone = [take("0_1_2_3", owner="gpu:1:x:y:z"), take("0_1_2_4", owner="gpu:2:x:y:z")]
    take("0_1_2_5", owner="gpu-2:1:x:y:z")
    elsewhere = begin(engine, "other")
    same = {"subset": "0_1_2_3", "seed": 0, "origin": "swap", "owner": "gpu:1:x:y:z"}
    claims.claim(engine, elsewhere.id, 4, **same)  # type: ignore[arg-type]
    assert release.release_host(engine, "gpu", study.id) == 2
    reason = "its host was said to be dead"
    assert history(engine) == [
        (1, "gpu:1:x:y:z", "released", reason),
        (1, "gpu:2:x:y:z", "released", reason),
        (1, "gpu-2:1:x:y:z", "running", None),
    ]
    rows = leaderboard.trials(engine, "s")
    assert [row["state"] for row in rows] == ["waiting", "waiting", "running"]
    assert [row["crashes"] for row in rows] == [0, 0, 0]  # no fault of the trial's
    assert results.finish(engine, gone[0], SCORED) is True  # it lived after all
    assert history(engine)[0] == (1, "gpu:1:x:y:z", "complete", None)
    assert release.release_host(engine, "gpu") == 1
    assert [row["outcome"] for row in leaderboard.attempts(engine, "other")] == ["released"]


def test_unknown_host_is_refused_with_those_there_are(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim]
) -> None:
    with pytest.raises(InputError, match="no worker of 'gpu' holds a trial: no trial is held"):
        release.release_host(engine, "gpu")
    take("0_1_2_3", owner="one:1:x:y:z")
    take("0_1_2_4", owner="two:1:x:y:z")
    with pytest.raises(InputError, match=r"'gpu' holds a trial: trials are held by one, two$"):
        release.release_host(engine, "gpu", study.id)
    assert [one[2] for one in history(engine)] == ["running", "running"]


def test_late_result_of_a_dead_worker_supersedes_the_one_that_took_over(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim]
) -> None:
    late = take(lease=-1)
    taken = take_over(engine, study)
    assert results.finish(engine, late, SCORED) is True
    ended = [(1, "a", "complete", None), (2, "b", "superseded", None)]
    assert history(engine) == ended
    assert results.finish(engine, taken, FAILED) is False
    assert history(engine) == ended


def test_failed_trial_that_is_tried_again_keeps_its_past(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim]
) -> None:
    results.finish(engine, take(), FAILED)
    results.finish(engine, take_over(engine, study, only=("0_1_2_3", 0)), SCORED)
    assert history(engine) == [
        (1, "a", "failed", "the loss is NaN"),
        (2, "b", "complete", None),
    ]


def test_attempts_go_with_their_study(
    engine: Engine, take: Callable[..., Claim], dump: Callable[[Engine], dict[str, Any]]
) -> None:
    take()
    studies.forget(engine, "s")
    assert dump(engine)["search_attempts"] == []
