"""Commands that keep the store: init, replicate, release, delete."""

import os
import sys
from typing import Annotated

import typer

from search.cli.options import DEFAULT_STORE, Depth, Store, StudyName
from search.cli.output import say
from search.cli.store import connected, opened, require_depth
from search.errors import InputError, SearchError
from search.study.replication import replicate_depth
from search.worker.optuna_mirror import delete_mirrored
from storage.database import display_url
from storage.database.roles import create_reader
from storage.leaderboard import depth_statuses
from storage.queue import Outbox, release_host
from storage.setup import make_ready
from storage.studies import delete_study, find_study, optuna_name

EXAMPLES = {
    "init": "Example: layer-search init --store postgresql://search@db.example/search",
    "replicate": "Example: layer-search replicate minilm --depth 3 --top 5 --seeds 3",
    "release": "Example: layer-search release gpu-7.example",
    "delete": "Example: layer-search delete minilm",
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
    top: Annotated[int, typer.Option(min=1, help="Of each depth, the best N that are tied.")] = 5,
    seeds: Annotated[int, typer.Option(min=2, help="Seeds each of them shall have.")] = 3,
    depth: Depth = None,
    store: Store = DEFAULT_STORE,
) -> None:
    """Add seeds where they decide something: to the best subsets that are tied with the leader.

    Adds trials, outside the budget, for any worker to run; `layer-search work STUDY` does.
    """
    with opened(store) as engine:
        record = find_study(engine, study)
        require_depth(record, depth)
        added = 0
        for number in [depth] if depth is not None else record.budgets:
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
    with opened(store) as engine:
        record = find_study(engine, study)
        rows = depth_statuses(engine, study)
        running = sum(row.workers for row in rows)
        if running and not force:
            message = f"workers hold trials of {study!r}: {running}; stop them first, or --force"
            raise SearchError(message)

        trials = sum(
            row.complete + row.running + row.waiting + row.failed + row.beyond for row in rows
        )
        question = f"Delete study {study!r} with its {trials} trials? This cannot be undone."
        if not yes and not _confirm(question):
            say("nothing was deleted")
            return

        # ours last: while they are there, the command can be repeated
        delete_mirrored(engine.url, [optuna_name(study, depth) for depth in record.budgets])
        delete_study(engine, study)
        Outbox(record.uid, record.id).clear()
    say(f"deleted {study}: trials: {trials}")


def _confirm(question: str) -> bool:
    """Ask, and return the answer.

    Raises:
        InputError: the input is a pipe, which cannot answer.
    """
    if not sys.stdin.isatty():
        message = "there is nobody to ask: say --yes"
        raise InputError(message)
    return typer.confirm(question)
