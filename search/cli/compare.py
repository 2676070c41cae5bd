"""The command that sets two subsets against each other: compare."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.arguments import DEFAULT_STORE, AsJson, Store, StudyName, opened
from search.cli.output import console, print_json, print_table

if TYPE_CHECKING:
    from search.compare import Comparison

EXAMPLES = {"compare": "Example: layer-search compare card 0_1_2_18 0_1_2_21"}
_Subset = Annotated[str, typer.Argument(help="A subset such as 0_1_2_18.")]


def compare(
    study: StudyName,
    first: _Subset,
    second: _Subset,
    *,
    store: Store = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Compare two subsets task by task and over all queries, with intervals."""
    from search import compare as comparing
    from search import subsets
    from storage import studies as stored
    from storage.comparison import measured

    keys = [subsets.key(subsets.parse(text)) for text in (first, second)]
    with opened(store) as engine:
        record = stored.find(engine, study)
        found = comparing.compare(*(measured(engine, record, key) for key in keys))
    if as_json:
        print_json({"study": study, "subsets": keys, **asdict(found)})
    else:
        _print(f"{study}: {keys[0]} against {keys[1]}, NDCG@10", found)


def _print(title: str, found: "Comparison") -> None:
    columns = ("task", "first", "second", "difference", "std. error", "queries")
    rows = [
        [
            task.task, f"{task.first:.4f}", f"{task.second:.4f}",
            f"{task.difference:+.4f}", _plain(task.error), task.queries or "",
        ]
        for task in found.tasks
    ]  # fmt: skip
    print_table(title, columns, rows)
    console.print(
        f"mean over tasks: {found.first:.4f} against {found.second:.4f}, "
        f"difference {found.difference:+.4f} +/- {_plain(found.error) or '?'} (standard error)",
        highlight=False,
        soft_wrap=True,
    )
    for line in _remarks(found):
        console.print(line, highlight=False, soft_wrap=True)


def _remarks(found: "Comparison") -> list[str]:
    """What the interval says, and what it does not know."""
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


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


COMMANDS = (compare,)
