"""Claims, leases and results: one holder at a time, budgets kept, every result counted once."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from storage import claims, leaderboard, owner, release, results, setup, studies
from storage import engine as engines
from storage.claims import Claim
from storage.clock import utc_now
from storage.errors import BudgetSpentError, ClaimTakenError
from storage.lease import Lease
from storage.results import Result, TaskResult
from storage.studies import StudyRecord

if TYPE_CHECKING:
    import subprocess

Dump = Callable[[Engine], dict[str, list[tuple[Any, ...]]]]
SCORED = Result(0.5, {"nano": TaskResult(0.5, {"q1": 0.25, "q2": 0.75})}, {"cut": 1.5})
OTHER = Result(0.75, {"nano": TaskResult(0.75, {"q1": 1.0, "q3": 0.5})})
FAILED = Result(None, error="the loss is NaN")


@pytest.fixture
def study(engine: Engine) -> StudyRecord:
    """A study with room for three trials of depth 4 and one of depth 2."""
    return studies.begin(
        engine,
        name="s",
        file={"study": {"name": "s"}},
        folder="/",
        recipe_hash="hash",
        base="toy",
        layers=22,
        period=3,
        fingerprints={},
        versions={},
        budgets={4: 3, 2: 1},
    )


@pytest.fixture
def take(engine: Engine, study: StudyRecord) -> Callable[..., Claim]:
    """Claims a subset, as worker `a` unless said otherwise."""

    def claim(subset: str = "0_1_2_3", **changed: Any) -> Claim:  # noqa: ANN401
        given = {"seed": 0, "origin": "uniform", "owner": "a", **changed}
        return claims.claim(engine, study.id, subset.count("_") + 1, subset=subset, **given)

    return claim


def take_over(engine: Engine, study: StudyRecord, owner: str = "b", **options: Any) -> Claim | None:  # noqa: ANN401
    """Take a trial of depth 4 over, as worker `b` unless said otherwise."""
    return claims.take_over(engine, study.id, [4], owner=owner, **options)


def only_trial(engine: Engine) -> dict[str, Any]:
    """The one trial of the study."""
    (row,) = leaderboard.trials(engine, "s")
    return dict(row)


def race(url: str, run: Callable[[Engine, str], None], number: int = 8) -> None:
    """Let `number` workers run at once, each with an engine of its own, as processes have."""
    start = threading.Barrier(number)
    broken: list[BaseException] = []

    def work(owner: str) -> None:
        engine = setup.open_store(url)
        try:
            start.wait()
            run(engine, owner)
        except BaseException as error:  # noqa: BLE001 - a thread would swallow it
            broken.append(error)
        finally:
            engine.dispose()

    threads = [threading.Thread(target=work, args=(f"w{i}",)) for i in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broken == []


def test_subset_and_seed_are_unique(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim], dump: Dump
) -> None:
    first = take()
    before = dump(engine)
    with pytest.raises(ClaimTakenError, match="0_1_2_3 with seed 0 is taken"):
        take(owner="b")
    assert dump(engine) == before
    again = take(owner="b", seed=1)
    assert (first.token, again.token) == (1, 1)
    assert first.trial_id != again.trial_id
    with pytest.raises(IntegrityError), engines.write(engine) as connection:
        connection.execute(text("UPDATE search_trials SET seed = 0"))
    assert study.id == first.study_id


def test_finished_and_waiting_trials_are_taken_too(
    engine: Engine, take: Callable[..., Claim]
) -> None:
    results.finish(engine, take(), SCORED)
    release.give_back(engine, take("0_1_2_4"))
    for subset in ("0_1_2_3", "0_1_2_4"):
        with pytest.raises(ClaimTakenError):
            take(subset)


def test_claim_repeated_by_its_owner_is_the_same_claim(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim]
) -> None:
    held = take("0_1")
    assert claims.remaining(engine, study.id, 2) == 0
    assert take("0_1") == held  # although the budget is spent
    assert len(leaderboard.trials(engine, "s")) == 1


def test_budget_is_kept(engine: Engine, study: StudyRecord, take: Callable[..., Claim]) -> None:
    for number in range(3):
        assert claims.remaining(engine, study.id, 4) == 3 - number
        take(f"0_1_2_{number + 3}")
    with pytest.raises(BudgetSpentError, match="all 3 trials of depth 4 are taken"):
        take("0_1_2_9")
    assert take("0_1").depth == 2  # another depth has its own


def test_manual_trials_are_not_counted(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim]
) -> None:
    take("0_1", origin="manual")
    take("0_2", origin="manual")
    assert claims.remaining(engine, study.id, 2) == 1
    take("0_3")
    with pytest.raises(BudgetSpentError):
        take("0_4")
    assert take("0_5", origin="manual").subset == "0_5"
    assert claims.remaining(engine, study.id, 2) == 0


def test_eight_racing_workers_keep_the_budget_and_share_nothing(
    engine: Engine, study: StudyRecord, store_url: str
) -> None:
    studies.set_budgets(engine, study, {4: 20})
    wanted = [f"0_1_2_{layer}" for layer in range(3, 43)]
    held: dict[str, list[Claim]] = {f"w{i}": [] for i in range(8)}

    def claim_all(own: Engine, owner: str) -> None:
        for subset in wanted:  # all want the same ones, in the same order
            try:
                held[owner].append(
                    claims.claim(
                        own, study.id, 4, subset=subset, seed=0, origin="uniform", owner=owner
                    )
                )
            except ClaimTakenError:
                continue
            except BudgetSpentError:
                return

    race(store_url, claim_all)
    taken = [claim.subset for mine in held.values() for claim in mine]
    assert sorted(taken) == sorted(wanted[:20])
    rows = leaderboard.trials(engine, "s")
    assert {row["subset"]: row["owner"] for row in rows} == {
        claim.subset: owner for owner, mine in held.items() for claim in mine
    }
    assert claims.remaining(engine, study.id, 4) == 0


def test_racing_workers_take_a_waiting_trial_over_once(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim], store_url: str
) -> None:
    for layer in range(3, 6):
        release.give_back(engine, take(f"0_1_2_{layer}"))
    got: list[Claim] = []

    def grab(own: Engine, owner: str) -> None:
        while held := take_over(own, study, f"{owner}-{len(got)}"):
            got.append(held)

    race(store_url, grab)
    assert sorted(claim.subset for claim in got) == ["0_1_2_3", "0_1_2_4", "0_1_2_5"]
    assert {claim.token for claim in got} == {2}


def test_given_back_is_taken_over_with_a_higher_token(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim]
) -> None:
    held = take()
    claims.link(engine, held, 7)
    assert take_over(engine, study) is None
    release.give_back(engine, held)
    row = only_trial(engine)
    assert (row["state"], row["owner"], row["lease_until"]) == ("waiting", None, None)
    assert claims.unfinished(engine, study.id, [4]) == 1
    taken = take_over(engine, study)
    assert taken == replace(held, token=2, optuna_number=7)
    row = only_trial(engine)
    assert (row["state"], row["owner"], row["token"]) == ("running", "b", 2)
    assert claims.unfinished(engine, study.id, [4]) == 1
    assert row["crashes"] == taken.crashes == 0  # given back in good order
    assert results.finish(engine, taken, SCORED)
    assert claims.unfinished(engine, study.id, [4]) == 0


def test_only_the_depths_asked_for_are_taken_over(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim]
) -> None:
    release.give_back(engine, take("0_1"))
    assert take_over(engine, study) is None
    taken = claims.take_over(engine, study.id, [4, 2], owner="b")
    assert taken is not None
    assert taken.subset == "0_1"


def test_expired_lease_is_taken_over_and_an_unexpired_one_not(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim]
) -> None:
    take("0_1_2_3", lease=30)
    take("0_1_2_4", lease=-1)
    taken = take_over(engine, study)
    assert taken is not None
    assert (taken.subset, taken.token) == ("0_1_2_4", 2)
    assert take_over(engine, study, "c") is None


def test_oldest_is_taken_over_first(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim]
) -> None:
    for subset in ("0_1_2_9", "0_1_2_3"):
        release.give_back(engine, take(subset))
    taken = take_over(engine, study)
    assert taken is not None
    assert taken.subset == "0_1_2_9"


def test_renewing_extends_the_lease_until_the_trial_is_taken_over(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim]
) -> None:
    held = take(lease=-1)
    expired = only_trial(engine)["lease_until"]
    assert claims.renew(engine, held, 60) is True
    assert only_trial(engine)["lease_until"] - expired >= timedelta(seconds=60)
    assert take_over(engine, study) is None
    assert claims.renew(engine, held, -1) is True
    taken = take_over(engine, study)
    assert taken is not None
    until = only_trial(engine)["lease_until"]
    assert claims.renew(engine, held, 600) is False
    release.give_back(engine, held)  # no longer ours to give
    row = only_trial(engine)
    assert (row["lease_until"], row["state"], row["owner"]) == (until, "running", "b")
    assert claims.renew(engine, taken, 60) is True


def test_clock_is_the_databases_in_utc(engine: Engine) -> None:
    with engines.read(engine) as connection:
        now, later = connection.execute(select(utc_now(), utc_now(90.5))).one()
    assert abs(now - datetime.now(UTC).replace(tzinfo=None)) < timedelta(seconds=5)
    assert timedelta(seconds=90) < later - now < timedelta(seconds=91)


def test_result_is_recorded_whole(engine: Engine, take: Callable[..., Claim], dump: Dump) -> None:
    result = Result(
        0.5,
        {"nano": TaskResult(0.25, {"q1": 0.25}), "other": TaskResult(0.75)},
        {"cut": 1.0, "train": 2.0, "evaluate": 3.0},
        "cpu",
        {"torch": "2"},
        ["first norm dropped", "small batches"],
    )
    assert results.finish(engine, take(), result) is True
    row = only_trial(engine)
    expected = {
        "state": "complete", "mean": 0.5, "device": "cpu", "versions": {"torch": "2"},
        "cut_seconds": 1.0, "train_seconds": 2.0, "evaluate_seconds": 3.0, "error": None,
        "notes": "first norm dropped; small batches", "lease_until": None, "owner": "a",
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert row["finished_at"] >= row["started_at"]
    tables = dump(engine)
    assert [values[1:] for values in tables["search_task_scores"]] == [
        ("nano", 0.25),
        ("other", 0.75),
    ]
    assert [values[2:] for values in tables["search_queries"]] == [("nano", "q1")]
    assert [values[2] for values in tables["search_query_scores"]] == [0.25]


def test_late_result_counts_when_nobody_has_finished(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim]
) -> None:
    held = take(lease=-1)
    assert take_over(engine, study) is not None
    assert results.finish(engine, held, SCORED) is True
    row = only_trial(engine)
    assert (row["state"], row["mean"]) == ("complete", 0.5)


def test_result_of_a_trial_that_waits_counts(engine: Engine, take: Callable[..., Claim]) -> None:
    held = take()
    release.give_back(engine, held)
    assert results.finish(engine, held, SCORED) is True
    assert only_trial(engine)["state"] == "complete"


def test_late_result_is_refused_when_somebody_has_finished(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim], dump: Dump
) -> None:
    held = take(lease=-1)
    taken = take_over(engine, study)
    assert taken is not None
    assert results.finish(engine, taken, OTHER) is True
    before = dump(engine)
    assert results.finish(engine, held, SCORED) is False
    assert results.finish(engine, held, FAILED) is False
    assert dump(engine) == before


def test_holder_is_refused_when_a_late_result_came_first(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim], dump: Dump
) -> None:
    late = take(lease=-1)
    taken = take_over(engine, study)
    assert taken is not None
    assert results.finish(engine, late, SCORED) is True
    before = dump(engine)
    assert results.finish(engine, late, SCORED) is True  # repeated: its answer was lost
    assert results.finish(engine, taken, OTHER) is False
    assert dump(engine) == before


def test_racing_results_count_once(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim], store_url: str
) -> None:
    held = {"w0": take(lease=-1)}
    for number in range(1, 8):
        taken = take_over(engine, study, f"w{number}", lease=-1)
        assert taken is not None
        held[f"w{number}"] = taken
    counted: list[str] = []

    def finish(own: Engine, owner: str) -> None:
        mean = int(owner[1:]) / 8
        queries = {f"q{number}": mean for number in range(20)}
        if results.finish(own, held[owner], Result(mean, {"nano": TaskResult(mean, queries)})):
            counted.append(owner)

    race(store_url, finish)
    assert len(counted) == 1
    mean = int(counted[0][1:]) / 8
    assert only_trial(engine)["mean"] == mean
    with engines.read(engine) as connection:
        rows = connection.execute(text("SELECT query, score FROM query_scores")).all()
    assert sorted(rows) == sorted((f"q{number}", mean) for number in range(20))


def test_workers_that_meet_the_same_queries_first_share_them(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim], store_url: str
) -> None:
    studies.set_budgets(engine, study, {4: 8})
    held = {f"w{i}": take(f"0_1_2_{3 + i}", owner=f"w{i}") for i in range(8)}
    names = [f"q{number}" for number in range(50)]

    def finish(own: Engine, owner: str) -> None:
        order = names if int(owner[1:]) % 2 else names[::-1]
        queries = dict.fromkeys(order, int(owner[1:]) / 8)
        assert results.finish(own, held[owner], Result(0.5, {"nano": TaskResult(0.5, queries)}))

    race(store_url, finish)
    with engines.read(engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM search_queries")).scalar() == 50
        rows = connection.execute(
            text("SELECT subset, count(*), min(score), max(score) FROM query_scores GROUP BY 1")
        ).all()
    assert sorted(rows) == sorted((f"0_1_2_{3 + i}", 50, i / 8, i / 8) for i in range(8))


def test_finishing_twice_is_the_same_as_once(
    engine: Engine, take: Callable[..., Claim], dump: Dump
) -> None:
    held = take()
    assert results.finish(engine, held, SCORED) is True
    before = dump(engine)
    assert results.finish(engine, held, SCORED) is True
    assert dump(engine) == before


def test_failed_trial_is_tried_again_only_when_asked_for(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim], dump: Dump
) -> None:
    held = take()
    claims.link(engine, held, 5)
    results.finish(engine, held, FAILED)
    results.mark_told(engine, held.trial_id)
    row = only_trial(engine)
    assert (row["state"], row["error"], row["mean"]) == ("failed", "the loss is NaN", None)
    assert take_over(engine, study) is None
    assert take_over(engine, study, only=("0_1_2_3", 1)) is None
    again = take_over(engine, study, only=("0_1_2_3", 0))
    # Optuna cannot reopen a finished trial, so the new attempt gets a number of its own
    assert again == replace(held, token=2)
    row = only_trial(engine)
    assert (row["state"], row["error"], row["finished_at"]) == ("running", None, None)
    assert results.finish(engine, again, SCORED) is True
    (untold,) = results.untold(engine, study.id)
    assert (untold.trial_id, untold.mean) == (held.trial_id, 0.5)
    assert len(dump(engine)["search_task_scores"]) == 1
    assert claims.state(engine, study.id, "0_1_2_3", 0) == "complete"


@pytest.mark.parametrize("ended", [True, False])
def test_complete_or_running_trial_is_not_tried_again(
    engine: Engine,
    study: StudyRecord,
    take: Callable[..., Claim],
    ended: bool,  # noqa: FBT001 - pytest passes it
) -> None:
    held = take()
    if ended:
        results.finish(engine, held, SCORED)
    assert take_over(engine, study, only=("0_1_2_3", 0)) is None
    assert only_trial(engine)["token"] == 1


def test_untold_are_those_not_marked(engine: Engine, take: Callable[..., Claim]) -> None:
    first, second, third = (take(f"0_1_2_{layer}") for layer in (3, 4, 5))
    results.finish(engine, first, SCORED)
    results.finish(engine, second, FAILED)
    untold = results.untold(engine, third.study_id)
    assert [(one.subset, one.mean) for one in untold] == [("0_1_2_3", 0.5), ("0_1_2_4", None)]
    results.mark_told(engine, first.trial_id)
    assert [one.subset for one in results.untold(engine, third.study_id)] == ["0_1_2_4"]


def test_trial_of_a_killed_process_is_released_and_no_other(
    engine: Engine,
    study: StudyRecord,
    take: Callable[..., Claim],
    holder: "subprocess.Popen[str]",
) -> None:
    studies.set_budgets(engine, study, {4: 9})
    me = owner.this_worker()
    host, pid, _start, place = me.split(":", 3)
    dead = only_trial(engine)["owner"].split(":", 3)
    take("0_1_2_4", owner=me)
    take("0_1_2_5", owner=":".join(["elsewhere", *dead[1:]]))
    take("0_1_2_6", owner=":".join([*dead[:3], "pid:[1]"]))  # a container of this host
    assert release.release_dead(engine, study.id) == 0
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    # this pid, but a process that ran before this one did
    take("0_1_2_7", owner=f"{host}:{pid}:1:{place}")
    assert release.release_dead(engine, study.id) == 2
    states = {row["subset"]: row["state"] for row in leaderboard.trials(engine, "s")}
    assert states == {
        "0_1_2_3": "waiting",
        "0_1_2_4": "running",
        "0_1_2_5": "running",
        "0_1_2_6": "running",
        "0_1_2_7": "waiting",
    }
    assert release.release_dead(engine, study.id) == 0


def test_killed_process_that_nobody_waited_for_is_dead_too(
    engine: Engine, study: StudyRecord, holder: "subprocess.Popen[str]"
) -> None:
    holder.send_signal(signal.SIGKILL)
    while psutil.Process(holder.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert release.release_dead(engine, study.id) == 1
    assert only_trial(engine)["state"] == "waiting"


def test_worker_is_named_by_host_and_process() -> None:
    assert owner.this_worker() == owner.this_worker()
    assert owner.this_worker().split(":")[1] == str(os.getpid())


def test_lease_keeps_a_claim_past_its_first_expiry(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim]
) -> None:
    held = take(lease=1.2)
    with Lease(engine, held, 1.2):
        time.sleep(2)
        assert take_over(engine, study) is None
    time.sleep(1.4)  # left: it expires
    taken = take_over(engine, study)
    assert taken is not None
    assert taken.token == 2


def test_lease_survives_a_store_that_is_away_for_a_while(
    engine: Engine,
    study: StudyRecord,
    take: Callable[..., Claim],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    renew = claims.renew
    outcomes: list[bool | str] = []
    away = ("UPDATE", {}, Exception("no connection"))

    def shaky(*arguments: Any) -> bool:  # noqa: ANN401
        if len(outcomes) < 3:
            outcomes.append("away")
            raise OperationalError(*away)
        outcomes.append(renew(*arguments))
        return outcomes[-1] is True

    monkeypatch.setattr(claims, "renew", shaky)
    held = take(lease=0.6)
    with caplog.at_level(logging.WARNING, "layer-search"), Lease(engine, held, 0.6):
        deadline = time.monotonic() + 20
        while len(outcomes) < 6 and time.monotonic() < deadline:
            time.sleep(0.02)
    assert outcomes[:6] == ["away", "away", "away", True, True, True]
    assert caplog.messages == ["cannot renew the lease of 0_1_2_3 yet: OperationalError"] * 3
    monkeypatch.undo()
    assert claims.renew(engine, held, 30) is True  # still ours
    assert take_over(engine, study) is None


def test_lease_ends_when_the_trial_was_taken_over(
    engine: Engine,
    study: StudyRecord,
    take: Callable[..., Claim],
    caplog: pytest.LogCaptureFixture,
) -> None:
    held = take(lease=-1)
    taken = take_over(engine, study)
    with Lease(engine, held, 0.15) as lease:
        lease._thread.join(timeout=20)
        assert not lease._thread.is_alive()
    assert caplog.messages == ["trial 0_1_2_3 was taken over by another worker"]
    assert taken is not None
    assert claims.renew(engine, taken) is True


def test_leaving_a_long_lease_takes_no_time(engine: Engine, take: Callable[..., Claim]) -> None:
    lease = Lease(engine, take(), 300)
    start = time.monotonic()
    with lease:
        pass
    assert time.monotonic() - start < 1
    assert not lease._thread.is_alive()


def test_a_lease_that_ran_out_counts_as_a_break(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim]
) -> None:
    take(lease=-1)
    first = take_over(engine, study, lease=-1)
    assert first is not None
    again = take_over(engine, study)
    assert again is not None
    assert (first.crashes, again.crashes) == (1, 2)
    release.give_back(engine, again, broke="RuntimeError")
    assert only_trial(engine)["crashes"] == 3


def test_what_an_owner_still_holds_is_given_back(
    engine: Engine, study: StudyRecord, take: Callable[..., Claim]
) -> None:
    mine, other = take("0_1_2_3", owner="a"), take("0_1_2_6", owner="b")
    release.give_back_all(engine, study.id, "a")
    assert claims.state(engine, study.id, mine.subset, mine.seed) == "waiting"
    assert claims.state(engine, study.id, other.subset, other.seed) == "running"
