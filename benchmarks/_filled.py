"""A store with a given number of trials, each scored on 13 tasks of 50 queries."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import numpy as np
import psycopg
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, Row, insert, select, text, update

from search.space import Subset
from storage.database import utc_now, write
from storage.leaderboard.standings import update_standing
from storage.schema import Depth, Query, QueryScore, Standing, TaskScore, Trial
from storage.states import Origin, TrialState
from storage.studies import StudyDefinition, StudyRecord, begin_study

TASKS, QUERIES = 13, 50
"""Number of tasks, and of queries of each task, as in NanoBEIR."""

DEPTH = 7
"""Depth of all trials of a filled study."""

SAMPLER = {"origin": Origin.SAMPLER, "sampler": "uniform"}
"""Columns of a trial that a sampler proposed."""

_SPARE = 1000  # trials of the budget that are left, for measurements
_BATCH = 500  # trials of one transaction
_QUERY_SCORES = QueryScore.__tablename__

# The scores by query: ease of a query, which all subsets share, plus effects of the subset and of
# both. Deviation and correlation of the scores are then near the figures of NanoBEIR in `ties.py`.
_MEAN, _EASE, _SUBSET, _BOTH = 0.4, 0.3, 0.02, 0.13
_FIRST_MEAN = 0.42  # of the first subset, a good one without any error

Array = NDArray[np.float64]


def begin_empty_study(
    engine: Engine, name: str, budgets: Mapping[int, int], *, base: str, layers: int
) -> StudyRecord:
    """Begin a study without trials.

    Args:
        engine: the store.
        name: name of the study.
        budgets: budget by depth.
        base: name of its base.
        layers: layers of its base.
    """
    definition = StudyDefinition(
        name=name,
        file={"study": {"name": name}},
        folder="/",
        recipe_hash="h",
        base=base,
        layers=layers,
        period=None,
        fingerprints={},
        versions={},
    )

    return begin_study(engine, definition, budgets)


def begin_generated_study(engine: Engine, name: str, budget: int) -> StudyRecord:
    """Begin a study of depth 7 without trials."""
    return begin_empty_study(engine, name, {DEPTH: budget}, base="generated", layers=40)


def numbered_subset(number: int) -> Subset:
    """Return a subset of depth 7 by its number; all are different below 2 million."""
    a, rest = divmod(number, 9000)
    b, c = divmod(rest, 95)
    return (a, a + 1, a + 2, 300 + b, 301 + b, 500 + c, 501 + c)


def add_queries(connection: Connection, study_id: int) -> list[int]:
    """Add all queries of a study, task by task, and return their numbers."""
    queries = [
        {"study_id": study_id, "task": f"t{t:02d}", "query": f"q{q:02d}"}
        for t in range(TASKS)
        for q in range(QUERIES)
    ]
    adding = insert(Query).returning(Query.id, sort_by_parameter_order=True)
    return list(connection.execute(adding, queries).scalars())


def add_task_scores(connection: Connection, scores: Mapping[int, Array]) -> None:
    """Add the scores by task of some trials.

    Args:
        connection: a write transaction.
        scores: by number of the trial, the scores of all its queries, task by task.
    """
    rows = [
        {"trial_id": trial, "task": f"t{t:02d}", "score": float(part.mean())}
        for trial, found in scores.items()
        for t, part in enumerate(found.reshape(TASKS, QUERIES))
    ]
    connection.execute(insert(TaskScore), rows)


def add_query_scores(
    connection: Connection, query_ids: Sequence[int], scores: Mapping[int, Array]
) -> None:
    """Add the scores by query of some trials in bulk, past SQLAlchemy.

    Args:
        connection: a write transaction.
        query_ids: number of each query, task by task.
        scores: by number of the trial, the scores of all its queries in the same order.
    """
    rows = (
        (trial, query, score)
        for trial, found in scores.items()
        for query, score in zip(query_ids, found.ravel().tolist(), strict=True)
    )
    driver = connection.connection.driver_connection
    if isinstance(driver, psycopg.Connection):
        _copy(driver, rows)
    else:
        cursor = connection.connection.cursor()
        cursor.executemany(f"INSERT INTO {_QUERY_SCORES} VALUES (?, ?, ?)", list(rows))  # noqa: S608 - our own table


def _copy(
    driver: "psycopg.Connection[tuple[object, ...]]", rows: Iterable[tuple[int, int, float]]
) -> None:
    """Add scores by query to PostgreSQL as it loads them fastest."""
    with driver.cursor().copy(f"COPY {_QUERY_SCORES} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def fill_study(engine: Engine, name: str, trials: int, scored: int) -> StudyRecord:
    """Begin a study, and add complete trials in bulk.

    Their standings are as `storage.leaderboard.standings` leaves them, with variances stored for
    all: the ones of trials without scores by query are made up.

    Args:
        engine: the store.
        name: name of the study.
        trials: number of trials.
        scored: number of trials, the first ones, that have scores by query.
    """
    study = begin_generated_study(engine, name, trials + _SPARE)
    with write(engine) as connection:
        query_ids = add_queries(connection, study.id)

    rng = np.random.default_rng(0)
    ease = rng.normal(0, _EASE, TASKS * QUERIES)
    for start in range(0, trials, _BATCH):
        numbers = range(start, min(trials, start + _BATCH))
        scores = _draw_scores(rng, ease, numbers)
        with write(engine) as connection:
            added = _add_trials(connection, study.id, numbers, scores)
            add_task_scores(connection, added)
            with_queries = dict(list(added.items())[: max(0, scored - start)])
            add_query_scores(connection, query_ids, with_queries)

    with write(engine) as connection:
        _settle(connection, study.id, trials)
    analyze(engine)
    return study


def _draw_scores(rng: np.random.Generator, ease: Array, numbers: range) -> Array:
    """Return the scores by query (trials, queries) of a batch of trials."""
    subset = rng.normal(0, _SUBSET, (len(numbers), 1))
    both = rng.normal(0, _BOTH, (len(numbers), len(ease)))
    scores: Array = _MEAN + ease + subset + both
    if numbers[0] == 0:
        scores[0] = _FIRST_MEAN + ease
    return scores


def _add_trials(
    connection: Connection, study_id: int, numbers: range, scores: Array
) -> dict[int, Array]:
    """Add a batch of complete trials with their standings, and return their scores by number."""
    rows = [
        _trial(study_id, numbered_subset(number), float(found.mean()))
        for number, found in zip(numbers, scores, strict=True)
    ]
    columns = (Trial.id, Trial.subset, Trial.mean, Trial.finished_at)
    adding = insert(Trial).values(started_at=utc_now(), finished_at=utc_now())
    adding_and_returning = adding.returning(*columns, sort_by_parameter_order=True)
    added = connection.execute(adding_and_returning, rows).all()

    standings = [_standing(study_id, row) for row in added]
    connection.execute(insert(Standing), standings)
    return {row.id: found for row, found in zip(added, scores, strict=True)}


def _trial(study_id: int, subset: Subset, mean: float) -> dict[str, object]:
    """Return the columns of a complete trial."""
    return {
        "study_id": study_id,
        "depth": DEPTH,
        "subset": subset,
        "seed": 0,
        "state": TrialState.COMPLETE,
        "owner": "w",
        "token": 1,
        "crashes": 0,
        "mirrored": True,
        "mean": mean,
        "result_token": 1,
        **SAMPLER,
    }


def _standing(
    study_id: int, trial: Row[int, Subset, float | None, datetime | None]
) -> dict[str, object]:
    """Return the columns of the standing of a subset that has this trial alone."""
    return {
        "study_id": study_id,
        "subset": trial.subset,
        "depth": DEPTH,
        "gaps": 2,
        "layers": "".join(f"{layer:03d}" for layer in trial.subset),
        "mean": trial.mean,
        "seeds": 1,
        "squares": 0.0,
        "lowest": trial.mean,
        "highest": trial.mean,
        "finished_at": trial.finished_at,
        **SAMPLER,
    }


def _settle(connection: Connection, study_id: int, trials: int) -> None:
    """Set the counts of the depth, its leader, its critical value and all variances."""
    here = (Depth.study_id == study_id, Depth.depth == DEPTH)
    connection.execute(update(Depth).where(*here).values(taken=trials, scored=trials))

    best = select(Standing.subset).where(Standing.study_id == study_id)
    leader = connection.execute(best.order_by(Standing.mean.desc()).limit(1)).scalar_one()
    update_standing(connection, study_id, leader)  # finds the leader and the critical value

    made_up = {
        "variance": 2e-4,
        "variance_seeds": 1,
        "difference_variance": 5e-5,
        "difference_seeds": 1,
        "compared_to": leader,
        "compared_seeds": 1,
    }
    connection.execute(update(Standing).where(Standing.study_id == study_id).values(made_up))


def analyze(engine: Engine) -> None:
    """Tell the database's planner of the new rows, as it would find out by itself in time."""
    statement = "ANALYZE" if engine.dialect.name == "sqlite" else "VACUUM ANALYZE"
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text(statement))
