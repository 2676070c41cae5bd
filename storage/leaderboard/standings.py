"""Standings: the row of each subset in `search_standings`, kept up to date.

The leaderboard reads them at once however long a study is. Means, seeds and the leader are written
in the transaction of the result they come from. Variances need every query of two subsets, so they
follow in `refresh`. The view takes a stored variance only if it was computed from the seeds and the
leader of today, and computes the others itself: it is always right, and fast after a `refresh`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Row,
    Select,
    bindparam,
    func,
    insert,
    select,
    text,
    update,
)

from storage.columns import SubsetKey
from storage.database import write
from storage.leaderboard.freedom import freedom_of_queries, freedom_of_tasks
from storage.leaderboard.ties import critical_value, interval_width
from storage.leaderboard.variances import variance_of_difference, variance_of_mean
from storage.schema import Depth, Query, Standing, Study, Task, TaskScore, Trial
from storage.states import Origin, TrialState
from storage.values.subset_key import Subset

_Scored = Row[float | None, Origin, str | None, float | None, datetime | None]

_BATCH = 100  # subsets a transaction: a tenth of a second, so that others write in between

_REFRESH = text(f"""
UPDATE search_standings SET
    variance = CASE
        WHEN variance_seeds = seeds THEN variance
        ELSE {variance_of_mean(":study", "search_standings.subset")}
    END,
    variance_seeds = seeds,
    difference_variance = CASE
        WHEN compared_to = :leader AND compared_seeds = :leader_seeds AND difference_seeds = seeds
            THEN difference_variance
        ELSE {variance_of_difference(":study", "search_standings.subset", ":leader")}
    END,
    difference_seeds = seeds,
    compared_to = :leader,
    compared_seeds = :leader_seeds
WHERE study_id = :study AND subset IN :subsets
""").bindparams(
    bindparam("leader", type_=SubsetKey()),
    bindparam("subsets", type_=SubsetKey(), expanding=True),
)

_REFRESH_REFERENCE = text(f"""
UPDATE search_standings SET
    reference_variance = CASE
        WHEN reference_variance_seeds = seeds AND reference_seeds = :seeds THEN reference_variance
        ELSE {variance_of_difference(":study", "search_standings.subset", ":reference")}
    END,
    reference_variance_seeds = seeds,
    reference_seeds = :seeds
