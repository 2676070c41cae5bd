"""What the store costs: throughput, overhead per trial, and how it grows.

    python benchmarks/store.py --database sqlite postgresql --trials 1000 10000 100000

Speed is that of the machine it runs on; the shares of lost and doubled trials must be 0 anywhere.
"""

import argparse
import itertools
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from _filled import DEPTH, QUERIES, TASKS, begin, fill, key
from _server import Server
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, select

from search.history import History
from storage import claims, leaderboard, outbox, release, results, setup, standings, studies
from storage.results import Result, TaskResult
from storage.schema import Attempt, Trial

CONSOLE = Console(width=120)
COMMAND = Path(sys.executable).with_name("layer-search")
SECONDS = 1.0
STUDY = f"""
[study]
name = "overhead"
depths = [4]
trials = 160
[space]
cadence = "free"
[sampler]
name = "uniform"
[evaluator]
name = "table"
path = "table.csv"
layers = 14
seconds = {SECONDS}
queries = {QUERIES}
"""


def result(mean: float = 0.4) -> Result:
    """A result with as many scores as NanoBEIR gives."""
    queries = {f"q{number:02d}": mean for number in range(QUERIES)}
    return Result(mean, {f"t{number:02d}": TaskResult(mean, queries) for number in range(TASKS)})


def finish_many(url: str, name: str, first: int, count: int) -> None:
    """Claim and finish `count` trials, as fast as it goes."""
    engine = setup.open_store(url)
    study = studies.find(engine, name)
    for number in range(first, first + count):
        held = claims.claim(
            engine, study.id, DEPTH, subset=key(number), seed=0, origin="uniform", owner=str(first)
        )
        outbox.record(engine, study.uid, held, result())
        standings.refresh(engine, study.id, DEPTH)
    engine.dispose()


def throughput(engine: Engine, url: str, workers: int, trials: int) -> tuple[float, int, int]:
    """Trials a second with so many processes; trials that were lost; that are there twice."""
    name, each = f"rate-{workers}", trials // workers
    study = begin(engine, name, each * workers)
    spawn = multiprocessing.get_context("spawn")
    group = [
        spawn.Process(target=finish_many, args=(url, name, number * each, each))
        for number in range(workers)
    ]
    for process in group:
        process.start()
    for process in group:
        process.join()
    columns = select(Trial.subset, Trial.started_at, Trial.finished_at, Trial.mean)
    with engine.connect() as connection:
        rows = connection.execute(columns.where(Trial.study_id == study.id)).all()
    done = [row for row in rows if row.mean == result().mean]
    seconds = max(row.finished_at for row in done) - min(row.started_at for row in done)
    distinct = len({row.subset for row in done})
    return len(done) / seconds.total_seconds(), each * workers - distinct, len(done) - distinct


