"""The role that may read everything and change nothing, on a real PostgreSQL server."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, event, make_url

from storage.database.rights import Excess, Source
from storage.database.roles import create_reader, create_worker
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
    "CREATE TEMPORARY TABLE mine (x integer)",
    "SELECT lo_create(0)",
    "SELECT lo_creat(-1)",
    "SELECT lo_from_bytea(0, 'mine')",
    "SELECT lo_import('/etc/hostname')",
    "SET temp_file_limit = -1",
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


WORK = """
    INSERT INTO search_studies
        (uid, name, file, folder, recipe_hash, base, layers, fingerprints, created_at)
    VALUES ('u', 'mine', '{}', '/', 'h', 'b', 2, '{}', now())
"""
TABLES = (
    "CREATE TABLE mine (x integer)",
    "CREATE TEMPORARY TABLE mine (x integer)",
    "SELECT lo_create(0)",
    "DROP VIEW leaderboard",
    "ALTER TABLE search_trials ADD COLUMN x integer",
    "TRUNCATE search_trials CASCADE",
)


def test_worker_writes_rows_and_changes_no_tables(engine: Engine, postgres_url: str) -> None:
    assert create_worker(engine, READER, "kite") == OPEN_DATABASES
    worker = open_store(as_reader(postgres_url))
    finish_trial(worker, begin(worker, {2: 3}), new_trial((0, 2)), Result(0.25, {}))
    assert len(list_trials(engine, "s")) == 2
    worker.dispose()

    with psycopg.connect(as_reader(postgres_url), autocommit=True) as connection:
        connection.execute(WORK)
        for change in TABLES:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(change.encode())
        connection.execute("DELETE FROM search_studies")


def test_reader_has_limits(engine: Engine, postgres_url: str) -> None:
    create_reader(engine, READER)
    with psycopg.connect(as_reader(postgres_url), autocommit=True) as connection:
        shown = {
            name: connection.execute(f"SHOW {name}".encode()).fetchone()
            for name in (
                "statement_timeout", "idle_in_transaction_session_timeout", "temp_file_limit"
            )
        }  # fmt: skip
    assert list(shown.values()) == [("1min",), ("1min",), ("1GB",)]

    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(psycopg.connect(as_reader(postgres_url)))
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            psycopg.connect(as_reader(postgres_url))


# roles that are there

OPEN_DATABASES = [
    Excess(
        Source.SERVER_DEFAULT,
        "may connect to the databases postgres, ready, template1",
        "REVOKE CONNECT ON DATABASE postgres FROM PUBLIC; "
        "REVOKE CONNECT ON DATABASE ready FROM PUBLIC; "
        "REVOKE CONNECT ON DATABASE template1 FROM PUBLIC",
    )
]
WIDER = (
    ('ALTER ROLE "{role}" SUPERUSER CREATEDB', "has SUPERUSER and CREATEDB"),
    ('ALTER ROLE "{role}" CREATEROLE REPLICATION BYPASSRLS', "has CREATEROLE and REPLICATION and"),
    ('GRANT pg_write_all_data TO "{role}"', "is a member of pg_write_all_data"),
    ('GRANT INSERT, DELETE ON search_studies TO "{role}"', "DELETE on search_studies, INSERT on"),
    ('GRANT UPDATE (mean) ON search_trials TO "{role}"', "UPDATE on search_trials.mean"),
    ('GRANT SELECT ON search_trials TO "{role}" WITH GRANT OPTION', "SELECT on search_trials"),
    ('GRANT USAGE ON SEQUENCE search_trials_id_seq TO "{role}"', "USAGE on search_trials_id_seq"),
    ('GRANT CREATE ON SCHEMA public TO "{role}"', "CREATE on public"),
    ('GRANT TEMPORARY ON DATABASE {database} TO "{role}"', "TEMPORARY on {database}"),
    ('GRANT CONNECT ON DATABASE postgres TO "{role}"', "rights on database postgres"),
    ('GRANT EXECUTE ON FUNCTION lo_create TO "{role}"', "rights on function lo_create(oid)"),
    (
        'ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT DELETE ON TABLES TO "{role}"',
        "DELETE on later objects",
    ),
    ('CREATE SCHEMA theirs AUTHORIZATION "{role}"', "as its own schema theirs"),
)


@pytest.mark.slow
def test_role_that_may_do_more_is_refused_with_what_narrows_it(
    engine: Engine, postgres_url: str
) -> None:
    create_reader(engine, READER)
    names = {"role": READER, "database": str(engine.url.database)}
    for change, right in WIDER:
        run_sql(postgres_url, change.format(**names))
        with pytest.raises(InputError, match=f"the role {READER} may do more than read") as caught:
            create_reader(engine, READER, "kite")
        assert right.format(**names) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert stored_password(postgres_url) is None  # nothing was done by halves

        remedy = str(caught.value).partition("as a superuser: ")[2]
        run_sql(
            postgres_url, *remedy.replace(f'in database "{names["database"]}": ', "").split(";")
        )
        create_reader(engine, READER)


def test_role_of_another_database_is_refused(engine: Engine, postgres_server: str) -> None:
    run_sql(
        postgres_server,
        f'CREATE ROLE "{READER}"',
        "CREATE TABLE theirs (x integer)",
        f'GRANT SELECT ON theirs TO "{READER}"',
    )
    try:
        with pytest.raises(
            InputError, match="has in database postgres rights on objects"
        ) as caught:
            create_reader(engine, READER)
        assert f'in database "postgres": REASSIGN OWNED BY "{READER}"' in str(caught.value)
    finally:
        run_sql(postgres_server, "DROP TABLE theirs")
    create_reader(engine, READER)


def test_worker_is_no_reader(engine: Engine) -> None:
    create_worker(engine, READER)
    create_worker(engine, READER)
    with pytest.raises(InputError, match="may do more than read"):
        create_reader(engine, READER)


# what every role may do


def test_other_databases_are_closed_where_the_server_has_no_other_use(
    engine: Engine, postgres_url: str, postgres_server: str
) -> None:
    assert create_reader(engine, READER) == OPEN_DATABASES
    elsewhere = as_reader(postgres_server)
    psycopg.connect(elsewhere).close()
    try:
        assert create_reader(engine, READER, dedicated=True) == []
        with pytest.raises(psycopg.OperationalError, match="does not have CONNECT privilege"):
            psycopg.connect(elsewhere)
        psycopg.connect(as_reader(postgres_url)).close()
    finally:
        for name in ("postgres", "ready", "template1"):
            run_sql(postgres_server, f"GRANT CONNECT ON DATABASE {name} TO PUBLIC")


def test_rights_that_somebody_gave_to_everybody_are_named(
    engine: Engine, postgres_url: str
) -> None:
    run_sql(
        postgres_url,
        "GRANT DELETE ON search_trials TO PUBLIC",
        "GRANT CREATE ON SCHEMA public TO PUBLIC",  # as PostgreSQL 14 does
    )
    left = create_reader(engine, READER)
    remedy = "REVOKE ALL ON search_trials FROM PUBLIC"
    assert left == [Excess(Source.EVERYBODY, "may change search_trials", remedy), *OPEN_DATABASES]


@pytest.mark.slow
def test_owner_who_is_no_superuser_makes_roles_and_is_told_what_is_left(
    postgres_url: str, postgres_server: str
) -> None:
    owner, database = f"{READER}_owner", str(make_url(postgres_url).database)
    run_sql(postgres_server, f'CREATE ROLE "{owner}" LOGIN CREATEROLE')
    run_sql(postgres_server, f'ALTER DATABASE {database} OWNER TO "{owner}"')
    engine = open_store(as_reader(postgres_url, owner), create=True)
    try:
        for _ in range(2):
            left = create_reader(engine, READER, "kite")
            assert [found.right.partition(" with")[0] for found in left[:-1]] == [
                "may make large objects"
            ]
            assert left[-1].source is Source.SERVER_DEFAULT
            remedy = "REVOKE EXECUTE ON FUNCTION pg_catalog.lo_create(oid) FROM PUBLIC"
            assert remedy in left[0].remedy
        assert run_sql(as_reader(postgres_url), "SELECT count(*) FROM leaderboard") == [(0,)]
    finally:
        engine.dispose()
        run_sql(postgres_server, f"ALTER DATABASE {database} OWNER TO CURRENT_USER")
        drop_readers(postgres_url)


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
    with pytest.raises(InputError, match="an SQLite store has no roles: give people permission"):
        create_reader(engine, READER)
    engine.dispose()


def test_owner_that_may_create_no_roles_is_told(engine: Engine, postgres_url: str) -> None:
    create_reader(engine, READER)
    run_sql(postgres_url, f'ALTER ROLE "{READER}" RESET default_transaction_read_only')
    poor = open_store(as_reader(postgres_url))
    with pytest.raises(StorageError, match="connect as a superuser, or as the owner") as caught:
        create_reader(poor, f"{READER}_2")
    assert "\n" not in str(caught.value)
    poor.dispose()
