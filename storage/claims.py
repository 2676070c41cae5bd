"""Claims: at most one worker holds a trial, and all workers together keep to the budget.

A claim is a row of `search_trials` in state `running`. It carries its owner, a lease that ends by
the database's clock, and a token that grows with every claim. A trial whose lease has run out, or
that was given back, is taken over before a new one is begun.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, func, insert, or_, select, update

from storage import attempts
from storage import engine as engines
from storage.clock import utc_now
from storage.errors import BudgetSpentError, ClaimTakenError, InputError
from storage.schema import BEYOND_BUDGET, REPLICATE, Depth, Trial

LEASE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Claim:
    """A trial held by this worker."""

    trial_id: int
    study_id: int
    depth: int
    subset: str
    seed: int
    token: int
    optuna_number: int | None
    origin: str = ""
    """Who chose the subset; see `storage.schema.Trial.origin`."""
    crashes: int = 0
    """How often its worker died or failed in an unforeseen way."""


def lease_seconds() -> float:
    """Seconds a claim lasts without being renewed: LAYER_SEARCH_LEASE, or two minutes.

    Raises:
        InputError: the variable is not a number of seconds of at least one.
    """
    text = os.environ.get("LAYER_SEARCH_LEASE", str(LEASE_SECONDS))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 86_400:  # noqa: PLR2004 - a day
        message = f"LAYER_SEARCH_LEASE is {text!r}: give seconds, from 1 to 86400"
        raise InputError(message)
    return seconds


def claim(
    engine: Engine,
    study_id: int,
    depth: int,
    *,
    subset: str,
    seed: int,
    origin: str,
    owner: str,
    lease: float = LEASE_SECONDS,
) -> Claim:
    """Begin a new trial of (subset, seed).

    Raises:
        BudgetSpentError: the depth has no trial left that its budget counts.
        ClaimTakenError: there is a trial of this (subset, seed) already.
    """
    with engines.write(engine) as connection:
        budget, taken = lock_depth(connection, study_id, depth)
        if held := _held_already(connection, study_id, owner, subset, seed):
            return held  # repeated after an outage that swallowed the answer
        same = (Trial.study_id == study_id, Trial.subset == subset, Trial.seed == seed)
        if connection.execute(select(Trial.id).where(*same)).first() is not None:
            message = f"{subset} with seed {seed} is taken"
            raise ClaimTakenError(message)
        if origin not in BEYOND_BUDGET:
            if taken >= budget:
                message = f"all {budget} trials of depth {depth} are taken"
                raise BudgetSpentError(message)
            here = (Depth.study_id == study_id, Depth.depth == depth)
            connection.execute(update(Depth).where(*here).values(taken=taken + 1))
        begun = {"state": "running", "owner": owner, "token": 1, "started_at": utc_now()}
        values = _new(study_id, depth, subset, seed, origin) | begun
        values["lease_until"] = utc_now(lease)
        added = insert(Trial).values(values).returning(*Trial.__table__.columns)
        row = connection.execute(added).one()
        attempts.begin(connection, row.id, 1, owner)
        return _claim_of(row)


def _new(study_id: int, depth: int, subset: str, seed: int, origin: str) -> dict[str, Any]:
    """Column values of a trial that nobody has claimed."""
    return {
        "study_id": study_id, "depth": depth, "subset": subset, "seed": seed, "origin": origin,
        "state": "waiting", "token": 0, "crashes": 0, "told": False,
    }  # fmt: skip


def repeat(engine: Engine, study_id: int, depth: int, pairs: Sequence[tuple[str, int]]) -> int:
    """Add trials of the (subset, seed) in `pairs` for any worker to take; returns how many are new.

    No budget counts them.
    """
    with engines.write(engine) as connection:
        lock_depth(connection, study_id, depth)
        known = select(Trial.subset, Trial.seed).where(Trial.study_id == study_id)
        there = {(row.subset, row.seed) for row in connection.execute(known)}
        rows = [
            _new(study_id, depth, subset, seed, REPLICATE)
            for subset, seed in pairs
            if (subset, seed) not in there
        ]
        if rows:
            connection.execute(insert(Trial), rows)
        return len(rows)


def _held_already(
    connection: Connection, study_id: int, owner: str, subset: str, seed: int
) -> Claim | None:
    """The claim of (subset, seed) that `owner` was given without hearing of it."""
    same = (Trial.study_id == study_id, Trial.subset == subset, Trial.seed == seed)
    mine = (*same, Trial.state == "running", Trial.owner == owner)
    row = connection.execute(select(Trial.__table__).where(*mine)).first()
    return None if row is None else _claim_of(row)


def _claim_of(row: Row[Any], **changed: int | None) -> Claim:
    """The claim that a row of `search_trials` describes."""
    fields = (
        "study_id", "depth", "subset", "seed", "token", "optuna_number", "origin", "crashes",
    )  # fmt: skip
    values = {name: getattr(row, name) for name in fields}
    return Claim(trial_id=row.id, **{**values, **changed})


def lock_depth(connection: Connection, study_id: int, depth: int) -> tuple[int, int]:
    """Budget of a depth and trials taken of it, locked until the transaction ends.

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


