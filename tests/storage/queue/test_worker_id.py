"""Names of workers, and whether a worker of this host has ended."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from storage.queue import WorkerId


def test_worker_is_named_by_host_and_process() -> None:
    here = WorkerId.current()
    assert here == WorkerId.current() == WorkerId.of_process(os.getpid())
    assert str(here).split(":")[1] == str(os.getpid())
    assert WorkerId.parse(str(here)) == here


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("gpu:7:42:boot:pid:[1]", ("gpu", "7", "42", "boot:pid:[1]")),
        ("gpu:7:42", ("gpu", "7", "42", "")),
        ("gpu", ("gpu", "", "", "")),
        ("", ("", "", "", "")),
    ],
)
def test_name_is_read_back_whatever_it_lacks(text: str, parts: tuple[str, ...]) -> None:
    assert WorkerId.parse(text) == WorkerId(*parts)


def test_running_process_has_not_ended() -> None:
    here = WorkerId.current()
    assert (here.has_ended(), here.is_alive()) == (False, True)
    other = replace(here, start="1")  # its number is in use again
    assert (other.has_ended(), other.is_alive()) == (True, False)
    assert WorkerId.of_process(os.getppid()).has_ended() is False


def test_process_that_is_gone_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        child = WorkerId.of_process(process.pid)
        assert child.has_ended() is False
        process.kill()
    assert child.has_ended() is True
    with pytest.raises(psutil.NoSuchProcess):
        WorkerId.of_process(process.pid)


@pytest.mark.parametrize("part", ["host", "boot", "pid"])
def test_nobody_can_know_of_a_process_elsewhere(part: str) -> None:
    dead = replace(WorkerId.current(), start="1")
    assert dead.has_ended() is True
    assert replace(dead, **{part: "other"}).has_ended() is False


def test_process_of_another_user_may_hide(monkeypatch: pytest.MonkeyPatch) -> None:
    here = WorkerId.current()

    def denied(pid: int) -> psutil.Process:
        raise psutil.AccessDenied(pid)

    monkeypatch.setattr(WorkerId, "current", lambda: here)
    monkeypatch.setattr(psutil, "Process", denied)
    assert here.has_ended() is False


def test_process_that_ends_while_it_is_looked_at_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = WorkerId.current()

    def vanished(pid: int) -> WorkerId:
        raise FileNotFoundError(pid)

    monkeypatch.setattr(WorkerId, "current", lambda: here)
    monkeypatch.setattr(WorkerId, "of_process", vanished)
    assert here.has_ended() is True


def test_system_without_a_process_folder_names_the_time_of_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Path, "exists", lambda _: False)
    here = WorkerId.current()
    assert (here.pid, here.boot) == (str(os.getpid()), "")
    assert float(here.start) == pytest.approx(psutil.Process().create_time(), abs=0.01)
    assert here.has_ended() is False
    assert replace(here, start="1.00").has_ended() is True
