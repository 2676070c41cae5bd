"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from storage.values.bounds import MOST_LAYERS

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
StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="Name of the study.")]
Depth = Annotated[int | None, typer.Option(min=1, max=MOST_LAYERS, help="This depth only.")]
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
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
