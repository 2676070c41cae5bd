"""How often the set of the tied holds the truly best subset, over simulated studies.

    python benchmarks/ties.py --studies 200

Each study has 40 subsets of known true means, scored on 650 queries in 13 tasks: standard deviation
of a query 0.35, correlation 0.85 between subsets, the figures of NanoBEIR. The scores go into a
real SQLite store, and the ties are read from its views.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from _filled import QUERIES, TASKS, add_queries
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, insert

from storage import engine as engines
from storage import leaderboard, setup, standings, studies
from storage.clock import utc_now
from storage.schema import QueryScore, TaskScore, Trial

SD, CORRELATION = 0.35, 0.85


def fill(engine: Engine, name: str, truth: np.ndarray, shifts: np.ndarray, seed: int) -> list[str]:
    """A study whose subsets have the true means `truth`, each measured with some seeds.

    Args:
        engine: the store.
        name: name of the study.
        truth: (subsets,) true means.
        shifts: (subsets, seeds) what chance in training adds to a mean.
        seed: of the queries.

    Returns:
        Keys of the subsets.
    """
    rng = np.random.default_rng(seed)
    study = studies.begin(
        engine, name=name, file={"study": {"name": name}}, folder="/", recipe_hash="h",
        base="simulated", layers=99, period=None, fingerprints={}, versions={}, budgets={3: 0},
    )  # fmt: skip
    keys = [f"0_{number + 1}_{number + 3}" for number in range(len(truth))]
    hard = rng.normal(0, SD * CORRELATION**0.5, (TASKS, QUERIES))
    own = rng.normal(0, SD * (1 - CORRELATION) ** 0.5, (len(truth), TASKS, QUERIES))
    scores = truth[:, None, None] + hard + own  # (subsets, tasks, queries)
    with engines.write(engine) as connection:
        ids = add_queries(connection, study.id)
        for number, key in enumerate(keys):
            for again, shift in enumerate(shifts[number]):
                found = scores[number] + shift
                row = {
                    "study_id": study.id, "depth": 3, "subset": key, "seed": again,
                    "origin": "uniform", "state": "complete", "token": 1, "crashes": 0,
                    "told": True, "mean": float(found.mean()), "finished_at": utc_now(),
                }  # fmt: skip
                adding = insert(Trial).values(row).returning(Trial.id)
                trial = connection.execute(adding).scalar_one()
                connection.execute(insert(TaskScore), [
                    {"trial_id": trial, "task": f"t{t:02d}", "score": float(found[t].mean())}
                    for t in range(TASKS)
                ])  # fmt: skip
                connection.connection.cursor().executemany(
                    f"INSERT INTO {QueryScore.__tablename__} VALUES (?, ?, ?)",  # noqa: S608
                    [(trial, i, s) for i, s in zip(ids, found.ravel().tolist(), strict=True)],
                )
            standings.update_standing(connection, study.id, 3, key)
    return keys


def simulate(
    engine: Engine, label: str, count: int, spread: float, seeds: int, noise: float
) -> tuple[str, ...]:
    """One row of the report: `count` studies, true means with standard deviation `spread`."""
    rng = np.random.default_rng(0)
    held, picked, led, sizes = 0, 0, 0, []
    for number in range(count):
        truth = 0.5 + rng.normal(0, spread, 40)
        shifts = rng.normal(0, noise, (40, seeds))
        name = f"{label}-{number}"
        keys = fill(engine, name, truth, shifts, seed=number)
        tied = [row["subset"] for row in leaderboard.ranking(engine, name) if row["tied"]]
        (best,) = leaderboard.best(engine, name)
        truly = keys[int(np.argmax(truth))] if spread else keys[0]  # all are best, take any
        held += truly in tied
        led += truly == best["leader"]
        picked += truly == best["pick"]
        sizes.append(len(tied))
        studies.forget(engine, name)
    share = held / count
    error = (share * (1 - share) / count) ** 0.5
    low, middle, high = np.quantile(sizes, [0.25, 0.5, 0.75])
    return (
        label, f"{share:.1%} +/- {error:.1%}", f"{middle:.0f} ({low:.0f} to {high:.0f})",
        f"{led / count:.0%}", f"{picked / count:.0%}",
    )  # fmt: skip


def main() -> None:
    """Run all variants and print the report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--studies", type=int, default=200)
    count = parser.parse_args().studies
    table = Table(title=f"Ties over {count} simulated studies of 40 subsets, 650 queries")
    for column in ("study", "tied set holds the best", "its size", "leader best", "pick best"):
        table.add_column(column)
    with tempfile.TemporaryDirectory() as folder:
        engine = setup.open_store(f"sqlite:///{Path(folder, 'store.db')}", create=True)
        for label, spread, seeds, noise in (
            ("true means sd 0.02", 0.02, 1, 0.0),
            ("true means sd 0.01", 0.01, 1, 0.0),
            ("all equal", 0.0, 1, 0.0),
            ("sd 0.02, two seeds, seed sd 0.004", 0.02, 2, 0.004),
        ):
            table.add_row(*simulate(engine, label, count, spread, seeds, noise))
        engine.dispose()
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
