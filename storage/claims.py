"""Claims: at most one worker holds a trial, and all workers together keep to the budget.

A claim is a row of `search_trials` in state `running`. It carries its owner, a lease that ends by
the database's clock, and a token that grows with every claim. A trial whose lease has run out, or
that was given back, is taken over before a new one is begun.
"""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import ColumnElement, Connection, Engine, Row, func, insert, or_, select, update

from storage import engine as engines
from storage.clock import utc_now
from storage.errors import BudgetSpentError, ClaimTakenError
from storage.schema import MANUAL, Depth, Trial

LEASE_SECONDS = 120.0
_RELEASED = {"state": "waiting", "owner": None, "lease_until": None}


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
    breaks: int = 0
    """How often its worker died or failed in an unforeseen way."""


def this_worker() -> str:
    """Name of this process that no other process, past or present, shares."""
    return _owner(os.getpid())


def _owner(pid: int) -> str:
    """host:pid:start:boot:namespace; a reused pid starts later, a container has its own namespace.

    Hosts may share a name, and the first namespace has one number on all of them: `boot` tells them
    apart. `start` counts ticks from boot where it can: a start by the wall clock moves with it.
    """
    process = psutil.Process(pid)
    stat, boot, namespace = map(
        Path, (f"/proc/{pid}/stat", "/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid")
    )
    if not (stat.exists() and boot.exists() and namespace.exists()):
        return f"{socket.gethostname()}:{pid}:{process.create_time():.2f}:"
    start = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    inside = f"{boot.read_text(encoding='ascii').strip()}:{namespace.readlink()}"
    return f"{socket.gethostname()}:{pid}:{start}:{inside}"


