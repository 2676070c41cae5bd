"""Keeps `search_standings`, from which the leaderboard answers at once however long a study is.

Means, seeds and the leader are written in the transaction of the result they come from. Variances
need every query of two subsets, so they follow in `refresh`. The view takes a stored variance only
if it was computed from the seeds and the leader of today, and computes the others itself: it is
always right, and fast once `refresh` has run.
"""

from itertools import pairwise

from sqlalchemy import (
    Connection,
    Engine,
    Select,
    bindparam,
    distinct,
    func,
    insert,
    select,
    text,
    update,
)

from storage import engine as engines
from storage.schema import Depth, Query, Standing, TaskScore, Trial
from storage.ties import critical_value

_BATCH = 100  # subsets a transaction: short ones let others write in between

# Variance of a mean over tasks, from one `value` for each query and its `task`: queries vary
# within their task, tasks are given. Where a task has a single query (or where there are only
# scores by task) the tasks are what varies. NULL where a single value says nothing.
_VARIANCE = """
    SELECT CASE
        WHEN min(n) > 1 THEN sum(abs(squares - total * total / n) / nullif(n - 1, 0) / n) / count(*) / count(*)
        WHEN count(*) > 1 THEN
            abs(sum(mean * mean) - sum(mean) * sum(mean) / count(*))
            / nullif(count(*) - 1, 0) / count(*)
    END
    FROM (
        SELECT count(value) AS n, sum(value) AS total, sum(value * value) AS squares,
               avg(value) AS mean
        FROM ({values}) AS per_query
        GROUP BY task
        HAVING count(value) > 0
    ) AS per_task"""  # noqa: E501 - one formula

_BY_QUERY = """
            SELECT q.task AS task, {value} AS value
            FROM search_trials AS t
            JOIN search_query_scores AS r ON r.trial_id = t.id
            JOIN search_queries AS q ON q.id = r.query_id
            WHERE t.study_id = {study} AND t.subset IN ({subsets}) AND t.state = 'complete'
            GROUP BY q.task, r.query_id"""

_BY_TASK = """
            SELECT r.task AS task, {value} AS value
            FROM search_trials AS t
            JOIN search_task_scores AS r ON r.trial_id = t.id
            WHERE t.study_id = {study} AND t.subset IN ({subsets}) AND t.state = 'complete'
            GROUP BY r.task"""


def variance_of_mean(study: str, subset: str) -> str:
    """SQL: the variance of a subset's mean over the choice of queries; arguments are SQL too."""
    return _variance("avg(r.score)", study, subset)


def variance_of_difference(study: str, subset: str, leader: str) -> str:
    """SQL: the same of the paired difference of two subsets, over the queries both have."""
    value = (
        f"avg(CASE WHEN t.subset = {subset} THEN r.score END)"
        f" - avg(CASE WHEN t.subset = {leader} THEN r.score END)"
    )
    return _variance(value, study, f"{subset}, {leader}")


def _variance(value: str, study: str, subsets: str) -> str:
    forms = [
        _VARIANCE.format(values=form.format(value=value, study=study, subsets=subsets))
        for form in (_BY_QUERY, _BY_TASK)
    ]
    return "coalesce(({}), ({}))".format(*forms)


_REFRESH = f"""
UPDATE search_standings SET
    variance = CASE
        WHEN variance_seeds = seeds THEN variance
        ELSE {variance_of_mean(":study", "search_standings.subset")}
    END,
    variance_seeds = seeds,
    difference_variance = {variance_of_difference(":study", "search_standings.subset", ":leader")},
    difference_seeds = seeds,
    compared_to = :leader,
    compared_seeds = :leader_seeds
WHERE study_id = :study AND subset IN :subsets
"""  # noqa: S608 - constants


