"""The outbox: a computed result reaches the store whatever dies, and counts once."""

import errno
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError, ProgrammingError

from storage.queue import Claim, Outbox, Result, TaskResult, TrialQueue, state_folder
from storage.queue.outbox import _sync_folder
from storage.studies import StudyRecord, delete_study
from tests.support.patience import give_up_after
from tests.support.stores import (
    Workers,
    attempts,
    begin,
    new_trial,
    only_trial,
    queue_of,
    trial_rows,
)

TRIAL = new_trial((0, 1))
SCORED = Result(0.5, {"nano": TaskResult(0.5, {"q1": 0.25, "q2": 0.75})}, {"cut": 1.5})
OTHER = Result(0.75, {"nano": TaskResult(0.75, {"q1": 0.75, "q2": 0.75})})
KILLED = """
import os, signal, sys
from storage.queue import NewTrial, Result, TaskResult, TrialQueue, trial_queue
from storage.setup import open_store
from storage.states import Origin
from storage.studies import find_study

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

trial_queue.write_result = die
engine = open_store(sys.argv[1])
queue = TrialQueue(engine, find_study(engine, sys.argv[2]))
held = queue.claim(NewTrial((0, 1), 0, Origin.SAMPLER, "swap"))
queue.finish(held, Result(0.5, {"nano": TaskResult(0.5, {"q1": 0.5})}))
"""


@pytest.fixture
def study(engine: Engine) -> StudyRecord:
    """A study with room for three trials of depth 2."""
    return begin(engine, {2: 3})


@pytest.fixture
def outbox(study: StudyRecord) -> Outbox:
    """The outbox of `study`."""
    return Outbox(study.uid, study.id)


def kept(study: StudyRecord) -> list[Path]:
    """Return the files in the outbox of `study`."""
    return sorted((state_folder() / "outbox" / study.uid).glob("*"))


def means(engine: Engine) -> list[float | None]:
    """Return the mean of each trial."""
    return [row["mean"] for row in trial_rows(engine)]


def unknown(*_: object) -> bool:
    """Fail as a database whose tables are not what this release knows."""
    raise ProgrammingError(None, {}, Exception("no such column"))


def away(*_: object) -> bool:
    """Fail as a database that does not answer."""
    raise OperationalError(None, {}, ConnectionRefusedError())


# kept until it is written


def test_nothing_is_left_of_a_result_that_was_written(
    engine: Engine, study: StudyRecord, worker: Workers
) -> None:
    queue = worker()
    assert queue.finish(queue.claim(TRIAL), SCORED) is True
    assert (means(engine), kept(study)) == ([0.5], [])


