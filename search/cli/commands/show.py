"""Commands that only read the store: studies, leaderboard, best, trials."""

from dataclasses import asdict
from typing import Annotated

import typer

from search.cli.options import DEFAULT_STORE, AsCsv, AsJson, Depth, Store, StudyName
from search.cli.output import print_csv, print_json, require_one_format, say
from search.cli.store import opened, require_stored_depth
from search.cli.tables import (
    print_attempts,
    print_best,
    print_ranking,
    print_set_ranking,
    print_statuses,
    print_task_ranking,
    print_trials,
)
from search.errors import InputError
from storage.leaderboard import (
    best_per_depth,
    depth_statuses,
    list_attempts,
    rank_by_set,
    rank_by_task,
    rank_subsets,
)
from storage.studies import find_study
from storage.trials import list_trials
from storage.values.bounds import LARGEST_INTEGER

EXAMPLES = {
    "studies": "Example: layer-search studies --json",
    "leaderboard": "Example: layer-search leaderboard minilm --depth 3 --by-task",
    "best": "Example: layer-search best minilm --margin 0.01",
    "trials": "Example: layer-search trials minilm --depth 3",
}
_TASK_COLUMNS = 8  # subsets beside each other in the table by task, which fit a terminal


def studies(*, store: Store = DEFAULT_STORE, as_json: AsJson = False) -> None:
    """List the studies of the store and how far each depth is.

    One line for each depth of a study. Trials that its budget counts:

    - `complete`: they have a score

    - `budget`: so many may be begun (`study.trials`)

    - `running`: a worker holds them

    - `waiting`: begun and given back, by Ctrl-C or a crash; the next worker takes them first

    - `failed`: they have no score, for a reason that `layer-search trials` shows

    And of all trials:

    - `set aside`: failed for good, having ended their worker `study.attempts` times

    - `beyond`: outside the budget, by `evaluate` and `replicate`, in any state

    - `best`: the best score of a trial

    - `workers`: workers that are alive

    - `per hour`: trials that ended in the last hour

    - `hours left`: until the budget is used up at that pace
    """
    with opened(store) as engine:
        rows = depth_statuses(engine)

    if as_json:
        print_json([asdict(row) for row in rows])
    else:
        print_statuses(rows)


def leaderboard(  # noqa: PLR0913 - each is an option of the command
    study: Annotated[
        str | None, typer.Argument(metavar="[STUDY]", help="Name of the study; all when left out.")
    ] = None,
    *,
    depth: Depth = None,
    by_task: Annotated[
        bool, typer.Option("--by-task", help="Show the score of each task.")
    ] = False,
    by_set: Annotated[
        bool, typer.Option("--by-set", help="Show the mean of each test set.")
    ] = False,
    top: Annotated[
        int | None,
        typer.Option(min=1, max=LARGEST_INTEGER, help="Show the best N of each depth."),
    ] = None,
    store: Store = DEFAULT_STORE,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Rank the subsets of each depth by mean NDCG@10, and name the leader and the pick of each."""
    require_one_format(as_json=as_json, as_csv=as_csv)
    if by_task and by_set:
        message = "--by-task and --by-set cannot both be shown: choose one"
        raise InputError(message)
    if (by_task or by_set) and top is None and not (as_json or as_csv):
        top = _TASK_COLUMNS

    with opened(store) as engine:
        if study is not None:
            require_stored_depth(find_study(engine, study), depth)
        ranked = rank_by_task if by_task else rank_by_set if by_set else rank_subsets
        rows = ranked(engine, study, depth, top=top)
        best = [row for row in best_per_depth(engine, study) if depth in (None, row["depth"])]

    if as_json or as_csv:
        (print_json if as_json else print_csv)(rows)
    elif not rows:
        say("no trial is complete yet")
    elif by_task:
        print_task_ranking(rows)
    elif by_set:
        print_set_ranking(rows)
    else:
        print_ranking(rows)
        print_best(best)


def best(
    study: Annotated[
        str | None, typer.Argument(metavar="[STUDY]", help="Name of the study; all when left out.")
    ] = None,
    *,
    depth: Depth = None,
    margin: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="How far below the leader a pick may lie; the study's (study.margin) when left "
            "out.",
        ),
    ] = None,
    store: Store = DEFAULT_STORE,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Name the leader and the pick of each depth.

    The pick is the simplest subset that is tied with the leader and within a margin of its mean:
    the one with the fewest breaks between layers, then with the lowest layers.
    """
    require_one_format(as_json=as_json, as_csv=as_csv)

    with opened(store) as engine:
        if study is not None:
            require_stored_depth(find_study(engine, study), depth)
        rows = [
            row
            for row in best_per_depth(engine, study, margin=margin)
            if depth in (None, row["depth"])
        ]

    if as_json or as_csv:
        (print_json if as_json else print_csv)(rows)
    elif rows:
        print_best(rows)
    else:
        say("no trial is complete yet")


def trials(
    study: StudyName,
    *,
    depth: Depth = None,
    attempts: Annotated[
        bool, typer.Option("--attempts", help="Show who claimed which trial, and how that ended.")
    ] = False,
    store: Store = DEFAULT_STORE,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List every trial of a study with its state, times, device and error."""
    require_one_format(as_json=as_json, as_csv=as_csv)

    with opened(store) as engine:
        require_stored_depth(find_study(engine, study), depth)
        rows = (list_attempts if attempts else list_trials)(engine, study, depth)

    if as_json or as_csv:
        (print_json if as_json else print_csv)(rows)
    elif attempts:
        print_attempts(study, rows)
    else:
        print_trials(study, rows)
