"""The command that removes a study: delete."""

import sys
from typing import Annotated

import typer

from search.cli.options import DEFAULT_STORE, Store, StudyName
from search.cli.output import ask, say
from search.cli.store import opened
from search.errors import InputError, SearchError
from search.worker.optuna_mirror import delete_mirrored
from storage.leaderboard import depth_statuses
from storage.queue import Outbox
from storage.studies import delete_study, find_study, optuna_name

EXAMPLES = {"delete": "Example: layer-search delete minilm"}


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
    return ask(question)