def update_standing(connection: Connection, study_id: int, depth: int, subset: str) -> None:
    """Take the results of `subset` into its standing, and into its depth's leader.

    The caller's transaction must hold the lock of the depth, so that no result is overlooked.
    """
    done = (Trial.study_id == study_id, Trial.subset == subset, Trial.state == "complete")
    rows = connection.execute(
        select(Trial.mean, Trial.origin, Trial.train_seconds, Trial.finished_at)
        .where(*done)
        .order_by(Trial.finished_at, Trial.id)
    ).all()
    means = [row.mean for row in rows]
    mean = sum(means) / len(means)
    trained = [row.train_seconds for row in rows if row.train_seconds is not None]
    kept = [int(layer) for layer in subset.split("_")]
    values = {
        "depth": depth,
        "gaps": sum(high - low > 1 for low, high in pairwise(kept)),
        "layers": "".join(f"{layer:03d}" for layer in kept),
        "origin": rows[0].origin,
        "mean": mean,
        "seeds": len(means),
        "squares": sum((value - mean) ** 2 for value in means),
        "lowest": min(means),
        "highest": max(means),
        "train_seconds": sum(trained) / len(trained) if trained else None,
        "finished_at": rows[-1].finished_at,
    }
    here = (Standing.study_id == study_id, Standing.subset == subset)
    changed = connection.execute(update(Standing).where(*here).values(values))
    if changed.rowcount == 0:
        connection.execute(insert(Standing).values(study_id=study_id, subset=subset, **values))
    _update_depth(connection, study_id, depth, subset, new=changed.rowcount == 0)


def _update_depth(
    connection: Connection, study_id: int, depth: int, subset: str, *, new: bool
) -> None:
    """Find the leader again, and what ties are judged by, now that `subset` has a result."""
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
    ).where(*here, text("seeds > 1"))  # as the index on these few rows says it
    this = (Depth.study_id == study_id, Depth.depth == depth)
    seeds = connection.execute(repeated).one()
    freedom = _freedom(connection, study_id, subset)
    scored = connection.execute(select(Depth.scored).where(*this)).scalar_one() + new
    connection.execute(
        update(Depth)
        .where(*this)
        .values(
            leader=leader.subset,
            leader_seeds=leader.seeds,
            scored=scored,
            seed_variance=seeds.squares / seeds.freedom if seeds.freedom else None,
            # where queries and tasks say nothing, seeds may
            critical=critical_value(scored - 1, freedom if freedom > 0 else seeds.freedom),
        )
    )


def _freedom(connection: Connection, study_id: int, subset: str) -> int:
    """Degrees of freedom of a variance: from queries within their tasks, or from the tasks."""
    counts = select(func.count()).where(Query.study_id == study_id).group_by(Query.task)
    queries = connection.execute(counts).scalars().all()
    if queries and min(queries) > 1:
        return sum(queries) - len(queries)
    tasks = (
        select(func.count(distinct(TaskScore.task)))
        .join(Trial, Trial.id == TaskScore.trial_id)
        .where(Trial.study_id == study_id, Trial.subset == subset, Trial.state == "complete")
    )
    return connection.execute(tasks).scalar_one() - 1


def refresh(engine: Engine, study_id: int, depth: int) -> None:
    """Store the variances that are missing or out of date; those of the best subsets first.

    What another worker is at is left to it, which also keeps the two from locking each other out.
    """
    while True:
        with engines.write(engine) as connection:
            here = (Depth.study_id == study_id, Depth.depth == depth)
            leader = connection.execute(
                select(Depth.leader, Depth.leader_seeds).where(*here)
            ).first()
            if leader is None or leader.leader is None:
                return
            # locked first: what is computed below then sees every seed that the row counts
            stale = connection.execute(_stale(study_id, depth, leader.leader, leader.leader_seeds))
            subsets = stale.scalars().all()
            known = {"study": study_id, "subsets": subsets}
            if subsets:
                connection.execute(_REFRESHING, known | leader._asdict())
            if len(subsets) < _BATCH:
                return


_REFRESHING = text(_REFRESH).bindparams(bindparam("subsets", expanding=True))


def _stale(study_id: int, depth: int, leader: str, seeds: int) -> Select[str]:
    """The best subsets whose variances are missing or out of date, locked."""
    current = (
        (Standing.compared_to == leader)
        & (Standing.compared_seeds == seeds)
        & (Standing.difference_seeds == Standing.seeds)
    )
    return (
        select(Standing.subset)
        .where(Standing.study_id == study_id, Standing.depth == depth)
        .where(Standing.compared_to.is_(None) | ~current)
        .order_by(Standing.mean.desc())
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
    )


def rebuild(connection: Connection) -> None:
    """Compute every standing from the trials, as a migration must."""
    done = select(Trial.study_id, Trial.depth, Trial.subset).where(Trial.state == "complete")
    for study_id, depth, subset in connection.execute(done.distinct()).all():
        update_standing(connection, study_id, depth, subset)
