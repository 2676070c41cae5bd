"""Worker processes that are kept at a number, killed, stopped, and let go on."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self


@dataclass(slots=True, eq=False)
class Worker:
    """A process, and the file that holds what it said."""

    process: "subprocess.Popen[bytes]"
    log: Path
    born: float = field(default_factory=time.monotonic)
    new: bool = True
    """Whether it has not held a trial yet."""

    @property
    def last_words(self) -> str:
        """The last line that it wrote."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "nothing"


class Crew:
    """Workers that all run one command; none outlives the block.

    Args:
        command: the command.
        folder: folder they work in, which takes their logs too.
        environment: variables besides those of this process.
    """

    def __init__(
        self, command: Sequence[object], folder: Path, environment: Mapping[str, str]
    ) -> None:
        self.started = 0
        self._command = [str(word) for word in command]
        self._folder = folder
        self._environment = {**os.environ, **environment}
        self._workers: list[Worker] = []
        self._stopped: set[int] = set()

    def __enter__(self) -> Self:
        """Nothing is started yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Kill whoever is left."""
        for worker in list(self._workers):
            self.kill(worker)

    def __len__(self) -> int:
        """How many have not ended."""
        return len(self._workers)

    def start(self) -> Worker:
        """Start one more worker."""
        self.started += 1
        log = self._folder / f"worker-{self.started}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        worker = Worker(process, log)
        self._workers.append(worker)
        return worker

    def pick(self, share: float, preferred: set[int]) -> Worker | None:
        """One of those that run, if possible with its process among `preferred`."""
        running = [one for one in self._workers if one.process.pid not in self._stopped]
        running = [one for one in running if one.process.pid in preferred] or running
        return running[int(share * len(running))] if running else None

    def seen(self, busy: set[int]) -> None:
        """Note whose processes hold a trial."""
        for worker in self._workers:
            worker.new = worker.new and worker.process.pid not in busy

    def kill(self, worker: Worker) -> None:
        """End it without warning."""
        worker.process.kill()
        worker.process.wait()
        self._forget(worker)

    def stop(self, worker: Worker) -> None:
        """Let it do nothing at all, as a machine that hangs."""
        worker.process.send_signal(signal.SIGSTOP)
        self._stopped.add(worker.process.pid)

    def resume(self, worker: Worker) -> None:
        """Let it go on."""
        if worker in self._workers:
            worker.process.send_signal(signal.SIGCONT)
            self._stopped.discard(worker.process.pid)

    def ended(self) -> list[tuple[Worker, int]]:
        """Those that ended by themselves since the last call, with their exit codes."""
        codes = [(worker, worker.process.poll()) for worker in self._workers]
        found = [(worker, code) for worker, code in codes if code is not None]
        for worker, _ in found:
            self._forget(worker)
        return found

    def _forget(self, worker: Worker) -> None:
        with suppress(ValueError):
            self._workers.remove(worker)
        self._stopped.discard(worker.process.pid)
