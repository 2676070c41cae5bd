"""Claimants of a store, as many as this machine bears, and what 10,000 workers would need.

    python benchmarks/claimants.py
    python benchmarks/claimants.py --running 10 1000 --claimants 8 32 --minutes 5 30

Claims, renews and finishes trials through the real queue on a PostgreSQL of its own, without any
evaluation. First one claimant beside so many running trials: the cost of each of its steps, and the
time for which it locks a depth. Then crowds that go as fast as they can: trials a second, and what
they wait for. Last a calculation from the costs of the one: the load of so many workers with trials
of so many minutes. The claimants share the processors with the server.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence

from _claimants import (
    Crowd,
    LockTimes,
    Step,
    add_running,
    measure_crowd,
    measure_steps,
)
from _filled import analyze, begin_generated_study
from _server import Server
from rich.console import Console
from rich.table import Table

from storage.setup import open_store

CONSOLE = Console(width=120)

_BUDGET = 1_900_000  # trials that no measurement uses up
_CONNECTIONS = 1000  # of the server; a connection of an idle claimant costs it little
_RENEWALS_A_MINUTE = 1.5  # of a lease of two minutes
_ROUND_TRIP_MS = 1.0  # within a data centre
_SCORES = 650  # by query, of a trial
_BYTES_A_SCORE = 70  # calculated: a row of 44 bytes with its pointer, and its index entry


def main() -> None:
    """Measure, and calculate."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--running", nargs="+", type=int, default=[10, 1000, 10_000])
    parser.add_argument("--claimants", nargs="+", type=int, default=[1, 8, 32, 128, 256])
    parser.add_argument("--seconds", type=float, default=10, help="of each crowd (10)")
    parser.add_argument("--minutes", nargs="+", type=float, default=[1, 5, 30])
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder, Server({"max_connections": _CONNECTIONS}) as host:
        os.environ["LAYER_SEARCH_STATE"] = folder
        costs = {}
        for running in sorted(options.running):
            costs[running] = _measure_alone(host, running)
        _show_steps(costs)
        _show_crowds([_measure_crowd(host, n, options.seconds) for n in options.claimants])
    for minutes in options.minutes:
        _show_load(costs, minutes)


Costs = tuple[list[Step], LockTimes]
"""Costs of the steps of a trial, and its lock of a depth."""


def _measure_alone(server: Server, running: int) -> Costs:
    """Return the costs of one claimant beside so many running trials, and as many finished ones."""
    engine = open_store(server.url, create=True)
    study = begin_generated_study(engine, f"alone-{running}", _BUDGET)
    add_running(engine, study, 0, running)
    analyze(engine)
    locks = LockTimes()
    steps = measure_steps(engine, server, study, running, locks)
    engine.dispose()
    CONSOLE.print(f"measured beside {running} running trials")
    return steps, locks


def _measure_crowd(server: Server, claimants: int, seconds: float) -> Crowd:
    """Return the course of a crowd on a study of its own."""
    engine = open_store(server.url)
    study = begin_generated_study(engine, f"crowd-{claimants}", _BUDGET)
    found = measure_crowd(engine, server, study, claimants, seconds)
    engine.dispose()
    CONSOLE.print(f"measured a crowd of {claimants}")
    return found


def _show_steps(costs: dict[int, Costs]) -> None:
    """Print the costs of each step by number of running trials."""
    table = Table(title="one claimant: ms until a step is done, and ms of the server's processor")
    table.add_column("running trials beside it")
    for running in costs:
        table.add_column(f"{running:,}", justify="right")
    names = [step.name for step in next(iter(costs.values()))[0]]
    for place, name in enumerate(names):
        steps = [found[0][place] for found in costs.values()]
        table.add_row(name, *(f"{step.wall_ms:.1f}, {step.server_ms:.1f}" for step in steps))
    table.add_row("together", *(f"{_wall(c):.0f}, {_server(c):.0f}" for c in costs.values()))
    table.add_row("lock of a depth", *(f"{_lock_ms(c, 0):.1f}" for c in costs.values()))
    table.add_row("round trips under it", *(f"{_trips(c):.0f}" for c in costs.values()))
    CONSOLE.print(table)


def _show_crowds(crowds: Sequence[Crowd]) -> None:
    """Print the course of each crowd."""
    table = Table(title="crowds that go as fast as they can")
    columns = ("claimants", "trials/s", "lost", "connections", "server CPUs", "claimants' CPUs")
    for column in (*columns, "working connections wait for"):
        table.add_column(column, justify="right")
    for crowd in crowds:
        waits = ", ".join(f"{name} {share:.0%}" for name, share in crowd.waits.items())
        table.add_row(
            *(f"{crowd.claimants}", f"{crowd.per_second:.0f}", f"{crowd.lost}"),
            *(f"{crowd.connections}", f"{crowd.server_cores:.2f}", f"{crowd.client_cores:.2f}"),
            waits,
        )
    CONSOLE.print(table)


def _show_load(costs: dict[int, Costs], minutes: float) -> None:
    """Print the load of each number of workers with trials of so many minutes."""
    table = Table(title=f"calculated: trials of {minutes:g} minutes")
    columns = ("workers", "trials/s", "renewals/s", "connections", "server CPUs", "depth locked")
    for column in (*columns, "GB a day"):
        table.add_column(column, justify="right")
    for workers, found in costs.items():
        rate = workers / (60 * minutes)
        renewals = workers * _RENEWALS_A_MINUTE / 60
        renewal = next(step for step in found[0] if step.name == "renew")
        cpus = (rate * (_server(found) - renewal.server_ms) + renewals * renewal.server_ms) / 1000
        table.add_row(
            *(f"{workers:,}", f"{rate:.2f}", f"{renewals:.2f}", f"{workers:,} to {2 * workers:,}"),
            *(f"{cpus:.2f}", f"{rate * _lock_ms(found, _ROUND_TRIP_MS) / 1000:.1%}"),
            f"{rate * 86_400 * _SCORES * _BYTES_A_SCORE / 1e9:.1f}",
        )
    CONSOLE.print(table)


def _wall(costs: Costs) -> float:
    """Return the milliseconds of a trial's steps."""
    return sum(step.wall_ms for step in costs[0])


def _server(costs: Costs) -> float:
    """Return the milliseconds of the server's processor that a trial costs."""
    return sum(step.server_ms for step in costs[0])


def _trips(costs: Costs) -> float:
    """Return the round trips of a trial during which its depth is locked."""
    locks = costs[1]
    return 2 * locks.round_trips / max(locks.transactions, 1)  # a claim and a result


def _lock_ms(costs: Costs, round_trip_ms: float) -> float:
    """Return the milliseconds for which a trial locks its depth, at some latency."""
    locks = costs[1]
    here = 2000 * locks.seconds / max(locks.transactions, 1)
    return here + _trips(costs) * round_trip_ms


if __name__ == "__main__":
    main()
