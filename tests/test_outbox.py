"""A computed result reaches the store whatever dies, and counts once."""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from storage import claims, leaderboard, outbox, results, retry, studies
from storage.claims import Claim
from storage.results import Result, TaskResult
from storage.studies import StudyRecord

SCORED = Result(0.5, {"nano": TaskResult(0.5, {"q1": 0.25, "q2": 0.75})}, {"cut": 1.5})
OTHER = Result(0.75, {"nano": TaskResult(0.75, {"q1": 0.75, "q2": 0.75})})
KILLED = """
import os, signal, sys
from storage import claims, outbox, owner, results, setup
from storage.results import Result, TaskResult

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

results.finish = die
engine = setup.open_store(sys.argv[1])
held = claims.claim(engine, int(sys.argv[2]), 2, subset="0_1", seed=0, origin="swap",
                    owner=owner.this_worker())
outbox.record(engine, sys.argv[3], held, Result(0.5, {"nano": TaskResult(0.5, {"q1": 0.5})}))
"""


@pytest.fixture
def study(engine: Engine) -> StudyRecord:
    """A study with room for three trials of depth 2."""
    return begin(engine)


def begin(engine: Engine) -> StudyRecord:
    return studies.begin(
        engine, name="s", file={"study": {"name": "s"}}, folder="/", recipe_hash="h", base="toy",
        layers=22, period=3, fingerprints={}, versions={}, budgets={2: 3},
    )  # fmt: skip


def take(engine: Engine, study: StudyRecord) -> Claim:
    """Claim 0_1."""
    return claims.claim(engine, study.id, 2, subset="0_1", seed=0, origin="swap", owner="w")


def kept(study: StudyRecord) -> list[Path]:
    """What lies in the outbox."""
    return sorted((outbox.state_folder() / "outbox" / study.uid).glob("*"))


def means(engine: Engine) -> list[float | None]:
    """Mean of each trial."""
    return [row["mean"] for row in leaderboard.trials(engine, "s")]


def away(*_: object) -> bool:
    """A database that does not answer."""
    raise OperationalError(None, {}, ConnectionRefusedError())


def test_nothing_is_left_of_a_result_that_was_written(engine: Engine, study: StudyRecord) -> None:
    assert outbox.record(engine, study.uid, take(engine, study), SCORED) is True
    assert (means(engine), kept(study)) == ([0.5], [])


