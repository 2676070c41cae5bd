"""Several workers on one machine: a process for each, and one place to stop them all."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from search.cli.output import errors
from search.errors import SearchError

_COMMAND = (sys.executable, "-P", "-c", "from search.cli import main; main()")


@dataclass(frozen=True, slots=True)
class Fleet:
    """What the workers of one machine share.

    Attributes:
        store: URL of the store.
        workers: number of processes.
        device: device of all of them; None gives each GPU to one, in turn, or the CPU to all.
        folder: folder that the study's relative paths start from.
        accept_drift: whether they record drift instead of refusing it.
    """

    store: str
    workers: int
    device: str | None
    folder: Path
    accept_drift: bool

    def start(self, number: int, study: str, depths: Sequence[int]) -> "subprocess.Popen[str]":
        """Start worker `number`."""
        words = ["work", study, f"--folder={self.folder}"]
        words += [f"--depth={depth}" for depth in depths]
        words += ["--accept-drift"] * self.accept_drift + ["--workers=1"]
        if device := self._device(number):
            words.append(f"--device={device}")
        threads = max(1, (os.cpu_count() or 1) // self.workers)
        return subprocess.Popen(  # noqa: S603 - our own command
            [*_COMMAND, *words],
            # the URL may hold a password, and other people of the machine can read arguments
            env={"OMP_NUM_THREADS": str(threads), **os.environ, "LAYER_SEARCH_STORE": self.store},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # leaderboards, which the fleet prints once
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches the fleet alone, which passes it on once
        )

    def _device(self, number: int) -> str | None:
        if self.device is not None or not (gpus := _gpus()):
            return self.device
        return f"cuda:{number % gpus}"


def size(workers: int | None, device: str | None) -> int:
    """Number of workers: as asked for, or one for each GPU of this machine."""
    if workers is not None:
        return workers
    return 1 if device is not None else max(1, _gpus())


def run(fleet: Fleet, study: str, depths: Sequence[int] | None) -> None:
    """Run the fleet's workers on `study` until each has ended.

    Raises:
        SearchError: a worker failed; the others went on until nothing was left to do.
        KeyboardInterrupt: Ctrl-C or SIGTERM, after the workers have given their trials back.
    """
    processes: list[subprocess.Popen[str]] = []
    with _passed_on(processes) as caught:
        for number in range(fleet.workers):  # one by one: a signal must find those there are
            processes.append(fleet.start(number, study, depths or ()))  # noqa: PERF401
        readers = [
            threading.Thread(target=_relay, args=(number, process), daemon=True)
            for number, process in enumerate(processes)
        ]
        for reader in readers:
            reader.start()
        codes = [process.wait() for process in processes]
        for reader in readers:
            reader.join(timeout=5)
    if caught:
        raise KeyboardInterrupt
    if failed := [str(number) for number, code in enumerate(codes) if code]:
        message = f"failed workers: {', '.join(failed)} of {len(codes)}; each said why above"
        raise SearchError(message)


@contextmanager
def _passed_on(processes: "list[subprocess.Popen[str]]") -> Iterator[list[int]]:
    """Pass Ctrl-C and SIGTERM on to all processes; yields those that came."""
    caught: list[int] = []

    def receive(number: int, _frame: FrameType | None) -> None:
        caught.append(number)
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)

    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, receive) for number in numbers}
    try:
        yield caught
    except BaseException:
        for process in processes:
            process.terminate()
        raise
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _relay(number: int, process: "subprocess.Popen[str]") -> None:
    """Print each line that a worker says, with its number in front."""
    for line in process.stderr or ():
        if line.strip():
            text = f"[{number}] {line.rstrip()}"
            errors.print(text, highlight=False, markup=False, soft_wrap=True)


def _gpus() -> int:
    """Number of NVIDIA GPUs this process may use, without loading a model library."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    return sum(path.name[6:].isdigit() for path in Path("/dev").glob("nvidia[0-9]*"))
