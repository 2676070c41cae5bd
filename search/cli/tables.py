"""The tables that people read."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from search.cli.output import console, say
from search.space import format_subset
from storage.leaderboard import DepthStatus, Row
from storage.screens import FitRecord, ScreenedSubset

if TYPE_CHECKING:  # it fits the surrogate, and loads libraries that only a few commands need
    from search.analysis.answer import Answer

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
        table.add_row(*map(escape, row))  # an error may hold [brackets], which are no markup

    # not as the title of the table, which would be wrapped to its width
    console.print(title, style="italic", markup=False, highlight=False, soft_wrap=True)
    console.print(table)


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


def print_depths(study: str, rows: Sequence[Row]) -> None:
    """Print score and cost of each depth, the reference first, and how speeds were measured."""
    cells = [_depth_cells(row) for row in rows]
    columns = [name for name in cells[0] if any(row[name] for row in cells)]
    price = "layers" if any(row["document_flops"] is None for row in rows) else "FLOPs"
    title = (
        f"{study}: score and cost of each depth "
        f"(* Pareto-optimal: no other has at least its mean with at most its {price})"
    )
    print_table(title, columns, [[row[name] for name in columns] for row in cells])

    measured = [row for row in rows if row["device"] is not None]
    for line in dict.fromkeys(map(_measurement, measured)):
        say(f"speed-up: {line}")


def _depth_cells(row: Row) -> dict[str, str | None]:
    """Return the cells of one depth, by column; parameters and FLOPs are in millions."""
    low, high = row["retained_low"], row["retained_high"]
    is_reference = bool(row["reference"])

    return {
        "depth": f"{row['depth']}{'*' if row['pareto_optimal'] else ''}",
        "leader": "whole base" if is_reference else row["leader"],
        "mean": format_score(row["mean"]),
        "retained": _share(row["retained"]),
        "95 %": "" if is_reference or low is None else f"{_share(low)} to {_share(high)}",
        "answer": row["answer"],
        "pick": None if is_reference else row["pick"],
        "parameters": _millions(row["parameters"]),
        "embeddings": _millions(row["embedding_parameters"]),
        "layers": _millions(row["layer_parameters"]),
        "MB": _millions(row["bytes"]),
        "MFLOPs/query token": _millions(row["query_flops"]),
        "MFLOPs/document token": _millions(row["document_flops"]),
        "speed-up": _format_speedup(row),
    }


def _format_speedup(row: Row) -> str:
    """Return the median and the range of the measured ratios; nothing without any."""
    if row["speedup"] is None:
        return ""
    return f"{row['speedup']:.2f} ({row['speedup_low']:.2f} to {row['speedup_high']:.2f})"


def _measurement(row: Row) -> str:
    """Return in words how the speed of a depth was measured."""
    threads = "1 thread" if row["threads"] == 1 else f"{row['threads']} threads"
    return (
        f"documents encoded by cut and whole base in turn, median of {row['rounds']} rounds "
        f"on {row['device']} with {threads}, batches of {row['batch_size']}, {row['precision']}"
    )


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


def print_answers(study: str, answers: "Sequence[Answer]") -> None:
    """Print the answer of each depth."""
    if not answers:
        say("no answer yet: no trial is complete")
        return

    columns = (
        "depth",
        "subset",
        "posterior mean",
        "std. deviation",
        "best of those tried with p",
        "tied with",
        "trials",
        "measured",
    )
    cells = [
        [
            answer.depth,
            format_subset(answer.subset),
            format_score(answer.mean),
            format_score(answer.deviation) or "?",
            "?" if answer.probability is None else f"{answer.probability:.2f}",
            "?" if answer.tied is None else answer.tied,
            answer.trials,
            format_score(answer.measured),
        ]
        for answer in answers
    ]
    print_table(f"Answer of {study}", columns, cells)

    depths: dict[str, list[int]] = {}
    for answer in answers:
        for remark in answer.remarks:
            depths.setdefault(remark, []).append(answer.depth)
    for remark, where in depths.items():
        noun = "depth" if len(where) == 1 else "depths"
        say(f"{noun} {', '.join(map(str, where))}: {remark}")


def print_screened(
    study: str,
    weights: str,
    rows: Sequence[ScreenedSubset],
    sizes: Mapping[int, int],
    top: int,
) -> None:
    """Print the best `top` of the screened subsets of each depth.

    Args:
        study: name of the study.
        weights: the shared weights.
        rows: the screened subsets.
        sizes: number of subsets of each depth, the ones that were not screened included.
        top: rows of each table.
    """
    for depth in sorted({row.depth for row in rows}):
        here = [row for row in rows if row.depth == depth]
        best = sorted(here, key=lambda row: -row.ndcg)[:top]

        title = (
            f"{study}, depth {depth}: screen, weights {weights}, "
            f"best {len(best)} of {len(here)} scored"
        )
        if len(here) < sizes[depth]:
            title += f", a random sample of {sizes[depth]}"

        cells = [
            [format_subset(row.subset), format_score(row.ndcg), format_score(row.agreement)]
            for row in best
        ]
        print_table(title, ("subset", "NDCG@10", "agreement"), cells)


def print_fits(fits: Sequence[FitRecord]) -> None:
    """Print how well screens predict trials."""
    if not fits:
        return

    columns = (
        "depth",
        "weights",
        "measure",
        "subsets",
        "Spearman",
        "95 %",
        "recall of the best",
        "95 %",
    )
    cells = [
        [
            fit.depth,
            fit.weights,
            fit.measure,
            fit.subsets,
            f"{fit.spearman:.2f}",
            f"{fit.spearman_low:.2f} to {fit.spearman_high:.2f}",
            f"{fit.recall:.2f}",
            f"{fit.recall_low:.2f} to {fit.recall_high:.2f}",
        ]
        for fit in fits
    ]
    print_table("Screen against trials", columns, cells)


def format_score(value: float | None) -> str:
    """Return a score with four decimals, as model cards print it; nothing for None."""
    return "" if value is None else f"{value:.4f}"


def format_error(error: str | None, *, set_aside: bool) -> str | None:
    """Return the reason of a failed trial, with a mark on one that was set aside."""
    return f"set aside: {error}" if set_aside else error


def _millions(value: int | None) -> str:
    """Return a number in millions with one decimal; nothing for None."""
    return "" if value is None else f"{value / 1e6:.1f}"


def _share(value: float | None) -> str:
    """Return a share of one with three decimals; nothing for None."""
    return "" if value is None else f"{value:.3f}"


def _tenths(value: float | None) -> str:
    """Return a number with one decimal; nothing for None."""
    return "" if value is None else f"{value:.1f}"


def _second(when: Any) -> str:
    """Return a time without fractions; through a view, SQLite hands out text."""
    return "" if when is None else str(when)[:19]


def _cell(value: object) -> str:
    """Return the text of a cell."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return str(value)
