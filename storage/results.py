"""Results: everything a trial found, written in one transaction, counted once.

Workers call `storage.outbox.record`, which keeps a result safe until it is written here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, Engine, delete, insert, or_, select, text, update

from storage import attempts
from storage import engine as engines
from storage.claims import Claim, lock_depth
from storage.clock import utc_now
from storage.schema import Query, QueryScore, TaskScore, Trial
from storage.standings import update_standing
from storage.studies import insert_new

_ARRAYS = text(
    "INSERT INTO search_query_scores (trial_id, query_id, score) SELECT :trial, query_id, score"
    " FROM unnest(CAST(:ids AS integer[]), CAST(:scores AS double precision[]))"
    " AS given (query_id, score)"
)


@dataclass(frozen=True, slots=True)
class TaskResult:
    """Score of one task, and of each of its queries by query id."""

    score: float
    queries: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """How a trial ended: with scores, or with the reason it has none.

    Attributes:
        mean: mean score over tasks; None when the trial failed.
        tasks: scores by task.
        seconds: wall time by stage: `cut`, `train`, `evaluate`.
        device: device the trial ran on.
        versions: versions of the libraries that decide a score.
        notes: what the user should know of this trial.
        drift: how the worker's data, base or libraries differed from those the study began with.
        error: why it failed; None when it did not.
    """

    mean: float | None
    tasks: Mapping[str, TaskResult] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    device: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    drift: str | None = None
    error: str | None = None

    @property
    def state(self) -> str:
        """State of the trial."""
        return "failed" if self.mean is None else "complete"


@dataclass(frozen=True, slots=True)
class Untold:
    """A finished trial whose end Optuna does not know yet."""

    trial_id: int
    depth: int
    subset: str
    optuna_number: int | None
    mean: float | None


def finish(engine: Engine, held: Claim, result: Result) -> bool:
    """Record `result` for `held`.

    A result that comes after the lease was lost still counts if nobody has finished the trial.

    Returns:
        Whether it counts; False when the trial was finished before, and nothing was written.
    """
    with engines.write(engine) as connection:
        unfinished = (
            *_same(held),
            Trial.state.in_(("waiting", "running")),
            # a failed trial that is tried again keeps the token of the failure: that counted before
            or_(Trial.result_token.is_(None), Trial.result_token != held.token),
        )
        updated = connection.execute(
            update(Trial)
            .where(*unfinished)
            .values(
                state=result.state,
                told=False,
                result_token=held.token,
                lease_until=None,
                finished_at=utc_now(),
                mean=result.mean,
                cut_seconds=result.seconds.get("cut"),
                train_seconds=result.seconds.get("train"),
                evaluate_seconds=result.seconds.get("evaluate"),
                device=result.device,
                versions=dict(result.versions),
                notes="; ".join(result.notes) or None,
                drift=result.drift,
                error=result.error,
            )
        )
        if updated.rowcount == 0:  # finished before: by us, if the answer was lost, or by another
            recorded = select(Trial.result_token).where(*_same(held))
            return connection.execute(recorded).scalar() == held.token
        attempts.end(connection, held.trial_id, result.state, result.error, token=held.token)
        attempts.end(connection, held.trial_id, "superseded")  # whoever else still runs it
        _write_scores(connection, held, result.tasks)
        if result.mean is not None:
            lock_depth(connection, held.study_id, held.depth)
            update_standing(connection, held.study_id, held.depth, held.subset)
    return True


def _same(held: Claim) -> tuple[ColumnElement[bool], ...]:
    """The trial of `held`, and none that took its number after it was deleted."""
    return (
        Trial.id == held.trial_id,
        Trial.study_id == held.study_id,
        Trial.subset == held.subset,
        Trial.seed == held.seed,
    )


def _write_scores(connection: Connection, held: Claim, tasks: Mapping[str, TaskResult]) -> None:
    """Insert the scores per task and per query."""
    for table in (TaskScore, QueryScore):  # a failed trial that is tried again starts clean
        connection.execute(delete(table).where(table.trial_id == held.trial_id))
    if tasks:
        rows = [
            {"trial_id": held.trial_id, "task": task, "score": result.score}
            for task, result in tasks.items()
        ]
        connection.execute(insert(TaskScore), rows)
    scores = {(task, query): s for task, r in tasks.items() for query, s in r.queries.items()}
    if scores:
        ids = _query_ids(connection, held.study_id, list(scores))
        _write_query_scores(
            connection, held.trial_id, {ids[where]: score for where, score in scores.items()}
        )


def _write_query_scores(connection: Connection, trial_id: int, scores: Mapping[int, float]) -> None:
    """Insert the scores by query: hundreds of rows, and most of what a result costs."""
    if connection.dialect.name == "postgresql":  # two arrays go faster than hundreds of rows
        values = {"trial": trial_id, "ids": list(scores), "scores": list(scores.values())}
        connection.execute(_ARRAYS, values)
        return
    rows = [
        {"trial_id": trial_id, "query_id": number, "score": score}
        for number, score in scores.items()
    ]
    connection.execute(insert(QueryScore), rows)


def _query_ids(
    connection: Connection, study_id: int, wanted: list[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    """Number of each (task, query) of the study; those that are new are added."""

    def known() -> dict[tuple[str, str], int]:
        query = select(Query.task, Query.query, Query.id).where(Query.study_id == study_id)
        return {(task, name): number for task, name, number in connection.execute(query)}

    ids = known()
    missing = sorted(set(wanted) - set(ids))  # sorted: two workers adding the same cannot deadlock
    if missing:
        rows = [{"study_id": study_id, "task": task, "query": name} for task, name in missing]
        insert_new(connection, Query, rows)
        ids = known()
    return ids


def untold(engine: Engine, study_id: int) -> list[Untold]:
    """Finished trials whose end Optuna does not know yet."""
    ended = (
        Trial.study_id == study_id,
        Trial.state.in_(("complete", "failed")),
        ~Trial.told,  # said as the index on these few rows says it
    )
    columns = (Trial.id, Trial.depth, Trial.subset, Trial.optuna_number, Trial.mean)
    with engines.read(engine) as connection:
        return [Untold(*row) for row in connection.execute(select(*columns).where(*ended))]


def adopt(engine: Engine, trial_id: int, optuna_number: int) -> int:
    """Let an Optuna trial stand for ours unless another does; returns the one that does."""
    with engines.write(engine) as connection:
        free = (Trial.id == trial_id, Trial.optuna_number.is_(None))
        connection.execute(update(Trial).where(*free).values(optuna_number=optuna_number))
        stands = select(Trial.optuna_number).where(Trial.id == trial_id)
        number = connection.execute(stands).scalar_one()
        return optuna_number if number is None else number


def mark_told(engine: Engine, trial_id: int) -> None:
    """Remember that Optuna knows the end of this trial."""
    with engines.write(engine) as connection:
        connection.execute(update(Trial).where(Trial.id == trial_id).values(told=True))


def ended(engine: Engine, trial_ids: Sequence[int]) -> dict[int, int | None]:
    """Optuna number of those trials of `trial_ids` that are finished."""
    over = (Trial.id.in_(trial_ids), Trial.state.in_(("complete", "failed")))
    with engines.read(engine) as connection:
        rows = connection.execute(select(Trial.id, Trial.optuna_number).where(*over))
        return {row.id: row.optuna_number for row in rows}
