"""The history of a trial: who claimed it when, and how that ended."""

from sqlalchemy import ColumnElement, Connection, insert, update

from storage.database import utc_now
from storage.schema import Attempt
from storage.states import AttemptOutcome


def begin_attempt(connection: Connection, trial_id: int, token: int, owner: str) -> None:
    """Note that `owner` has claimed the trial."""
    values = {"trial_id": trial_id, "token": token, "owner": owner}
    connection.execute(insert(Attempt).values(values))


def end_attempts(
    connection: Connection,
    trial_id: int,
    outcome: AttemptOutcome,
    reason: str | None = None,
    *,
    token: int | None = None,
) -> None:
    """Note how one attempt at a trial ended, or all of its attempts that last.

    Args:
        connection: the transaction that ends it.
        trial_id: its trial.
        outcome: how it ended.
        reason: a remark on that.
        token: the attempt, even if it was noted as ended (a worker thought dead may yet deliver);
            all attempts of the trial that last when left out.
    """
    which: ColumnElement[bool] = (
        Attempt.outcome.is_(None) if token is None else Attempt.token == token
    )

    connection.execute(
        update(Attempt)
        .where(Attempt.trial_id == trial_id, which)
        .values(outcome=outcome, reason=reason, ended_at=utc_now())
    )


def take_back(connection: Connection, trial_id: int, token: int, *, lasts: bool) -> bool:
    """Take back that the worker of one attempt has died; False if nobody said so.

    Args:
        connection: a transaction.
        trial_id: the trial.
        token: the attempt.
        lasts: whether the attempt may still end otherwise; if not, another one ended the trial.
    """
    given_up = (
        Attempt.trial_id == trial_id,
        Attempt.token == token,
        Attempt.outcome == AttemptOutcome.DIED,
    )
    end = {"outcome": AttemptOutcome.SUPERSEDED, "ended_at": utc_now()}
    values = {"reason": None, **({"outcome": None, "ended_at": None} if lasts else end)}
    return connection.execute(update(Attempt).where(*given_up).values(values)).rowcount == 1
