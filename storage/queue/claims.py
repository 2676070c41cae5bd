"""Claims: at most one worker holds a trial, and all workers together keep to the budget.

A claim is a row of `search_trials` in state `running`. It carries its owner, a lease that ends by
the database's clock, and a token that grows with every claim. A trial whose lease has run out, or
that was given back, is taken over before a new one is begun.

The functions work inside a transaction of their caller, `storage.queue.trial_queue`; only
`enqueue`, which needs no worker, opens its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, insert, or_, select, update

from storage.database import utc_now, write
from storage.errors import BudgetSpentError, ClaimTakenError, InputError
from storage.queue.attempts import begin_attempt, end_attempts, take_back
from storage.queue.worker_id import WorkerId
from storage.schema import Depth, Trial
from storage.states import AttemptOutcome, Origin, TrialState
from storage.values.subset_key import Subset, format_subset

_EXPIRED = "its lease ran out"
"""Reason for which an attempt ended."""


@dataclass(frozen=True, slots=True)
class NewTrial:
    """A trial to begin.

    Attributes:
        subset: the kept layers.
        seed: decides everything that a fine-tune leaves to chance.
        origin: the reason for which it is begun.
        sampler: name of the sampler that proposed it; None for any other origin.
    """

    subset: Subset
    seed: int
    origin: Origin
    sampler: str | None = None

    @property
    def depth(self) -> int:
        """Number of kept layers."""
        return len(self.subset)


@dataclass(frozen=True, slots=True)
class Claim:
    """A trial held by this worker.

    Attributes:
        trial_id: its number in the store.
        study_id: number of its study.
        subset: the kept layers.
        seed: its seed.
        token: tells this claim from earlier and later ones of the same trial.
        optuna_number: number of the Optuna trial that mirrors it; None before there is one.
        origin: the reason for which it was begun; unknown for a claim from the outbox.
        crashes: how often its worker died or failed in an unforeseen way.
    """

    trial_id: int
    study_id: int
    subset: Subset
    seed: int
    token: int
    optuna_number: int | None = None
    origin: Origin = Origin.SAMPLER
    crashes: int = 0

    @property
    def depth(self) -> int:
        """Number of kept layers."""
        return len(self.subset)

    @property
    def key(self) -> str:
        """The canonical key of its subset, for people."""
        return format_subset(self.subset)


@dataclass(frozen=True, slots=True)
class Holder:
    """A worker that claims trials of one study.

    Attributes:
        study_id: the study.
        worker: the worker.
        lease: seconds that a claim lasts without being renewed.
    """

    study_id: int
    worker: WorkerId
    lease: float

    @property
    def owner(self) -> str:
        """The worker as the store names it."""
        return str(self.worker)


def begin_trial(connection: Connection, holder: Holder, trial: NewTrial) -> Claim:
    """Insert `trial` as claimed by `holder`.

    Raises:
        BudgetSpentError: the depth has no trial left that its budget counts.
        ClaimTakenError: there is a trial of this (subset, seed) already.
        InputError: the study was deleted.
    """
    study_id = holder.study_id
    budget, taken = lock_depth(connection, study_id, trial.depth)

    # repeated after an outage that swallowed the answer: this worker holds it without knowing
    same = (Trial.study_id == study_id, Trial.subset == trial.subset, Trial.seed == trial.seed)
    there = connection.execute(select(Trial.__table__).where(*same)).first()
    if there is not None:
        if there.state == TrialState.RUNNING and there.owner == holder.owner:
            return _claim_of(there)
        message = f"{format_subset(trial.subset)} with seed {trial.seed} is taken"
        raise ClaimTakenError(message)

    if trial.origin.is_budgeted:
        if taken >= budget:
            message = f"all {budget} trials of depth {trial.depth} are taken"
            raise BudgetSpentError(message)
        here = (Depth.study_id == study_id, Depth.depth == trial.depth)
        connection.execute(update(Depth).where(*here).values(taken=taken + 1))

    claimed = {
        "state": TrialState.RUNNING,
        "owner": holder.owner,
        "token": 1,
        "started_at": utc_now(),
        "lease_until": utc_now(holder.lease),
    }
    added = insert(Trial).values(_unclaimed(study_id, trial) | claimed)
    row = connection.execute(added.returning(*Trial.__table__.columns)).one()
    begin_attempt(connection, row.id, 1, holder.owner)
    return _claim_of(row)


def enqueue(engine: Engine, study_id: int, trials: Sequence[NewTrial]) -> int:
    """Add trials for any worker to take, and return how many were not there yet.

    Args:
        engine: the store.
        study_id: the study.
        trials: of one depth, none of which its budget counts.
    """
    if not trials:
        return 0

    with write(engine) as connection:
        lock_depth(connection, study_id, trials[0].depth)
        known = select(Trial.subset, Trial.seed).where(Trial.study_id == study_id)
        there = {(row.subset, row.seed) for row in connection.execute(known)}

        rows = [
            _unclaimed(study_id, trial)
            for trial in trials
            if (trial.subset, trial.seed) not in there
        ]
        if rows:
            connection.execute(insert(Trial), rows)
        return len(rows)


def _unclaimed(study_id: int, trial: NewTrial) -> dict[str, Any]:
    """Return the column values of a trial that nobody has claimed."""
    return {
        "study_id": study_id,
        "depth": trial.depth,
        "subset": trial.subset,
        "seed": trial.seed,
        "origin": trial.origin,
        "sampler": trial.sampler,
        "state": TrialState.WAITING,
        "token": 0,
        "crashes": 0,
        "mirrored": False,
    }


def _claim_of(row: Row[Any], **changed: int | None) -> Claim:
    """Return the claim that a row of `search_trials` describes."""
    fields = ("study_id", "subset", "seed", "token", "optuna_number", "origin", "crashes")
    values = {name: getattr(row, name) for name in fields}
    return Claim(trial_id=row.id, **{**values, **changed})


def lock_depth(connection: Connection, study_id: int, depth: int) -> tuple[int, int]:
    """Lock a depth until the transaction ends, and return its budget and its trials taken.

    Raises:
        InputError: the study was deleted.
    """
    here = (Depth.study_id == study_id, Depth.depth == depth)
    columns = select(Depth.budget, Depth.taken).where(*here).with_for_update()

    row = connection.execute(columns).first()
    if row is None:
        message = f"depth {depth} is no longer in the store: its study was deleted"
        raise InputError(message)
    return row.budget, row.taken


def take_idle(
    connection: Connection, holder: Holder, depths: Sequence[int], *, reference: bool
) -> Claim | None:
    """Claim a trial that was given back or whose worker is gone; None when there is none."""
    return _take(connection, holder, is_wanted(depths, reference=reference) & _is_idle(holder))


def is_wanted(depths: Sequence[int], *, reference: bool) -> ColumnElement[bool]:
    """Return the condition that admits trials of `depths`, and references if wanted."""
    at_depths = Trial.depth.in_(depths)
    return at_depths | (Trial.origin == Origin.REFERENCE) if reference else at_depths


def count_running(connection: Connection, host: str, but: WorkerId) -> int:
    """Return the number of trials, of all studies, that workers of `host` run now.

    Args:
        connection: a transaction.
        host: name of the host.
        but: a worker that does not count.
    """
    running = (Trial.state == TrialState.RUNNING, Trial.lease_until >= utc_now())
    owners = connection.execute(select(Trial.owner).where(*running)).scalars()
    return sum(
        WorkerId.parse(owner).host == host for owner in owners if owner and owner != str(but)
    )


def reopen(connection: Connection, holder: Holder, subset: Subset, seed: int) -> Claim | None:
    """Claim one trial that is idle or has failed; None when it is neither."""
    same = (Trial.subset == subset) & (Trial.seed == seed)
    return _take(connection, holder, same & or_(_is_idle(holder), Trial.state == TrialState.FAILED))


def _is_idle(holder: Holder) -> ColumnElement[bool]:
    """Return the condition under which nobody works on a trial."""
    running = Trial.state == TrialState.RUNNING
    return or_(
        Trial.state == TrialState.WAITING,
        running & (Trial.lease_until < utc_now()),
        # this worker holds it without knowing: an outage swallowed the answer
        running & (Trial.owner == holder.owner),
    )


def _take(connection: Connection, holder: Holder, which: ColumnElement[bool]) -> Claim | None:
    """Claim the oldest trial that `which` admits."""
    lease_is_good = (Trial.lease_until >= utc_now()).label("lease_is_good")
    row = connection.execute(
        select(Trial.__table__, lease_is_good)
        .where(Trial.study_id == holder.study_id, which)
        .order_by(Trial.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).first()
    if row is None:
        return None
    if row.state == TrialState.RUNNING and row.owner == holder.owner and row.lease_is_good:
        return _claim_of(row)

    # a failed trial that is asked for starts anew; Optuna cannot reopen a finished trial, so it
    # gets a new one there
    again = row.state == TrialState.FAILED
    optuna_number = None if again else row.optuna_number
    crashes = 0 if again else row.crashes
    if row.state == TrialState.RUNNING:
        crashes += _end_expired(connection, row, holder)

    claimed = {
        "state": TrialState.RUNNING,
        "owner": holder.owner,
        "token": row.token + 1,
        "crashes": crashes,
        "lease_until": utc_now(holder.lease),
        "started_at": utc_now(),
        "finished_at": None,
        "error": None,
        "set_aside": False,
        "optuna_number": optuna_number,
        "mirrored": False,
    }
    connection.execute(update(Trial).where(Trial.id == row.id).values(claimed))
    begin_attempt(connection, row.id, row.token + 1, holder.owner)
    return _claim_of(row, token=row.token + 1, crashes=crashes, optuna_number=optuna_number)


def _end_expired(connection: Connection, row: Row[Any], holder: Holder) -> int:
    """Note the end of an attempt whose lease ran out, and return 1 if its worker died of it.

    A worker that nobody here can see is taken for dead, until it shows that it lives (`revive`).
    One that is seen to live may be at it yet: its attempt lasts.
    """
    if row.owner == holder.owner:  # not at it: it is asking for a trial
        end_attempts(connection, row.id, AttemptOutcome.INTERRUPTED, _EXPIRED, token=row.token)
        return 0
    if row.owner and WorkerId.parse(row.owner).is_alive():
        return 0
    end_attempts(connection, row.id, AttemptOutcome.DIED, _EXPIRED, token=row.token)
    return 1


def renew(connection: Connection, claim: Claim, lease: float) -> bool:
    """Extend the lease of `claim` to `lease` seconds; False when the claim is no longer ours."""
    renewed = connection.execute(
        update(Trial).where(*is_held(claim)).values(lease_until=utc_now(lease))
    )
    if renewed.rowcount == 0:
        revive(connection, claim)
    return renewed.rowcount == 1


def revive(connection: Connection, claim: Claim) -> bool:
    """Take back that the worker of a lost claim has died, as it lives; False if nobody said so.

    It may have paused for longer than its lease, or the clock of the database may have jumped. Its
    attempt lasts again, or was superseded if the trial is finished.
    """
    is_live = Trial.state.in_((TrialState.RUNNING, TrialState.WAITING))
    state = select(is_live).where(Trial.id == claim.trial_id)
    lasts = bool(connection.execute(state).scalar())
    if not take_back(connection, claim.trial_id, claim.token, lasts=lasts):
        return False

    # a failed trial that is tried again starts with no deaths: those before do not count
    is_counted = or_(Trial.result_token.is_(None), Trial.result_token < claim.token)
    same = (Trial.id == claim.trial_id, is_live, is_counted, Trial.crashes > 0)
    connection.execute(update(Trial).where(*same).values(crashes=Trial.crashes - 1))
    return True


def is_held(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions under which `claim` is still this worker's."""
    return (
        Trial.id == claim.trial_id,
        Trial.token == claim.token,
        Trial.state == TrialState.RUNNING,
    )
