"""The progress of studies: counts, live workers, pace."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, Function, case, distinct, func, select

from storage.database import read, utc_now
from storage.schema import Depth, Study, Trial
from storage.states import UNBUDGETED, TrialState

WINDOW_SECONDS = 3600.0
"""Seconds that the pace is measured over: the last hour, as `trials per hour` suggests."""


@dataclass(frozen=True, slots=True)
class DepthStatus:
    """The progress of one depth of a study; counts are of trials that the budget counts.

    Attributes:
        study: name of the study.
        base: name of its base.
        depth: the depth.
        budget: trials that may be claimed.
        complete: trials with a score.
        running: trials that a worker holds.
        waiting: trials that were given back.
        failed: trials without a score, the ones set aside included.
        set_aside: trials that ended too many of their workers, of any origin.
        beyond: trials that no budget counts, chosen by hand or repeated, in any state.
        best: best score of all trials.
        workers: workers whose lease is good.
        per_hour: trials that ended in the last hour, or in the time since the first of them began.
        hours_left: hours until the budget is used up at that pace; None when there is none.
        began: when the study began, UTC.
    """

    study: str
    base: str
    depth: int
    budget: int
    complete: int
    running: int
    waiting: int
    failed: int
    set_aside: int
    beyond: int
    best: float | None
    workers: int
    per_hour: float | None
    hours_left: float | None
    began: datetime


def depth_statuses(engine: Engine, study: str | None = None) -> list[DepthStatus]:
    """Return the progress of every depth, of `study` or of all studies."""
    budgeted = Trial.origin.not_in(UNBUDGETED)
    recent = Trial.finished_at > utc_now(-WINDOW_SECONDS)
    alive = (Trial.state == TrialState.RUNNING) & (Trial.lease_until > utc_now())

    counts = [
        _count((Trial.state == state) & budgeted).label(state.value)
        for state in (
            TrialState.COMPLETE,
            TrialState.RUNNING,
            TrialState.WAITING,
            TrialState.FAILED,
        )
    ]
    query = (
        select(
            Study.name.label("study"),
            Study.base,
            Depth.depth,
            Depth.budget,
            *counts,
            _count(Trial.set_aside.is_(True)).label("set_aside"),
            _count(~budgeted).label("beyond"),
            func.max(Trial.mean).label("best"),
            func.count(distinct(case((alive, Trial.owner)))).label("workers"),
            _count(recent).label("recent"),
            func.min(case((recent, Trial.started_at))).label("since"),
            Study.created_at.label("began"),
            utc_now().label("now"),
        )
        .join(Depth, Depth.study_id == Study.id)
        .outerjoin(Trial, (Trial.study_id == Depth.study_id) & (Trial.depth == Depth.depth))
        .group_by(Study.name, Study.base, Depth.depth, Depth.budget, Study.created_at)
        .order_by(Study.name, Depth.depth)
    )
    if study is not None:
        query = query.where(Study.name == study)

    with read(engine) as connection:
        return [_with_pace(dict(row)) for row in connection.execute(query).mappings()]


def _count(condition: ColumnElement[bool]) -> Function[int]:
    """Return SQL for the number of rows that meet `condition`."""
    return func.count(case((condition, 1)))


def _with_pace(row: dict[str, Any]) -> DepthStatus:
    """Return the progress that `row` describes, with its pace by the database's clock."""
    recent, since, now = (row.pop(name) for name in ("recent", "since", "now"))

    per_hour = hours_left = None
    if recent and row["workers"]:
        seconds = min(WINDOW_SECONDS, max(1.0, (now - since).total_seconds()))
        per_hour = recent * 3600 / seconds
        open_trials = max(0, row["budget"] - row["complete"] - row["failed"])
        hours_left = open_trials / per_hour

    return DepthStatus(**row, per_hour=per_hour, hours_left=hours_left)
