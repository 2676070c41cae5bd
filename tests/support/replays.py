"""Studies that replay recorded scores, and their trials in a store."""

import csv
import random
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

from sqlalchemy import Engine

from search.space import format_subset
from storage.leaderboard import depth_statuses
from storage.setup import open_store
from tests.support.stores import Row, trial_rows

CARD = Path(__file__).resolve().parents[2] / "examples" / "card.csv"
"""The model card: scores of 27 subsets of 22 layers."""
FIRST = [
    "0_1_2_18",
    "0_1_2_21",
    "0_19_20_21",
    "18_19_20_21",
    "0_1_2_3",
    format_subset(tuple(range(22))),
]
"""Subsets of the card: five of depth 4, and the whole base."""


def card_keys() -> list[str]:
    """Return the keys of the card's subsets, the whole base first."""
    with CARD.open(encoding="utf-8", newline="") as file:
        return [row["subset"] for row in csv.DictReader(file)]


def write_replay(
    folder: Path,
    name: str,
    trials: Mapping[int, int],
    first: Sequence[str],
    seconds: float = 0,
    *,
    reference: bool = False,
) -> Path:
    """Write a study file that replays a copy of the card, and return its path.

    Args:
        folder: where the file and the copy go.
        name: name of the study.
        trials: budget by depth.
        first: subsets to try first; a budget of no more tries nothing else.
        seconds: time that an evaluation takes.
        reference: whether the whole base is tried, too.
    """
    shutil.copy(CARD, folder / "card.csv")
    budgets = ", ".join(f"{depth} = {budget}" for depth, budget in trials.items())

    chosen = f'name = "{name}", depths = {list(trials)}, reference = {str(reference).lower()}'

    lines = f"""
study = {{ {chosen}, trials = {{ {budgets} }}, first = {first} }}
space = {{ cadence = "free", keep_first = false }}
[evaluator]
name = "table"
path = "card.csv"
layers = 22
period = 3
seconds = {seconds}
"""

    path = folder / f"{name}.toml"
    path.write_text(lines, encoding="utf-8")
    return path


def write_long(folder: Path) -> Path:
    """Write a study file of more trials than any test waits for, and return its path."""
    rng = random.Random(0)
    lines = [f"{format_subset(subset)},{rng.random()}" for subset in combinations(range(16), 4)]
    (folder / "long.csv").write_text("\n".join(["subset,mean", *lines]), encoding="utf-8")

    path = folder / "long.toml"
    path.write_text(
        """
study = { name = "long", depths = [4], trials = 1800 }
space = { cadence = "free", keep_first = false }
sampler = { name = "uniform" }
evaluator = { name = "table", path = "long.csv", layers = 16 }
""",
        encoding="utf-8",
    )
    return path


@contextmanager
def store_at(url: str, *, create: bool = False) -> Iterator[Engine]:
    """Open the store at `url` for the block; one that is missing is created if asked for."""
    engine = open_store(url, create=create)
    try:
        yield engine
    finally:
        engine.dispose()


def trials_of(url: str, study: str) -> list[Row]:
    """Return the trials of a study, oldest first."""
    with store_at(url) as engine:
        return trial_rows(engine, study)


def states_of(url: str, study: str) -> Counter[str]:
    """Return the number of trials of a study by state."""
    return Counter(row["state"] for row in trials_of(url, study))


def progress_of(url: str) -> list[tuple[int, int, int, int]]:
    """Return depth, complete trials, budget and trials outside of it of each depth."""
    with store_at(url) as engine:
        return [(row.depth, row.complete, row.budget, row.beyond) for row in depth_statuses(engine)]
