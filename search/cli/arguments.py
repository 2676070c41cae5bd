"""Arguments that several commands share."""

import logging
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

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


def debugging() -> bool:
    """Whether `--debug` was given."""
    return logging.getLogger("layer-search").isEnabledFor(logging.DEBUG)
