"""Commands that keep the store: init, replicate, release, delete."""

import os
from typing import Annotated

import typer

from search.cli.arguments import DEFAULT_STORE, Store, StudyName, opened, require_depth
from search.cli.output import console
from search.errors import InputError, SearchError

EXAMPLES = {
    "init": "Example: layer-search init --store postgresql://search@db.example/search",
    "replicate": "Example: layer-search replicate minilm --depth 3 --top 5 --seeds 3",
    "release": "Example: layer-search release gpu-7.example",
    "delete": "Example: layer-search delete minilm",
}
READER_PASSWORD = "LAYER_SEARCH_READER_PASSWORD"  # noqa: S105 - the name of a variable


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
    from storage import engine as engines
    from storage.reader import create_reader

    shown = engines.display(engines.parse(store))
    with opened(store, create=True) as engine:
        console.print(f"{shown} is ready", highlight=False, soft_wrap=True)
        if reader is not None:
            password = os.environ.get(READER_PASSWORD) or None
            create_reader(engine, reader, password)
            hint = "" if password else f"; it has no new password: set {READER_PASSWORD}"
            console.print(f"role {reader} may read{hint}", highlight=False, soft_wrap=True)


def replicate(
    study: StudyName,
    *,
    top: Annotated[int, typer.Option(min=1, help="Of each depth, the best N that are tied.")] = 5,
    seeds: Annotated[int, typer.Option(min=2, help="Seeds each of them shall have.")] = 3,
    depth: Annotated[int | None, typer.Option(min=1, help="This depth only.")] = None,
    store: Store = DEFAULT_STORE,
) -> None:
    """Add seeds where they decide something: to the best subsets that are tied with the leader.

    Adds trials, outside the budget, for any worker to run; `layer-search work STUDY` does.
    """
    from search import replication
    from storage import studies as stored

    with opened(store) as engine:
        record = stored.find(engine, study)
        require_depth(record, depth)
        added = 0
        for number in [depth] if depth is not None else record.budgets:
            found = replication.replicate(engine, record, number, top=top, seeds=seeds)
            console.print(f"{study}/L{number}: {found.summary}", highlight=False, soft_wrap=True)
            added += found.added
    if added:
        console.print(f"run them with `layer-search work {study}`; running workers take them too")


def release(
    host: Annotated[str, typer.Argument(metavar="HOST", help="Name of the host that is gone.")],
    *,
    study: Annotated[str | None, typer.Option(metavar="STUDY", help="Of this study only.")] = None,
    store: Store = DEFAULT_STORE,
) -> None:
    """Give the trials of a dead host back at once, without waiting for their leases to run out.

    Should one of its workers live after all, its result still counts if it comes first.
    """
    from storage import release as releases
    from storage import studies as stored

    with opened(store) as engine:
        record = stored.find(engine, study) if study is not None else None
        count = releases.release_host(engine, host, record.id if record else None)
    console.print(f"trials given back: {count}")


def delete(
    study: StudyName,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also while workers hold trials of it.")
    ] = False,
    store: Store = DEFAULT_STORE,
) -> None:
    """Remove a study wholly: its trials, scores and attempts, and Optuna's studies of it."""
    from search import mirror
    from storage import outbox
    from storage import studies as stored
    from storage.status import status

    with opened(store) as engine:
        record = stored.find(engine, study)
        rows = status(engine, study)
        running = sum(row.workers for row in rows)
        if running and not force:
            message = f"workers hold trials of {study!r}: {running}; stop them first, or --force"
            raise SearchError(message)
        trials = sum(
            row.complete + row.running + row.waiting + row.failed + row.beyond for row in rows
        )
        question = f"Delete study {study!r} with its {trials} trials? This cannot be undone."
        if not yes and not _confirmed(question):
            console.print("nothing was deleted")
            return
        # ours last: while they are there, the command can be repeated
        names = [stored.optuna_name(study, depth) for depth in record.budgets]
        mirror.delete(engine.url, names)
        stored.forget(engine, study)
        outbox.forget(record.uid)
    console.print(f"deleted {study}: trials: {trials}")


def _confirmed(question: str) -> bool:
    """Ask; a pipe cannot answer."""
    import sys

    if not sys.stdin.isatty():
        message = "there is nobody to ask: say --yes"
        raise InputError(message)
    return typer.confirm(question)


COMMANDS = (init, replicate, release, delete)
