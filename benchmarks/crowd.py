"""Lets more workers work than the server has connections, directly or through a pooler.

    python benchmarks/crowd.py
    python benchmarks/crowd.py --pooler

All workers start at once. None may give up, every trial must be there once, with the right score,
and it is said how many connections they had. Exits with 1 and says what is wrong if anything is.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from _checks import find_problems, read_contents
from _pooler import Pooler
from _schedule import Plan
from _server import Server
from _study import QUERIES, RandomStudy
from _worker_pool import WorkerPool

from storage.setup import open_store

COMMAND = Path(sys.executable).with_name("layer-search")
_RESERVED = 3  # connections that PostgreSQL keeps for its superuser, which the workers are not
_ROLE = "crowd"
_COUNT = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'layer-search%%'"


@dataclass(slots=True)
class Report:
    """The course of a crowd's work.

    Attributes:
        seconds: wall time.
        connections: how many connections of workers the server had, look by look.
        waits: workers that waited for one.
        problems: what is wrong, in words.
    """

    seconds: float = 0.0
    connections: list[int] = field(default_factory=list)
    waits: int = 0
    problems: list[str] = field(default_factory=list)


def main() -> int:
    """Let a crowd work as the command line asks; return 1 when something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, default=40, help="workers at once (40)")
    parser.add_argument("--connections", type=int, default=20, help="of the server (20)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of an evaluation (5)")
    parser.add_argument("--lease", type=float, default=6.0, help="of a claim, in seconds (6)")
    parser.add_argument("--trials", type=int, default=120, help="trials of the study (120)")
    parser.add_argument("--pooler", action="store_true", help="through PgBouncer")
    options = parser.parse_args()

    plan = Plan(
        trials=options.trials,
        workers=options.workers,
        seconds=options.seconds,
        lease=options.lease,
    )
    with tempfile.TemporaryDirectory(prefix="crowd-") as folder:
        report = work(plan, Path(folder), options.connections, pooled=options.pooler)

    print(f"{'wall time':20}{report.seconds:.0f} s")
    print(f"{'connections':20}at most {max(report.connections)}")
    print(f"{'waited for one':20}{report.waits} of {options.workers} workers")
    for problem in report.problems:
        print(f"WRONG: {problem}")
    return 1 if report.problems else 0


def work(plan: Plan, folder: Path, connections: int, *, pooled: bool) -> Report:
    """Let workers work until all have ended by themselves, and return what was seen.

    Args:
        plan: the study and the number of workers.
        folder: takes the study and the workers' logs.
        connections: `max_connections` of the server.
        pooled: whether the workers reach it through PgBouncer.
    """
    study, report = RandomStudy(folder, plan), Report()
    with ExitStack() as stack:
        server = stack.enter_context(Server({"max_connections": connections}))
        owner = server.url.replace("postgres@", f"{_ROLE}@")
        watch = stack.enter_context(psycopg.connect(server.url, autocommit=True))
        watch.execute(f"CREATE ROLE {_ROLE} LOGIN")
        watch.execute(f"GRANT ALL ON DATABASE search TO {_ROLE}")
        watch.execute(f"GRANT ALL ON SCHEMA public TO {_ROLE}")

        url = owner
        if pooled:
            pooler = Pooler(owner, connections - _RESERVED - 1)
            url = stack.enter_context(pooler).url
        engine = open_store(url, create=True)
        stack.callback(engine.dispose)
        engine.dispose()

        pool = stack.enter_context(_pool(plan, folder, study, url))
        start = time.monotonic()
        workers = [pool.start() for _ in range(plan.workers)]
        while any(worker.process.poll() is None for worker in workers):
            (count,) = watch.execute(_COUNT).fetchone() or (0,)
            report.connections.append(count)
            time.sleep(0.1)
        report.seconds = time.monotonic() - start

        for worker in workers:
            report.waits += b"trying again" in worker.log.read_bytes()
            if code := worker.process.returncode:
                report.problems.append(f"a worker ended with {code}: {worker.last_words}")
        held = read_contents(engine)
    report.problems += find_problems(held, study.scores, study.budgets, QUERIES)
    return report


def _pool(plan: Plan, folder: Path, study: RandomStudy, url: str) -> WorkerPool:
    """Return the workers of a study, none started yet."""
    environment = {
        "HOME": str(folder),
        "LAYER_SEARCH_STORE": url,
        "LAYER_SEARCH_STATE": str(folder / "state"),
        "LAYER_SEARCH_LEASE": str(plan.lease),
        "OMP_NUM_THREADS": "1",
    }
    return WorkerPool([COMMAND, "launch", study.file], folder, environment)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}: {error.stderr}")
