"""Screens: scores of subsets with shared weights, and how well they predict trials."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Engine, ForeignKey, delete, func, insert, select
from sqlalchemy.orm import Mapped, mapped_column

from storage import engine as engines
from storage.clock import utc_now
from storage.schema import Standing, Study, Table
from storage.studies import insert_new


class Screen(Table):
    """What shared weights say of one subset."""

    __tablename__ = "search_screens"

    study_id: Mapped[int] = mapped_column(
        ForeignKey("search_studies.id", ondelete="CASCADE"), primary_key=True
    )
    weights: Mapped[str] = mapped_column(primary_key=True)
    """`untrained` or `supernet`."""
    subset: Mapped[str] = mapped_column(primary_key=True)
    depth: Mapped[int]
    ndcg: Mapped[float]
    """Mean NDCG@10 over tasks, on a sample of queries and documents."""
    agreement: Mapped[float]
    """Correlation of its query-document similarities with those of the whole base."""


class ScreenFit(Table):
    """How well one measure of a screen predicts the trials of one depth."""

    __tablename__ = "search_screen_fits"

    study_id: Mapped[int] = mapped_column(
        ForeignKey("search_studies.id", ondelete="CASCADE"), primary_key=True
    )
    depth: Mapped[int] = mapped_column(primary_key=True)
    weights: Mapped[str] = mapped_column(primary_key=True)
    measure: Mapped[str] = mapped_column(primary_key=True)
    """`ndcg` or `agreement`."""
    subsets: Mapped[int]
    """Subsets that were screened and have a trial."""
    spearman: Mapped[float]
    spearman_low: Mapped[float]
    spearman_high: Mapped[float]
    recall: Mapped[float]
    """Share of the best by trial that are among as many best by screen: ten, or half of them."""
    recall_low: Mapped[float]
    recall_high: Mapped[float]
    measured_at: Mapped[datetime] = mapped_column(insert_default=utc_now())


@dataclass(frozen=True, slots=True)
class Screened:
    """One subset's scores by one kind of weights."""

    subset: str
    depth: int
    ndcg: float
    agreement: float


@dataclass(frozen=True, slots=True)
class Fit:
    """How well one measure of a screen predicts the trials of one depth; intervals are of 95 %."""

    depth: int
    weights: str
    measure: str
    subsets: int
    spearman: float
    spearman_low: float
    spearman_high: float
    recall: float
    recall_low: float
    recall_high: float


def record(engine: Engine, study_id: int, weights: str, found: Iterable[Screened]) -> None:
    """Add scores; a subset that has one with these weights keeps it."""
    rows = [{"study_id": study_id, "weights": weights, **asdict(one)} for one in found]
    if rows:
        with engines.write(engine) as connection:
            insert_new(connection, Screen, rows)


def scores(engine: Engine, study_id: int, depth: int | None = None) -> dict[str, list[Screened]]:
    """All scores by kind of weights, of one depth or of all."""
    query = select(Screen.weights, Screen.subset, Screen.depth, Screen.ndcg, Screen.agreement)
    query = query.where(Screen.study_id == study_id).order_by(Screen.weights, Screen.subset)
    if depth is not None:
        query = query.where(Screen.depth == depth)
    found: dict[str, list[Screened]] = {}
    with engines.read(engine) as connection:
        for row in connection.execute(query):
            one = Screened(row.subset, row.depth, row.ndcg, row.agreement)
            found.setdefault(row.weights, []).append(one)
    return found


def counts(engine: Engine, study_id: int) -> dict[tuple[str, int], int]:
    """Number of scored subsets by kind of weights and depth."""
    kind = (Screen.weights, Screen.depth)
    query = select(*kind, func.count()).where(Screen.study_id == study_id)
    with engines.read(engine) as connection:
        rows = connection.execute(query.group_by(*kind).order_by(*kind))
        return {(weights, depth): number for weights, depth, number in rows}


def means(engine: Engine, study_id: int, depth: int) -> dict[str, float]:
    """Mean over seeds of every subset of one depth that has a trial."""
    here = (Standing.study_id == study_id, Standing.depth == depth)
    with engines.read(engine) as connection:
        rows = connection.execute(select(Standing.subset, Standing.mean).where(*here))
        return {row.subset: row.mean for row in rows}


def record_fits(engine: Engine, study_id: int, depths: Sequence[int], fits: Sequence[Fit]) -> None:
    """Put `fits` in the place of what was known of `depths`."""
    rows = [{"study_id": study_id, "measured_at": utc_now(), **asdict(fit)} for fit in fits]
    with engines.write(engine) as connection:
        # one worker at a time: several may end together
        connection.execute(select(Study.id).where(Study.id == study_id).with_for_update())
        old = (ScreenFit.study_id == study_id, ScreenFit.depth.in_(depths))
        connection.execute(delete(ScreenFit).where(*old))
        for row in rows:
            connection.execute(insert(ScreenFit).values(row))
