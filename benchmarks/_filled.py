"""A store with a given number of trials, each scored on 13 tasks of 50 queries."""

import numpy as np
from sqlalchemy import Connection, Engine, insert, select, text, update

from storage import engine as engines
from storage import standings, studies
from storage.clock import utc_now
from storage.schema import Depth, Query, Standing, TaskScore, Trial
from storage.studies import StudyRecord

TASKS, QUERIES = 13, 50
DEPTH = 7
_BATCH = 500


def begin(engine: Engine, name: str, budget: int) -> StudyRecord:
    """An empty study of depth 7."""
    return studies.begin(
        engine, name=name, file={"study": {"name": name}}, folder="/", recipe_hash="h",
        base="generated", layers=40, period=None, fingerprints={}, versions={},
        budgets={DEPTH: budget},
    )  # fmt: skip


def key(number: int) -> str:
    """The subset with this number: seven of a hundred layers, all different below 2 million."""
    a, rest = divmod(number, 9000)
    b, c = divmod(rest, 95)
    return f"{a}_{a + 1}_{a + 2}_{300 + b}_{301 + b}_{500 + c}_{501 + c}"


def add_queries(connection: Connection, study_id: int) -> list[int]:
    """Add all queries of a study, task by task; returns their numbers."""
    queries = [
        {"study_id": study_id, "task": f"t{t:02d}", "query": f"q{q:02d}"}
        for t in range(TASKS)
        for q in range(QUERIES)
    ]
    adding = insert(Query).returning(Query.id, sort_by_parameter_order=True)
    return list(connection.execute(adding, queries).scalars())


def fill(engine: Engine, name: str, trials: int, scored: int) -> StudyRecord:
    """Add `trials` complete trials in bulk; the first `scored` of them have scores by query.

    Their standings are as `storage.standings` leaves them, with variances stored for all: those of
    trials without scores by query are made up.
    """
    study = begin(engine, name, trials + 1000)
    rng = np.random.default_rng(0)
    with engines.write(engine) as connection:
        ids = add_queries(connection, study.id)
    hard = rng.normal(0, 0.3, TASKS * QUERIES)
    for start in range(0, trials, _BATCH):
        numbers = range(start, min(trials, start + _BATCH))
        _add(engine, study, numbers, scored, ids, hard, rng)
    with engines.write(engine) as connection:
        here = (Depth.study_id == study.id, Depth.depth == DEPTH)
        connection.execute(update(Depth).where(*here).values(taken=trials, scored=trials - 1))
        best = select(Standing.subset).where(Standing.study_id == study.id)
        leader = connection.execute(best.order_by(Standing.mean.desc()).limit(1)).scalar_one()
        # as its result would have done: finds the leader and the critical value
        standings.update_standing(connection, study.id, DEPTH, leader)
        made_up = {
            "variance": 2e-4, "variance_seeds": 1, "difference_variance": 5e-5,
            "difference_seeds": 1, "compared_to": leader, "compared_seeds": 1,
        }  # fmt: skip
        connection.execute(update(Standing).where(Standing.study_id == study.id).values(made_up))
    with engine.connect() as connection:
        analyse = "ANALYZE" if engine.dialect.name == "sqlite" else "VACUUM ANALYZE"
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text(analyse))
    return study


def _add(engine, study, numbers, scored, ids, hard, rng) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """One batch of trials."""
    scores = (
        0.4
        + hard
        + rng.normal(0, 0.02, (len(numbers), 1))
        + rng.normal(0, 0.13, (len(numbers), TASKS * QUERIES))
    )
    scores[0] = 0.42 + hard if numbers[0] == 0 else scores[0]
    with engines.write(engine) as connection:
        rows = [
            {
                "study_id": study.id, "depth": DEPTH, "subset": key(number), "seed": 0,
                "origin": "uniform", "state": "complete", "owner": "w", "token": 1, "crashes": 0,
                "told": True, "mean": float(scores[at].mean()), "result_token": 1,
            }
            for at, number in enumerate(numbers)
        ]  # fmt: skip
        adding = insert(Trial).values(started_at=utc_now(), finished_at=utc_now())
        adding = adding.returning(Trial.id, Trial.finished_at, sort_by_parameter_order=True)
        added = connection.execute(adding, rows).all()
        tasks = [
            {"trial_id": row.id, "task": f"t{t:02d}", "score": float(part.mean())}
            for at, row in enumerate(added)
            for t, part in enumerate(scores[at].reshape(TASKS, QUERIES))
        ]
        connection.execute(insert(TaskScore), tasks)
        connection.execute(insert(Standing), [
            {
                "study_id": study.id, "subset": row["subset"], "depth": DEPTH, "gaps": 2,
                "layers": "".join(f"{int(x):03d}" for x in row["subset"].split("_")),
                "origin": "uniform", "mean": row["mean"], "seeds": 1, "squares": 0.0,
                "lowest": row["mean"], "highest": row["mean"], "finished_at": done.finished_at,
            }
            for row, done in zip(rows, added, strict=True)
        ])  # fmt: skip
        lines = [
            (row.id, query, float(score))
            for at, row in enumerate(added)
            if numbers[at] < scored
            for query, score in zip(ids, scores[at], strict=True)
        ]
        cursor = connection.connection.cursor()
        if engine.dialect.name == "sqlite":
            cursor.executemany("INSERT INTO search_query_scores VALUES (?, ?, ?)", lines)
        elif lines:
            with cursor.copy("COPY search_query_scores FROM STDIN") as copy:
                for line in lines:
                    copy.write_row(line)
