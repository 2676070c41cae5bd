"""Commands that weigh the evidence: answer, compare."""

from dataclasses import asdict
from typing import Annotated

import typer

from search.analysis.answer import find_answers
from search.analysis.comparison import Comparison, compare_subsets
from search.cli.finding_tables import print_answers
from search.cli.options import DEFAULT_STORE, AsJson, Depth, Store, StudyName
from search.cli.output import print_json, say
from search.cli.store import opened, require_stored_depth
from search.cli.tables import format_score, print_table
from search.errors import InputError
from search.space import format_subset, parse_subset
from storage.errors import UnscoredSubsetError
from storage.leaderboard import read_measured
from storage.studies import find_study

EXAMPLES = {
    "answer": "Example: layer-search answer minilm",
    "compare": "Example: layer-search compare card 0_1_2_18 0_1_2_21",
}
_Subset = Annotated[str, typer.Argument(help="A subset such as 0_1_2_18.")]


def answer(
    study: StudyName,
    *,
    depth: Depth = None,
    store: Store = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Say which subset to keep: the one with the best posterior, not the luckiest score."""
    with opened(store) as engine:
        record = find_study(engine, study)
        require_stored_depth(record, depth)
        found = find_answers(engine, record, [depth] if depth else record.searched_depths)

    if as_json:
        print_json(
            [
                {"depth": one.depth, **asdict(one), "subset": format_subset(one.subset)}
                for one in found
            ]
        )
    else:
        print_answers(study, found)


def compare(
    study: StudyName,
    first: _Subset,
    second: _Subset,
    *,
    store: Store = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Compare two subsets task by task and over all queries, with intervals."""
    subsets = [parse_subset(text) for text in (first, second)]

    with opened(store) as engine:
        record = find_study(engine, study)
        try:
            found = compare_subsets(*(read_measured(engine, record, one) for one in subsets))
        except UnscoredSubsetError as error:
            message = f"{error}: `layer-search leaderboard {study}` lists those that have one"
            raise InputError(message) from error

    keys = [format_subset(subset) for subset in subsets]
    if as_json:
        print_json({"study": study, "subsets": keys, **asdict(found)})
    else:
        _print_comparison(f"{study}: {keys[0]} against {keys[1]}, NDCG@10", found)


def _print_comparison(title: str, found: Comparison) -> None:
    """Print the difference of two subsets, task by task and over all."""
    columns = ("task", "first", "second", "difference", "std. error", "queries")
    rows = [
        [
            task.task,
            format_score(task.first),
            format_score(task.second),
            f"{task.difference:+.4f}",
            format_score(task.error),
            task.queries or "",
        ]
        for task in found.tasks
    ]
    print_table(title, columns, rows)

    say(
        f"mean over tasks: {found.first:.4f} against {found.second:.4f}, "
        f"difference {found.difference:+.4f} +/- {format_score(found.error) or '?'} "
        "(standard error)"
    )
    for line in _remarks(found):
        say(line)


def _remarks(found: Comparison) -> list[str]:
    """Return lines on the interval, and on the part of chance that is unknown."""
    lines = []
    if found.low is not None and found.high is not None:
        lines.append(
            f"95 % interval, bootstrap over {found.paired_over}: "
            f"{found.low:+.4f} to {found.high:+.4f}"
        )
    if found.seed_error is None:
        lines.append(
            "no subset of the same depth has several seeds: what chance in training adds is unknown"
        )
    else:
        lines.append(f"of the standard error, {found.seed_error:.4f} stems from the seeds")
    return lines
