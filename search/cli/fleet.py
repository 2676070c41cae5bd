"""Several workers on one machine: a process for each, and one place to stop them all."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search.cli.output import remark
from search.errors import SearchError
from search.signals import signals

_COMMAND = (sys.executable, "-P", "-c", "from search.cli import main; main()")


@dataclass(frozen=True, slots=True)
class Fleet:
    """The settings that the workers of one machine share.

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

    def run(self, study: str, depths: Sequence[int] | None) -> None:
        """Run all workers on `study` until each has ended.

        Args:
            study: name of the study.
            depths: work on these depths only.

        Raises:
            SearchError: a worker failed; the other ones went on until nothing was left to do.
            KeyboardInterrupt: Ctrl-C or SIGTERM, after the workers have given their trials back.
        """
        processes: list[subprocess.Popen[str]] = []

        def interrupt_all() -> None:
            for process in processes:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)

        with signals.passed_on(interrupt_all):
            try:
                for number in range(self.workers):  # one by one: a signal finds those that run
                    processes += [self._start(number, study, depths or ())]
                codes = _wait(processes)
            except BaseException:
                for process in processes:
                    process.terminate()
                raise

        if failed := [str(number) for number, code in enumerate(codes) if code]:
            message = f"failed workers: {', '.join(failed)} of {len(codes)}; each said why above"
            raise SearchError(message)

    def _start(self, number: int, study: str, depths: Sequence[int]) -> "subprocess.Popen[str]":
        """Start worker `number`."""
        words = ["work", study, f"--folder={self.folder}", "--workers=1"]
        words += [f"--depth={depth}" for depth in depths]
        words += ["--accept-drift"] * self.accept_drift
        if device := self._device(number):
            words.append(f"--device={device}")

        threads = max(1, (os.cpu_count() or 1) // self.workers)
        return subprocess.Popen(  # noqa: S603 - our own command, with words of our own
            [*_COMMAND, *words],
            env={
                "OMP_NUM_THREADS": str(threads),
                **os.environ,
                # the URL may hold a password, and other people of the machine can read arguments
                "LAYER_SEARCH_STORE": self.store,
                "TTY_COMPATIBLE": "0",  # its lines are relayed as text: no colours in them
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # leaderboards, which the parent prints once
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches the parent alone, which passes it on once
        )

    def _device(self, number: int) -> str | None:
        """Return the device of worker `number`."""
        if self.device is not None or not (gpus := count_gpus()):
            return self.device
        return f"cuda:{number % gpus}"


def count_workers(workers: int | None, device: str | None) -> int:
    """Return the number of workers: as asked for, or one for each GPU of this machine."""
    if workers is not None:
        return workers
    return 1 if device is not None else max(1, count_gpus())


def count_gpus() -> int:
    """Return the number of NVIDIA GPUs this process may use, without loading a model library."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    return sum(path.name[6:].isdigit() for path in Path("/dev").glob("nvidia[0-9]*"))


def _wait(processes: "Sequence[subprocess.Popen[str]]") -> list[int]:
    """Print the lines of all workers until each has ended, and return their exit codes."""
    readers = [
        threading.Thread(target=_relay, args=(number, process), daemon=True)
        for number, process in enumerate(processes)
    ]
    for reader in readers:
        reader.start()

    codes = [process.wait() for process in processes]
    for reader in readers:
        reader.join(timeout=5)
    return codes


def _relay(number: int, process: "subprocess.Popen[str]") -> None:
    """Print each line of a worker, with its number in front."""
    if process.stderr is None:
        return
    with process.stderr as lines:
        for line in lines:
            if line.strip():
                remark(f"[{number}] {line.rstrip()}")
