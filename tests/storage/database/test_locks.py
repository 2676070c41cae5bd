"""Waits of a migration: it names who is in its way, and holds nobody up."""

import logging
import re
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import Engine

from storage.database import connect, locks, parse_url
from storage.database.roles import create_reader
from storage.errors import StorageError
from storage.setup import is_ready, make_ready, open_store
from tests.support.databases import run_sql
from tests.support.roles import READER, as_reader, drop_readers
from tests.support.schema import differences, migrate_down
from tests.support.stores import begin, trial_rows


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    """A PostgreSQL store of an older release that a reader may read."""
    engine = open_store(postgres_url)
    begin(engine, {2: 3})
    create_reader(engine, READER)
    migrate_down(engine, "0008")

    yield engine
    engine.dispose()
    drop_readers(postgres_url)


@pytest.fixture
def idle(engine: Engine, postgres_url: str) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    """A connection of the reader that is idle in a transaction, and has read a table."""
    assert is_ready(engine) is False
    connection = psycopg.connect(as_reader(postgres_url), application_name="notebook")
    connection.execute("SELECT * FROM search_trials")
    yield connection
    connection.close()


@pytest.fixture
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try once, for a moment."""
    monkeypatch.setattr(locks, "PATIENCE_SECONDS", -1)
    monkeypatch.setattr(locks, "_TRY_SECONDS", 0.1)


@pytest.mark.slow
@pytest.mark.usefixtures("_no_patience")
def test_migration_names_who_is_in_its_way_and_what_ends_it(
    engine: Engine, postgres_url: str, idle: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    pid = idle.info.backend_pid
    with pytest.raises(StorageError) as caught:
        make_ready(engine)
    found = re.fullmatch(
        rf"cannot migrate postgresql://postgres.*: in the way is process {pid} "
        rf"\(role {READER}, notebook, idle in transaction, for \d+ s in one transaction\), "
        r"which `(SELECT pg_terminate_backend\(\d+\))` ends",
        str(caught.value),
    )
    assert found is not None, str(caught.value)
    assert is_ready(engine) is False

    run_sql(postgres_url, found[1])
    make_ready(engine)
    assert differences(engine) == []


@pytest.mark.slow
def test_migration_waits_and_goes_on(
    engine: Engine,
    idle: "psycopg.Connection[tuple[object, ...]]",
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pauses: list[float] = []
    beside = connect(engine.url)

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        assert trial_rows(beside) == []  # nobody waits behind it
        if len(pauses) == 2:
            idle.rollback()

    monkeypatch.setattr(locks, "_TRY_SECONDS", 0.1)
    monkeypatch.setattr("storage.database.locks.time.sleep", pause)
    caplog.set_level(logging.WARNING, "layer-search")
    make_ready(engine)
    beside.dispose()

    assert pauses == [1, 1]
    (line,) = caplog.messages
    assert f"process {idle.info.backend_pid} (role {READER}" in line
    assert line.endswith("; waiting")
    assert differences(engine) == []


def test_prepared_transaction_is_named_too() -> None:
    class Row:
        pid = None

    (said,) = {locks._describe([Row()])}  # type: ignore[list-item]
    assert said == "in the way is a prepared transaction, see pg_prepared_xacts"
    assert locks._describe([]) == "others keep locking it"


@pytest.mark.usefixtures("_no_patience")
def test_setup_names_who_holds_its_lock(engine: Engine, postgres_url: str) -> None:
    with psycopg.connect(as_reader(postgres_url)) as connection:
        connection.execute("SELECT pg_advisory_lock(7265148)")
        pid = connection.info.backend_pid
        with pytest.raises(StorageError, match=rf"cannot set up .*: in the way is process {pid} "):
            make_ready(engine)


@pytest.mark.usefixtures("engine")
def test_role_that_does_not_own_the_tables_is_told(postgres_url: str) -> None:
    reader = connect(parse_url(as_reader(postgres_url)))
    with pytest.raises(StorageError, match="this role may not make or change the tables of "):
        make_ready(reader)
    reader.dispose()


def test_other_errors_of_a_lock_are_not_waited_out(engine: Engine) -> None:
    wrong = locks.Lock("try", "SELECT pg_advisory_xact_lock(1), 1 / 0", "false")
    with pytest.raises(Exception, match="division by zero"), locks.locked(engine, wrong):
        pass
    cut = locks.Lock("try", "SELECT pg_terminate_backend(pg_backend_pid())", "false")
    with pytest.raises(Exception, match="terminating connection"), locks.locked(engine, cut):
        pass