def _is_dead(owner: str) -> bool:
    """Whether `owner` was a process of this host that has ended; False where we cannot know."""
    host, pid, *_ = owner.split(":", 2)
    mine = this_worker()
    if host != socket.gethostname() or owner.split(":", 3)[3:] != mine.split(":", 3)[3:]:
        return False
    try:
        if psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE:
            return True  # ended, and its parent has not asked how
        return _owner(int(pid)) != owner
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return True
    except psutil.AccessDenied:
        return False


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
        BudgetSpentError: the depth has no trial left; `manual` trials are not counted.
        ClaimTakenError: there is a trial of this (subset, seed) already.
    """
    with engines.write(engine) as connection:
        budget = _locked_budget(connection, study_id, depth)
        same = (Trial.study_id == study_id, Trial.subset == subset, Trial.seed == seed)
        taken = connection.execute(select(Trial.__table__).where(*same)).first()
        if taken is not None and (taken.state, taken.owner) == ("running", owner):
            return _claim_of(taken)  # repeated after an outage that swallowed the answer
        if taken is not None:
            message = f"{subset} with seed {seed} is taken"
            raise ClaimTakenError(message)
        if origin != MANUAL and _counted(connection, study_id, depth) >= budget:
            message = f"all {budget} trials of depth {depth} are taken"
            raise BudgetSpentError(message)
        values = {
            "study_id": study_id,
            "depth": depth,
            "subset": subset,
            "seed": seed,
            "origin": origin,
            "state": "running",
            "owner": owner,
            "token": 1,
            "breaks": 0,
            "lease_until": utc_now(lease),
            "told": False,
            "started_at": utc_now(),
        }
        begun = insert(Trial).values(values).returning(*Trial.__table__.columns)
        return _claim_of(connection.execute(begun).one())


def _claim_of(row: Row[Any], **changed: int | None) -> Claim:
    """The claim that a row of `search_trials` describes."""
    fields = ("study_id", "depth", "subset", "seed", "token", "breaks", "optuna_number")
    values = {name: getattr(row, name) for name in fields}
    return Claim(trial_id=row.id, **{**values, **changed})


def _locked_budget(connection: Connection, study_id: int, depth: int) -> int:
    """The budget, locked until the transaction ends: one claim of a depth at a time."""
    here = (Depth.study_id == study_id, Depth.depth == depth)
    return connection.execute(select(Depth.budget).where(*here).with_for_update()).scalar_one()


def _counted(connection: Connection, study_id: int, depth: int) -> int:
    here = (Trial.study_id == study_id, Trial.depth == depth, Trial.origin != MANUAL)
    return connection.execute(select(func.count()).where(*here)).scalar_one()


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
    )
    here: list[ColumnElement[bool]] = [Trial.study_id == study_id, Trial.depth.in_(depths), idle]
    if only is not None:
        same = (Trial.subset == only[0]) & (Trial.seed == only[1])
        here = [Trial.study_id == study_id, same, or_(idle, Trial.state == "failed")]
    with engines.write(engine) as connection:
        row = connection.execute(
            select(Trial.__table__)
            .where(*here)
            .order_by(Trial.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        ).first()
        if row is None:
            return None
        again = row.state == "failed"  # Optuna cannot reopen a finished trial, so it gets a new one
        number = None if again else row.optuna_number
        # a lease that ran out is a worker that died; a failed trial that is asked for starts anew
        breaks = 0 if again else row.breaks + (row.state == "running")
        connection.execute(
            update(Trial)
            .where(Trial.id == row.id)
            .values(
                state="running",
                owner=owner,
                token=row.token + 1,
                breaks=breaks,
                lease_until=utc_now(lease),
                started_at=utc_now(),
                finished_at=None,
                error=None,
                optuna_number=number,
                told=False,
            )
        )
    return _claim_of(row, token=row.token + 1, breaks=breaks, optuna_number=number)


def renew(engine: Engine, held: Claim, lease: float = LEASE_SECONDS) -> bool:
    """Extend the lease of `held`; False when the claim is no longer ours."""
    with engines.write(engine) as connection:
        renewed = connection.execute(
            update(Trial).where(*_ours(held)).values(lease_until=utc_now(lease))
        )
    return renewed.rowcount == 1


def give_back(engine: Engine, held: Claim, *, broke: bool = False) -> None:
    """Return `held`, so that any worker can take it at once; `broke` counts it as a break."""
    breaks = held.breaks + broke
    with engines.write(engine) as connection:
        connection.execute(update(Trial).where(*_ours(held)).values(breaks=breaks, **_RELEASED))


def give_back_all(engine: Engine, study_id: int, owner: str) -> None:
    """Return whatever `owner` still holds of a study."""
    held = (Trial.study_id == study_id, Trial.owner == owner, Trial.state == "running")
    with engines.write(engine) as connection:
        connection.execute(update(Trial).where(*held).values(_RELEASED))


def release_dead(engine: Engine, study_id: int) -> int:
    """Return the trials of workers of this host that have ended; returns how many."""
    running = (Trial.study_id == study_id, Trial.state == "running")
    with engines.read(engine) as connection:
        rows = connection.execute(select(Trial.id, Trial.owner, Trial.token).where(*running)).all()
    dead = [row for row in rows if row.owner and _is_dead(row.owner)]
    if not dead:
        return 0
    with engines.write(engine) as connection:
        for row in dead:
            same = (Trial.id == row.id, Trial.token == row.token, Trial.state == "running")
            broken = update(Trial).where(*same).values(breaks=Trial.breaks + 1, **_RELEASED)
            connection.execute(broken)
    return len(dead)


def link(engine: Engine, held: Claim, optuna_number: int) -> None:
    """Remember which Optuna trial mirrors `held`."""
    with engines.write(engine) as connection:
        connection.execute(
            update(Trial).where(Trial.id == held.trial_id).values(optuna_number=optuna_number)
        )


def remaining(engine: Engine, study_id: int, depth: int) -> int:
    """Number of trials that may still be claimed."""
    here = (Depth.study_id == study_id, Depth.depth == depth)
    with engines.read(engine) as connection:
        budget = connection.execute(select(Depth.budget).where(*here)).scalar_one()
        return max(0, budget - _counted(connection, study_id, depth))


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


def _ours(held: Claim) -> tuple[ColumnElement[bool], ...]:
    """Conditions under which the claim is still this worker's."""
    return (Trial.id == held.trial_id, Trial.token == held.token, Trial.state == "running")
