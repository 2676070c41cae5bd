"""The tables. Optuna keeps its own (`studies`, `trials`, ...) in the same database; ours differ.

Ours are the truth; Optuna's are what its dashboard and samplers read.
"""

from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import (
    JSON,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from storage.clock import utc_now

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


State = Literal["waiting", "running", "complete", "failed"]
"""`waiting` was given back and can be taken at once; the rest says itself."""


MANUAL = "manual"
"""Origin of a trial that was chosen by hand, which no budget counts."""


class Table(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {dict[str, Any]: JSON, datetime: DateTime, State: String}  # noqa: RUF012 - SQLAlchemy's


class Study(Table):
    """One study file: all its depths."""

    __tablename__ = "search_studies"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    file: Mapped[dict[str, Any]]
    """The whole study file."""
    folder: Mapped[str]
    """Folder its relative paths start from, on the machine that began the study."""
    recipe_hash: Mapped[str]
    base: Mapped[str]
    """Short name of the base."""
    layers: Mapped[int]
    period: Mapped[int | None]
    fingerprints: Mapped[dict[str, Any]]
    """SHA-256 of base and data when the study began."""
    created_at: Mapped[datetime] = mapped_column(insert_default=utc_now())


class Depth(Table):
    """One depth of a study, with its budget; Optuna's study of the same name mirrors it."""

    __tablename__ = "search_depths"

    study_id: Mapped[int] = mapped_column(
        ForeignKey("search_studies.id", ondelete="CASCADE"), primary_key=True
    )
    depth: Mapped[int] = mapped_column(primary_key=True)
    budget: Mapped[int]
    """Trials that workers may claim."""
    optuna_study: Mapped[str] = mapped_column(unique=True)


class Trial(Table):
    """One (subset, seed), held by at most one worker at a time."""

    __tablename__ = "search_trials"
    __table_args__ = (
        UniqueConstraint("study_id", "subset", "seed"),
        Index(None, "study_id", "depth", "state"),
        ForeignKeyConstraint(
            ["study_id", "depth"],
            ["search_depths.study_id", "search_depths.depth"],
            ondelete="CASCADE",
        ),
        CheckConstraint(f"state IN {get_args(State)}", name="state"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int]
    depth: Mapped[int]
    subset: Mapped[str]
    seed: Mapped[int]
    origin: Mapped[str]
    """Who chose the subset: `first`, the sampler's name, or `manual`, which no budget counts."""
    state: Mapped[State]
    owner: Mapped[str | None]
    """Worker that holds it, or held it last: host:pid:start:boot:namespace."""
    token: Mapped[int]
    """Grows with every claim, so that a result can tell which claim it belongs to."""
    breaks: Mapped[int]
    """How often its worker died or failed in an unforeseen way."""
    result_token: Mapped[int | None]
    """Token of the claim whose result counts."""
    lease_until: Mapped[datetime | None]
    """By the database's clock, UTC; a running trial past it may be taken over."""
    optuna_number: Mapped[int | None]
    told: Mapped[bool]
    """Whether Optuna knows the end of this trial."""
    created_at: Mapped[datetime] = mapped_column(insert_default=utc_now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    mean: Mapped[float | None]
    """Mean NDCG@10 over tasks."""
    cut_seconds: Mapped[float | None]
    train_seconds: Mapped[float | None]
    evaluate_seconds: Mapped[float | None]
    device: Mapped[str | None]
    versions: Mapped[dict[str, Any] | None]
    notes: Mapped[str | None]
    error: Mapped[str | None]


class TaskScore(Table):
    """Score of one trial on one task."""

    __tablename__ = "search_task_scores"

    trial_id: Mapped[int] = mapped_column(
        ForeignKey("search_trials.id", ondelete="CASCADE"), primary_key=True
    )
    task: Mapped[str] = mapped_column(primary_key=True)
    score: Mapped[float]


class Query(Table):
    """One evaluation query of a study; scores refer to it by number to stay small."""

    __tablename__ = "search_queries"
    __table_args__ = (UniqueConstraint("study_id", "task", "query"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("search_studies.id", ondelete="CASCADE"))
    task: Mapped[str]
    query: Mapped[str]


class QueryScore(Table):
    """Score of one trial on one query."""

    __tablename__ = "search_query_scores"
    __table_args__ = ({"sqlite_with_rowid": False},)

    trial_id: Mapped[int] = mapped_column(
        ForeignKey("search_trials.id", ondelete="CASCADE"), primary_key=True
    )
    query_id: Mapped[int] = mapped_column(
        ForeignKey("search_queries.id", ondelete="CASCADE"), primary_key=True
    )
    score: Mapped[float]
