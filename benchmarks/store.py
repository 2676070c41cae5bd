"""The costs of the store: throughput, overhead per trial, and growth.

    python benchmarks/store.py --database sqlite postgresql --trials 1000 10000 100000

Speed is that of the machine it runs on; the shares of lost and doubled trials must be 0 anywhere.
"""

import argparse
import os
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from _filled import QUERIES, TASKS
from _server import Server
from _store_costs import measure_growth, measure_overhead, measure_start, measure_throughput
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine

from storage.setup import open_store

CONSOLE = Console(width=120)

_OVERHEAD_WORKERS = 8
_START_TRIALS = 10_000


def main() -> None:
    """Measure each database."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--database", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 8, 32])
    parser.add_argument("--rate-trials", type=int, default=320, help="trials of each rate")
    parser.add_argument("--trials", nargs="+", type=int, default=[1000, 10_000, 100_000])
    parser.add_argument("--scored", type=int, default=10_000, help="trials with scores by query")
    options = parser.parse_args()
    for database in options.database:
        measure_database(database, options)


def measure_database(database: str, options: argparse.Namespace) -> None:
    """Print all measures of one database."""
    with tempfile.TemporaryDirectory() as name, open_database(database, Path(name)) as opened:
        engine, url = opened
        folder = Path(name)
        os.environ["LAYER_SEARCH_STATE"] = str(folder / "state")

        _show_throughput(database, engine, url, options)
        _show_overhead(database, engine, url, folder)

        grown: dict[int, dict[str, float]] = {}
        for trials in options.trials:
            grown[trials] = measure_growth(engine, trials, min(trials, options.scored))
            CONSOLE.print(f"{database}: {trials} trials filled and measured")

        seconds = measure_start(engine, url, _START_TRIALS)
        CONSOLE.print(
            f"{database}: a worker starts and ends in {seconds:.2f} s at {_START_TRIALS:,}"
        )
        _show_growth(f"{database}: growth; scores by query for {options.scored} trials", grown)


@contextmanager
def open_database(database: str, folder: Path) -> Iterator[tuple[Engine, str]]:
    """Open a new store on a real database, and yield its engine and URL.

    Args:
        database: `sqlite` or `postgresql`.
        folder: takes an SQLite file.
    """
    if database == "sqlite":
        url = f"sqlite:///{folder / 'store.db'}"
        engine = open_store(url, create=True)
        yield engine, url
        engine.dispose()
        return

    with Server() as server:
        engine = open_store(server.url, create=True)
        yield engine, server.url
        engine.dispose()


def _show_throughput(database: str, engine: Engine, url: str, options: argparse.Namespace) -> None:
    """Print trials a second, and trials lost and doubled, by number of workers."""
    table = Table(title=f"{database}: trials of {TASKS * QUERIES} queries a second")
    for column in ("workers", "trials/s", "lost", "twice"):
        table.add_column(column, justify="right")

    for workers in options.workers:
        found = measure_throughput(engine, url, workers, options.rate_trials)
        cells = (workers, f"{found.per_second:.1f}", found.lost, found.doubled)
        table.add_row(*map(str, cells))
    CONSOLE.print(table)


def _show_overhead(database: str, engine: Engine, url: str, folder: Path) -> None:
    """Print the overhead of a trial."""
    extra = measure_overhead(engine, url, folder, _OVERHEAD_WORKERS)
    CONSOLE.print(
        f"{database}: overhead per trial of {_OVERHEAD_WORKERS} workers: median "
        f"{statistics.median(extra) * 1000:.0f} ms, mean "
        f"{statistics.mean(extra) * 1000:.0f} ms ({len(extra)} trials)"
    )


def _show_growth(title: str, grown: Mapping[int, Mapping[str, float]]) -> None:
    """Print each measure by number of trials."""
    table = Table(title=title)
    table.add_column("")
    for trials in grown:
        table.add_column(f"{trials:,}", justify="right")

    names: Sequence[str] = list(next(iter(grown.values()), {}))
    for name in names:
        cells = [measures.get(name) for measures in grown.values()]
        table.add_row(name, *("" if cell is None else f"{cell:.3f}" for cell in cells))
    CONSOLE.print(table)


if __name__ == "__main__":
    main()
