"""Connections with the settings that hold under load, and transactions."""

import os
import socket
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from storage.database import connect, insert_missing, parse_url, read, write
from storage.schema import Depth
from storage.setup import open_store
from tests.support.stores import Dump, begin, query

# settings


def test_sqlite_settings_hold_on_every_connection(tmp_path: Path) -> None:
    engine = open_store(f"sqlite:///{tmp_path}/store.db", create=True)
    expected = {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 1, "busy_timeout": 60000}
    with engine.connect() as first, engine.connect() as second:
        for connection in (first, second):
            for pragma, value in expected.items():
                assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value
    engine.dispose()


def test_postgresql_sessions_keep_utc_and_limits(postgres_url: str) -> None:
    engine = open_store(postgres_url, create=True)
    expected = {
        "timezone": "UTC",
        "statement_timeout": "1min",
        "lock_timeout": "30s",
        "idle_in_transaction_session_timeout": "1min",
        "jit": "off",
        "application_name": f"layer-search {os.getpid()} on {socket.gethostname()}",
    }
    with engine.connect() as connection:
        for name, value in expected.items():
            assert connection.exec_driver_sql(f"SHOW {name}").scalar() == value
    engine.dispose()


def test_nothing_is_opened_before_the_first_query(tmp_path: Path) -> None:
    connect(parse_url(f"sqlite:///{tmp_path}/store.db")).dispose()
    assert list(tmp_path.iterdir()) == []


# transactions


def test_rolled_back_as_a_whole(engine: Engine, dump: Dump) -> None:
    begin(engine, {4: 2, 7: 3})
    before = dump(engine)

    def half() -> None:
        with write(engine) as connection:
            connection.execute(text("UPDATE search_depths SET budget = 99"))
            raise LookupError

    with pytest.raises(LookupError):
        half()
    assert dump(engine) == before


def test_sqlite_writer_takes_the_lock_at_once_and_a_reader_takes_none(
    ready_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(ready_file.read_bytes())
    engine = open_store(f"sqlite:///{path}")

    other = sqlite3.connect(path, timeout=0, isolation_level=None)
    with read(engine):
        other.execute("BEGIN IMMEDIATE")
        other.execute("COMMIT")
    with write(engine), pytest.raises(sqlite3.OperationalError, match="database is locked"):
        other.execute("BEGIN IMMEDIATE")
    other.close()
    engine.dispose()


def test_rows_that_are_there_already_are_left_out(engine: Engine) -> None:
    study = begin(engine, {4: 2})

    def row(depth: int, budget: int) -> dict[str, object]:
        name = f"s/L{depth}"
        return {"study_id": study.id, "depth": depth, "budget": budget, "optuna_study": name}

    with write(engine) as connection:
        insert_missing(connection, Depth, [row(4, 9), row(5, 9)])
        insert_missing(connection, Depth, row(5, 1))
    rows = query(engine, "SELECT depth, budget FROM search_depths ORDER BY depth")
    assert rows == [(4, 2), (5, 9)]
