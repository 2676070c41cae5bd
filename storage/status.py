"""Where studies stand: counts, live workers, pace."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, case, distinct, func, select

from storage import engine as engines
from storage.clock import utc_now
from storage.schema import BEYOND_BUDGET, SET_ASIDE, Depth, Study, Trial

WINDOW_SECONDS = 3600.0
"""What the pace is measured over: the last hour."""


@dataclass(frozen=True, slots=True)
class DepthStatus:
    """Where one depth of a study stands; counts are of the trials that the budget counts.

    Attributes:
        study: name of the study.
        base: name of its base.
        depth: the depth.
        budget: trials that may be claimed.
        complete: trials with a score.
        running: trials that a worker holds.
        waiting: trials that were given back.
        failed: trials without a score, those set aside included.
        set_aside: trials that ended too many of their workers.
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


def status(engine: Engine, study: str | None = None) -> list[DepthStatus]:
    """Where every depth stands, of `study` or of all studies."""
    counted = Trial.origin.not_in(BEYOND_BUDGET)

    def number(condition: Any) -> Any:  # noqa: ANN401 - SQLAlchemy's own type is a mouthful
        return func.count(case((condition, 1)))

    recent = Trial.finished_at > utc_now(-WINDOW_SECONDS)
    alive = (Trial.state == "running") & (Trial.lease_until > utc_now())
    states = [
        number((Trial.state == state) & counted).label(state)
        for state in ("complete", "running", "waiting", "failed")
    ]
    query = (
        select(
            Study.name.label("study"), Study.base, Depth.depth, Depth.budget, *states,
            number(Trial.error.startswith(SET_ASIDE)).label("set_aside"),
            number(~counted).label("beyond"),
            func.max(Trial.mean).label("best"),
            func.count(distinct(case((alive, Trial.owner)))).label("workers"),
            number(recent).label("recent"),
            func.min(case((recent, Trial.started_at))).label("since"),
            Study.created_at.label("began"),
            utc_now().label("now"),
        )
        .join(Depth, Depth.study_id == Study.id)
        .outerjoin(Trial, (Trial.study_id == Depth.study_id) & (Trial.depth == Depth.depth))
        .group_by(Study.name, Study.base, Depth.depth, Depth.budget, Study.created_at)
        .order_by(Study.name, Depth.depth)
    )  # fmt: skip
    if study is not None:
        query = query.where(Study.name == study)
    with engines.read(engine) as connection:
        return [_paced(dict(row)) for row in connection.execute(query).mappings()]


def _paced(row: dict[str, Any]) -> DepthStatus:
    """The row with its pace, measured by the database's clock."""
    recent, since, now = (row.pop(name) for name in ("recent", "since", "now"))
    per_hour = hours_left = None
    if recent and row["workers"]:
        seconds = min(WINDOW_SECONDS, max(1.0, (now - since).total_seconds()))
        per_hour = recent * 3600 / seconds
        open_trials = max(0, row["budget"] - row["complete"] - row["failed"])
        hours_left = open_trials / per_hour
    return DepthStatus(**row, per_hour=per_hour, hours_left=hours_left)
