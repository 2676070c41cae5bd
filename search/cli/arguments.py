"""Arguments that several commands share."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from storage.studies import StudyRecord

DEFAULT_STORE = "sqlite:///layer-search.db"

Store = Annotated[
    str,
    typer.Option(
        envvar="LAYER_SEARCH_STORE",
        metavar="URL",
        help="SQLite file or PostgreSQL database that keeps the results.",
    ),
]
StudyPath = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="The study file.")]
Device = Annotated[
    str | None,
    typer.Option(
        envvar="LAYER_SEARCH_DEVICE",
        help="cpu, cuda:0, ...; the best there is when left out.",
    ),
]
Folder = Annotated[
    Path | None,
    typer.Option(help="Folder that the study's relative paths start from on this machine."),
]
AcceptDrift = Annotated[
    bool,
    typer.Option(
        "--accept-drift",
        help="Work although base, data or libraries differ from what the study began with, "
        "and record the difference with each trial.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1024,
        help="Worker processes on this machine, each with a device of its own; "
        "one for each GPU when left out.",
    ),
]
StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="Name of the study.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]


@contextmanager
def opened(url: str, *, create: bool = False) -> "Iterator[Engine]":
    """The store at `url`, closed at the end; database errors name it without its password."""
    from storage import engine as engines
    from storage import retry, setup

    with retry.available(engines.parse(url)):
        engine = setup.open_store(url, create=create)
        try:
            yield engine
        finally:
            engine.dispose()


def require_depth(study: "StudyRecord", depth: int | None) -> None:
    """Refuse a depth that the study has not.

    Raises:
        InputError: it has not; the message lists those it has.
    """
    if depth is not None and depth not in study.budgets:
        there = ", ".join(map(str, study.budgets))
        message = f"study {study.name!r} has no depth {depth}: it has {there}"
        raise InputError(message)


def require_one_format(*, as_json: bool, as_csv: bool) -> None:
    """Refuse two formats at once.

    Raises:
        InputError: both were asked for.
    """
    if as_json and as_csv:
        message = "--json and --csv cannot both be printed: choose one"
        raise InputError(message)
