"""Tortures a study: workers that are killed and stopped, a database that goes away and comes back.

    python benchmarks/torture.py
    python benchmarks/torture.py --database sqlite --trials 100 --kills 40

Workers are processes of the real command. At moments drawn from a seed they are killed (SIGKILL) or
stopped for longer than their lease, and PostgreSQL is shut down or crashed; then every trial must
be there once, with the right score. Exits with 1 and says what is wrong if anything is.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import fields, replace
from pathlib import Path

from _checks import Contents, find_problems, read_contents
from _schedule import Plan
from _server import Server
from _study import QUERIES, RandomStudy
from _torture import Report, Say, Torture
from _worker_pool import WorkerPool

from storage.setup import open_store

COMMAND = Path(sys.executable).with_name("layer-search")

_LAST_LAUNCH_SECONDS = 120  # for a worker that finds nothing to do, on a busy machine
_HELP = {
    "trials": "trials of the study",
    "workers": "workers at a time",
    "kills": "workers that are killed, and replaced at once",
    "stops": "workers that are stopped for longer than their lease",
    "restarts": "times that PostgreSQL goes away, by turns with a shutdown and with a crash",
    "outage": "longest time that it is away, in seconds",
    "seconds": "time that an evaluation takes",
    "lease": "lease of a trial, in seconds",
    "seed": "of the scores and of all that happens",
}


def main() -> int:
    """Torture a study as the command line asks; return 1 when something is wrong."""
    options = _parse_arguments()
    plan = Plan(**{field.name: getattr(options, field.name) for field in fields(Plan)})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left behind

    with tempfile.TemporaryDirectory(prefix="torture-") as temporary:
        folder = (options.keep or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        start = time.monotonic()
        report = torture(
            plan,
            folder,
            database=options.database,
            minutes=options.budget_minutes,
            say=lambda text: print(f"{time.monotonic() - start:6.1f} s  {text}", flush=True),
        )

    _print_report(report)
    return 1 if report.problems else 0


def _parse_arguments() -> argparse.Namespace:
    """Return the options of the command line: each field of the plan, and some more."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    for option in fields(Plan):
        parser.add_argument(
            f"--{option.name}",
            type=type(option.default),
            default=option.default,
            help=f"{_HELP[option.name]} ({option.default})",
        )

    parser.add_argument(
        "--budget-minutes", type=float, default=20, help="time after which it is given up (20)"
    )
    parser.add_argument("--keep", type=Path, help="folder that keeps the logs; none is kept")
    return parser.parse_args()


def torture(plan: Plan, folder: Path, *, database: str, minutes: float, say: Say) -> Report:
    """Carry out a plan, and return its course and the problems that were found.

    Args:
        plan: the plan.
        folder: takes the study, the workers' logs, and an SQLite store.
        database: `postgresql`, on a server of its own, or `sqlite`, which cannot go away.
        minutes: time after which it is given up.
        say: called with lines on the progress.
    """
    if database == "sqlite":
        plan = replace(plan, restarts=0)
    study, report = RandomStudy(folder, plan), Report()
    start = time.monotonic()

    with ExitStack() as stack:
        server = stack.enter_context(Server()) if database == "postgresql" else None
        url = server.url if server else f"sqlite:///{folder}/store.db"
        engine = open_store(url, create=True)
        stack.callback(engine.dispose)

        environment = _environment(plan, folder, url)
        pool = WorkerPool([COMMAND, "launch", study.file], folder, environment)
        stack.enter_context(pool)
        is_done = Torture(plan, pool, engine, server, report, say).run(start + 60 * minutes)
        report.seconds = time.monotonic() - start
        report.workers = pool.started

        before = read_contents(engine)
        if is_done:
            report.problems += _launch_again(pool)
        after = read_contents(engine)

    report.problems += find_problems(after, study.scores, study.budgets, QUERIES)
    report.problems += _find_changes(before, after)
    report.problems += _find_omissions(plan, report, folder)
    _count_attempts(report, after)
    return report


def _environment(plan: Plan, folder: Path, url: str) -> dict[str, str]:
    """Return the environment variables of the workers."""
    return {
        "HOME": str(folder),
        "LAYER_SEARCH_STORE": url,
        "LAYER_SEARCH_STATE": str(folder / "state"),
        "LAYER_SEARCH_LEASE": str(plan.lease),
        "OMP_NUM_THREADS": "1",
    }


def _launch_again(pool: WorkerPool) -> list[str]:
    """Start one more worker, which finds nothing to do, and return its problems."""
    worker = pool.start()
    try:
        code = worker.process.wait(timeout=_LAST_LAUNCH_SECONDS)
    except subprocess.TimeoutExpired:
        return ["the last launch did not end"]
    return [f"the last launch ended with {code}: {worker.last_words}"] if code else []


def _find_changes(before: Contents, after: Contents) -> list[str]:
    """Return the changes that the last launch made, apart from mirroring trials to Optuna."""
    found = []
    if before.attempts != after.attempts:
        found.append("the last launch claimed a trial")

    trials_before, trials_after = (
        [{**trial, "mirrored": True, "optuna_number": None} for trial in held.trials]
        for held in (before, after)
    )
    if trials_before != trials_after:
        found.append("the last launch changed trials")
    return found


def _find_omissions(plan: Plan, report: Report, folder: Path) -> list[str]:
    """Return the results that were never delivered, and the events that did not happen."""
    found = []
    if kept := len(list((folder / "state").rglob("*.json"))):
        found.append(f"results that were never delivered: {kept}")

    for kind, asked in (("kill", plan.kills), ("stop", plan.stops), ("restart", plan.restarts)):
        if report.done[kind] != asked:
            found.append(f"{kind} happened {report.done[kind]} times of {asked}")
    return found


def _count_attempts(report: Report, held: Contents) -> None:
    """Count the attempts by outcome and by trial, and the stray trials of Optuna."""
    report.outcomes = Counter(str(attempt["outcome"]) for attempt in held.attempts)
    report.attempts = Counter(attempt["trial_id"] for attempt in held.attempts)
    report.stray = sum(map(len, held.optuna.values())) - len(held.trials)


def _print_report(report: Report) -> None:
    """Print the course of a torture, and the problems that were found."""
    most, trials = max(report.attempts.values(), default=0), len(report.attempts)
    mean = report.attempts.total() / max(trials, 1)

    rows = {
        "wall time": f"{report.seconds:.0f} s",
        "trials": trials,
        "workers started": report.workers,
        "kills": report.done["kill"],
        "stops": report.done["stop"],
        "restarts": report.done["restart"],
        "found no database": report.done["turned away"],
        "attempts per trial": f"{mean:.2f}, at most {most}",
        "attempts by end": ", ".join(f"{name} {n}" for name, n in sorted(report.outcomes.items())),
        "left over in Optuna": report.stray,
        "problems": len(report.problems),
    }

    print()
    for name, value in rows.items():
        print(f"{name:20}{value}")
    for problem, times in Counter(report.problems).items():
        print(f"WRONG: {problem}" + (f" ({times} times)" if times > 1 else ""))


if __name__ == "__main__":
    sys.exit(main())