def take_over(
    engine: Engine,
    study_id: int,
    depths: Sequence[int],
    *,
    owner: str,
    lease: float = LEASE_SECONDS,
    only: tuple[str, int] | None = None,
) -> Claim | None:
    """Go on with a trial that was given back or whose worker is gone; None when there is none.

    Args:
        engine: the store.
        study_id: the study.
        depths: the depths to look at.
        owner: who takes it over.
        lease: seconds until it may be taken over again.
        only: look at this (subset, seed) only, and try it again even if it failed.
    """
    idle = or_(
        Trial.state == "waiting",
        (Trial.state == "running") & (Trial.lease_until < utc_now()),
        # what this worker holds without knowing: an outage swallowed the answer
        (Trial.state == "running") & (Trial.owner == owner),
    )
    here: list[ColumnElement[bool]] = [Trial.study_id == study_id, Trial.depth.in_(depths), idle]
    if only is not None:
        same = (Trial.subset == only[0]) & (Trial.seed == only[1])
        here = [Trial.study_id == study_id, same, or_(idle, Trial.state == "failed")]
    with engines.write(engine) as connection:
        lives = (Trial.lease_until >= utc_now()).label("lives")
        row = connection.execute(
            select(Trial.__table__, lives)
            .where(*here)
            .order_by(Trial.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        ).first()
        if row is None:
            return None
        if row.state == "running" and row.owner == owner and row.lives:
            return _claim_of(row)
        again = row.state == "failed"  # Optuna cannot reopen a finished trial, so it gets a new one
        number = None if again else row.optuna_number
        # a lease that ran out is a worker that died; a failed trial that is asked for starts anew
        crashes = 0 if again else row.crashes + (row.state == "running")
        connection.execute(
            update(Trial)
            .where(Trial.id == row.id)
            .values(
                state="running",
                owner=owner,
                token=row.token + 1,
                crashes=crashes,
                lease_until=utc_now(lease),
                started_at=utc_now(),
                finished_at=None,
                error=None,
                optuna_number=number,
                told=False,
            )
        )
        attempts.end(connection, row.id, "died", "its lease ran out")
        attempts.begin(connection, row.id, row.token + 1, owner)
    return _claim_of(row, token=row.token + 1, crashes=crashes, optuna_number=number)


def renew(engine: Engine, held: Claim, lease: float = LEASE_SECONDS) -> bool:
    """Extend the lease of `held`; False when the claim is no longer ours."""
    with engines.write(engine) as connection:
        renewed = connection.execute(
            update(Trial).where(*ours(held)).values(lease_until=utc_now(lease))
        )
    return renewed.rowcount == 1


def link(engine: Engine, held: Claim, optuna_number: int) -> bool:
    """Remember which Optuna trial mirrors `held`; False when the claim is no longer ours."""
    with engines.write(engine) as connection:
        linked = connection.execute(
            update(Trial).where(*ours(held)).values(optuna_number=optuna_number)
        )
    return linked.rowcount == 1


def remaining(engine: Engine, study_id: int, depth: int) -> int:
    """Number of trials that may still be claimed."""
    here = (Depth.study_id == study_id, Depth.depth == depth)
    with engines.read(engine) as connection:
        row = connection.execute(select(Depth.budget, Depth.taken).where(*here)).first()
    return 0 if row is None else max(0, row.budget - row.taken)


def state(engine: Engine, study_id: int, subset: str, seed: int) -> str | None:
    """State of the trial of (subset, seed); None when there is none."""
    here = (Trial.study_id == study_id, Trial.subset == subset, Trial.seed == seed)
    with engines.read(engine) as connection:
        return connection.execute(select(Trial.state).where(*here)).scalar()


def unfinished(engine: Engine, study_id: int, depths: Sequence[int]) -> int:
    """Number of trials that somebody holds, or has given back."""
    live = Trial.state.in_(("running", "waiting"))
    here = (Trial.study_id == study_id, Trial.depth.in_(depths), live)
    with engines.read(engine) as connection:
        return connection.execute(select(func.count()).where(*here)).scalar_one()


def ours(held: Claim) -> tuple[ColumnElement[bool], ...]:
    """Conditions under which the claim is still this worker's."""
    return (Trial.id == held.trial_id, Trial.token == held.token, Trial.state == "running")
