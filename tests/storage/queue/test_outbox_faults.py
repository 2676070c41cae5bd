"""The outbox meets files, folders and stores that it can do nothing with, and ends no worker."""

import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError, ProgrammingError

from storage.queue import Claim, Outbox, Result, TaskResult, state_folder
from storage.studies import StudyRecord
from tests.support.stores import (
    Workers,
    begin,
    new_trial,
    only_trial,
    trial_rows,
)

TRIAL = new_trial((0, 1))
SCORED = Result(0.5, {"nano": TaskResult(0.5, {"q1": 0.25, "q2": 0.75})}, {"cut": 1.5})


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