@pytest.mark.slow
def test_result_waits_for_a_store_that_stays_away(
    engine: Engine, study: StudyRecord, worker: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = worker()
    held = queue.claim(TRIAL)
    with monkeypatch.context() as patch:
        patch.setattr("storage.queue.trial_queue.write_result", away)
        give_up_after(patch, TrialQueue._write, 0.3)
        with pytest.raises(OperationalError):
            queue.finish(held, SCORED)
    assert (means(engine), len(kept(study))) == ([None], 1)

    assert queue.deliver() == 1
    assert (means(engine), kept(study)) == ([0.5], [])
    assert queue.deliver() == 0


@pytest.mark.slow
def test_result_of_a_killed_worker_is_delivered_once(
    engine: Engine, study: StudyRecord, worker: Workers, store_url: str
) -> None:
    words = [sys.executable, "-c", KILLED, store_url, study.name]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    (path,) = kept(study)
    text = path.read_text()
    assert worker().deliver() == 1

    path.write_text(text)  # as if its removal had been lost
    assert worker().deliver() == 1  # the same result, counted before
    assert (means(engine), kept(study)) == ([0.5], [])
    assert len(attempts(engine)) == 1


def test_machine_that_cannot_keep_it_still_writes_it(
    engine: Engine,
    worker: Workers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LAYER_SEARCH_STATE", str(tmp_path / "file"))
    queue = worker()
    assert queue.finish(queue.claim(TRIAL), SCORED) is True
    assert means(engine) == [0.5]
    assert "cannot keep the result of 0_1" in caplog.text


def test_state_lies_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAYER_SEARCH_STATE", str(tmp_path))
    assert state_folder() == tmp_path
    assert Outbox("uid", 1).folder == tmp_path / "outbox" / "uid"

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LAYER_SEARCH_STATE", "~/own")
    assert state_folder() == tmp_path / "own"
    monkeypatch.delenv("LAYER_SEARCH_STATE")
    assert state_folder().name == "layer-search"


def test_folder_is_not_flushed_where_the_system_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FileNotFoundError):
        _sync_folder(tmp_path / "none")
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        _sync_folder(tmp_path / "none")


# results that came second


def test_result_that_another_made_superfluous_is_dropped(
    engine: Engine, study: StudyRecord, worker: Workers, outbox: Outbox
) -> None:
    outbox.keep(worker(lease=-1).claim(TRIAL), SCORED)
    other = worker("b")
    taken = other.take_over([2])
    assert taken is not None
    assert other.finish(taken, OTHER)

    assert worker().deliver() == 0
    assert (means(engine), kept(study)) == ([0.75], [])
    ends = [(name, outcome) for _, name, outcome, _ in attempts(engine)]
    assert ends == [("a", "died"), ("b", "complete")]


def test_late_result_counts_and_the_other_attempt_is_superseded(
    engine: Engine, worker: Workers
) -> None:
    late, other = worker(lease=-1), worker("b")
    held = late.claim(TRIAL)
    taken = other.take_over([2])
    assert taken is not None
    assert late.finish(held, SCORED) is True
    assert other.finish(taken, OTHER) is False

    ends = [(name, outcome) for _, name, outcome, _ in attempts(engine)]
    assert ends == [("a", "complete"), ("b", "superseded")]
    assert means(engine) == [0.5]


def test_failure_that_counted_before_does_not_end_the_next_attempt(
    engine: Engine, worker: Workers, outbox: Outbox
) -> None:
    queue, failed = worker(), Result(None, error="NaN")
    held = queue.claim(TRIAL)
    assert queue.finish(held, failed)
    outbox.keep(held, failed)  # as if its removal had been lost

    again = worker("b").reopen((0, 1), 0)
    assert again is not None
    queue.deliver()
    assert only_trial(engine)["state"] == "running"
    assert worker("b").finish(again, SCORED)
    assert means(engine) == [0.5]


def test_result_of_a_deleted_study_reaches_no_other(
    engine: Engine, study: StudyRecord, worker: Workers, outbox: Outbox
) -> None:
    outbox.keep(worker().claim(TRIAL), SCORED)
    delete_study(engine, "s")
    again = begin(engine, {2: 3})
    queue = queue_of(engine, again)
    queue.claim(TRIAL)

    assert again.uid != study.uid
    assert queue.deliver() == 0
    assert means(engine) == [None]
    outbox.clear()
    assert kept(study) == []


# files that are refused


def test_file_that_cannot_be_read_is_set_aside(
    study: StudyRecord, worker: Workers, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    outbox.keep(worker().claim(TRIAL), SCORED)
    (path,) = kept(study)
    path.write_text(path.read_text()[:40])
    with caplog.at_level(logging.WARNING):
        assert worker().deliver() == 0
    assert [found.suffix for found in kept(study)] == [".refused"]
    assert "cannot deliver the result kept in" in caplog.text


def test_result_that_the_store_refuses_does_not_block_the_next(
    engine: Engine,
    study: StudyRecord,
    worker: Workers,
    outbox: Outbox,
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue = worker()
    broken = Result(0.5, {"nano": TaskResult(None)})  # type: ignore[arg-type]
    outbox.keep(queue.claim(TRIAL), broken)
    outbox.keep(queue.claim(new_trial((0, 2))), SCORED)

    assert queue.deliver() == 1
    assert means(engine) == [None, 0.5]
    assert [found.suffix for found in kept(study)] == [".refused"]
    assert "set aside" in caplog.text


def test_file_that_its_own_worker_removes_meanwhile_is_left_to_it(
    study: StudyRecord, worker: Workers, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    queue = worker()
    paths = [outbox.keep(queue.claim(new_trial((0, n))), SCORED) for n in (1, 2)]

    def write(claim: Claim, _: Result) -> bool:
        if claim.subset == (0, 1):  # the worker of the second result is done with it by now
            assert paths[1] is not None
            paths[1].unlink()
        return True

    assert outbox.deliver(write) == 1
    assert (kept(study), caplog.messages) == ([], [])


def test_result_that_the_store_can_never_hold_is_recorded_as_a_failure(
    engine: Engine, study: StudyRecord, worker: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    queue = worker()
    impossible = Result(0.5, {"nano": TaskResult(0.5, {"q1": None})})  # type: ignore[dict-item]
    assert queue.finish(queue.claim(TRIAL), impossible) is True

    row = only_trial(engine)
    assert (row["state"], row["mean"]) == ("failed", None)
    assert row["error"].startswith("the store cannot hold its scores: ")
    assert [found.suffix for found in kept(study)] == [".refused"]
    assert "set aside" in caplog.text
    assert "trying again" not in caplog.text


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_query_id_longer_than_an_index_can_hold_is_not_waited_for(
    engine: Engine, worker: Workers, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    queue = worker()
    long = "".join(map(chr, range(300, 6300)))  # not to be compressed
    result = Result(0.5, {"nano": TaskResult(0.5, {long: 0.5})})
    outbox.keep(queue.claim(TRIAL), result)
    assert queue.deliver() == 0
    assert queue.finish(queue.claim(new_trial((0, 2))), result) is True
    assert [row["state"] for row in trial_rows(engine)] == ["running", "failed"]
    assert "index row" in trial_rows(engine)[1]["error"]
    assert "trying again" not in caplog.text


def test_any_other_error_of_the_store_ends_the_worker_and_keeps_its_result(
    study: StudyRecord, worker: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = worker()
    held = queue.claim(TRIAL)
    monkeypatch.setattr("storage.queue.trial_queue.write_result", unknown)
    with pytest.raises(ProgrammingError):
        queue.finish(held, SCORED)
    assert [found.suffix for found in kept(study)] == [".json"]


# files and folders that no worker can deal with

DEEP = "[" * 100_000
WRONG = [
    '{"claim": {"trial_id": [1], "subset": "0_1", "seed": 0, "token": 1}, "result": {"mean": 0.5}}',
    '{"claim": {"trial_id": 1, "subset": "0_1", "seed": 0, "token": 1}, "result": {"mean": "a"}}',
    f'{{"claim": {{"trial_id": {10**40}, "subset": "0_1", "seed": 0, "token": 1}}}}',
    '{"claim": {"trial_id": 1, "subset": "1_0", "seed": 0, "token": 1}, "result": {"mean": 0.5}}',
    '{"claim": {"trial_id": 1, "subset": "0_1", "seed": 0, "token": 1}, "result": {"mean": NaN}}',
    '{"claim": 3, "result": 4}',
    "9" * 10_000,
    DEEP,
    "",
    "null",
]


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_file_that_holds_anything_else_is_set_aside(
    engine: Engine, study: StudyRecord, worker: Workers, outbox: Outbox, text: str
) -> None:
    queue = worker()
    outbox.keep(queue.claim(new_trial((0, 2))), SCORED)
    (outbox.folder / "000000000000-1.json").write_text(text, encoding="utf-8")
    assert queue.deliver() == 1  # the other one
    assert [found.suffix for found in kept(study)] == [".refused"]
    assert means(engine) == [0.5]


def test_file_that_cannot_be_read_for_a_moment_is_delivered_the_next_time(
    study: StudyRecord, worker: Workers, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    queue = worker()
    outbox.keep(queue.claim(TRIAL), SCORED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "read_bytes", fail_with(OSError(errno.EIO, "Input/output error")))
        for _ in range(2):
            assert queue.deliver() == 0
    assert len(caplog.messages) == 1  # said once
    assert "cannot read" in caplog.text
    assert queue.deliver() == 1
    assert kept(study) == []


@pytest.mark.parametrize("method", ["unlink", "replace"])
def test_folder_that_only_others_may_change_is_left_alone(
    engine: Engine,
    study: StudyRecord,
    worker: Workers,
    outbox: Outbox,
    caplog: pytest.LogCaptureFixture,
    method: str,
) -> None:
    queue = worker()
    path = outbox.keep(queue.claim(TRIAL), SCORED)
    assert path is not None
    if method == "replace":
        path.write_text("", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, method, fail_with(PermissionError(errno.EACCES, "Permission denied")))
        for _ in range(3):
            queue.deliver()
    assert caplog.text.count("left for later") == 1
    assert means(engine) == ([0.5] if method == "unlink" else [None])
    assert kept(study) == [path]


def test_folder_that_cannot_be_listed_is_said_once(
    worker: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    queue = worker()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Path, "iterdir", fail_with(PermissionError(errno.EACCES, "Permission denied"))
        )
        for _ in range(2):
            assert queue.deliver() == 0
    assert caplog.text.count("cannot look for results in") == 1


def test_another_worker_that_sets_a_file_aside_first_is_no_error(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    outbox.set_aside(outbox.folder / "000000000001-1.json", "why")
    assert "left for later" not in caplog.text


def test_result_that_this_store_cannot_take_now_is_left(
    study: StudyRecord, worker: Workers, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    outbox.keep(worker().claim(TRIAL), SCORED)

    for _ in range(2):
        assert outbox.deliver(unknown) == 0
    assert [found.suffix for found in kept(study)] == [".json"]
    assert caplog.text.count("no such column; left for later") == 1


def test_outage_of_the_store_is_told(worker: Workers, outbox: Outbox) -> None:
    outbox.keep(worker().claim(TRIAL), SCORED)
    with pytest.raises(OperationalError):
        outbox.deliver(away)


def test_nothing_is_left_of_a_file_that_could_not_be_finished(
    worker: Workers, outbox: Outbox, study: StudyRecord, caplog: pytest.LogCaptureFixture
) -> None:
    held = worker().claim(TRIAL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fail_with(OSError(errno.ENOSPC, "No space left on device")))
        assert outbox.keep(held, SCORED) is None
    odd = Result(0.5, notes=[object()])  # type: ignore[list-item]
    assert outbox.keep(held, odd) is None
    assert kept(study) == []
    assert caplog.text.count("cannot keep the result of 0_1") == 2


def test_clearing_removes_every_file_and_the_folder(worker: Workers, outbox: Outbox) -> None:
    path = outbox.keep(worker().claim(TRIAL), SCORED)
    assert path is not None
    for suffix in (".7.tmp", ".refused"):
        path.with_suffix(suffix).touch()
    outbox.clear()
    assert not outbox.folder.exists()
    outbox.clear()


def fail_with(error: OSError) -> Callable[..., None]:
    """Return a function that fails as the system does."""

    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


# what a file holds


FINITE = st.floats(allow_nan=False, allow_infinity=False)
TASK = st.builds(TaskResult, FINITE, st.dictionaries(st.text(max_size=9), FINITE, max_size=4))


@pytest.mark.slow
@given(
    result=st.builds(
        Result,
        mean=st.none() | FINITE,
        tasks=st.dictionaries(st.text(max_size=9), TASK, max_size=3),
        seconds=st.dictionaries(st.sampled_from(["cut", "train"]), FINITE),
        versions=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
        notes=st.lists(st.text(max_size=9), max_size=2),
        drift=st.none() | st.text(max_size=9),
        error=st.none() | st.text(max_size=9),
        set_aside=st.booleans(),
    )
)
def test_file_holds_the_result_that_was_computed(result: Result) -> None:
    outbox = Outbox(f"round-{os.getpid()}", study_id=3)
    held = Claim(7, 3, (0, 1), seed=1, token=2)
    path = outbox.keep(held, result)
    assert path is not None
    found: list[tuple[Claim, Result]] = []

    def write(claim: Claim, result: Result) -> bool:
        found.append((claim, result))
        return True

    assert outbox.deliver(write) == 1
    assert found == [(held, result)]
    assert not path.exists()


def as_release_0_3_wrote_it(claim: Claim, **result: object) -> str:
    """Return the text of a file of release 0.3, which had no mark for a trial set aside."""
    nothing: dict[str, object] = {
        "mean": None,
        "tasks": {},
        "seconds": {},
        "device": None,
        "versions": {},
        "notes": [],
        "drift": None,
        "error": None,
    }

    held = {
        "trial_id": claim.trial_id,
        "study_id": claim.study_id,
        "depth": 2,
        "subset": "0_1",
        "seed": 0,
        "token": 1,
        "optuna_number": None,
        "origin": "swap",
        "crashes": 2,
    }

    return json.dumps({"claim": held, "result": nothing | result})


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (
            {"error": "set aside: its worker ended 3 times without a result"},
            ("failed", None, "its worker ended 3 times without a result", True),
        ),
        ({"error": "the loss is NaN"}, ("failed", None, "the loss is NaN", False)),
        (
            {"mean": 0.5, "tasks": {"nano": {"score": 0.5, "queries": {"q1": 0.5}}}},
            ("complete", 0.5, None, False),
        ),
    ],
    ids=["set aside", "failed", "scored"],
)
def test_file_of_release_0_3_is_delivered(
    engine: Engine,
    study: StudyRecord,
    worker: Workers,
    outbox: Outbox,
    result: dict[str, Any],
    expected: tuple[object, ...],
) -> None:
    held = worker().claim(TRIAL)
    outbox.folder.mkdir(parents=True)
    path = outbox.folder / f"{held.trial_id:012d}-1.json"
    path.write_text(as_release_0_3_wrote_it(held, **result), encoding="utf-8")

    assert worker().deliver() == 1
    row = only_trial(engine)
    assert tuple(row[name] for name in ("state", "mean", "error", "set_aside")) == expected
    assert kept(study) == []
    ((_, name, outcome, reason),) = attempts(engine)
    assert (name, outcome, reason) == ("a", expected[0], expected[2])