def overhead(engine: Engine, url: str, folder: Path, workers: int) -> list[float]:
    """Seconds between the starts of a worker's trials, less those of the evaluation itself."""
    tasks = [f"t{number:02d}" for number in range(TASKS)]
    lines = [",".join(["subset", "mean", *tasks])]
    for number, kept in enumerate(itertools.combinations(range(1, 14), 3)):
        score = str(0.4 + number / 10_000)
        lines.append(",".join(["_".join(map(str, (0, *kept))), score, *[score] * TASKS]))
    (folder / "table.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    words = [COMMAND, "launch", folder / "study.toml", f"--workers={workers}"]
    subprocess.run(
        words, env={**os.environ, "LAYER_SEARCH_STORE": url}, capture_output=True, check=True
    )
    study = studies.find(engine, "overhead")
    begun: dict[str, list[float]] = defaultdict(list)
    columns = select(Attempt.owner, Attempt.started_at).join(Trial, Trial.id == Attempt.trial_id)
    with engine.connect() as connection:
        rows = connection.execute(
            columns.where(Trial.study_id == study.id).order_by(Attempt.started_at)
        )
        for owner, started in rows:
            begun[owner].append(started.timestamp())
    return [
        after - before - SECONDS
        for starts in begun.values()
        for before, after in itertools.pairwise(starts[1:])  # the first also waits for the others
    ]


def timed(function: Callable[[], object], repeat: int = 5) -> float:
    """Median seconds of a call."""
    found = []
    for _ in range(repeat):
        start = time.perf_counter()
        function()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def growth(engine: Engine, trials: int, scored: int) -> dict[str, float]:
    """Seconds (and MB) of what users and workers do in a store of so many trials."""
    study = fill(engine, f"filled-{trials}", trials, scored)
    name, number = study.name, itertools.count(trials)

    def one(mean: float) -> Callable[[], None]:
        def run() -> None:
            held = claims.claim(
                engine, study.id, DEPTH, subset=key(next(number)), seed=0, origin="uniform",
                owner="w",
            )  # fmt: skip
            results.finish(engine, held, result(mean))
            standings.refresh(engine, study.id, DEPTH)

        return run

    def claim() -> None:
        held = claims.claim(
            engine, study.id, DEPTH, subset=key(next(number)), seed=0, origin="uniform", owner="w"
        )
        release.give_back(engine, held)

    found = {
        "leaderboard, best 20 s": timed(lambda: leaderboard.ranking(engine, name, DEPTH, top=20)),
        "leaderboard, all s": timed(lambda: leaderboard.ranking(engine, name, DEPTH)),
        "best s": timed(lambda: leaderboard.best(engine, name)),
        "claim s": timed(claim),
        "result s": timed(one(0.1)),
        "history s": timed(lambda: History(engine, study.id, DEPTH).read(), 3),
    }
    tracemalloc.start()
    history = History(engine, study.id, DEPTH)
    history.read()
    found["history MB"] = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    if trials <= scored:  # the others have nothing to compare
        found["new leader s"] = timed(one(0.9), 1)
        found["leaderboard, all, after s"] = timed(lambda: leaderboard.ranking(engine, name, DEPTH))
    return found


def start(url: str, folder: Path, trials: int, engine: Engine) -> float:
    """Seconds of a whole `layer-search work` for one trial of a study with so many."""
    (folder / "study.toml").write_text(STUDY.replace("seconds = 1.0", ""), encoding="utf-8")
    environment = {**os.environ, "LAYER_SEARCH_STORE": url}
    study = studies.find(engine, "overhead")
    with engine.begin() as connection:
        rows = [
            {
                "study_id": study.id, "depth": 4, "subset": key(number), "seed": 0,
                "origin": "uniform", "state": "complete", "token": 1, "crashes": 0, "told": True,
                "mean": 0.1,
            }
            for number in range(trials)
        ]  # fmt: skip
        connection.execute(Trial.__table__.insert(), rows)
    studies.set_budgets(engine, study, {4: 100})  # used up: it reads all there is, and ends
    words = [COMMAND, "work", "overhead"]
    return timed(lambda: subprocess.run(words, env=environment, capture_output=True, check=True), 3)


@contextmanager
def store(database: str, folder: Path) -> Iterator[tuple[Engine, str]]:
    """A new store on a real database."""
    if database == "sqlite":
        url = f"sqlite:///{folder / 'store.db'}"
        engine = setup.open_store(url, create=True)
        yield engine, url
        engine.dispose()
        return
    with Server() as server:
        engine = setup.open_store(server.url, create=True)
        yield engine, server.url
        engine.dispose()


def measure(database: str, options: argparse.Namespace) -> None:
    """Print everything about one database."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["LAYER_SEARCH_STATE"] = str(folder / "state")
        with store(database, folder) as (engine, url):
            table = Table(title=f"{database}: trials of {TASKS * QUERIES} queries a second")
            for column in ("workers", "trials/s", "lost", "twice"):
                table.add_column(column, justify="right")
            for workers in options.workers:
                rate, lost, twice = throughput(engine, url, workers, options.rate_trials)
                table.add_row(str(workers), f"{rate:.1f}", str(lost), str(twice))
            CONSOLE.print(table)
            extra = overhead(engine, url, folder, 8)
            CONSOLE.print(
                f"{database}: overhead per trial of 8 workers: median "
                f"{statistics.median(extra) * 1000:.0f} ms, mean "
                f"{statistics.mean(extra) * 1000:.0f} ms ({len(extra)} trials)"
            )
            grown: dict[int, dict[str, float]] = {}
            for trials in options.trials:
                grown[trials] = growth(engine, trials, min(trials, options.scored))
                CONSOLE.print(f"{database}: {trials} trials filled and measured")
            seconds = start(url, folder, 10_000, engine)
            CONSOLE.print(f"{database}: a worker starts and ends in {seconds:.2f} s at 10,000")
            table = Table(title=f"{database}: growth; scores by query for {options.scored} trials")
            table.add_column("")
            for trials in grown:
                table.add_column(f"{trials:,}", justify="right")
            for row in grown[options.trials[0]]:
                cells = [grown[trials].get(row) for trials in grown]
                table.add_row(row, *("" if cell is None else f"{cell:.3f}" for cell in cells))
            CONSOLE.print(table)


def main() -> None:
    """Measure each database."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--database", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 8, 32])
    parser.add_argument("--rate-trials", type=int, default=320, help="trials of each rate")
    parser.add_argument("--trials", nargs="+", type=int, default=[1000, 10_000, 100_000])
    parser.add_argument("--scored", type=int, default=10_000, help="trials with scores by query")
    options = parser.parse_args()
    for database in options.database:
        measure(database, options)


if __name__ == "__main__":
    main()