def test_result_waits_for_a_store_that_stays_away(
    engine: Engine, study: StudyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = take(engine, study)
    with monkeypatch.context() as patch:
        patch.setattr(results, "finish", away)
        patch.setattr(retry, "PATIENCE_SECONDS", 0.3)
        with pytest.raises(OperationalError):
            outbox.record(engine, study.uid, held, SCORED)
    assert (means(engine), len(kept(study))) == ([None], 1)
    assert outbox.deliver(engine, study.uid, study.id) == 1
    assert (means(engine), kept(study)) == ([0.5], [])
    assert outbox.deliver(engine, study.uid, study.id) == 0


def test_result_of_a_killed_worker_is_delivered_once(
    engine: Engine, study: StudyRecord, store_url: str
) -> None:
    words = [sys.executable, "-c", KILLED, store_url, str(study.id), study.uid]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    (path,) = kept(study)
    text = path.read_text()
    assert outbox.deliver(engine, study.uid, study.id) == 1
    path.write_text(text)  # as if its removal had been lost
    assert outbox.deliver(engine, study.uid, study.id) == 1  # the same result, counted before
    assert (means(engine), kept(study)) == ([0.5], [])
    assert len(leaderboard.attempts(engine, "s")) == 1


def test_result_that_another_made_superfluous_is_dropped(
    engine: Engine, study: StudyRecord
) -> None:
    late = claims.claim(
        engine, study.id, 2, subset="0_1", seed=0, origin="swap", owner="a", lease=-1
    )
    outbox._keep(study.uid, late, SCORED)
    taken = claims.take_over(engine, study.id, [2], owner="b")
    assert taken is not None
    assert results.finish(engine, taken, OTHER)
    assert outbox.deliver(engine, study.uid, study.id) == 0
    assert (means(engine), kept(study)) == ([0.75], [])
    ends = [(row["worker"], row["outcome"]) for row in leaderboard.attempts(engine, "s")]
    assert ends == [("a", "died"), ("b", "complete")]


def test_late_result_counts_and_the_other_attempt_is_superseded(
    engine: Engine, study: StudyRecord
) -> None:
    late = claims.claim(
        engine, study.id, 2, subset="0_1", seed=0, origin="swap", owner="a", lease=-1
    )
    taken = claims.take_over(engine, study.id, [2], owner="b")
    assert taken is not None
    assert outbox.record(engine, study.uid, late, SCORED) is True
    assert outbox.record(engine, study.uid, taken, OTHER) is False
    ends = [(row["worker"], row["outcome"]) for row in leaderboard.attempts(engine, "s")]
    assert ends == [("a", "complete"), ("b", "superseded")]
    assert means(engine) == [0.5]


def test_result_of_a_deleted_study_reaches_no_other(engine: Engine, study: StudyRecord) -> None:
    outbox._keep(study.uid, take(engine, study), SCORED)
    studies.forget(engine, "s")
    again = begin(engine)
    take(engine, again)
    assert again.uid != study.uid
    assert outbox.deliver(engine, again.uid, again.id) == 0
    assert means(engine) == [None]
    outbox.forget(study.uid)
    assert kept(study) == []


def test_file_that_cannot_be_read_is_set_aside(
    engine: Engine, study: StudyRecord, caplog: pytest.LogCaptureFixture
) -> None:
    outbox._keep(study.uid, take(engine, study), SCORED)
    (path,) = kept(study)
    path.write_text(path.read_text()[:40])
    with caplog.at_level(logging.WARNING):
        assert outbox.deliver(engine, study.uid, study.id) == 0
    assert [found.suffix for found in kept(study)] == [".refused"]
    assert "cannot deliver the result kept in" in caplog.text


def test_result_that_the_store_refuses_does_not_block_the_next(
    engine: Engine, study: StudyRecord, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Result(0.5, {"nano": TaskResult(None)})  # type: ignore[arg-type]
    outbox._keep(study.uid, take(engine, study), broken)
    other = claims.claim(engine, study.id, 2, subset="0_2", seed=0, origin="swap", owner="w")
    outbox._keep(study.uid, other, SCORED)
    assert outbox.deliver(engine, study.uid, study.id) == 1
    assert means(engine) == [None, 0.5]
    assert [found.suffix for found in kept(study)] == [".refused"]
    assert "set aside" in caplog.text


def test_failure_that_counted_before_does_not_end_the_next_attempt(
    engine: Engine, study: StudyRecord
) -> None:
    held, failed = take(engine, study), Result(None, error="NaN")
    assert outbox.record(engine, study.uid, held, failed)
    outbox._keep(study.uid, held, failed)  # as if its removal had been lost
    again = claims.take_over(engine, study.id, [2], owner="b", only=("0_1", 0))
    assert again is not None
    outbox.deliver(engine, study.uid, study.id)
    assert [row["state"] for row in leaderboard.trials(engine, "s")] == ["running"]
    assert outbox.record(engine, study.uid, again, SCORED)
    assert means(engine) == [0.5]


def test_machine_that_cannot_keep_it_still_writes_it(
    engine: Engine,
    study: StudyRecord,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LAYER_SEARCH_STATE", str(tmp_path / "file"))
    assert outbox.record(engine, study.uid, take(engine, study), SCORED) is True
    assert means(engine) == [0.5]
    assert "cannot keep the result of 0_1" in caplog.text


FINITE = st.floats(allow_nan=False, allow_infinity=False)
TASK = st.builds(TaskResult, FINITE, st.dictionaries(st.text(max_size=9), FINITE, max_size=4))


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
    )
)
def test_what_is_kept_is_what_was_computed(result: Result) -> None:
    held = Claim(7, 3, 2, "0_1", seed=1, token=2, optuna_number=None, origin="swap")
    path = outbox._keep(f"round-{os.getpid()}", held, result)
    assert path is not None
    assert outbox._read(path, 3) == (held, result)
    path.unlink()
