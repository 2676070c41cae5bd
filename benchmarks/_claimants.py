"""Claimants: what a worker does to the store, without its evaluations, alone and in a crowd."""

import itertools
import multiprocessing
import statistics
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import psutil
from _filled import DEPTH, SAMPLER, numbered_subset
from _server import Server
from _store_costs import make_result, make_trial
from sqlalchemy import Engine, event, func, insert, select, text

from search.study.history import History
from storage.database import read, utc_now, write
from storage.errors import ClaimTakenError
from storage.queue import Claim, NewTrial, TrialQueue, WorkerId
from storage.schema import Trial
from storage.setup import open_store
from storage.states import TrialState
from storage.studies import StudyRecord, find_study

REPEATS = 50
"""Times that each step of a trial is timed."""

_THREADS = 16  # claimants of one process, which mostly wait
_LOOK_SECONDS = 0.1  # between two looks at the connections
_BATCH = 1000  # trials of one insert
_FAR_SECONDS = 1e6  # leases of trials that others run, which must not run out meanwhile
_SUBSETS = 1_900_000  # there are, by number
_LOCKING = "FOR UPDATE"


@dataclass(frozen=True, slots=True)
class Step:
    """The cost of one step of a trial.

    Attributes:
        name: method of the queue, or `history`.
        wall_ms: milliseconds until it is done, median.
        server_ms: milliseconds of processor time of the server.
    """

    name: str
    wall_ms: float
    server_ms: float


