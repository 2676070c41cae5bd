"""Commands that only look: studies, leaderboard, trials, space."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Annotated, Any

import typer

from search.cli.arguments import (
    DEFAULT_STORE,
    AsCsv,
    AsJson,
    Store,
    opened,
    require_depth,
    require_one_format,
)
from search.cli.output import console, print_csv, print_json, print_table, score

EXAMPLES = {
    "studies": "Example: layer-search studies --json",
    "leaderboard": "Example: layer-search leaderboard minilm --depth 3 --by-task",
    "trials": "Example: layer-search trials minilm --depth 3",
    "space": "Example: layer-search space --layers 22 --depth 7 --cadence strict --samples 3",
}
_COLUMNS = 8  # subsets beside each other in the table by task, unless --top says more
_Depth = Annotated[int | None, typer.Option(min=1, help="This depth only.")]


def studies(*, store: Store = DEFAULT_STORE, as_json: AsJson = False) -> None:
    """List the studies of the store and how far each depth is."""
    from storage.status import status

    with opened(store) as engine:
        rows = status(engine)
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    columns = (
        "study", "depth", "complete", "budget", "running", "waiting", "failed", "set aside",
        "beyond", "best", "workers", "per hour", "hours left",
    )  # fmt: skip
    cells = [
        [
            row.study, row.depth, row.complete, row.budget, row.running, row.waiting,
            row.failed, row.set_aside, row.beyond, score(row.best), row.workers,
            _tenths(row.per_hour), _tenths(row.hours_left),
        ]
        for row in rows
    ]  # fmt: skip
    print_table("Studies", columns, cells)


def _tenths(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def leaderboard(
    study: Annotated[
        str | None, typer.Argument(metavar="[STUDY]", help="Name of the study; all when left out.")
    ] = None,
    *,
    depth: _Depth = None,
    by_task: Annotated[
        bool, typer.Option("--by-task", help="Show the score of each task.")
    ] = False,
    top: Annotated[int | None, typer.Option(min=1, help="Show the best N of each depth.")] = None,
    store: Store = DEFAULT_STORE,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Rank the subsets of each depth by mean NDCG@10."""
    from storage import leaderboard as boards
    from storage import studies as stored

    require_one_format(as_json=as_json, as_csv=as_csv)
    if by_task and top is None and not (as_json or as_csv):
        top = _COLUMNS
    with opened(store) as engine:
        if study is not None:
            require_depth(stored.find(engine, study), depth)
        rows = (boards.by_task if by_task else boards.ranking)(engine, study, depth, top=top)
        best = [row for row in boards.best(engine, study) if depth in (None, row["depth"])]
    if as_json or as_csv:
        (print_json if as_json else print_csv)(rows)
    elif not rows:
        console.print("no trial is complete yet")
    elif by_task:
        _print_tasks(rows)
    else:
        print_ranking(rows)
        print_best(best)


def trials(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="Name of the study.")],
    *,
    depth: _Depth = None,
    attempts: Annotated[
        bool, typer.Option("--attempts", help="Show who claimed which trial, and how that ended.")
    ] = False,
    store: Store = DEFAULT_STORE,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List every trial of a study with its state, times, device and error."""
    from storage import leaderboard as boards
    from storage import studies as stored

    require_one_format(as_json=as_json, as_csv=as_csv)
    with opened(store) as engine:
        require_depth(stored.find(engine, study), depth)
        rows = (boards.attempts if attempts else boards.trials)(engine, study, depth)
    if as_json or as_csv:
        (print_json if as_json else print_csv)(rows)
        return
    if attempts:
        _print_attempts(study, rows)
        return
    columns = ("trial", "depth", "subset", "seed", "origin", "state", "mean", "seconds", "remarks")
    print_table(f"Trials of {study}", columns, [_trial_cells(row) for row in rows])


def space(
    *,
    layers: Annotated[int, typer.Option(max=1000, help="Layers of the base.")],
    depth: Annotated[int, typer.Option(help="Layers to keep.")],
    cadence: Annotated[
        str, typer.Option(help="Cadence rule: strict, anchored or free.")
    ] = "strict",
    period: Annotated[
        int, typer.Option(help="Every N-th layer is global; 0 for a base without a rhythm.")
    ] = 3,
    keep_first: Annotated[bool, typer.Option(help="Whether layer 0 is always kept.")] = True,
    pin: Annotated[
        list[int] | None, typer.Option(help="Always keep this layer; repeatable.")
    ] = None,
    forbid: Annotated[
        list[int] | None, typer.Option(help="Never keep this layer; repeatable.")
    ] = None,
    samples: Annotated[int, typer.Option(min=0, help="Print this many random subsets.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of the samples.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Count the valid subsets of a space and show some of them."""
    import random

    from search import families, subsets
    from search.space import LayerSpace

    searched = LayerSpace(
        layers=layers,
        depth=depth,
        period=period or None,
        cadence=cadence,
        keep_first=keep_first,
        pinned=frozenset(pin or ()),
        forbidden=frozenset(forbid or ()),
    )
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    drawn = [subsets.key(searched.sample(rng)) for _ in range(samples)]
    named = {
        name: [subsets.key(subset) for subset in families.build(name, searched)]
        for name in families.FAMILIES
    }
    if as_json:
        print_json({"count": searched.count, "samples": drawn, "families": named})
        return
    console.print(f"{searched.count} subsets of depth {depth} out of {layers} layers, {cadence}")
    for name, members in named.items():
        console.print(f"  {name}: {', '.join(members)}", highlight=False, soft_wrap=True)
    for key in drawn:
        console.print(f"  sample: {key}", highlight=False, soft_wrap=True)


