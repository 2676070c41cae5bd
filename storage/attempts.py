"""The history of a trial: who claimed it when, and how that ended."""

from sqlalchemy import ColumnElement, Connection, insert, update

from storage.clock import utc_now
from storage.schema import Attempt


def begin(connection: Connection, trial_id: int, token: int, owner: str) -> None:
    """Note that `owner` has claimed the trial."""
    values = {"trial_id": trial_id, "token": token, "owner": owner}
    connection.execute(insert(Attempt).values(values))


def end(
    connection: Connection,
    trial_id: int,
    outcome: str,
    reason: str | None = None,
    *,
    token: int | None = None,
) -> None:
    """Note how an attempt ended.

    Args:
        connection: the transaction that ends it.
        trial_id: its trial.
        outcome: one of `storage.schema.Outcome`.
        reason: what is to be said about it.
        token: the attempt, whatever was noted before (a worker thought dead may yet deliver); all
            attempts of the trial that last when left out.
    """
    which: ColumnElement[bool] = (
        Attempt.outcome.is_(None) if token is None else Attempt.token == token
    )
    connection.execute(
        update(Attempt)
        .where(Attempt.trial_id == trial_id, which)
        .values(outcome=outcome, reason=reason, ended_at=utc_now())
    )
