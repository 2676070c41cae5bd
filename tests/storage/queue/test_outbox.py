"""The outbox: a computed result reaches the store whatever dies, and counts once."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from storage.errors import InputError
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
    assert Outbox("0" * 32, 1).folder == tmp_path / "outbox" / ("0" * 32)

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LAYER_SEARCH_STATE", "~/own")
    assert state_folder() == tmp_path / "own"
    monkeypatch.delenv("LAYER_SEARCH_STATE")
    assert state_folder().name == "layer-search"

    monkeypatch.setenv("LAYER_SEARCH_STATE", "~nosuchperson/own")
    with pytest.raises(InputError, match="LAYER_SEARCH_STATE is '~nosuchperson/own': "):
        state_folder()


@pytest.mark.parametrize("uid", ["", "..", "../../victim", "0" * 31, "0" * 32 + "/.."])
def test_an_outbox_is_named_by_a_uid_only(uid: str) -> None:
    with pytest.raises(ValueError, match="32 hexadecimal digits"):
        Outbox(uid, 1)


def test_what_waits_is_its_users_alone(outbox: Outbox, worker: Workers) -> None:
    before = os.umask(0)
    path = outbox.keep(worker().claim(TRIAL), SCORED)
    os.umask(before)
    assert path is not None
    modes = [one.stat().st_mode & 0o777 for one in (path, path.parent, path.parents[1])]
    assert modes == [0o600, 0o700, 0o700]
    outbox.clear()


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
    outbox = Outbox(f"{os.getpid():032x}", study_id=3)
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
