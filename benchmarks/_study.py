"""A study over random scores, whose trials take as long as the plan says."""

import csv
import random
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

from _schedule import Plan

from search.space import format_subset

TASKS = ("one", "two")
QUERIES = 5
"""Queries of each task."""

_LAYERS = 14
_DEPTHS = (4, 5)


class RandomStudy:
    """A study over a table of random scores, written to a folder.

    Args:
        folder: where its files go.
        plan: number of trials, their duration, and the seed of the scores.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        shallow, deep = _DEPTHS
        self.budgets = {shallow: plan.trials // 2, deep: plan.trials - plan.trials // 2}
        """Trials by depth."""

        self.scores = _draw_scores(plan.seed)
        """By subset key, the score of each task, and their mean under `mean`."""

        self.file = folder / "torture.toml"
        """The study file."""

        _write_table(folder / "table.csv", self.scores)
        self.file.write_text(self._describe(plan), encoding="utf-8")

    def _describe(self, plan: Plan) -> str:
        """Return the text of the study file."""
        trials = ", ".join(f"{depth} = {budget}" for depth, budget in self.budgets.items())
        return f"""
[study]
name = "torture"
depths = {list(_DEPTHS)}
trials = {{ {trials} }}
attempts = 1_000_000 # no trial is given up, however often its worker is killed

[space]
cadence = "free"
keep_first = false

[evaluator]
name = "table"
path = "table.csv"
layers = {_LAYERS}
seconds = {plan.seconds}
queries = {QUERIES}
"""


def _draw_scores(seed: int) -> dict[str, dict[str, float]]:
    """Draw the scores of all subsets."""
    rng = random.Random(seed)
    scores = {}
    for depth in _DEPTHS:
        for subset in combinations(range(_LAYERS), depth):
            tasks = {task: rng.random() for task in TASKS}
            mean = sum(tasks.values()) / len(tasks)
            scores[format_subset(subset)] = {"mean": mean, **tasks}
    return scores


def _write_table(path: Path, scores: Mapping[str, Mapping[str, float]]) -> None:
    """Write the table that the evaluator reads; the columns are in the order of the scores."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["subset", "mean", *TASKS])
        writer.writerows([subset, *map(repr, row.values())] for subset, row in scores.items())
