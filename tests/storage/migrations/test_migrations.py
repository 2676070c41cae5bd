"""Migrations in both directions, with data, on each database: nothing is lost."""

from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text

from storage.database import connect, parse_url, write
from storage.errors import InputError
from storage.leaderboard import list_attempts, rank_subsets
from storage.leaderboard.views import VIEWS
from storage.migrations import SCHEMA_VERSION, VERSION_TABLE
from storage.migrations.upgrade import alembic_config
from storage.queue import Result, TaskResult
from storage.setup import make_ready, open_store
from storage.states import Origin
from storage.studies import find_study
from tests.support.schema import differences, migrate_down, migrate_up
from tests.support.stores import (
    Dump,
    begin,
    finish_trial,
    new_trial,
    query,
    queue_of,
    trial_rows,
)

ROWS = [
    """INSERT INTO search_studies (id, name, file, folder, recipe_hash, base, layers, period,
       fingerprints, created_at) VALUES (1, 's', '{"study": {"name": "s"}}', '/', 'h', 'toy', 22, 3,
       '{"base": "f"}', '2026-11-01 10:00:00'), (2, 'other', '{}', '/', 'h', 'toy', 22, 3, '{}',
       '2026-11-01 10:00:00')""",
    """INSERT INTO search_depths (study_id, depth, budget, optuna_study)
       VALUES (1, 2, 5, 's/L2'), (2, 2, 5, 'other/L2')""",
    """INSERT INTO search_trials (id, study_id, depth, subset, seed, origin, state, owner, token,
       breaks, told, created_at, started_at, finished_at, mean, error) VALUES
       (1, 1, 2, '0_1', 0, 'swap', 'complete', 'a', 1, 0, true, '2026-11-01 10:00:00',
        '2026-11-01 10:00:00', '2026-11-01 10:01:00', 0.5, NULL),
       (2, 1, 2, '0_2', 0, 'manual', 'complete', 'a', 2, 1, true, '2026-11-01 10:00:00',
        '2026-11-01 10:00:00', '2026-11-01 10:02:00', 0.75, NULL),
       (3, 1, 2, '0_3', 0, 'swap', 'failed', 'a', 1, 0, true, '2026-11-01 10:00:00',
        '2026-11-01 10:00:00', '2026-11-01 10:03:00', NULL, 'NaN'),
       (4, 1, 2, '0_4', 0, 'swap', 'running', 'b', 3, 2, false, '2026-11-01 10:00:00',
        '2026-11-01 10:00:00', NULL, NULL, NULL)""",
    "INSERT INTO search_queries (id, study_id, task, query) VALUES (1,1,'t','q1'), (2,1,'t','q2')",
    """INSERT INTO search_task_scores (trial_id, task, score)
       VALUES (1, 't', 0.5), (2, 't', 0.75)""",
    """INSERT INTO search_query_scores (trial_id, query_id, score)
       VALUES (1, 1, 0.25), (1, 2, 0.75), (2, 1, 0.625), (2, 2, 0.875)""",
]


def test_version_is_the_newest_migration() -> None:
    heads = ScriptDirectory.from_config(alembic_config()).get_heads()
    assert heads == [SCHEMA_VERSION]


# from the first revision


@pytest.fixture
def old(store_url: str) -> str:
    """URL of a store with the first tables and some rows."""
    engine = connect(parse_url(store_url))
    migrate_up(engine, "0001")
    with write(engine) as connection:
        for rows in ROWS:
            connection.execute(text(rows))
    engine.dispose()
    return store_url


def test_scores_claims_and_budgets_are_still_there(old: str) -> None:
    engine = open_store(old, create=True)
    counts = {
        table: query(engine, f"SELECT count(*) FROM search_{table}")[0][0]  # noqa: S608
        for table in ("studies", "depths", "trials", "queries", "task_scores", "query_scores")
    }
    assert counts == {
        "studies": 2,
        "depths": 2,
        "trials": 4,
        "queries": 2,
        "task_scores": 2,
        "query_scores": 4,
    }
    crashes = query(engine, "SELECT crashes FROM search_trials ORDER BY id")
    assert crashes == [(0,), (1,), (0,), (2,)]
    assert [row["origin"] for row in trial_rows(engine)] == ["swap", "manual", "swap", "swap"]

    study, other = find_study(engine, "s"), find_study(engine, "other")
    assert (len(study.uid), study.uid != other.uid, study.versions) == (32, True, {})
    assert queue_of(engine, study).remaining(2) == 2  # the one chosen by hand does not count

    rows = rank_subsets(engine, "s")
    assert [(row["rank"], row["subset"], row["mean"]) for row in rows] == [
        (1, "0_2", 0.75),
        (2, "0_1", 0.5),
    ]
    assert rows[1]["difference_error"] == pytest.approx(0.125)
    attempts = {(r["subset"], r["attempt"], r["outcome"]) for r in list_attempts(engine, "s")}
    assert attempts == {
        ("0_1", 1, "complete"),
        ("0_2", 2, "complete"),
        ("0_3", 1, "failed"),
        ("0_4", 3, "running"),
    }
    engine.dispose()


# to the first revision and back


