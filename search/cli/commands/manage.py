"""Commands that keep the store: init, replicate, release."""

import os
from typing import Annotated

import typer

from search.cli.options import DEFAULT_STORE, Depth, Store, StudyName
from search.cli.output import say
from search.cli.store import connected, opened, require_stored_depth
from search.study.replication import replicate_depth
from storage.database import display_url
from storage.database.roles import create_reader
from storage.queue import release_host
from storage.setup import make_ready
from storage.studies import find_study
from storage.values.bounds import LARGEST_INTEGER, MOST_SEEDS

EXAMPLES = {
    "init": "Example: layer-search init --store postgresql://search@db.example/search",
    "replicate": "Example: layer-search replicate minilm --depth 3 --top 5 --seeds 3",
    "release": "Example: layer-search release gpu-7.example",
}
_READER_PASSWORD = "LAYER_SEARCH_READER_PASSWORD"  # noqa: S105 - the name of a variable


def init(
    *,
    reader: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Also create this PostgreSQL role, which may read everything and change nothing.",
        ),
    ] = None,
    store: Store = DEFAULT_STORE,
) -> None:
    """Create the store, or migrate one that an older release made. Launching does it too.

    The reader's password is taken from LAYER_SEARCH_READER_PASSWORD.
    """
    with connected(store) as engine:
        make_ready(engine)
        say(f"{display_url(engine.url)} is ready")

        if reader is not None:
            password = os.environ.get(_READER_PASSWORD) or None
            create_reader(engine, reader, password)
            hint = "" if password else f"; it has no new password: set {_READER_PASSWORD}"
            say(f"role {reader} may read{hint}")


def replicate(
    study: StudyName,
    *,
    top: Annotated[
        int,
        typer.Option(min=1, max=LARGEST_INTEGER, help="Of each depth, the best N that are tied."),
    ] = 5,
    seeds: Annotated[
        int, typer.Option(min=2, max=MOST_SEEDS, help="Seeds each of them shall have.")
    ] = 3,
    depth: Depth = None,
    store: Store = DEFAULT_STORE,
) -> None:
    """Add seeds where they decide something: to the best subsets that are tied with the leader.

    Adds trials, outside the budget, for any worker to run; `layer-search work STUDY` does.
    """
    with opened(store) as engine:
        record = find_study(engine, study)
        require_stored_depth(record, depth)
        added = 0
        for number in [depth] if depth is not None else record.searched_depths:
            found = replicate_depth(engine, record, number, top=top, seeds=seeds)
            say(f"{study}/L{number}: {found.summary}")
            added += found.added

    if added:
        say(f"run them with `layer-search work {study}`; running workers take them too")


def release(
    host: Annotated[str, typer.Argument(metavar="HOST", help="Name of the host that is gone.")],
    *,
    study: Annotated[str | None, typer.Option(metavar="STUDY", help="Of this study only.")] = None,
    store: Store = DEFAULT_STORE,
) -> None:
    """Give the trials of a dead host back at once, without waiting for their leases to run out.

    Should one of its workers live after all, its result still counts if it comes first.
    """
    with opened(store) as engine:
        record = find_study(engine, study) if study is not None else None
        count = release_host(engine, host, record.id if record else None)
    say(f"trials given back: {count}")
