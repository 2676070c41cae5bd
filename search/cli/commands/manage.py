"""Commands that keep the store: init, replicate, release."""

import os
from collections.abc import Sequence
from typing import Annotated

import typer

from search.cli.options import DEFAULT_STORE, Depth, Store, StudyName
from search.cli.output import remark, say
from search.cli.store import connected, opened, require_stored_depth
from search.errors import InputError
from search.study.replication import replicate_depth
from storage.database import display_url
from storage.database.rights import Excess
from storage.database.roles import create_reader, create_worker
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
_WORKER_PASSWORD = "LAYER_SEARCH_WORKER_PASSWORD"  # noqa: S105 - the name of a variable


def init(
    *,
    reader: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Also create this PostgreSQL role, which may read everything and change nothing.",
        ),
    ] = None,
    worker: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Also create this PostgreSQL role, which may write results and change no tables.",
        ),
    ] = None,
    dedicated: Annotated[
        bool,
        typer.Option(
            "--dedicated",
            help="The server has no other use: close its other databases to these roles.",
        ),
    ] = False,
    store: Store = DEFAULT_STORE,
) -> None:
    """Create the store, or migrate one that an older release made. Launching does it too.

    Passwords are taken from LAYER_SEARCH_READER_PASSWORD and LAYER_SEARCH_WORKER_PASSWORD. A role
    that is there already is renewed, or refused if it may do more.
    """
    if dedicated and reader is None and worker is None:
        message = "--dedicated is for the roles: name one with --reader or --worker"
        raise InputError(message)

    with connected(store) as engine:
        make_ready(engine)
        say(f"{display_url(engine.url)} is ready")

        if worker is not None:
            password = os.environ.get(_WORKER_PASSWORD) or None
            excess = create_worker(engine, worker, password, dedicated=dedicated)
            _tell(f"role {worker}", "may work", password, _WORKER_PASSWORD, excess)
        if reader is not None:
            password = os.environ.get(_READER_PASSWORD) or None
            excess = create_reader(engine, reader, password, dedicated=dedicated)
            _tell(f"role {reader}", "may read", password, _READER_PASSWORD, excess)


def _tell(
    role: str, purpose: str, password: str | None, variable: str, excess: Sequence[Excess]
) -> None:
    """Print the role that was made, and a remark for each right that every role has."""
    hint = "" if password else f"; it has no new password: set {variable}"
    say(f"{role} {purpose}{hint}")
    for found in excess:
        remark(f"{role} {found.right}, as every role of the server may; {found.remedy} ends it")


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
