"""The tables of the store.

Optuna keeps tables of its own (`studies`, `trials`, ...) in the same database, so our names differ.
Ours hold the truth; Optuna's mirror it for its dashboard and its users.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from storage.columns import SubsetKey, only_where, text_of
from storage.database.clock import utc_now
from storage.states import AttemptOutcome, Origin, TrialState
from storage.values.subset_key import Subset

_CONSTRAINT_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Table(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(naming_convention=_CONSTRAINT_NAMES)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy asks for a plain dictionary here
        dict[str, Any]: JSON,
        datetime: DateTime,
        TrialState: text_of(TrialState),
        Origin: text_of(Origin),
        AttemptOutcome: text_of(AttemptOutcome),
        Subset: SubsetKey,
    }


class Study(Table):
    """One study file: all its depths."""

    __tablename__ = "search_studies"

    id: Mapped[int] = mapped_column(primary_key=True)
    uid: Mapped[str] = mapped_column(unique=True, index=True, server_default=text("''"))
    """Never used again, unlike name and number: files that a machine keeps for a study bear it."""
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
    phase: Mapped[str] = mapped_column(server_default=text("'first'"))
    """Which layer of each period is global."""
    fingerprints: Mapped[dict[str, Any]]
    """SHA-256 of base and data when the study began."""
    versions: Mapped[dict[str, Any] | None]
    """Versions of the libraries that decide a score when it began; NULL before release 0.2."""
    settings: Mapped[dict[str, Any] | None]
    """Pooling, prompts and the like of the base when it began; NULL before release 0.5."""
    reference: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether workers try the whole base, too, outside the budgets."""
    margin: Mapped[float] = mapped_column(server_default=text("0.005"))
    """How far below the leader's mean a pick may lie; the default is `DEFAULT_MARGIN`."""
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
    taken: Mapped[int] = mapped_column(server_default="0")
    """Trials claimed so far that the budget counts."""
    optuna_study: Mapped[str] = mapped_column(unique=True)
    leader: Mapped[Subset | None]
    """The subset with the best mean; the simplest of them when several have it."""
    leader_seeds: Mapped[int] = mapped_column(server_default="0")
    """Seeds behind the leader's mean."""
    scored: Mapped[int] = mapped_column(server_default="0")
    """Subsets that have a score."""
    seed_variance: Mapped[float | None]
    """Variance of a mean between seeds, pooled over the subsets that have several."""
    critical: Mapped[float] = mapped_column(server_default="0")
    """Standard errors below the leader from which on a subset is told apart from it."""
    quantile: Mapped[float] = mapped_column(server_default="0")
    """Standard errors on either side of a 95 % interval; 0 where there is nothing to judge by."""


