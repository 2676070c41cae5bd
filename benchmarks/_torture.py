"""The loop of a torture: it keeps workers going, and lets the events of a schedule happen."""

import heapq
import itertools
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from _schedule import Event, Plan, schedule
from _server import Server
from _worker_pool import Worker, WorkerPool
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from storage.database import read
from storage.queue import WorkerId

_TICK_SECONDS = 0.05
_RETRY_SECONDS = 2.0  # before the next worker is sent after one that found no database
_MOST_PROBLEMS = 20  # from which on there is no point in going on

Say = Callable[[str], None]
"""Takes a line on how far the study is."""


@dataclass(slots=True)
class Report:
    """The course of a torture, and the problems that were found.

    Attributes:
        done: number of events by kind.
        problems: problems in words.
        seconds: wall time.
        workers: processes that were started.
        outcomes: number of attempts by outcome.
        attempts: number of attempts by trial.
        stray: Optuna's failed trials that are linked to no trial.
    """

    done: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0
    workers: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    attempts: Counter[int] = field(default_factory=Counter)
    stray: int = 0


class Torture:
    """The loop that keeps workers going and lets the events of the schedule happen.

    Args:
        plan: the plan.
        pool: the workers.
        engine: the store, to look at.
        server: the database server, if it can go away.
        report: takes the events and the problems.
        say: called with lines on the progress.
    """

    def __init__(
        self,
        plan: Plan,
        pool: WorkerPool,
        engine: Engine,
        server: Server | None,
        report: Report,
        say: Say,
    ) -> None:
        self._plan = plan
        self._pool = pool
        self._engine = engine
        self._server = server
        self._report = report
        self._say = say

        # events that wait for trials to finish, then actions that wait for their time
        self._waiting = schedule(plan)
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()  # so that actions of one moment can be compared

        self._is_away = False  # the database
        self._back_at = -math.inf
        self._finished = 0
        self._busy: set[int] = set()  # processes that hold a trial

        self._next_start = -math.inf
        self._left: list[Worker] = []  # ended with 0, which is right only when the study is done

    def run(self, deadline: float) -> bool:
        """Go on until every trial is finished and every worker has ended by itself.

        Args:
            deadline: when it is given up, by the monotonic clock.

        Returns:
            Whether they have; False when it was given up.
        """
        while True:
            now = time.monotonic()
            self._check_ended(now)
            self._look_at_store()
            self._let_happen(now)

            is_done = self._finished == self._plan.trials
            if is_done and not len(self._pool) and not self._is_away:
                return True
            if not is_done and now >= self._next_start:
                while len(self._pool) < self._plan.workers:
                    self._pool.start()

            if now > deadline or len(self._report.problems) >= _MOST_PROBLEMS:
                self._add_problem(f"given up with {self._finished} of {self._plan.trials} trials")
                if self._server is not None:
                    self._server.start()
                return False
            time.sleep(_TICK_SECONDS)

    def _add_problem(self, problem: str) -> None:
        """Report a problem."""
        self._say(problem)
        self._report.problems.append(problem)

    def _check_ended(self, now: float) -> None:
        """Sort the workers that ended by themselves: done, turned away, or a problem."""
        for worker, code in self._pool.take_ended():
            if code == 0:
                self._left.append(worker)
            elif worker.is_new and (self._is_away or worker.started_at < self._back_at):
                # a worker may give up before it has begun to work, when the database is away
                self._report.done["turned away"] += 1
                self._next_start = now + _RETRY_SECONDS
            else:
                self._add_problem(f"a worker ended with {code}: {worker.last_words}")

    def _look_at_store(self) -> None:
        """Read how far the study is, and which workers are busy, if the database answers."""
        query = "SELECT state, owner FROM search_trials WHERE state IN ('running', 'complete')"
        try:
            with read(self._engine) as connection:
                rows = connection.execute(text(query)).all()
        except SQLAlchemyError:
            return

        before = self._finished
        self._finished = sum(row.state == "complete" for row in rows)
        self._busy = {int(WorkerId.parse(row.owner).pid) for row in rows if row.state == "running"}
        self._pool.note_busy(self._busy)

        tenth = max(self._plan.trials // 10, 1)
        if self._finished // tenth > before // tenth:
            self._say(f"{self._finished} trials finished; {dict(self._report.done)}")

        if self._left and self._finished < self._plan.trials:
            last_words = self._left[-1].last_words
            self._add_problem(f"workers left at trial {self._finished}: {last_words}")
        self._left.clear()

    def _let_happen(self, now: float) -> None:
        """Begin the events whose trials are finished, and run the actions whose time has come."""
        while self._waiting and self._waiting[0].after <= self._finished:
            event = self._waiting.pop(0)
            self._run_at(now + event.delay, partial(self._begin, event))

        while self._due and self._due[0][0] <= now:
            _, _, action = heapq.heappop(self._due)
            action()

    def _run_at(self, when: float, action: Callable[[], None]) -> None:
        """Run an action at a moment of the monotonic clock."""
        heapq.heappush(self._due, (when, next(self._order), action))

    def _begin(self, event: Event) -> None:
        """Let an event happen, or try again a moment later where it cannot happen now."""
        now = time.monotonic()
        again = partial(self._begin, event)

        if event.kind == "restart":
            if self._is_away:  # one after the other
                self._run_at(now + _TICK_SECONDS, again)
            else:
                self._take_database_away(now + event.seconds)
            return

        worker = self._pool.pick(event.pick, set() if event.idle else self._busy)
        if worker is None:  # all are stopped
            self._run_at(now + _TICK_SECONDS, again)
            return

        self._report.done[event.kind] += 1
        if event.kind == "kill":
            self._pool.kill(worker)
        else:
            self._pool.stop(worker)
            self._run_at(now + event.seconds, partial(self._pool.resume, worker))

    def _take_database_away(self, until: float) -> None:
        """Stop the database, by turns with a shutdown and with a crash; start it at `until`."""
        if self._server is None:
            return

        self._is_away = True
        is_crash = self._report.done["restart"] % 2 == 1
        self._report.done["restart"] += 1
        self._server.stop("immediate" if is_crash else "fast")
        self._run_at(until, partial(self._bring_database_back, self._server))

    def _bring_database_back(self, server: Server) -> None:
        """Start the database again."""
        server.start()
        self._is_away = False
        self._back_at = time.monotonic()
