"""The role that may read everything and change nothing, on a real PostgreSQL server."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, event

from storage.database.roles import create_reader
from storage.errors import InputError, StorageError
from storage.leaderboard import list_attempts, rank_subsets
from storage.queue import Result, TaskResult
from storage.setup import open_store
from storage.studies import study_names
from storage.trials import list_trials
from tests.support.databases import run_sql
from tests.support.roles import READER, as_reader, drop_readers, fits, stored_password
from tests.support.stores import Dump, begin, finish_trial, new_trial


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    """A PostgreSQL store with one result; the roles of the test go with it."""
    engine = open_store(postgres_url)
    study = begin(engine, {2: 3})
    result = Result(0.5, {"nq": TaskResult(0.5, {"q": 0.5})})
    finish_trial(engine, study, new_trial((0, 1)), result)

    yield engine
    engine.dispose()
    drop_readers(postgres_url)


# rights


def test_role_reads_everything_that_the_owner_does(engine: Engine, postgres_url: str) -> None:
    create_reader(engine, READER, "kite-0Qz")
    assert fits(stored_password(postgres_url), "kite-0Qz")

    reader = open_store(as_reader(postgres_url))
    assert study_names(reader) == study_names(engine) == ["s"]
    for read_rows in (list_trials, list_attempts, rank_subsets):
        rows = read_rows(reader, "s")
        assert rows == read_rows(engine, "s")
        assert len(rows) == 1
    reader.dispose()


CHANGES = (
    "INSERT INTO search_studies (uid, name) VALUES ('u', 'mine')",
    "UPDATE search_trials SET mean = 1",
    "UPDATE leaderboard SET mean = 1",
    "DELETE FROM search_studies",
    "DELETE FROM studies",
    "TRUNCATE search_trials CASCADE",
    "CREATE TABLE mine (x integer)",
    "CREATE VIEW mine AS SELECT 1",
    "CREATE SCHEMA mine",
    "CREATE ROLE mine",
    "DROP VIEW leaderboard",
    "ALTER TABLE search_trials ADD COLUMN x integer",
    "GRANT SELECT ON search_trials TO PUBLIC",
    "SELECT nextval('search_trials_id_seq')",
    "SELECT * FROM search_trials FOR UPDATE",
    "SELECT rolpassword FROM pg_authid",
    "COPY search_trials TO PROGRAM 'cat'",
)


def test_role_changes_nothing_even_if_it_asks_to(
    engine: Engine, postgres_url: str, dump: Dump
) -> None:
    create_reader(engine, READER, "kite")
    before = dump(engine)

    with psycopg.connect(as_reader(postgres_url), autocommit=True) as connection:
        assert connection.execute("SHOW default_transaction_read_only").fetchone() == ("on",)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("CREATE TEMPORARY TABLE mine (x integer)")
        connection.execute("SET default_transaction_read_only = off")
        for change in CHANGES:
            refused = False
            try:
                connection.execute(change.encode())
            except (
                psycopg.errors.InsufficientPrivilege,
                psycopg.errors.ObjectNotInPrerequisiteState,
            ):
                refused = True
            assert refused or "GRANT" in change, change  # that warns only

    assert dump(engine) == before
    rights = "SELECT has_table_privilege('public', 'search_trials', 'SELECT')"
    assert run_sql(postgres_url, rights) == [(False,)]


def test_role_that_was_given_more_is_brought_back(engine: Engine, postgres_url: str) -> None:
    create_reader(engine, READER)
    run_sql(
        postgres_url,
        f'ALTER ROLE "{READER}" SUPERUSER CREATEDB CREATEROLE',
        f'ALTER ROLE "{READER}" RESET default_transaction_read_only',
        f'GRANT INSERT, UPDATE, DELETE ON search_studies TO "{READER}"',
    )
    create_reader(engine, READER)

    with psycopg.connect(as_reader(postgres_url), autocommit=True) as connection:
        rights = "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = %s"
        assert connection.execute(rights, [READER]).fetchone() == (False, False, False)
        assert connection.execute("SHOW default_transaction_read_only").fetchone() == ("on",)
        connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM search_studies")


def test_views_and_tables_that_come_later_are_readable(engine: Engine, postgres_url: str) -> None:
    create_reader(engine, READER)
    run_sql(
        postgres_url,
        "DROP VIEW query_scores",
        "CREATE VIEW query_scores AS SELECT 7 AS score",
        "CREATE TABLE later AS SELECT 8 AS number",
    )
    assert run_sql(as_reader(postgres_url), "SELECT score FROM query_scores") == [(7,)]
    assert run_sql(as_reader(postgres_url), "SELECT number FROM later") == [(8,)]


# passwords


def test_password_is_changed_and_kept_without_one(engine: Engine, postgres_url: str) -> None:
    create_reader(engine, READER)
    assert stored_password(postgres_url) is None

    create_reader(engine, READER, "first")
    first = stored_password(postgres_url)
    assert fits(first, "first")

    create_reader(engine, READER, "sécönd '$\\\"")
    second = stored_password(postgres_url)
    assert fits(second, "sécönd '$\\\"")
    assert not fits(second, "first")

    create_reader(engine, READER)
    assert stored_password(postgres_url) == second


def test_server_is_never_sent_the_password(engine: Engine, tmp_path: Path) -> None:
    engine.dispose()
    with (tmp_path / "trace").open("w+b", buffering=0) as trace:

        @event.listens_for(engine, "connect")
        def _(connection: "psycopg.Connection[tuple[object, ...]]", _entry: object) -> None:
            connection.pgconn.trace(trace.fileno())

        create_reader(engine, READER, "kite-0Qz")
        engine.dispose()
        sent = (tmp_path / "trace").read_bytes()
    assert b"PASSWORD 'SCRAM-SHA-256$" in sent
    assert b"0Qz" not in sent


# names


BAD = ["", "1look", "a b", 'a"b', "a;b", "pg_looker", "lööker", "x" * 64]


@pytest.mark.parametrize("name", BAD)
def test_name_that_cannot_be_a_role_is_refused(engine: Engine, name: str) -> None:
    with pytest.raises(InputError, match="cannot be a role") as caught:
        create_reader(engine, name, "kite")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["looker_of-Tests", "looker_of_" + "x" * 53])
def test_odd_names_are_roles_too(engine: Engine, postgres_url: str, name: str) -> None:
    create_reader(engine, name, "kite")
    assert fits(stored_password(postgres_url, name), "kite")
    found = run_sql(as_reader(postgres_url, name), "SELECT count(*) FROM leaderboard")
    assert found == [(1,)]


# refusals


def test_owner_of_the_store_is_no_reader(engine: Engine, postgres_url: str) -> None:
    owner = engine.url.username
    assert owner is not None
    with pytest.raises(InputError, match=f"'{owner}' owns the store: name another role"):
        create_reader(engine, owner, "kite")
    assert stored_password(postgres_url) is None


def test_sqlite_store_has_no_roles(ready_file: Path) -> None:
    engine = open_store(f"sqlite:///{ready_file}")
    with pytest.raises(InputError, match="an SQLite store has no roles: give readers permission"):
        create_reader(engine, READER)
    engine.dispose()


def test_owner_that_may_create_no_roles_is_told(engine: Engine, postgres_url: str) -> None:
    create_reader(engine, READER)
    run_sql(postgres_url, f'ALTER ROLE "{READER}" RESET default_transaction_read_only')
    poor = open_store(as_reader(postgres_url))
    with pytest.raises(StorageError, match="connect as a user that may create roles") as caught:
        create_reader(poor, f"{READER}_2")
    assert "\n" not in str(caught.value)
    poor.dispose()
