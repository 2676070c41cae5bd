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

from _checks import Contents, problems, read
from _crew import Crew
from _schedule import Plan
from _server import Server
from _study import QUERIES, Study
from _torture import Report, Say, Torture

from storage import setup

COMMAND = Path(sys.executable).with_name("layer-search")
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


def torture(plan: Plan, folder: Path, *, database: str, minutes: float, say: Say) -> Report:
    """Carry out a plan.

    Args:
        plan: the plan.
        folder: takes the study, the workers' logs, and an SQLite store.
        database: `postgresql`, on a server of its own, or `sqlite`, which cannot go away.
        minutes: time after which it is given up.
        say: told how far it is.
    """
    if database == "sqlite":
        plan = replace(plan, restarts=0)
    study, report = Study(folder, plan), Report()
    start = time.monotonic()
    with ExitStack() as stack:
        server = stack.enter_context(Server()) if database == "postgresql" else None
        url = server.url if server else f"sqlite:///{folder}/store.db"
        engine = setup.open_store(url, create=True)
        stack.callback(engine.dispose)
        environment = {
            "HOME": str(folder),
            "LAYER_SEARCH_STORE": url,
            "LAYER_SEARCH_STATE": str(folder / "state"),
            "LAYER_SEARCH_LEASE": str(plan.lease),
            "OMP_NUM_THREADS": "1",
        }
        crew = stack.enter_context(Crew([COMMAND, "launch", study.file], folder, environment))
        done = Torture(plan, crew, engine, server, report, say).run(start + 60 * minutes)
        report.seconds, report.workers = time.monotonic() - start, crew.started
        before = read(engine)
        if done:
            report.problems += _launch_again(crew)
        after = read(engine)
        report.problems += problems(after, study.scores, study.budgets, QUERIES)
    report.problems += _changed(before, after)
    kept = len(list((folder / "state").rglob("*.json")))
    report.problems += [f"results that were never delivered: {kept}"] if kept else []
    for kind, asked in (("kill", plan.kills), ("stop", plan.stops), ("restart", plan.restarts)):
        if report.done[kind] != asked:
            report.problems.append(f"{kind} happened {report.done[kind]} times of {asked}")
    report.outcomes = Counter(str(attempt["outcome"]) for attempt in after.attempts)
    report.attempts = Counter(attempt["trial_id"] for attempt in after.attempts)
    report.stray = sum(map(len, after.optuna.values())) - len(after.trials)
    return report


def _launch_again(crew: Crew) -> list[str]:
    """One more worker, which finds nothing to do."""
    worker = crew.start()
    try:
        code = worker.process.wait(timeout=120)
    except subprocess.TimeoutExpired:
        return ["the last launch did not end"]
    return [f"the last launch ended with {code}: {worker.last_words}"] if code else []


def _changed(before: Contents, after: Contents) -> list[str]:
    """What the last launch changed, besides telling Optuna what it did not know."""
    found = [] if before.attempts == after.attempts else ["the last launch claimed a trial"]
    quiet = [
        [{**trial, "told": True, "optuna_number": None} for trial in held.trials]
        for held in (before, after)
    ]
    return found if quiet[0] == quiet[1] else [*found, "the last launch changed trials"]


def _print(report: Report) -> None:
    """Print what happened."""
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


def main() -> int:
    """Read the arguments and carry them out; 1 when something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    for option in fields(Plan):
        kind = type(option.default)
        text = f"{_HELP[option.name]} ({option.default})"
        parser.add_argument(f"--{option.name}", type=kind, default=option.default, help=text)
    parser.add_argument(
        "--budget-minutes", type=float, default=20, help="time after which it is given up (20)"
    )
    parser.add_argument("--keep", type=Path, help="folder that keeps the logs; none is kept")
    given = vars(parser.parse_args())
    database, minutes, keep = (given.pop(name) for name in ("database", "budget_minutes", "keep"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left behind
    with tempfile.TemporaryDirectory(prefix="torture-") as temporary:
        folder = (keep or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        plan, start = Plan(**given), time.monotonic()
        report = torture(
            plan,
            folder,
            database=database,
            minutes=minutes,
            say=lambda text: print(f"{time.monotonic() - start:6.1f} s  {text}", flush=True),
        )
    _print(report)
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
