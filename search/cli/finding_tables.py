"""The tables of findings: depths side by side, answers, and screens against trials."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from search.cli.output import say
from search.cli.tables import format_score, print_table
from search.space import format_subset
from storage.leaderboard import Row
from storage.screens import FitRecord, ScreenedSubset

if TYPE_CHECKING:  # it fits the surrogate, and loads libraries that only a few commands need
    from search.analysis.answer import Answer


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


def _millions(value: int | None) -> str:
    """Return a number in millions with one decimal; nothing for None."""
    return "" if value is None else f"{value / 1e6:.1f}"


def _share(value: float | None) -> str:
    """Return a share of one with three decimals; nothing for None."""
    return "" if value is None else f"{value:.3f}"
