"""Worker processes that all run one command, and are killed, stopped and resumed."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self


@dataclass(slots=True, eq=False)
class Worker:
    """A worker process.

    Attributes:
        process: the process.
        log: file that takes its output.
        started_at: when it was started, by the monotonic clock.
        is_new: whether it has not held a trial yet.
    """

    process: "subprocess.Popen[bytes]"
    log: Path
    started_at: float = field(default_factory=time.monotonic)
    is_new: bool = True

    @property
    def last_words(self) -> str:
        """The last line that it wrote."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "nothing"


class WorkerPool:
    """Workers that all run one command; none outlives the block.

    Args:
        command: the command.
        folder: folder they work in, which takes their logs too.
        environment: variables besides the ones of this process.
    """

    def __init__(
        self, command: Sequence[object], folder: Path, environment: Mapping[str, str]
    ) -> None:
        self.started = 0
        """Number of workers that were started so far."""

        self._command = [str(word) for word in command]
        self._folder = folder
        self._environment = {**os.environ, **environment}
        self._workers: list[Worker] = []
        self._stopped: set[int] = set()

    def __enter__(self) -> Self:
        """Begin the block, without workers."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Kill the workers that are left."""
        for worker in list(self._workers):
            self.kill(worker)

    def __len__(self) -> int:
        """Return the number of workers that have not ended."""
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

    def pick(self, share: float, preferred: AbstractSet[int]) -> Worker | None:
        """Return a worker that runs, if possible one whose process is in `preferred`.

        Args:
            share: its place among the workers to choose from, 0 to 1.
            preferred: numbers of processes.

        Returns:
            The worker; None when all are stopped.
        """
        running = [one for one in self._workers if one.process.pid not in self._stopped]
        running = [one for one in running if one.process.pid in preferred] or running
        return running[int(share * len(running))] if running else None

    def note_busy(self, busy: AbstractSet[int]) -> None:
        """Note that the workers with these processes hold a trial."""
        for worker in self._workers:
            worker.is_new = worker.is_new and worker.process.pid not in busy

    def kill(self, worker: Worker) -> None:
        """End a worker without warning (SIGKILL)."""
        worker.process.kill()
        worker.process.wait()
        self._remove(worker)

    def stop(self, worker: Worker) -> None:
        """Suspend a worker (SIGSTOP), as on a machine that hangs."""
        worker.process.send_signal(signal.SIGSTOP)
        self._stopped.add(worker.process.pid)

    def resume(self, worker: Worker) -> None:
        """Let a stopped worker go on (SIGCONT), unless it has ended."""
        if worker in self._workers:
            worker.process.send_signal(signal.SIGCONT)
            self._stopped.discard(worker.process.pid)

    def take_ended(self) -> list[tuple[Worker, int]]:
        """Return the workers that ended by themselves since the last call, and their exit codes."""
        codes = [(worker, worker.process.poll()) for worker in self._workers]
        ended = [(worker, code) for worker, code in codes if code is not None]
        for worker, _ in ended:
            self._remove(worker)
        return ended

    def _remove(self, worker: Worker) -> None:
        """Remove a worker that has ended."""
        with suppress(ValueError):
            self._workers.remove(worker)
        self._stopped.discard(worker.process.pid)
