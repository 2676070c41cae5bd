"""Every measured score of one subset, for a comparison with another."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, Engine, func, select

from storage.database import patient, read
from storage.errors import UnscoredSubsetError
from storage.schema import Depth, Query, QueryScore, Standing, TaskScore, Trial
from storage.states import TrialState
from storage.studies import StudyRecord
from storage.values.subset_key import Subset, format_subset


@dataclass(frozen=True, slots=True)
class MeasuredSubset:
    """Scores of one subset, averaged over its seeds.

    Attributes:
        subset: the kept layers.
        seeds: seeds that were averaged.
        tasks: score by task.
        queries: score by (task, query); empty where the evaluator gives none.
        seed_variance: variance of a mean between seeds at this depth; None when it is unknown.
        shares: share of each task in the mean; a task that is not listed counts 1.
    """

    subset: Subset
    seeds: int
    tasks: Mapping[str, float]
    queries: Mapping[tuple[str, str], float]
    seed_variance: float | None
    shares: Mapping[str, float] = field(default_factory=dict)


@patient
def read_measured(engine: Engine, study: StudyRecord, subset: Subset) -> MeasuredSubset:
    """Return all scores of `subset`.

    Raises:
        UnscoredSubsetError: it has none in `study`.
    """
    with read(engine) as connection:
        here = (Standing.study_id == study.id, Standing.subset == subset)
        seeds = connection.execute(select(Standing.seeds).where(*here)).scalar()
        if seeds is None:
            message = f"{format_subset(subset)} has no score in study {study.name!r}"
            raise UnscoredSubsetError(message)

        depth = (Depth.study_id == study.id, Depth.depth == len(subset))
        return MeasuredSubset(
            subset,
            seeds,
            _by_task(connection, study.id, subset),
            _by_query(connection, study.id, subset),
            connection.execute(select(Depth.seed_variance).where(*depth)).scalar(),
            {task: part.share for task, part in study.tasks.items()},
        )


def _by_task(connection: Connection, study_id: int, subset: Subset) -> dict[str, float]:
    """Return the mean score by task."""
    query = (
        select(TaskScore.task, func.avg(TaskScore.score).label("score"))
        .join(Trial, Trial.id == TaskScore.trial_id)
        .where(*_complete(study_id, subset))
        .group_by(TaskScore.task)
    )
    return {row.task: row.score for row in connection.execute(query)}


def _by_query(
    connection: Connection, study_id: int, subset: Subset
) -> dict[tuple[str, str], float]:
    """Return the mean score by task and query."""
    query = (
        select(Query.task, Query.query, func.avg(QueryScore.score))
        .join(QueryScore, QueryScore.query_id == Query.id)
        .join(Trial, Trial.id == QueryScore.trial_id)
        .where(*_complete(study_id, subset))
        .group_by(Query.task, Query.query)
    )
    return {(task, name): score for task, name, score in connection.execute(query)}


def _complete(study_id: int, subset: Subset) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that admit the complete trials of `subset`."""
    return (
        Trial.study_id == study_id,
        Trial.subset == subset,
        Trial.state == TrialState.COMPLETE,
    )
