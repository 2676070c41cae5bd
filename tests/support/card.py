"""The model card of `examples/card.csv` in a store, and as a table."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import Engine

from storage.queue import Result, TaskResult
from storage.states import Origin
from storage.studies import StudyRecord
from storage.values.subset_key import parse_subset
from tests.support.stores import begin, finish_trial, new_trial

Card = Sequence[dict[str, str]]
"""The rows of the card, by column."""


def card_tasks(card: Card) -> list[str]:
    """Return the names of the card's tasks."""
    return [name for name in card[0] if name.startswith("Nano")]


def record_card(engine: Engine, card: Card) -> StudyRecord:
    """Begin a study, and record every row of the card as a trial of it."""
    study = begin(engine, {4: 5, 7: 11, 13: 10, 22: 1}, "card")
    for row in card:
        tasks = {name: TaskResult(float(row[name])) for name in card_tasks(card)}
        trial = new_trial(parse_subset(row["subset"]), origin=Origin.FIRST)
        finish_trial(engine, study, trial, Result(float(row["mean"]), tasks))
    return study


def card_board(card: Card, column: str) -> dict[int, list[tuple[str, float]]]:
    """Return the card's own table of one column, best first, by depth."""
    board: dict[int, list[tuple[str, float]]] = defaultdict(list)
    for row in sorted(card, key=lambda row: -float(row[column])):
        board[int(row["depth"])].append((row["subset"], float(row[column])))
    return board


def card_by_task(card: Card) -> set[tuple[int, int, str, str, float, int]]:
    """Return depth, rank, subset, task, score and seeds of every cell of the card."""
    ranks = {
        subset: rank
        for rows in card_board(card, "mean").values()
        for rank, (subset, _) in enumerate(rows, 1)
    }
    return {
        (int(row["depth"]), ranks[row["subset"]], row["subset"], task, float(row[task]), 1)
        for row in card
        for task in card_tasks(card)
    }
