"""Commands that remove: delete, outbox."""

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from search.cli.options import DEFAULT_STORE, AsJson, Store, StudyName
from search.cli.output import ask, print_json, remark, say
from search.cli.store import opened
from search.cli.tables import print_kept
from search.errors import InputError, SearchError
from search.worker.optuna_mirror import delete_mirrored
from storage.database import display_url
from storage.leaderboard import depth_statuses
from storage.queue import Outbox, list_kept, remove_kept
from storage.studies import delete_study, find_study, optuna_name

EXAMPLES = {
    "delete": "Example: layer-search delete minilm",
    "outbox": "Example: layer-search outbox --clean",
}


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


def outbox(
    *,
    clean: Annotated[
        bool, typer.Option("--clean", help="Remove those of which nothing can come, after asking.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    store: Store = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """List the results that this machine keeps in files on their way to the store.

    - `waiting`: the next worker of the study on this machine delivers it

    - `unfinished`: its worker died while it wrote the file

    - `refused`: the store will never take it; its trial was recorded without it

    Nothing can come of unfinished ones, nor of those whose study is not in the store. `--clean`
    takes the latter for deleted: on a machine of several stores, look at the list first.
    """
    with opened(store) as engine:
        files = list_kept(engine)
        where = display_url(engine.url)
    useless = [file for file in files if file.is_useless]

    if as_json:
        print_json([asdict(file) for file in files])
    elif files:
        print_kept(files)
    else:
        say("this machine keeps no results")
    if not clean or not useless:
        return

    gone = sum(file.study is None for file in useless)
    question = f"Remove {len(useless)} files, {gone} of them of studies that {where} does not have?"
    if not yes and not _confirm(f"{question} This cannot be undone."):
        remark("nothing was removed")
        return
    remove_kept(useless)
    remark(f"removed: {len(useless)}")


def _confirm(question: str) -> bool:
    """Ask, and return the answer.

    Raises:
        InputError: the input is a pipe, which cannot answer.
    """
    if not sys.stdin.isatty():
        message = "there is nobody to ask: say --yes"
        raise InputError(message)
    return ask(question)