@dataclass(slots=True)
class LockTimes:
    """Times that the row of a depth was locked: from the lock until the end of the transaction.

    Attributes:
        seconds: all of them together.
        round_trips: statements and commits in them.
        transactions: number of them.
    """

    seconds: float = 0.0
    round_trips: int = 0
    transactions: int = 0
    _since: float | None = None
    _statements: int = field(default=0, repr=False)

    def watch(self, engine: Engine) -> None:
        """Measure from now on, for an engine that one thread uses."""
        event.listen(engine, "after_cursor_execute", self._after_statement)
        event.listen(engine, "commit", self._at_commit)

    def _after_statement(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        """Note the lock, or one more statement under it."""
        if self._since is not None:
            self._statements += 1
        elif "search_depths" in statement and _LOCKING in statement:
            self._since, self._statements = time.perf_counter(), 0

    def _at_commit(self, _connection: Any) -> None:
        """Note the end of the lock; the commit itself, which follows, is one more round trip."""
        if self._since is not None:
            self.seconds += time.perf_counter() - self._since
            self.round_trips += self._statements + 1
            self.transactions += 1
            self._since = None


def server_seconds(server: Server) -> float:
    """Return the processor time that a server has used so far, its ended connections included."""
    postmaster = psutil.Process(server.pid)
    own = postmaster.cpu_times()
    total = own.user + own.system + own.children_user + own.children_system
    for process in postmaster.children():
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return float(total)


def add_running(engine: Engine, study: StudyRecord, first: int, count: int) -> None:
    """Add trials that workers of other machines run.

    Args:
        engine: the store.
        study: the study.
        first: number of the first of them.
        count: number of trials.
    """
    for start in range(first, first + count, _BATCH):
        rows = [
            {
                "study_id": study.id,
                "depth": DEPTH,
                "subset": numbered_subset(number),
                "seed": 0,
                "state": TrialState.RUNNING,
                "owner": f"elsewhere-{number}:1:1:boot",
                "token": 1,
                "crashes": 0,
                "mirrored": False,
                **SAMPLER,
            }
            for number in range(start, min(start + _BATCH, first + count))
        ]
        with write(engine) as connection:
            adding = insert(Trial).values(started_at=utc_now(), lease_until=utc_now(_FAR_SECONDS))
            connection.execute(adding, rows)


def measure_steps(
    engine: Engine, server: Server, study: StudyRecord, first: int, locks: LockTimes
) -> list[Step]:
    """Return the costs of all steps of a trial, in their order.

    Args:
        engine: the store.
        server: its server.
        study: the study.
        first: number of the first trial to claim.
        locks: takes the times of the lock of a depth.
    """
    queue = TrialQueue(engine, study)
    numbers = iter(range(first, first + 10 * REPEATS))
    queue.finish(queue.claim(make_trial(next(numbers))), make_result())  # adds the queries, too
    locks.watch(engine)

    clock = _StepClock(server)
    claims: list[Claim] = []

    def claim(new: NewTrial) -> None:
        claims.append(queue.claim(new))

    for _ in range(REPEATS):
        clock.run("release_dead", queue.release_dead)
        clock.run("take_over", lambda: queue.take_over([DEPTH]))
        clock.run("remaining", lambda: queue.remaining(DEPTH))
        clock.run("history", History(engine, study.id, DEPTH).read)
        new = make_trial(next(numbers))
        clock.run("claim", partial(claim, new))
        clock.run("renew", lambda: queue.renew(claims[-1]))
        clock.run("finish", lambda: queue.finish(claims[-1], make_result()))
        clock.run("refresh_standings", lambda: queue.refresh_standings(DEPTH))
    return clock.steps()


class _StepClock:
    """The time of each step, and the processor time of the server meanwhile.

    The latter has a grain of a hundredth of a second, which many repetitions even out.

    Args:
        server: the server.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._walls: dict[str, list[float]] = {}
        self._busy: dict[str, float] = defaultdict(float)
        self._last = server_seconds(server)

    def run(self, name: str, step: Callable[[], object]) -> None:
        """Run a step."""
        start = time.perf_counter()
        step()
        self._walls.setdefault(name, []).append(time.perf_counter() - start)
        now = server_seconds(self._server)
        self._busy[name] += now - self._last
        self._last = now

    def steps(self) -> list[Step]:
        """Return the median time and the mean processor time of each step."""
        return [
            Step(name, 1000 * statistics.median(walls), 1000 * self._busy[name] / len(walls))
            for name, walls in self._walls.items()
        ]


# a crowd


@dataclass(frozen=True, slots=True)
class Crowd:
    """The course of many claimants that claim, renew and finish as fast as they can.

    Attributes:
        claimants: number of claimants, each with a pool of connections of its own.
        per_second: trials finished a second.
        lost: claims that were finished and are not in the store as complete.
        connections: most connections at a time.
        server_cores: processors that the server kept busy.
        client_cores: processors that the claimants kept busy.
        waits: share of the looks at working connections by what they waited for; `CPU` for nothing.
    """

    claimants: int
    per_second: float
    lost: int
    connections: int
    server_cores: float
    client_cores: float
    waits: dict[str, float]


def measure_crowd(
    engine: Engine, server: Server, study: StudyRecord, claimants: int, seconds: float
) -> Crowd:
    """Let many claimants work for some seconds.

    Args:
        engine: the store.
        server: its server.
        study: a study whose budget does not run out.
        claimants: number of claimants.
        seconds: time they have.
    """
    spawn = multiprocessing.get_context("spawn")
    begin, ready, finished = spawn.Event(), spawn.Semaphore(0), spawn.Queue()
    shares = [min(_THREADS, claimants - start) for start in range(0, claimants, _THREADS)]
    group = [
        spawn.Process(
            target=_work_many,
            args=(server.url, study.name, number, share, seconds, (begin, ready, finished)),
        )
        for number, share in enumerate(shares)
    ]
    before = _count_complete(engine, study)
    for process in group:
        process.start()
    for _ in range(claimants):
        ready.acquire()

    busy, start = server_seconds(server), time.perf_counter()
    begin.set()
    looks, connections = _look(engine, start + seconds)
    wall, server_busy = time.perf_counter() - start, server_seconds(server) - busy
    found = [finished.get() for _ in group]
    for process in group:
        process.join()

    done = sum(count for count, _ in found)
    return Crowd(
        claimants=claimants,
        per_second=sum(count for count, _ in found) / wall,
        lost=done - (_count_complete(engine, study) - before),
        connections=connections,
        server_cores=server_busy / wall,
        client_cores=sum(cpu for _, cpu in found) / wall,
        waits={name: n / max(looks.total(), 1) for name, n in looks.most_common(4)},
    )


def _work_many(
    url: str, name: str, number: int, claimants: int, seconds: float, gates: tuple[Any, Any, Any]
) -> None:
    """Be several claimants, each a thread with an engine of its own; runs in its own process."""
    begin, ready, finished = gates
    counts = Counter[int]()

    def claim_and_finish(place: int) -> None:
        """Be one claimant."""
        engine = open_store(url)
        worker = WorkerId(f"host-{number}-{place}", "1", "1", "boot")
        queue = TrialQueue(engine, find_study(engine, name), worker)
        result, first = make_result(), int(time.time() * 100) % _SUBSETS
        chosen = itertools.count(first + 9973 * (number * _THREADS + place))
        ready.release()
        begin.wait()
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline:
            queue.release_dead()
            queue.take_over([DEPTH])
            queue.remaining(DEPTH)
            claim = _claim_free(queue, chosen)
            queue.renew(claim)
            queue.finish(claim, result)
            counts[place] += 1
        engine.dispose()

    threads = [
        threading.Thread(target=claim_and_finish, args=(place,)) for place in range(claimants)
    ]
    for thread in threads:
        thread.start()
    begin.wait()
    before = time.process_time()
    for thread in threads:
        thread.join()
    finished.put((counts.total(), time.process_time() - before))


def _claim_free(queue: TrialQueue, numbers: Iterator[int]) -> Claim:
    """Claim the first trial of `numbers` that nobody has claimed."""
    while True:
        with suppress(ClaimTakenError):
            return queue.claim(make_trial(next(numbers) % _SUBSETS))


def _look(engine: Engine, deadline: float) -> tuple[Counter[str], int]:
    """Look at the server's connections until a deadline.

    Returns:
        Looks at working connections by what they waited for, and the most connections at a time.
    """
    query = text(
        "SELECT state, wait_event_type || ':' || wait_event FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    looks, most = Counter[str](), 0
    while time.perf_counter() < deadline:
        with read(engine) as connection:
            rows = connection.execute(query).all()
        most = max(most, len(rows))
        looks.update(wait or "CPU" for state, wait in rows if state == "active")
        time.sleep(_LOOK_SECONDS)
    return looks, most


def _count_complete(engine: Engine, study: StudyRecord) -> int:
    """Return the number of complete trials of a study."""
    done = (Trial.study_id == study.id, Trial.state == TrialState.COMPLETE)
    with read(engine) as connection:
        return connection.execute(select(func.count()).where(*done)).scalar_one()
