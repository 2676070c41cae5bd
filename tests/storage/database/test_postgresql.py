"""Connections to PostgreSQL: full servers, poolers that take no settings, failovers."""

import threading
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from storage.database import connect, is_outage, parse_url, patient, read, write
from storage.database.engine import engine_settings
from tests.support.databases import run_sql
from tests.support.stores import query

CROWD = "crowd_of_these_tests"
SHORT = "SHOW statement_timeout"


@pytest.fixture
def on_postgres(postgres_url: str) -> Any:
    """An engine on an empty PostgreSQL database."""
    engine = connect(parse_url(postgres_url))
    yield engine
    engine.dispose()


# connections


def test_server_without_a_free_connection_is_waited_for(postgres_url: str) -> None:
    run_sql(postgres_url, f"CREATE ROLE {CROWD} LOGIN CONNECTION LIMIT 1")
    url = parse_url(postgres_url).set(username=CROWD)
    first, second = connect(url), connect(url)
    try:
        with read(first), pytest.raises(OperationalError, match="too many") as caught, read(second):
            pass
        assert is_outage(caught.value)
        first.dispose()
        with read(second) as connection:
            assert connection.execute(text("SELECT current_user")).scalar() == CROWD
    finally:
        first.dispose()
        second.dispose()
        run_sql(postgres_url, f"DROP ROLE {CROWD}")


@pytest.mark.parametrize("changed", ["username", "database"])
def test_server_that_will_refuse_again_is_not(postgres_url: str, changed: str) -> None:
    url = parse_url(postgres_url)
    nobody, nothing = url.set(username="nobody_here"), url.set(database="nothing_here")
    engine = connect(nobody if changed == "username" else nothing)
    with pytest.raises(OperationalError, match="does not exist") as caught, read(engine):
        pass
    assert not is_outage(caught.value)


def test_a_process_holds_one_connection_and_a_second_at_need(on_postgres: Engine) -> None:
    with read(on_postgres), read(on_postgres):
        assert on_postgres.pool.checkedout() == 2  # type: ignore[attr-defined]
    assert on_postgres.pool.checkedin() == 1  # type: ignore[attr-defined]


def test_statements_are_not_prepared_on_a_connection_that_may_change(on_postgres: Engine) -> None:
    for _ in range(8):
        assert query(on_postgres, "SELECT 1") == [(1,)]
    assert query(on_postgres, "SELECT count(*) FROM pg_prepared_statements") == [(0,)]


def test_workers_that_wait_hold_nothing_that_others_wait_for(postgres_url: str) -> None:
    """Two workers with two connections to share, each of which needs both for a moment."""
    run_sql(postgres_url, f"CREATE ROLE {CROWD} LOGIN CONNECTION LIMIT 2")
    url = parse_url(postgres_url).set(username=CROWD)
    engines = [connect(url), connect(url)]
    start = threading.Barrier(2)
    done: list[Engine] = []

    def work(engine: Engine) -> None:
        assert query(engine, "SELECT 1") == [(1,)]
        start.wait()  # each has one, and keeps it
        use_both(engine)
        engine.dispose()  # it has ended
        done.append(engine)

    @patient
    def use_both(engine: Engine) -> None:
        with read(engine), read(engine) as connection:
            connection.execute(text("SELECT 1"))

    threads = [threading.Thread(target=work, args=(engine,), daemon=True) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert len(done) == 2
    run_sql(postgres_url, f"DROP ROLE {CROWD}")


# settings


def test_settings_of_the_url_are_kept(postgres_url: str) -> None:
    url = parse_url(postgres_url).update_query_dict({"options": "-c work_mem=5MB"})
    engine = connect(url)
    assert query(engine, "SHOW work_mem") == [("5MB",)]
    assert query(engine, SHORT) == [("1min",)]
    engine.dispose()


@pytest.mark.parametrize(
    "words",
    [
        "FATAL:  unsupported startup parameter: options",
        "FATAL:  Feature not supported: RDS Proxy currently doesn't support command-line options.",
    ],
)
def test_pooler_that_takes_no_settings_gets_them_with_each_transaction(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    asked = []

    def refuse(**given: Any) -> object:
        asked.append("options" in given)
        if asked[-1]:
            raise psycopg.OperationalError(words)
        return plain(**given)

    plain = psycopg.connect
    monkeypatch.setattr(psycopg, "connect", refuse)
    engine = connect(parse_url(postgres_url))
    for _ in range(2):
        with read(engine), read(engine) as connection:
            assert connection.execute(text(SHORT)).scalar() == "1min"
            assert connection.execute(text("SHOW jit")).scalar() == "off"
    assert asked == [True, False, False, False]  # asked once

    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        assert connection.connection.driver_connection is not None
        bare = connection.connection.driver_connection.execute(SHORT).fetchone()
    assert bare == ("0",)  # nothing is left on a session that a pooler may lend to others
    engine.dispose()


def test_any_other_refusal_is_told_at_once(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def refuse(**given: Any) -> object:
        asked.append(given)
        raise psycopg.OperationalError(words)

    words = "connection refused"
    monkeypatch.setattr(psycopg, "connect", refuse)
    with pytest.raises(psycopg.OperationalError, match=words):
        engine_settings(parse_url(postgres_url))["creator"]()
    assert len(asked) == 1


# failovers


def test_server_that_takes_no_writes_any_more_is_left_for_another(
    on_postgres: Engine, postgres_url: str, postgres_server: str
) -> None:
    name = parse_url(postgres_url).database
    with write(on_postgres) as connection:
        connection.execute(text("CREATE TABLE notes (note integer)"))
    run_sql(postgres_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    on_postgres.dispose()

    def add() -> None:
        with write(on_postgres) as connection:
            connection.execute(text("INSERT INTO notes VALUES (1)"))

    with pytest.raises(DBAPIError, match="read-only transaction") as caught:
        add()
    assert is_outage(caught.value)

    # the next connection finds the server that does
    run_sql(postgres_server, f"ALTER DATABASE {name} RESET default_transaction_read_only")
    add()
    assert query(on_postgres, "SELECT * FROM notes") == [(1,)]
