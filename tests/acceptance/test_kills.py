"""A launch that is interrupted or killed: no trial is lost, and the next launch goes on."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import Running, run_command, start_command
from tests.support.replays import states_of, write_long


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study file of more trials than any test waits for."""
    return write_long(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> str:
    """URL of the store of a test."""
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
def running(study: Path, store: str) -> Iterator[Running]:
    """A launch that has finished at least three trials."""
    with start_command("launch", study, "--store", store) as process:
        assert process.stderr is not None
        lines = [process.stderr.readline()]
        assert lines[0].startswith("long/L4: ")
        while sum("  0." in line for line in lines) < 3:  # one for each trial
            lines.append(process.stderr.readline())
            assert lines[-1], lines
        yield process
        process.kill()


def go_on(study: Path, store: str, budget: int) -> None:
    """Launch again with a budget, and check that every trial gets its score."""
    done = run_command("launch", study, "--trials", budget, "--store", store)
    assert done.returncode == 0, done.stderr
    assert states_of(store, "long") == {"complete": budget}


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_launch_leaves_no_trial_running(
    running: Running, number: signal.Signals, store: str, study: Path
) -> None:
    running.send_signal(number)
    output, errors = running.communicate(timeout=60)
    assert (running.returncode, output) == (130, "")
    assert "the claimed trial of long was given back" in errors
    assert "Traceback" not in errors

    left = states_of(store, "long")
    assert left["running"] == left["failed"] == 0
    assert left["complete"] >= 3
    assert left["waiting"] <= 1
    go_on(study, store, left.total() + 1)


@pytest.mark.slow
@pytest.mark.unmeasured
def test_killed_launch_goes_on_where_it_stopped(running: Running, store: str, study: Path) -> None:
    running.kill()
    running.wait()
    left = states_of(store, "long")
    assert left["running"] <= 1
    go_on(study, store, left.total() + 1)
