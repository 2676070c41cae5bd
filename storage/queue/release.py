"""Trials given back: by their worker, for a worker that has died, for a host that is gone."""

import socket
from collections.abc import Iterable

from sqlalchemy import Connection, Engine, Row, Select, select, update

from storage.database import read, write
from storage.errors import InputError
from storage.queue.attempts import end_attempts, take_back
from storage.queue.claims import Claim, Holder, is_held, revive
from storage.queue.worker_id import WorkerId
from storage.schema import Trial
from storage.states import AttemptOutcome, TrialState

_Running = Row[int, str | None, int]
"""Number, owner and token of a running trial."""

_RELEASED = {"state": TrialState.WAITING, "owner": None, "lease_until": None}


def give_back(connection: Connection, claim: Claim, broke: str | None) -> int | None:
    """Give a claimed trial back, so that any worker can take it at once.

    Args:
        connection: a transaction.
        claim: the claim.
        broke: the unforeseen error that ended it, which counts against the trial.

    Returns:
        Its Optuna number; None when it has none, or when the claim was no longer ours.
    """
    crashes = Trial.crashes + int(broke is not None)
    outcome = AttemptOutcome.INTERRUPTED if broke is None else AttemptOutcome.BROKE

    freed = update(Trial).where(*is_held(claim)).values(crashes=crashes, **_RELEASED)
    row = connection.execute(freed.returning(Trial.optuna_number)).first()
    if row is None:
        _note_end(connection, claim, broke)
        return None
    end_attempts(connection, claim.trial_id, outcome, broke, token=claim.token)
    return None if row.optuna_number is None else int(row.optuna_number)


def _note_end(connection: Connection, claim: Claim, broke: str | None) -> None:
    """Note the end of an attempt whose worker was taken for dead, and lives."""
    outcome = AttemptOutcome.INTERRUPTED if broke is None else AttemptOutcome.BROKE
    if broke is None:
        lived = revive(connection, claim)
    else:  # counts against the trial as its death did
        lived = take_back(connection, claim.trial_id, claim.token, lasts=True)
    if lived:
        end_attempts(connection, claim.trial_id, outcome, broke, token=claim.token)


def give_back_all(connection: Connection, holder: Holder) -> None:
    """Give back every trial of the study that the worker still holds."""
    held = (Trial.study_id == holder.study_id, Trial.owner == holder.owner)
    rows = connection.execute(_running().where(*held)).all()
    _release(connection, rows, AttemptOutcome.INTERRUPTED)


def release_dead(engine: Engine, study_id: int) -> int:
    """Give back the trials of workers of this host that have ended, and return how many."""
    # of thousands that run elsewhere, none is fetched
    on_this_host = Trial.owner.startswith(f"{socket.gethostname()}:", autoescape=True)
    query = _running().where(Trial.study_id == study_id, on_this_host)
    with read(engine) as connection:
        rows = connection.execute(query).all()
    dead = [row for row in rows if row.owner and WorkerId.parse(row.owner).has_ended()]
    if not dead:
        return 0

    with write(engine) as connection:
        return _release(connection, dead, AttemptOutcome.DIED, "its process ended")


def release_host(engine: Engine, host: str, study_id: int | None = None) -> int:
    """Give back every trial that a worker of `host` holds, and return how many.

    It does not count against a trial that its host went away. Should a worker of it live after all,
    its result still counts if it comes first.

    Args:
        engine: the store.
        host: name of the host.
        study_id: trials of this study only.

    Raises:
        InputError: no worker of `host` holds a trial; the message lists the hosts that do.
    """
    query = _running() if study_id is None else _running().where(Trial.study_id == study_id)

    with write(engine) as connection:
        rows = connection.execute(query).all()
        by_host: dict[str, list[_Running]] = {}
        for row in rows:
            if row.owner:
                by_host.setdefault(WorkerId.parse(row.owner).host, []).append(row)

        if host not in by_host:
            hosts = ", ".join(sorted(by_host))
            there = f"trials are held by {hosts}" if hosts else "no trial is held"
            message = f"no worker of {host!r} holds a trial: {there}"
            raise InputError(message)

        reason = "its host was said to be dead"
        return _release(connection, by_host[host], AttemptOutcome.RELEASED, reason)


def _running() -> Select[int, str | None, int]:
    """Return a query for the running trials: number, owner and token."""
    return select(Trial.id, Trial.owner, Trial.token).where(Trial.state == TrialState.RUNNING)


def _release(
    connection: Connection,
    rows: Iterable[_Running],
    outcome: AttemptOutcome,
    reason: str | None = None,
) -> int:
    """Give back each trial that is still held under the token of its row, and return how many."""
    released = 0
    for row in rows:
        same = (Trial.id == row.id, Trial.token == row.token, Trial.state == TrialState.RUNNING)
        crashes = Trial.crashes + int(outcome is AttemptOutcome.DIED)
        freed = connection.execute(update(Trial).where(*same).values(crashes=crashes, **_RELEASED))
        if freed.rowcount:
            end_attempts(connection, row.id, outcome, reason, token=row.token)
            released += 1
    return released