class Trial(Table):
    """One (subset, seed), held by at most one worker at a time."""

    __tablename__ = "search_trials"
    __table_args__ = (
        UniqueConstraint("study_id", "subset", "seed"),
        Index(None, "study_id", "depth", "state"),
        Index(None, "study_id", **only_where("mirrored = 0", "NOT mirrored")),  # few rows
        ForeignKeyConstraint(
            ["study_id", "depth"],
            ["search_depths.study_id", "search_depths.depth"],
            ondelete="CASCADE",
        ),
        CheckConstraint(f"state IN {tuple(map(str, TrialState))}", name="state"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int]
    depth: Mapped[int]
    subset: Mapped[Subset]
    seed: Mapped[int]
    origin: Mapped[Origin]
    sampler: Mapped[str | None]
    """Name of the sampler that proposed it; NULL for any other origin."""
    state: Mapped[TrialState]
    owner: Mapped[str | None]
    """Worker that holds it, or held it last: the text of a `storage.queue.worker_id.WorkerId`."""
    token: Mapped[int]
    """Grows with every claim, so that a result can tell which claim it belongs to."""
    crashes: Mapped[int]
    """How often its worker died or failed in an unforeseen way."""
    result_token: Mapped[int | None]
    """Token of the claim whose result counts."""
    lease_until: Mapped[datetime | None]
    """By the database's clock, UTC; a running trial past it may be taken over."""
    optuna_number: Mapped[int | None]
    mirrored: Mapped[bool]
    """Whether Optuna knows the end of this trial."""
    created_at: Mapped[datetime] = mapped_column(insert_default=utc_now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    mean: Mapped[float | None]
    """Mean NDCG@10 over tasks, by their shares."""
    cut_seconds: Mapped[float | None]
    train_seconds: Mapped[float | None]
    evaluate_seconds: Mapped[float | None]
    device: Mapped[str | None]
    versions: Mapped[dict[str, Any] | None]
    notes: Mapped[str | None]
    drift: Mapped[str | None]
    """How its worker's data, base or libraries differed from the ones the study began with."""
    error: Mapped[str | None]
    """Why it failed."""
    set_aside: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether it failed because it ended too many of its workers."""


class Attempt(Table):
    """One claim of a trial, and how it ended."""

    __tablename__ = "search_attempts"
    __table_args__ = (
        CheckConstraint(f"outcome IN {tuple(map(str, AttemptOutcome))}", name="outcome"),
    )

    trial_id: Mapped[int] = mapped_column(
        ForeignKey("search_trials.id", ondelete="CASCADE"), primary_key=True
    )
    token: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    owner: Mapped[str]
    started_at: Mapped[datetime] = mapped_column(insert_default=utc_now())
    ended_at: Mapped[datetime | None]
    outcome: Mapped[AttemptOutcome | None]
    """NULL while it lasts."""
    reason: Mapped[str | None]


class Standing(Table):
    """The place of one subset on the leaderboard: its mean, and how sure that is.

    The first columns are written with each result. The variances cost a pass over the scores by
    query, and follow (`storage.leaderboard.standings`); the columns `..._seeds` and `compared_to`
    say from which seeds and leader they were computed, so that the view can tell when they are out
    of date.
    """

    __tablename__ = "search_standings"
    __table_args__ = (
        Index(None, "study_id", "depth", "mean"),
        Index(None, "study_id", "depth", **only_where("seeds > 1", "seeds > 1")),  # few rows
        ForeignKeyConstraint(
            ["study_id", "depth"],
            ["search_depths.study_id", "search_depths.depth"],
            ondelete="CASCADE",
        ),
    )

    study_id: Mapped[int] = mapped_column(primary_key=True)
    subset: Mapped[Subset] = mapped_column(primary_key=True)
    depth: Mapped[int]
    gaps: Mapped[int]
    """Breaks between consecutive layers: `0_1_2_18` has one."""
    layers: Mapped[str]
    """The layers with three digits each, `000001002018`: sorts by the lowest layers."""
    origin: Mapped[Origin]
    """Of its first trial."""
    sampler: Mapped[str | None]
    """Of its first trial."""
    mean: Mapped[float]
    """Mean over seeds."""
    seeds: Mapped[int]
    squares: Mapped[float]
    """Sum of the squared deviations of the seeds' means from it."""
    lowest: Mapped[float]
    highest: Mapped[float]
    train_seconds: Mapped[float | None]
    finished_at: Mapped[datetime]
    variance: Mapped[float | None]
    """Variance of `mean` that stems from the choice of queries."""
    variance_seeds: Mapped[int | None]
    """Seeds that `variance` was computed from."""
    difference_variance: Mapped[float | None]
    """Variance of the paired difference to `compared_to` that stems from the choice of queries."""
    difference_seeds: Mapped[int | None]
    """Seeds of this subset that it was computed from."""
    compared_to: Mapped[Subset | None]
    compared_seeds: Mapped[int | None]
    """Seeds of `compared_to` that it was computed from."""
    reference_variance: Mapped[float | None]
    """Variance of the paired difference to the reference that stems from the choice of queries."""
    reference_variance_seeds: Mapped[int | None]
    """Seeds of this subset that it was computed from."""
    reference_seeds: Mapped[int | None]
    """Seeds of the reference that it was computed from."""


class Task(Table):
    """Test set and share of one task in the mean of a trial.

    A study whose tasks are not listed has one set, in which all tasks count alike.
    """

    __tablename__ = "search_tasks"

    study_id: Mapped[int] = mapped_column(
        ForeignKey("search_studies.id", ondelete="CASCADE"), primary_key=True
    )
    task: Mapped[str] = mapped_column(primary_key=True)
    test_set: Mapped[str]
    """Name of the set."""
    share: Mapped[float]
    """Weight of the task; those of a study's tasks add up to 1."""


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


class Screen(Table):
    """Score of one subset with shared weights, before any trial of it."""

    __tablename__ = "search_screens"

    study_id: Mapped[int] = mapped_column(
        ForeignKey("search_studies.id", ondelete="CASCADE"), primary_key=True
    )
    weights: Mapped[str] = mapped_column(primary_key=True)
    """`untrained` or `supernet`."""
    subset: Mapped[Subset] = mapped_column(primary_key=True)
    depth: Mapped[int]
    ndcg: Mapped[float]
    """Mean NDCG@10 over tasks, on a sample of queries and documents."""
    agreement: Mapped[float]
    """Correlation of its query-document similarities with those of the whole base."""


class ScreenFit(Table):
    """Quality of one measure of a screen as a prediction of the trials of one depth."""

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


class Cost(Table):
    """Size and arithmetic of the model that keeps one subset."""

    __tablename__ = "search_costs"

    study_id: Mapped[int] = mapped_column(
        ForeignKey("search_studies.id", ondelete="CASCADE"), primary_key=True
    )
    subset: Mapped[Subset] = mapped_column(primary_key=True)
    depth: Mapped[int]
    parameters: Mapped[int] = mapped_column(BigInteger)
    embedding_parameters: Mapped[int] = mapped_column(BigInteger)
    layer_parameters: Mapped[int] = mapped_column(BigInteger)
    bytes: Mapped[int] = mapped_column(BigInteger)
    """Of the weights that an export writes."""
    query_flops: Mapped[int] = mapped_column(BigInteger)
    """Floating-point operations per token of a query of the configured length."""
    document_flops: Mapped[int] = mapped_column(BigInteger)


class Speed(Table):
    """Measured encode throughput of one subset on one device, relative to the whole base."""

    __tablename__ = "search_speeds"

    study_id: Mapped[int] = mapped_column(
        ForeignKey("search_studies.id", ondelete="CASCADE"), primary_key=True
    )
    subset: Mapped[Subset] = mapped_column(primary_key=True)
    device: Mapped[str] = mapped_column(primary_key=True)
    depth: Mapped[int]
    speedup: Mapped[float]
    """Median over the rounds of the whole base's time over that of the subset."""
    speedup_low: Mapped[float]
    speedup_high: Mapped[float]
    tokens_per_second: Mapped[float]
    reference_tokens_per_second: Mapped[float]
    rounds: Mapped[int]
    documents: Mapped[int]
    batch_size: Mapped[int]
    threads: Mapped[int]
    precision: Mapped[str]
    measured_at: Mapped[datetime] = mapped_column(insert_default=utc_now())
