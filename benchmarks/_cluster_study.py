"""A small study for the workers of a cluster, and a look at its trials while they work."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from _checks import find_problems, read_contents
from _schedule import Plan
from _server import Server
from _study import QUERIES, RandomStudy
from sqlalchemy import text

from storage.database import read
from storage.queue import WorkerId
from storage.setup import open_store

BIN = Path(sys.executable).parent
"""Folder of the command `layer-search` that the workers are."""

_TICK_SECONDS = 0.2
_START_SECONDS = 60.0  # until a worker holds a trial, on a busy machine

Found = TypeVar("Found")


class CourseError(Exception):
    """The cluster did not do what the course of events needs."""


@dataclass(slots=True)
class Report:
    """The course of events on a cluster, printed as it goes on, and the problems found.

    Attributes:
        problems: problems in words.
        started: moment of the first line, by the monotonic clock.
    """

    problems: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def say(self, line: str) -> None:
        """Print a line on the course."""
        print(f"{time.monotonic() - self.started:6.1f} s  {line}", flush=True)

    def require(self, holds: object, problem: str) -> None:
        """Report a problem unless `holds`."""
        if not holds:
            self.add_problem(problem)

    def add_problem(self, problem: str) -> None:
        """Report a problem."""
        self.say(f"WRONG: {problem}")
        self.problems.append(problem)


def wait_for(
    look: Callable[[], Found | None], seconds: float, what: str, pause: float = _TICK_SECONDS
) -> Found:
    """Call `look` until it returns something true, and return that.

    Args:
        look: the call.
        seconds: longest time.
        what: the thing waited for.
        pause: seconds between two calls.

    Raises:
        CourseError: it did not in so many seconds; the message names `what` was waited for.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(pause)
    message = f"waited {seconds:.0f} s in vain: {what}"
    raise CourseError(message)


class ClusterStudy:
    """A study over random scores in a PostgreSQL of its own.

    Args:
        folder: takes its files.
        trials: number of its trials.
        report: takes the course of events.
        seconds: time that each evaluation takes.
    """

    def __init__(self, folder: Path, trials: int, report: Report, seconds: float = 2.0) -> None:
        self._stack = ExitStack()
        self._folder = folder
        self._report = report
        self._study = RandomStudy(folder, Plan(trials=trials, seconds=seconds))
        self._trials = trials

    @property
    def name(self) -> str:
        """Name of the study."""
        return self._study.file.stem

    def __enter__(self) -> Self:
        """Start the database and create the store."""
        with ExitStack() as stack:
            server = stack.enter_context(Server())
            self._engine = open_store(server.url, create=True)
            stack.callback(self._engine.dispose)
            self.variables = {
                "LAYER_SEARCH_STORE": server.url,
                "LAYER_SEARCH_STATE": str(self._folder / "state"),
                "OMP_NUM_THREADS": "1",
                "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            }
            """Environment variables of its workers."""
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the database and remove its data."""
        self._stack.close()

    def launch(self) -> None:
        """Launch the study, and stop that as soon as its first trial has begun."""
        environment = {**os.environ, **self.variables}
        command = [str(BIN / "layer-search"), "launch", str(self._study.file)]
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                self.wait_for_workers(1)
                process.send_signal(signal.SIGINT)
                code = process.wait(_START_SECONDS)
            finally:
                process.kill()

        self._report.require(code == 128 + signal.SIGINT, f"`launch` ended with {code}")
        self._report.require(not self.workers(), "`launch` has not given its trial back")
        self._report.say("launched, and stopped by Ctrl-C once the first trial had begun")

    def workers(self) -> set[int]:
        """Return the processes that hold a trial."""
        owners = self._read("SELECT owner FROM search_trials WHERE state = 'running'")
        return {int(WorkerId.parse(owner).pid) for owner in owners}

    def finished(self) -> int:
        """Return the number of finished trials."""
        return len(self._read("SELECT id FROM search_trials WHERE state = 'complete'"))

    def ends(self) -> Counter[str]:
        """Return the number of attempts by outcome; attempts that still run are left out."""
        return Counter(self._read("SELECT outcome FROM search_attempts WHERE outcome IS NOT NULL"))

    def _read(self, query: str) -> list[str]:
        """Return the only column of a query, as text."""
        with read(self._engine) as connection:
            return list(map(str, connection.execute(text(query)).scalars()))

    def wait_for_workers(self, number: int, seconds: float = _START_SECONDS) -> set[int]:
        """Wait until so many workers hold a trial, and return their processes.

        Raises:
            CourseError: they did not in time.
        """

        def look() -> set[int] | None:
            found = self.workers()
            return found if len(found) == number else None

        return wait_for(look, seconds, f"trials held by {number} workers")

    def expect_given_back(self, before: Counter[str], what: str) -> None:
        """Report a worker that ended without giving its trial back.

        Args:
            before: attempts by outcome before the event.
            what: the event, for the report.
        """
        ends = self.ends()
        died, given_back = (ends[name] - before[name] for name in ("died", "interrupted"))
        self._report.require(not died, f"{what}: trials whose worker died holding them: {died}")

        owners = self._read("SELECT owner FROM search_trials WHERE state = 'running'")
        gone = sum(WorkerId.parse(owner).has_ended() for owner in owners)
        self._report.require(not gone, f"{what}: trials held by workers that have ended: {gone}")
        self._report.say(f"{what}: trials given back: {given_back}")

    def check(self) -> None:
        """Report trials that are lost or doubled, wrong scores, and results left on the machine."""
        held = read_contents(self._engine)
        scores, budgets = self._study.scores, self._study.budgets
        for problem in find_problems(held, scores, budgets, QUERIES):
            self._report.add_problem(problem)
        kept = len(list((self._folder / "state").rglob("*.json")))
        self._report.require(not kept, f"results that were never delivered: {kept}")

        ends = ", ".join(f"{name} {number}" for name, number in sorted(self.ends().items()))
        self._report.say(f"{self.finished()} of {self._trials} trials finished; attempts: {ends}")
