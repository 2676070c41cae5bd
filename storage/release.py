"""Gives claims back: by their worker, for a worker that has died, for a host that is gone."""

from collections.abc import Iterable

from sqlalchemy import Connection, Engine, select, update

from storage import attempts
from storage import engine as engines
from storage.claims import Claim, ours
from storage.errors import InputError
from storage.owner import is_dead
from storage.schema import Trial

_RELEASED = {"state": "waiting", "owner": None, "lease_until": None}


def give_back(engine: Engine, held: Claim, broke: str | None = None) -> int | None:
    """Return `held`, so that any worker can take it at once.

    Args:
        engine: the store.
        held: the claim.
        broke: the unforeseen error that ended it, which counts against the trial.

    Returns:
        Its Optuna number; None when it has none, or when the claim was no longer ours.
    """
    crashes = held.crashes + (broke is not None)
    outcome = "interrupted" if broke is None else "broke"
    with engines.write(engine) as connection:
        freed = update(Trial).where(*ours(held)).values(crashes=crashes, **_RELEASED)
        row = connection.execute(freed.returning(Trial.optuna_number)).first()
        if row is None:
            return None
        attempts.end(connection, held.trial_id, outcome, broke, token=held.token)
    return None if row.optuna_number is None else int(row.optuna_number)


def give_back_all(engine: Engine, study_id: int, owner: str) -> None:
    """Return whatever `owner` still holds of a study."""
    held = (Trial.study_id == study_id, Trial.owner == owner, Trial.state == "running")
    with engines.write(engine) as connection:
        rows = connection.execute(select(Trial.id, Trial.token).where(*held)).all()
        _release(connection, [(row.id, row.token) for row in rows], "interrupted")


def release_dead(engine: Engine, study_id: int) -> int:
    """Return the trials of workers of this host that have ended; returns how many."""
    running = (Trial.study_id == study_id, Trial.state == "running")
    with engines.read(engine) as connection:
        rows = connection.execute(select(Trial.id, Trial.owner, Trial.token).where(*running)).all()
    dead = [(row.id, row.token) for row in rows if row.owner and is_dead(row.owner)]
    if not dead:
        return 0
    with engines.write(engine) as connection:
        return _release(connection, dead, "died", "its process ended")


def release_host(engine: Engine, host: str, study_id: int | None = None) -> int:
    """Return every trial that a worker of `host` holds; returns how many.

    It does not count against a trial that its host went away. Should a worker of it live after all,
    its result still counts if it comes first.

    Raises:
        InputError: no worker of `host` holds a trial; the message lists the hosts that do.
    """
    running = [Trial.state == "running"]
    if study_id is not None:
        running.append(Trial.study_id == study_id)
    with engines.write(engine) as connection:
        rows = connection.execute(select(Trial.id, Trial.owner, Trial.token).where(*running)).all()
        hosts = sorted({row.owner.split(":", 1)[0] for row in rows if row.owner})
        if host not in hosts:
            there = f"trials are held by {', '.join(hosts)}" if hosts else "no trial is held"
            message = f"no worker of {host!r} holds a trial: {there}"
            raise InputError(message)
        theirs = [
            (row.id, row.token) for row in rows if row.owner and row.owner.split(":", 1)[0] == host
        ]
        return _release(connection, theirs, "released", "its host was said to be dead")


def _release(
    connection: Connection, rows: Iterable[tuple[int, int]], outcome: str, reason: str | None = None
) -> int:
    """Return the trials of `rows` that are still held as these say; returns how many."""
    released = 0
    for trial_id, token in rows:
        same = (Trial.id == trial_id, Trial.token == token, Trial.state == "running")
        crashes = Trial.crashes + int(outcome == "died")
        freed = connection.execute(update(Trial).where(*same).values(crashes=crashes, **_RELEASED))
        if freed.rowcount:
            attempts.end(connection, trial_id, outcome, reason, token=token)
            released += 1
    return released
