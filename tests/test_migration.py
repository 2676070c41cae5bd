"""A store of release 0.1, with data, brought to this release's schema: nothing is lost."""

from importlib.resources import files

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text

from storage import engine as engines
from storage import leaderboard, setup, studies
from storage.claims import remaining

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


@pytest.fixture
def old(store_url: str) -> Engine:
    """A store as release 0.1 left it."""
    url = engines.parse(store_url)
    engine = engines.connect(url)
    config = Config()
    config.set_main_option("script_location", str(files("storage") / "migrations"))
    config.set_main_option("path_separator", "os")
    with engines.write(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for rows in ROWS:
            connection.execute(text(rows))
    return engine


def test_scores_claims_and_budgets_are_still_there(old: Engine, store_url: str) -> None:
    old.dispose()
    engine = setup.open_store(store_url, create=True)
    with engines.read(engine) as connection:
        counts = {
            table: connection.execute(text(f"SELECT count(*) FROM search_{table}")).scalar()  # noqa: S608
            for table in ("studies", "depths", "trials", "queries", "task_scores", "query_scores")
        }
        crashes = connection.execute(text("SELECT crashes FROM search_trials ORDER BY id"))
        assert crashes.scalars().all() == [0, 1, 0, 2]
    assert counts == {
        "studies": 2, "depths": 2, "trials": 4, "queries": 2, "task_scores": 2, "query_scores": 4,
    }  # fmt: skip
    study, other = studies.find(engine, "s"), studies.find(engine, "other")
    assert (len(study.uid), study.uid != other.uid, study.versions) == (32, True, {})
    assert remaining(engine, study.id, 2) == 2  # the one chosen by hand does not count
    rows = leaderboard.ranking(engine, "s")
    assert [(row["rank"], row["subset"], row["mean"]) for row in rows] == [
        (1, "0_2", 0.75), (2, "0_1", 0.5),
    ]  # fmt: skip
    assert rows[1]["difference_error"] == pytest.approx(0.125)
    attempts = {
        (r["subset"], r["attempt"], r["outcome"]) for r in leaderboard.attempts(engine, "s")
    }
    assert attempts == {
        ("0_1", 1, "complete"), ("0_2", 2, "complete"), ("0_3", 1, "failed"), ("0_4", 3, "running"),
    }  # fmt: skip
    engine.dispose()
