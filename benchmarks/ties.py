"""How often the set of the tied holds the truly best subset, over simulated studies.

    python benchmarks/ties.py --studies 200

Each study has 40 subsets of known true means, scored on 650 queries in 13 tasks: standard deviation
of a query 0.35, correlation 0.85 between subsets, the figures of NanoBEIR. The scores go into a
real SQLite store, and the ties are read from its views.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _filled import (
    QUERIES,
    SAMPLER,
    TASKS,
    Array,
    add_queries,
    add_query_scores,
    add_task_scores,
    begin_empty_study,
)
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, Engine, insert

from search.space import Subset, format_subset
from storage.database import utc_now, write
from storage.leaderboard import best_per_depth, rank_subsets
from storage.leaderboard.standings import update_standing
from storage.schema import Trial
from storage.setup import open_store
from storage.states import TrialState
from storage.studies import delete_study

SUBSETS = 40
"""Subsets of a study."""

QUERY_DEVIATION, CORRELATION = 0.35, 0.85
"""Standard deviation of the scores of queries, and their correlation between subsets."""

_DEPTH, _LAYERS = 3, 99
_MEAN = 0.5


@dataclass(frozen=True, slots=True)
class Variant:
    """A kind of simulated study.

    Attributes:
        label: its name.
        deviation: standard deviation of the true means; at 0 all subsets are equally good.
        seeds: seeds of each subset.
        seed_deviation: standard deviation of a mean between seeds.
    """

    label: str
    deviation: float
    seeds: int = 1
    seed_deviation: float = 0.0


VARIANTS = (
    Variant("true means sd 0.02", 0.02),
    Variant("true means sd 0.01", 0.01),
    Variant("all equal", 0.0),
    Variant("sd 0.02, two seeds, seed sd 0.004", 0.02, seeds=2, seed_deviation=0.004),
)


def main() -> None:
    """Simulate all variants and print the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--studies", type=int, default=200)
    count = parser.parse_args().studies

    title = f"Ties over {count} simulated studies of {SUBSETS} subsets, {TASKS * QUERIES} queries"
    table = Table(title=title)
    for column in ("study", "tied set holds the best", "its size", "leader best", "pick best"):
        table.add_column(column)

    with tempfile.TemporaryDirectory() as folder:
        engine = open_store(f"sqlite:///{Path(folder, 'store.db')}", create=True)
        for variant in VARIANTS:
            table.add_row(*simulate_variant(engine, variant, count))
        engine.dispose()
    Console(width=120).print(table)


def simulate_variant(engine: Engine, variant: Variant, count: int) -> tuple[str, ...]:
    """Simulate `count` studies, and return the row of the report."""
    rng = np.random.default_rng(0)
    tied_holds = leads = is_picked = 0
    sizes = []
    for number in range(count):
        means = _MEAN + rng.normal(0, variant.deviation, SUBSETS)
        shifts = rng.normal(0, variant.seed_deviation, (SUBSETS, variant.seeds))

        name = f"{variant.label}-{number}"
        subsets = simulate_study(engine, name, means, shifts, seed=number)

        # when all are equally good, any subset is the best: the first one
        best = format_subset(subsets[int(np.argmax(means))] if variant.deviation else subsets[0])
        tied = [row["subset"] for row in rank_subsets(engine, name) if row["tied"]]
        (found,) = best_per_depth(engine, name)
        delete_study(engine, name)

        tied_holds += best in tied
        leads += best == found["leader"]
        is_picked += best == found["pick"]
        sizes.append(len(tied))

    share = tied_holds / count
    error = (share * (1 - share) / count) ** 0.5
    low, middle, high = np.quantile(sizes, [0.25, 0.5, 0.75])
    return (
        variant.label,
        f"{share:.1%} +/- {error:.1%}",
        f"{middle:.0f} ({low:.0f} to {high:.0f})",
        f"{leads / count:.0%}",
        f"{is_picked / count:.0%}",
    )


def simulate_study(
    engine: Engine, name: str, means: Array, shifts: Array, seed: int
) -> list[Subset]:
    """Store a study with drawn scores, and return its subsets.

    Args:
        engine: the store.
        name: name of the study.
        means: (subsets,), true means.
        shifts: (subsets, seeds), what chance in training adds to a mean.
        seed: seed of the scores by query.
    """
    study = begin_empty_study(engine, name, {_DEPTH: 0}, base="simulated", layers=_LAYERS)
    subsets: list[Subset] = [(0, number + 1, number + 3) for number in range(len(means))]

    # a query's score: its ease, which all subsets share, and an error of the subset's own
    rng = np.random.default_rng(seed)
    ease = rng.normal(0, QUERY_DEVIATION * CORRELATION**0.5, (TASKS, QUERIES))
    own_deviation = QUERY_DEVIATION * (1 - CORRELATION) ** 0.5
    own = rng.normal(0, own_deviation, (len(means), TASKS, QUERIES))
    scores = means[:, None, None] + ease + own  # (subsets, tasks, queries)

    with write(engine) as connection:
        query_ids = add_queries(connection, study.id)
        for number, subset in enumerate(subsets):
            for trial_seed, shift in enumerate(shifts[number]):
                found = scores[number] + shift
                mean = float(found.mean())
                trial = _add_trial(connection, study.id, subset, trial_seed, mean)
                add_task_scores(connection, {trial: found})
                add_query_scores(connection, query_ids, {trial: found})
            update_standing(connection, study.id, subset)
    return subsets


def _add_trial(
    connection: Connection, study_id: int, subset: Subset, seed: int, mean: float
) -> int:
    """Add a complete trial, and return its number."""
    row = {
        "study_id": study_id,
        "depth": len(subset),
        "subset": subset,
        "seed": seed,
        "state": TrialState.COMPLETE,
        "token": 1,
        "crashes": 0,
        "mirrored": True,
        "mean": mean,
        "finished_at": utc_now(),
        **SAMPLER,
    }

    return connection.execute(insert(Trial).values(row).returning(Trial.id)).scalar_one()


if __name__ == "__main__":
    main()
