"""Results: every score of a trial, written in one transaction, counted once.

Workers call `TrialQueue.finish`, which keeps a result safe on this machine until it is written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, or_, select, text, update

from storage.database import insert_missing, utc_now
from storage.leaderboard.standings import update_standing
from storage.queue.attempts import end_attempts
from storage.queue.claims import Claim, lock_depth
from storage.schema import Query, QueryScore, TaskScore, Trial
from storage.states import AttemptOutcome, TrialState
from storage.values.bounds import LARGEST_SCORE, is_key

_INSERT_ARRAYS = text(
    "INSERT INTO search_query_scores (trial_id, query_id, score) SELECT :trial, query_id, score"
    " FROM unnest(CAST(:ids AS integer[]), CAST(:scores AS double precision[]))"
    " AS given (query_id, score)"
)

_LONGEST_SHOWN = 60  # characters of a name that a message repeats


@dataclass(frozen=True, slots=True)
class TaskResult:
    """Score of one task, and of each of its queries by query id; NDCG@10 in 0 to 1."""

    score: float
    queries: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """The end of a trial: its scores, or the reason there are none.

    Attributes:
        mean: mean score over tasks; None when the trial failed.
        tasks: scores by task.
        seconds: wall time by stage: `cut`, `train`, `evaluate`.
        device: device the trial ran on.
        versions: versions of the libraries that decide a score.
        notes: remarks on this trial for its users.
        drift: how the worker's data, base or libraries differed from the ones of the study.
        error: why it failed; None when it did not.
        set_aside: whether it failed because it ended too many of its workers.
    """

    mean: float | None
    tasks: Mapping[str, TaskResult] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    device: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    drift: str | None = None
    error: str | None = None
    set_aside: bool = False

    @property
    def state(self) -> TrialState:
        """State of the trial."""
        return TrialState.FAILED if self.mean is None else TrialState.COMPLETE

    @property
    def problem(self) -> str | None:
        """Reason for which the store would not take the scores; None when it would."""
        scores: dict[tuple[str, ...], float] = {} if self.mean is None else {(): self.mean}
        for name, task in self.tasks.items():
            scores[name,] = task.score
            scores |= {(name, query): score for query, score in task.queries.items()}

        for names, score in scores.items():
            of = "".join(f" of {name[:_LONGEST_SHOWN]!r}" for name in reversed(names))
            if not abs(score) <= LARGEST_SCORE:  # a score that is no number is not either
                return f"the score{of} is {score}"
            if not all(map(is_key, names)):
                return f"the score{of} has a name that the store cannot keep"
        return None

    @property
    def outcome(self) -> AttemptOutcome:
        """Outcome of the attempt that computed it."""
        return AttemptOutcome.FAILED if self.mean is None else AttemptOutcome.COMPLETE


def write_result(connection: Connection, claim: Claim, result: Result) -> bool:
    """Record `result` for a claimed trial.

    A result that comes after the lease was lost still counts if nobody has finished the trial. So
    does a score of a trial that was set aside: its workers were taken for dead, and one lived.

    Returns:
        Whether it counts; False when the trial was finished before, and nothing was written.
    """
    values = _columns(claim, result)
    is_live = Trial.state.in_((TrialState.WAITING, TrialState.RUNNING))
    # a failed trial that is tried again keeps the token of the failure: that counted before
    is_new = or_(Trial.result_token.is_(None), Trial.result_token != claim.token)
    same = (*_is_same_trial(claim), is_new)

    updated = connection.execute(update(Trial).where(*same, is_live).values(values))
    if updated.rowcount == 0 and result.mean is not None:
        is_aside = (Trial.state == TrialState.FAILED) & Trial.set_aside
        values |= {"optuna_number": None}  # Optuna cannot reopen a finished trial
        updated = connection.execute(update(Trial).where(*same, is_aside).values(values))
    if updated.rowcount == 0:  # finished before: by us, if the answer was lost, or by another
        recorded = select(Trial.result_token).where(*_is_same_trial(claim))
        return connection.execute(recorded).scalar() == claim.token

    end_attempts(connection, claim.trial_id, result.outcome, result.error, token=claim.token)
    end_attempts(connection, claim.trial_id, AttemptOutcome.SUPERSEDED)  # of workers still at it

    _write_scores(connection, claim, result.tasks)
    if result.mean is not None:
        lock_depth(connection, claim.study_id, claim.depth)
        update_standing(connection, claim.study_id, claim.subset)
    return True


def _is_same_trial(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that admit the claimed trial, and none that took its number later."""
    return (
        Trial.id == claim.trial_id,
        Trial.study_id == claim.study_id,
        Trial.subset == claim.subset,
        Trial.seed == claim.seed,
    )


def _columns(claim: Claim, result: Result) -> dict[str, Any]:
    """Return the column values of a finished trial."""
    stages = ("cut", "train", "evaluate")
    seconds = {f"{stage}_seconds": result.seconds.get(stage) for stage in stages}

    return {
        "state": result.state,
        "mirrored": False,
        "result_token": claim.token,
        "lease_until": None,
        "finished_at": utc_now(),
        "mean": result.mean,
        **seconds,
        "device": result.device,
        "versions": dict(result.versions),
        "notes": "; ".join(result.notes) or None,
        "drift": result.drift,
        "error": result.error,
        "set_aside": result.set_aside,
    }


def _write_scores(connection: Connection, claim: Claim, tasks: Mapping[str, TaskResult]) -> None:
    """Insert the scores per task and per query."""
    for table in (TaskScore, QueryScore):  # a failed trial that is tried again starts clean
        connection.execute(delete(table).where(table.trial_id == claim.trial_id))

    if tasks:
        rows = [
            {"trial_id": claim.trial_id, "task": task, "score": result.score}
            for task, result in tasks.items()
        ]
        connection.execute(insert(TaskScore), rows)

    scores = {(task, query): s for task, r in tasks.items() for query, s in r.queries.items()}
    if scores:
        ids = _query_ids(connection, claim.study_id, list(scores))
        by_id = {ids[place]: score for place, score in scores.items()}
        _write_query_scores(connection, claim.trial_id, by_id)


def _write_query_scores(connection: Connection, trial_id: int, scores: Mapping[int, float]) -> None:
    """Insert the scores by query: hundreds of rows, and most of the cost of a result."""
    if connection.dialect.name == "postgresql":  # two arrays go faster than hundreds of rows
        values = {"trial": trial_id, "ids": list(scores), "scores": list(scores.values())}
        connection.execute(_INSERT_ARRAYS, values)
        return

    rows = [
        {"trial_id": trial_id, "query_id": number, "score": score}
        for number, score in scores.items()
    ]
    connection.execute(insert(QueryScore), rows)


def _query_ids(
    connection: Connection, study_id: int, wanted: list[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    """Return the number of each (task, query) of the study, after adding the new ones."""

    def known() -> dict[tuple[str, str], int]:
        query = select(Query.task, Query.query, Query.id).where(Query.study_id == study_id)
        return {(task, name): number for task, name, number in connection.execute(query)}

    ids = known()
    missing = sorted(set(wanted) - set(ids))  # sorted: two workers adding the same cannot deadlock
    if missing:
        rows = [{"study_id": study_id, "task": task, "query": name} for task, name in missing]
        insert_missing(connection, Query, rows)
        ids = known()
    return ids