def test_migrating_down_and_up_again(engine: Engine, store_url: str) -> None:
    optunas = {name for name in inspect(engine).get_table_names() if "search_" not in name}
    migrate_down(engine, "base")
    assert set(inspect(engine).get_table_names()) == optunas | {VERSION_TABLE}
    with pytest.raises(InputError, match="holds no layer-search store"):
        open_store(store_url)

    again = open_store(store_url, create=True)
    assert differences(again) == []
    assert sorted(inspect(again).get_view_names()) == sorted(VIEWS)
    assert begin(again, {4: 2, 7: 3}).budgets == {4: 2, 7: 3}
    again.dispose()


# revision 0004: origins and trials that were set aside


@pytest.fixture
def filled(engine: Engine) -> Engine:
    """A store with trials of every origin of that revision, and failures of both kinds."""
    study = begin(engine, {2: 99})
    scored = Result(0.5, {"nq": TaskResult(0.5, {"q1": 0.25, "q2": 0.75})})
    others = (Origin.FIRST, Origin.REPEAT, Origin.REPLICATE, Origin.MANUAL)
    for layer, origin in enumerate(("gp", *others), 1):
        finish_trial(engine, study, new_trial((0, layer), origin=origin), scored)

    failures = [
        Result(None, error="its worker ended 3 times", set_aside=True),
        Result(None, error="the loss is NaN, not set aside: no"),
    ]
    for layer, failure in enumerate(failures, 11):
        finish_trial(engine, study, new_trial((0, layer)), failure)

    queue = queue_of(engine, study)
    queue.mark_mirrored(1)
    queue.claim(new_trial((0, 20), origin="tpe"))
    queue.refresh_standings(2)
    return engine


BEFORE = [
    ("0_1", "gp", None, True),
    ("0_2", "first", None, False),
    ("0_3", "repeat", None, False),
    ("0_4", "replicate", None, False),
    ("0_5", "manual", None, False),
    ("0_11", "swap", "set aside: its worker ended 3 times", False),
    ("0_12", "swap", "the loss is NaN, not set aside: no", False),
    ("0_20", "tpe", None, False),
]
"""Subset, origin, error and mark of Optuna's knowledge, as revision 0003 held them."""

AFTER = [
    ("0_1", "sampler", "gp", None, False, True),
    ("0_2", "first", None, None, False, False),
    ("0_3", "repeat", None, None, False, False),
    ("0_4", "replicate", None, None, False, False),
    ("0_5", "manual", None, None, False, False),
    ("0_11", "sampler", "swap", "its worker ended 3 times", True, False),
    ("0_12", "sampler", "swap", "the loss is NaN, not set aside: no", False, False),
    ("0_20", "sampler", "tpe", None, False, False),
]
"""Subset, origin, sampler, error and both marks, as revision 0004 holds them."""


def trials(engine: Engine, columns: str) -> list[tuple[Any, ...]]:
    """Return columns of all trials; SQLite holds a mark as a number."""
    return query(engine, f"SELECT {columns} FROM search_trials ORDER BY id")  # noqa: S608


def test_origins_and_marks_become_columns_and_texts_again(filled: Engine, dump: Dump) -> None:
    before, board = dump(filled), rank_subsets(filled)
    migrate_down(filled, "0003")
    assert trials(filled, "subset, origin, error, told") == BEFORE
    standings = query(filled, "SELECT subset, origin FROM search_standings ORDER BY subset")
    assert standings == [row[:2] for row in BEFORE[:5]]
    for table in ("search_trials", "search_standings"):
        columns = {column["name"] for column in inspect(filled).get_columns(table)}
        assert columns.isdisjoint({"sampler", "set_aside", "mirrored"})

    make_ready(filled)
    new = "subset, origin, sampler, error, set_aside, mirrored"
    assert trials(filled, new) == AFTER
    standings = query(filled, "SELECT subset, origin, sampler FROM search_standings ORDER BY 1")
    assert standings == [row[:3] for row in AFTER[:5]]
    assert differences(filled) == []
    assert dump(filled) == before
    assert rank_subsets(filled) == board


# revision 0009: references and costs


def test_a_reference_becomes_a_manual_trial_in_older_stores(engine: Engine) -> None:
    study = begin(engine, {2: 9, 22: 0}, reference=True)
    whole = new_trial(tuple(range(22)), origin=Origin.REFERENCE)
    finish_trial(engine, study, whole, Result(0.5))
    migrate_down(engine, "0004")
    for table in ("search_trials", "search_standings"):
        assert query(engine, f"SELECT origin FROM {table}") == [("manual",)]  # noqa: S608 - ours

    make_ready(engine)
    assert differences(engine) == []
    assert find_study(engine, "s").reference is False  # as every study of an older release


def test_intervals_are_there_after_the_migration(filled: Engine) -> None:
    finish_trial(
        filled,
        find_study(filled, "s"),
        new_trial((0, 21), origin=Origin.MANUAL),
        Result(0.5, {"nq": TaskResult(0.5, {"q1": 0.5, "q2": 0.5})}),
    )
    before = query(filled, "SELECT depth, quantile FROM search_depths")
    migrate_down(filled, "0004")
    make_ready(filled)
    assert query(filled, "SELECT depth, quantile FROM search_depths") == before
    assert before[0][1] == pytest.approx(12.7, rel=0.01)  # one degree of freedom