COMMANDS = (studies, leaderboard, trials, space)


def print_ranking(rows: Sequence[Any], top: int | None = None) -> None:
    """Print rows of the leaderboard, a table for each study and depth, the best `top` of each."""
    for (study, depth), group in groupby(rows, key=lambda row: (row["study"], row["depth"])):
        everyone = list(group)
        ranked = [row for row in everyone if top is None or row["rank"] <= top]
        seeds = ("seeds",) if any(row["seeds"] > 1 for row in ranked) else ()
        cells = [
            [
                row["rank"], row["subset"], score(row["mean"]), score(row["standard_error"]),
                _signed(row["difference"]), score(row["difference_error"] or None),
                _TIED[row["tied"]],
                *(row[name] for name in seeds), row["origin"],
            ]
            for row in ranked
        ]  # fmt: skip
        title = f"{study}, depth {depth}: mean NDCG@10"
        if len(ranked) < len(everyone):
            title += f", {len(ranked)} of {len(everyone)} subsets"
        columns = ("rank", "subset", "mean", "std. error", "to leader", "std. error", "tied")
        print_table(title, (*columns, *seeds, "origin"), cells)


def print_best(rows: Sequence[Any]) -> None:
    """Print, per study and depth, who leads, how many are tied, and the simplest of those."""
    cells = [
        [
            row["study"], row["depth"], row["leader"], score(row["leader_mean"]),
            "?" if row["tied"] is None else row["tied"], row["subsets"],
            row["pick"], score(row["pick_mean"]),
        ]
        for row in rows
    ]  # fmt: skip
    columns = ("study", "depth", "leader", "mean", "tied", "of", "pick", "mean")
    print_table("Best per depth (pick: the simplest of the tied)", columns, cells)


_TIED = {None: "?", 0: "", 1: "tied"}


def _signed(value: float) -> str:
    return f"{value:+.4f}" if value else ""


def _print_tasks(rows: Sequence[Any]) -> None:
    """Print scores by task: a row for each task, a column for each rank, to stay narrow."""
    for (study, depth), group in groupby(rows, key=lambda row: (row["study"], row["depth"])):
        ranked = list(group)
        columns = list(dict.fromkeys((row["rank"], row["subset"]) for row in ranked))
        scores = {(row["subset"], row["task"]): row["score"] for row in ranked}
        cells = [
            [task, *(score(scores.get((subset, task))) for _, subset in columns)]
            for task in sorted({row["task"] for row in ranked})
        ]
        title = f"{study}, depth {depth}: NDCG@10 by task and rank"
        print_table(title, ("task", *(f"#{rank}" for rank, _ in columns)), cells)
        for rank, subset in columns:
            console.print(f"  #{rank}  {subset}", highlight=False, soft_wrap=True)


def _trial_cells(row: Any) -> list[object]:  # noqa: ANN401 - a row of plain values
    times = [row[name] for name in ("cut_seconds", "train_seconds", "evaluate_seconds")]
    seconds = sum(time for time in times if time is not None)
    return [
        row["id"], row["depth"], row["subset"], row["seed"], row["origin"], row["state"],
        score(row["mean"]), f"{seconds:.1f}" if row["finished_at"] else "",
        "; ".join(filter(None, (row["error"], row["notes"], row["drift"]))),
    ]  # fmt: skip


def _print_attempts(study: str, rows: Sequence[Any]) -> None:
    columns = (
        "depth", "subset", "seed", "attempt", "worker", "started", "ended", "outcome", "reason"
    )  # fmt: skip
    cells = [
        [
            row["depth"], row["subset"], row["seed"], row["attempt"],
            ":".join(row["worker"].split(":")[:2]), _second(row["started_at"]),
            _second(row["ended_at"]),
            row["outcome"], row["reason"],
        ]
        for row in rows
    ]  # fmt: skip
    print_table(f"Attempts at the trials of {study}", columns, cells)


def _second(when: object) -> str:
    """A time without fractions; through a view, SQLite hands out text."""
    return "" if when is None else str(when)[:19]
