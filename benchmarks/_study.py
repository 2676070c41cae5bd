"""A study over random scores, so that its trials take no more time than they are told to."""

import csv
import itertools
import random
from pathlib import Path

from _schedule import Plan

LAYERS, DEPTHS, TASKS, QUERIES = 14, (4, 5), ("one", "two"), 5


class Study:
    """A study over a table of random scores, in a folder.

    Args:
        folder: where its files go.
        plan: how many trials, how long they take, and the seed of the scores.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        rng = random.Random(plan.seed)
        self.file = folder / "torture.toml"
        self.budgets = {4: plan.trials // 2, 5: plan.trials - plan.trials // 2}
        self.scores: dict[str, dict[str, float]] = {}
        for depth in DEPTHS:
            for kept in itertools.combinations(range(LAYERS), depth):
                tasks = {task: rng.random() for task in TASKS}
                mean = sum(tasks.values()) / len(tasks)
                self.scores["_".join(map(str, kept))] = {"mean": mean, **tasks}
        with (folder / "table.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["subset", "mean", *TASKS])
            writer.writerows([key, *map(repr, row.values())] for key, row in self.scores.items())
        self.file.write_text(
            f"""
[study]
name = "torture"
depths = [4, 5]
trials = {{ 4 = {self.budgets[4]}, 5 = {self.budgets[5]} }}
attempts = 1_000_000 # no trial is given up, however often its worker is killed

[space]
cadence = "free"
keep_first = false

[evaluator]
name = "table"
path = "table.csv"
layers = {LAYERS}
seconds = {plan.seconds}
queries = {QUERIES}
""",
            encoding="utf-8",
        )
