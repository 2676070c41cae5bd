"""The tables that people read."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from rich.table import Table

from search.cli.output import say, say_titled
from storage.leaderboard import DepthStatus, Row
from storage.queue import KeptFile
from storage.values.text import printable

_TIED = {None: "?", 0: "", 1: "tied"}


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; numbers are set flush right."""
    table = Table(header_style="bold")
    cells = [[_cell(value) for value in row] for row in rows]
    for number, column in enumerate(columns):
        numeric = all(re.fullmatch(r"[-\d.:+?]*", row[number]) for row in cells)
        # keys of subsets are copied and pasted: they must not be cut
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")

    for row in cells:
        table.add_row(*row)

    say_titled(title, table)


def print_statuses(rows: Sequence[DepthStatus]) -> None:
    """Print the progress of studies, one row per depth."""
    columns = (
        "study",
        "depth",
        "complete",
        "budget",
        "running",
        "waiting",
        "failed",
        "set aside",
        "beyond",
        "best",
        "workers",
        "per hour",
        "hours left",
    )

    cells = [
        [
            row.study,
            row.depth,
            row.complete,
            row.budget,
            row.running,
            row.waiting,
            row.failed,
            row.set_aside,
            row.beyond,
            format_score(row.best),
            row.workers,
            _tenths(row.per_hour),
            _tenths(row.hours_left),
        ]
        for row in rows
    ]
    print_table("Studies", columns, cells)


def print_kept(files: Sequence[KeptFile]) -> None:
    """Print the files that this machine keeps of results."""
    columns = ("study", "state", "written (UTC)", "bytes", "file", "reason")
    cells = [
        [
            file.study or "not in the store",
            file.state,
            file.written,
            file.bytes,
            file.path,
            file.reason,
        ]
        for file in files
    ]
    print_table("Results that this machine keeps", columns, cells)


def print_ranking(rows: Sequence[Row], top: int | None = None) -> None:
    """Print rows of the leaderboard, a table for each study and depth, the best `top` of each."""
    for (study, depth), group in groupby(rows, key=lambda row: (row["study"], row["depth"])):
        everyone = list(group)
        ranked = [row for row in everyone if top is None or row["rank"] <= top]
        seeds = ("seeds",) if any(row["seeds"] > 1 for row in ranked) else ()

        title = f"{study}, depth {depth}: mean NDCG@10"
        if len(ranked) < len(everyone):
            title += f", {len(ranked)} of {len(everyone)} subsets"
        columns = ("rank", "subset", "mean", "std. error", "to leader", "std. error", "tied")
        cells = [
            [*_ranking_cells(row), *(row[name] for name in seeds), row["origin"]] for row in ranked
        ]
        print_table(title, (*columns, *seeds, "origin"), cells)


def _ranking_cells(row: Row) -> list[object]:
    """Return the cells of one row of the leaderboard up to the tie."""
    return [
        row["rank"],
        row["subset"],
        format_score(row["mean"]),
        format_score(row["standard_error"]),
        f"{row['difference']:+.4f}" if row["difference"] else "",
        format_score(row["difference_error"] or None),
        _TIED[row["tied"]],
    ]


def print_task_ranking(rows: Sequence[Row]) -> None:
    """Print scores by task: a row for each task, a column for each rank, to stay narrow."""
    for (study, depth), group in groupby(rows, key=lambda row: (row["study"], row["depth"])):
        ranked = list(group)
        tasks: dict[str, list[object]] = {row["task"]: [] for row in ranked}
        title = f"{study}, depth {depth}: NDCG@10 by task and rank"
        _print_by_rank(title, ("task",), tasks, ranked, ("task", "score"))


def print_set_ranking(rows: Sequence[Row]) -> None:
    """Print means by test set: a row for each set, a column for each rank, to stay narrow."""
    for (study, depth), group in groupby(rows, key=lambda row: (row["study"], row["depth"])):
        ranked = list(group)
        sets = {row["test_set"]: [row["tasks"], f"{row['weight']:.2f}"] for row in ranked}
        title = f"{study}, depth {depth}: mean NDCG@10 by test set and rank"
        columns = ("test set", "tasks", "weight")
        _print_by_rank(title, columns, sets, ranked, ("test_set", "mean"))


