"""Several workers on one machine: their words, devices and ends. The processes are stand-ins."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from search.cli import fleet
from search.cli.fleet import Fleet, count_gpus, count_workers
from search.errors import SearchError

STORE = "postgresql://ann:s3cr3t@host/d"


class Process:
    """A stand-in for a worker process, which runs until it is waited for or has ended before.

    Args:
        words: its command line.
        environment: its environment variables.
        said: its lines on stderr.
        code: its exit code.
    """

    def __init__(self, words: list[str], environment: dict[str, str], said: str, code: int) -> None:
        self.words = words
        self.environment = environment
        self.stderr = io.StringIO(said)
        self.received: list[signal.Signals] = []
        self.is_terminated = False
        self.has_ended = False
        self._code = code

    def poll(self) -> int | None:
        """Return its exit code if it has ended."""
        return self._code if self.has_ended else None

    def wait(self) -> int:
        """Return its exit code."""
        return self._code

    def send_signal(self, number: signal.Signals) -> None:
        """Note the signal."""
        self.received.append(number)

    def terminate(self) -> None:
        """Note that it was ended."""
        self.is_terminated = True


class Machine:
    """A machine without GPUs that starts stand-ins.

    Attributes:
        processes: the processes that were started.
        codes: exit codes of the next ones; 0 when there are none.
        most: number of processes that it can start.
    """

    def __init__(self) -> None:
        self.processes: list[Process] = []
        self.codes: list[int] = []
        self.most = 99

    def start(self, words: list[str], **options: Any) -> Process:
        """Start a process that says its number."""
        assert options["start_new_session"] is True
        number = len(self.processes)
        if number == self.most:
            reason = "no processes left"
            raise OSError(reason)

        code = self.codes.pop(0) if self.codes else 0
        said = f"hello from {number}\n\nbye\n"
        self.processes.append(Process(words, options["env"], said, code))
        return self.processes[-1]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The machine on which workers are started."""
    made = Machine()
    monkeypatch.setattr(subprocess, "Popen", made.start)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return made


def make(workers: int, device: str | None = None, *, accept_drift: bool = False) -> Fleet:
    """Return a fleet over the folder `data`."""
    return Fleet(STORE, workers, device, Path("data"), accept_drift)


def options_of(process: Process) -> list[str]:
    """Return the words after `work STUDY`."""
    command = [sys.executable, "-P", "-c", "from search.cli import main; main()"]
    assert process.words[:4] == command
    assert process.words[4:6] == ["work", "s"]
    return process.words[6:]


def test_each_worker_is_one_process_of_the_command(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    make(2).run("s", None)
    assert [options_of(process) for process in machine.processes] == [
        ["--folder=data", "--workers=1"]
    ] * 2

    shown = capsys.readouterr()
    assert shown.out == ""
    assert sorted(shown.err.splitlines()) == [
        "[0] bye",
        "[0] hello from 0",
        "[1] bye",
        "[1] hello from 1",
    ]


def test_depths_and_drift_are_passed_on(machine: Machine) -> None:
    make(1, accept_drift=True).run("s", [4, 7])
    assert options_of(machine.processes[0])[2:] == ["--depth=4", "--depth=7", "--accept-drift"]


def test_password_stands_in_no_argument(machine: Machine) -> None:
    make(1).run("s", None)
    assert not any("s3cr3t" in word for word in machine.processes[0].words)
    assert machine.processes[0].environment["LAYER_SEARCH_STORE"] == STORE
    assert machine.processes[0].environment["TTY_COMPATIBLE"] == "0"


def test_processors_are_shared(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 9)
    make(2).run("s", None)
    assert {one.environment["OMP_NUM_THREADS"] for one in machine.processes} == {"4"}

    machine.processes.clear()
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    make(2).run("s", None)
    assert {one.environment["OMP_NUM_THREADS"] for one in machine.processes} == {"1"}

    machine.processes.clear()
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    make(2).run("s", None)
    assert {one.environment["OMP_NUM_THREADS"] for one in machine.processes} == {"3"}


@pytest.mark.parametrize(
    ("visible", "device", "devices"),
    [
        ("0,1", None, ["--device=cuda:0", "--device=cuda:1", "--device=cuda:0"]),
        ("0,1", "cuda:1", ["--device=cuda:1"] * 3),
        ("", None, []),
        ("", "cpu", ["--device=cpu"] * 3),
    ],
)
def test_devices_go_round(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    visible: str,
    device: str | None,
    devices: list[str],
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    make(3, device).run("s", None)
    given = [word for one in machine.processes for word in one.words if word.startswith("--device")]
    assert given == devices


def test_failed_workers_are_named_when_all_have_ended(machine: Machine) -> None:
    machine.codes = [2, 0, 1]
    with pytest.raises(SearchError, match="failed workers: 0, 2 of 3; each said why above"):
        make(3).run("s", None)
    assert not any(process.is_terminated for process in machine.processes)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_is_passed_on_once_to_each_worker(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    wait = Process.wait

    def strike(self: Process) -> int:
        if self is machine.processes[0]:
            machine.processes[3].has_ended = True
            signal.raise_signal(number)
        return wait(self)

    monkeypatch.setattr(Process, "wait", strike)
    with pytest.raises(KeyboardInterrupt):
        make(4).run("s", None)
    received = [process.received for process in machine.processes]
    assert received == [[signal.SIGINT]] * 3 + [[]]  # the last one has ended
    assert not any(process.is_terminated for process in machine.processes)


def test_no_worker_is_left_when_one_cannot_be_started(machine: Machine) -> None:
    machine.most = 2
    with pytest.raises(OSError, match="no processes left"):
        make(3).run("s", None)
    assert [process.is_terminated for process in machine.processes] == [True, True]


# how many


@pytest.mark.parametrize(
    ("visible", "gpus"),
    [("0", 1), ("0,1", 2), ("GPU-1,GPU-2,GPU-3", 3), ("", 0), ("-1", 0), (" , ", 0)],
)
def test_visible_gpus_are_counted(monkeypatch: pytest.MonkeyPatch, visible: str, gpus: int) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert count_gpus() == gpus


def test_gpus_are_counted_by_their_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidia1", "nvidia10", "nvidiactl", "nvidia-uvm", "nvidia0x"):
        (tmp_path / name).touch()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(fleet, "Path", lambda _: tmp_path)
    assert count_gpus() == 3


@pytest.mark.parametrize(
    ("workers", "device", "visible", "number"),
    [
        (3, None, "0", 3),
        (3, "cpu", "", 3),
        (None, None, "0,1", 2),
        (None, None, "", 1),
        (None, "cuda:1", "0,1", 1),
    ],
)
def test_workers_are_one_for_each_gpu_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
    workers: int | None,
    device: str | None,
    visible: str,
    number: int,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert count_workers(workers, device) == number