WHERE study_id = :study AND subset IN :subsets
""").bindparams(
    bindparam("reference", type_=SubsetKey()),
    bindparam("subsets", type_=SubsetKey(), expanding=True),
)


@dataclass(frozen=True, slots=True)
class _Compared:
    """A subset that all subsets are compared with, and the seeds behind its mean."""

    subset: Subset
    seeds: int


def update_standing(connection: Connection, study_id: int, subset: Subset) -> None:
    """Take the results of `subset` into its standing, and into its depth's leader.

    The caller's transaction must hold the lock of the depth, so that no result is overlooked.
    """
    done = (Trial.study_id == study_id, Trial.subset == subset, Trial.state == TrialState.COMPLETE)
    rows = connection.execute(
        select(Trial.mean, Trial.origin, Trial.sampler, Trial.train_seconds, Trial.finished_at)
        .where(*done)
        .order_by(Trial.finished_at, Trial.id)
    ).all()
    values = _columns(subset, rows)

    here = (Standing.study_id == study_id, Standing.subset == subset)
    changed = connection.execute(update(Standing).where(*here).values(values))
    is_new = changed.rowcount == 0
    if is_new:
        connection.execute(insert(Standing).values(study_id=study_id, subset=subset, **values))
    _update_depth(connection, study_id, subset, is_new=is_new)


def _columns(subset: Subset, rows: Sequence[_Scored]) -> dict[str, Any]:
    """Return the column values of a standing, from the complete trials of its subset in order."""
    means = [row.mean for row in rows]
    mean = sum(means) / len(means)
    trained = [row.train_seconds for row in rows if row.train_seconds is not None]

    return {
        "depth": len(subset),
        "gaps": sum(high - low > 1 for low, high in pairwise(subset)),
        "layers": "".join(f"{layer:03d}" for layer in subset),
        "origin": rows[0].origin,
        "sampler": rows[0].sampler,
        "mean": mean,
        "seeds": len(means),
        "squares": sum((value - mean) ** 2 for value in means),
        "lowest": min(means),
        "highest": max(means),
        "train_seconds": sum(trained) / len(trained) if trained else None,
        "finished_at": rows[-1].finished_at,
    }


def _update_depth(connection: Connection, study_id: int, subset: Subset, *, is_new: bool) -> None:
    """Find the leader and the critical value of the ties, now that `subset` has a result."""
    depth = len(subset)
    here = (Standing.study_id == study_id, Standing.depth == depth)
    leader = connection.execute(
        select(Standing.subset, Standing.seeds)
        .where(*here)
        .order_by(Standing.mean.desc(), Standing.gaps, Standing.layers)
        .limit(1)
    ).one()

    repeated = select(
        func.sum(Standing.squares).label("squares"),
        func.coalesce(func.sum(Standing.seeds - 1), 0).label("freedom"),
    ).where(*here, text("seeds > 1"))  # written like the partial index
    seeds = connection.execute(repeated).one()

    this = (Depth.study_id == study_id, Depth.depth == depth)
    scored = connection.execute(select(Depth.scored).where(*this)).scalar_one() + is_new
    freedom = _freedom(connection, study_id, subset)
    values = {
        "leader": leader.subset,
        "leader_seeds": leader.seeds,
        "scored": scored,
        "seed_variance": seeds.squares / seeds.freedom if seeds.freedom else None,
        # where queries and tasks say nothing, seeds may
        "critical": critical_value(scored - 1, freedom if freedom > 0 else seeds.freedom),
        "quantile": interval_width(freedom if freedom > 0 else seeds.freedom),
    }
    connection.execute(update(Depth).where(*this).values(values))


def _freedom(connection: Connection, study_id: int, subset: Subset) -> int:
    """Return the degrees of freedom of a variance: from queries within tasks, or from the tasks."""
    listed = select(Task.task, Task.share).where(Task.study_id == study_id)
    shares = {row.task: row.share for row in connection.execute(listed)}

    counts = (
        select(Query.task, func.count().label("queries"))
        .where(Query.study_id == study_id)
        .group_by(Query.task)
    )
    queries = {row.task: row.queries for row in connection.execute(counts)}
    if queries and min(queries.values()) > 1:
        return freedom_of_queries([(shares.get(task, 1.0), n) for task, n in queries.items()])

    done = (Trial.study_id == study_id, Trial.subset == subset, Trial.state == TrialState.COMPLETE)
    tasks = (
        select(TaskScore.task).join(Trial, Trial.id == TaskScore.trial_id).where(*done).distinct()
    )
    found = connection.execute(tasks).scalars()
    return freedom_of_tasks([shares.get(task, 1.0) for task in found])


def refresh(engine: Engine, study_id: int, depth: int) -> None:
    """Store the variances that are missing or out of date, for the best subsets first.

    Rows that another worker is refreshing are left to it, which also keeps the two from locking
    each other out.
    """
    here = (Depth.study_id == study_id, Depth.depth == depth)
    finished = False
    while not finished:
        with write(engine) as connection:
            row = connection.execute(select(Depth.leader, Depth.leader_seeds).where(*here)).first()
            if row is None or row.leader is None:
                return
            leader = _Compared(row.leader, row.leader_seeds)
            reference = _find_reference(connection, study_id)

            # locked first: the variances below then see every seed that the row counts
            stale = connection.execute(_stale(study_id, depth, leader, reference))
            subsets = stale.scalars().all()
            if subsets:
                known = {"study": study_id, "subsets": subsets}
                led = {"leader": leader.subset, "leader_seeds": leader.seeds}
                connection.execute(_REFRESH, known | led)
                if reference is not None:
                    compared = {"reference": reference.subset, "seeds": reference.seeds}
                    connection.execute(_REFRESH_REFERENCE, known | compared)
            finished = len(subsets) < _BATCH


def _find_reference(connection: Connection, study_id: int) -> _Compared | None:
    """Return the reference of a study: the standing that keeps all layers, if it has one."""
    row = connection.execute(
        select(Standing.subset, Standing.seeds)
        .join(Study, (Study.id == Standing.study_id) & (Study.layers == Standing.depth))
        .where(Standing.study_id == study_id)
    ).first()
    return None if row is None else _Compared(row.subset, row.seeds)


def _stale(
    study_id: int, depth: int, leader: _Compared, reference: _Compared | None
) -> Select[Subset]:
    """Return a query for the best subsets whose variances are missing or out of date, locked."""
    current = (
        (Standing.compared_to == leader.subset)
        & (Standing.compared_seeds == leader.seeds)
        & (Standing.difference_seeds == Standing.seeds)
    )
    is_stale = Standing.compared_to.is_(None) | ~current
    if reference is not None:
        compared = (Standing.reference_seeds == reference.seeds) & (
            Standing.reference_variance_seeds == Standing.seeds
        )
        is_stale |= Standing.reference_seeds.is_(None) | ~compared

    return (
        select(Standing.subset)
        .where(Standing.study_id == study_id, Standing.depth == depth)
        .where(is_stale)
        .order_by(Standing.mean.desc())
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
    )


def rebuild_standings(connection: Connection) -> None:
    """Compute every standing from the trials, as a migration must."""
    done = select(Trial.study_id, Trial.subset).where(Trial.state == TrialState.COMPLETE)
    for study_id, subset in connection.execute(done.distinct()).all():
        update_standing(connection, study_id, subset)