def _print_by_rank(
    title: str,
    columns: Sequence[str],
    parts: Mapping[str, Sequence[object]],
    rows: Sequence[Row],
    names: tuple[str, str],
) -> None:
    """Print a score for each part of the mean and each rank, and the subsets of the ranks.

    Args:
        title: title of the table.
        columns: heads of the columns before the ranks.
        parts: cells of these columns behind the first, by the name of the part.
        rows: rows of a view, by rank.
        names: columns of the view with the name of the part and with its score.
    """
    part, score = names
    places = list(dict.fromkeys((row["rank"], row["subset"]) for row in rows))
    scores = {(row["subset"], row[part]): row[score] for row in rows}

    cells = [
        [name, *parts[name], *(format_score(scores.get((subset, name))) for _, subset in places)]
        for name in sorted(parts)
    ]
    print_table(title, (*columns, *(f"#{rank}" for rank, _ in places)), cells)
    for rank, subset in places:
        say(f"  #{rank}  {subset}")


def print_best(rows: Sequence[Row]) -> None:
    """Print leader, number of ties and pick of each study and depth."""
    cells = [
        [
            row["study"],
            row["depth"],
            row["leader"],
            format_score(row["leader_mean"]),
            "?" if row["tied"] is None else row["tied"],
            row["subsets"],
            row["pick"],
            format_score(row["pick_mean"]),
        ]
        for row in rows
    ]

    columns = ("study", "depth", "leader", "mean", "tied", "of", "pick", "mean")
    margins = sorted({row["margin"] for row in rows})
    within = f" within {margins[0]:g} of the leader" if len(margins) == 1 else ", within the margin"
    print_table(f"Best per depth (pick: the simplest of the tied{within})", columns, cells)


def print_trials(study: str, rows: Sequence[Row]) -> None:
    """Print the trials of a study."""
    columns = ("trial", "depth", "subset", "seed", "origin", "state", "mean", "seconds", "remarks")
    print_table(f"Trials of {study}", columns, map(_trial_cells, rows))


def _trial_cells(row: Row) -> list[object]:
    """Return the cells of one trial."""
    times = [row[name] for name in ("cut_seconds", "train_seconds", "evaluate_seconds")]
    seconds = sum(time for time in times if time is not None)
    error = format_error(row["error"], set_aside=row["set_aside"])
    return [
        row["id"],
        row["depth"],
        row["subset"],
        row["seed"],
        row["origin"],
        row["state"],
        format_score(row["mean"]),
        f"{seconds:.1f}" if row["finished_at"] else "",
        "; ".join(filter(None, (error, row["notes"], row["drift"]))),
    ]


def print_attempts(study: str, rows: Sequence[Row]) -> None:
    """Print who claimed which trial of a study when, and how that ended."""
    columns = (
        "depth",
        "subset",
        "seed",
        "attempt",
        "worker",
        "started",
        "ended",
        "outcome",
        "reason",
    )

    cells = [
        [
            row["depth"],
            row["subset"],
            row["seed"],
            row["attempt"],
            ":".join(row["worker"].split(":")[:2]),
            _second(row["started_at"]),
            _second(row["ended_at"]),
            row["outcome"],
            row["reason"],
        ]
        for row in rows
    ]
    print_table(f"Attempts at the trials of {study}", columns, cells)


def format_score(value: float | None) -> str:
    """Return a score with four decimals, as model cards print it; nothing for None."""
    return "" if value is None else f"{value:.4f}"


def format_error(error: str | None, *, set_aside: bool) -> str | None:
    """Return the reason of a failed trial, with a mark on one that was set aside."""
    return f"set aside: {error}" if set_aside else error


def _tenths(value: float | None) -> str:
    """Return a number with one decimal; nothing for None."""
    return "" if value is None else f"{value:.1f}"


def _second(when: Any) -> str:
    """Return a time without fractions; through a view, SQLite hands out text."""
    return "" if when is None else str(when)[:19]


def _cell(value: object) -> str:
    """Return the text of a cell, in one line."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return printable(str(value))
