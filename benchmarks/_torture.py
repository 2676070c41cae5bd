"""The loop that keeps workers going and does to them what the schedule says."""

import heapq
import itertools
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from _crew import Crew, Worker
from _schedule import Event, Plan, schedule
from _server import Server
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from storage import engine as engines

_TICK = 0.05
_AGAIN = 2.0  # seconds before the next worker is sent after one that found no database
_ENOUGH = 20  # problems after which there is no point in going on

Say = Callable[[str], None]


@dataclass(slots=True)
class Report:
    """What happened, and what is wrong."""

    done: Counter[str] = field(default_factory=Counter)
    """How often each kind of event happened."""
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0
    workers: int = 0
    """Processes that were started."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """How the attempts ended."""
    attempts: Counter[int] = field(default_factory=Counter)
    """How many each trial took."""
    stray: int = 0
    """Optuna's failed trials that stand for none of ours."""


class Torture:
    """The loop that keeps workers going and does to them what the schedule says.

    Args:
        plan: the plan.
        crew: the workers.
        engine: the store, to look at.
        server: the database server, if it can go away.
        report: takes what happens.
        say: told how far the study is.
    """

    def __init__(
        self,
        plan: Plan,
        crew: Crew,
        engine: Engine,
        server: Server | None,
        report: Report,
        say: Say,
    ) -> None:
        self._plan, self._crew, self._engine, self._server = plan, crew, engine, server
        self._report, self._say = report, say
        self._waiting = schedule(plan)
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._away, self._back = False, -math.inf
        self._finished, self._busy = 0, set[int]()
        self._next = -math.inf  # when a worker may be started
        self._left: list[Worker] = []  # ended with 0, which is right only when the study is done

    def run(self, deadline: float) -> bool:
        """Go on until every trial is finished and every worker has ended by itself.

        Returns:
            Whether they have; False when it was given up.
        """
        while True:
            now = time.monotonic()
            self._reap(now)
            seen = self._look()
            done = self._finished == self._plan.trials
            if seen and self._left and not done:
                self._wrong(f"workers left at trial {self._finished}: {self._left[-1].last_words}")
            if seen:
                self._left.clear()
            self._happen(now)
            if done and not len(self._crew) and not self._away:
                return True
            while not done and len(self._crew) < self._plan.workers and now >= self._next:
                self._crew.start()
            if now > deadline or len(self._report.problems) >= _ENOUGH:
                self._wrong(f"given up with {self._finished} of {self._plan.trials} trials")
                if self._server is not None:
                    self._server.start()
                return False
            time.sleep(_TICK)

    def _reap(self, now: float) -> None:
        """Judge the workers that ended by themselves."""
        for worker, code in self._crew.ended():
            if code == 0:
                self._left.append(worker)
            elif worker.new and (self._away or worker.born < self._back):
                self._report.done["turned away"] += 1  # it may be, before it has begun to work
                self._next = now + _AGAIN
            else:
                self._wrong(f"a worker ended with {code}: {worker.last_words}")

    def _wrong(self, problem: str) -> None:
        self._say(problem)
        self._report.problems.append(problem)

    def _look(self) -> bool:
        """Read how far the study is, and who is busy; False when the database is away."""
        query = "SELECT state, owner FROM search_trials WHERE state IN ('running', 'complete')"
        try:
            with engines.read(self._engine) as connection:
                rows = connection.execute(text(query)).all()
        except SQLAlchemyError:
            return False
        before, self._finished = self._finished, sum(row.state == "complete" for row in rows)
        self._busy = {int(row.owner.split(":")[1]) for row in rows if row.state == "running"}
        self._crew.seen(self._busy)
        tenth = max(self._plan.trials // 10, 1)
        if self._finished // tenth > before // tenth:
            self._say(f"{self._finished} trials finished; {dict(self._report.done)}")
        return True

    def _happen(self, now: float) -> None:
        """Let everything happen whose time has come."""
        while self._waiting and self._waiting[0].after <= self._finished:
            event = self._waiting.pop(0)
            self._later(now + event.delay, lambda event=event: self._do(event))
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()

    def _later(self, when: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._due, (when, next(self._order), what))

    def _do(self, event: Event) -> None:
        now = time.monotonic()
        if event.kind == "restart":
            if self._away:  # one after the other
                self._later(now + _TICK, lambda: self._do(event))
                return
            self._go_away(now + event.seconds)
            return
        worker = self._crew.pick(event.pick, set() if event.idle else self._busy)
        if worker is None:  # all are stopped
            self._later(now + _TICK, lambda: self._do(event))
            return
        self._report.done[event.kind] += 1
        if event.kind == "kill":
            self._crew.kill(worker)
        else:
            self._crew.stop(worker)
            self._later(now + event.seconds, lambda: self._crew.resume(worker))

    def _go_away(self, until: float) -> None:
        """Stop the database, and start it again at `until`."""
        if self._server is None:
            return

        def come_back(server: Server) -> None:
            server.start()
            self._away, self._back = False, time.monotonic()

        server, self._away = self._server, True
        crash = self._report.done["restart"] % 2 == 1
        self._report.done["restart"] += 1
        server.stop("immediate" if crash else "fast")
        self._later(until, lambda: come_back(server))
