"""Everything that was measured of one subset, for a comparison with another."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, func, select

from storage import engine as engines
from storage.errors import InputError
from storage.schema import Depth, Query, QueryScore, Standing, TaskScore, Trial
from storage.studies import StudyRecord


@dataclass(frozen=True, slots=True)
class Measured:
    """Scores of one subset, averaged over its seeds.

    Attributes:
        subset: its key.
        depth: number of its layers.
        seeds: seeds that were averaged.
        tasks: score by task.
        queries: score by (task, query); empty where the evaluator gives none.
        seed_variance: variance of a mean between seeds at this depth; None when it is unknown.
    """

    subset: str
    depth: int
    seeds: int
    tasks: Mapping[str, float]
    queries: Mapping[tuple[str, str], float]
    seed_variance: float | None


def measured(engine: Engine, study: StudyRecord, subset: str) -> Measured:
    """What the store knows of `subset`.

    Raises:
        InputError: it has no score in `study`; the message says where to look.
    """
    with engines.read(engine) as connection:
        here = (Standing.study_id == study.id, Standing.subset == subset)
        row = connection.execute(select(Standing.depth, Standing.seeds).where(*here)).first()
        if row is None:
            message = (
                f"{subset} has no score in study {study.name!r}: "
                f"`layer-search leaderboard {study.name}` lists those that have one"
            )
            raise InputError(message)
        depth = (Depth.study_id == study.id, Depth.depth == row.depth)
        shared = select(Depth.seed_variance).where(*depth)
        return Measured(
            subset,
            row.depth,
            row.seeds,
            _by_task(connection, study.id, subset),
            _by_query(connection, study.id, subset),
            connection.execute(shared).scalar(),
        )


def _by_task(connection: Connection, study_id: int, subset: str) -> dict[str, float]:
    query = (
        select(TaskScore.task, func.avg(TaskScore.score))
        .join(Trial, Trial.id == TaskScore.trial_id)
        .where(Trial.study_id == study_id, Trial.subset == subset, Trial.state == "complete")
        .group_by(TaskScore.task)
    )
    return {task: score for task, score in connection.execute(query)}  # noqa: C416 - rows


def _by_query(connection: Connection, study_id: int, subset: str) -> dict[tuple[str, str], float]:
    query = (
        select(Query.task, Query.query, func.avg(QueryScore.score))
        .join(QueryScore, QueryScore.query_id == Query.id)
        .join(Trial, Trial.id == QueryScore.trial_id)
        .where(Trial.study_id == study_id, Trial.subset == subset, Trial.state == "complete")
        .group_by(Query.task, Query.query)
    )
    return {(task, name): score for task, name, score in connection.execute(query)}
