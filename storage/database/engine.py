"""Connections to the store, with the settings that hold under load, and its transactions."""

import os
import socket
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import ConnectionPoolEntry

_BUSY_SECONDS = 60  # that SQLite waits for a lock: longer than any transaction of a worker lasts

# The limits end a statement that hangs, well before the two minutes of a lease. No just-in-time
# compiler: the views hold subqueries that hardly ever run, which it would compile at length.
_POSTGRES_OPTIONS = (
    "-c jit=off -c timezone=UTC -c statement_timeout=60000 -c lock_timeout=30000 "
    "-c idle_in_transaction_session_timeout=60000"
)


def engine_settings(url: URL) -> dict[str, object]:
    """Return the keyword arguments of `create_engine` for `url`, for our engine and Optuna's."""
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": _BUSY_SECONDS}}

    return {
        "pool_pre_ping": True,
        "pool_size": 2,
        "max_overflow": 2,
        "pool_recycle": 1800,
        "connect_args": {
            # what `psql` shows for the connections of this process; the server cuts it at 63
            "application_name": f"layer-search {os.getpid()} on {socket.gethostname()}",
            "connect_timeout": 10,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "options": _POSTGRES_OPTIONS,
        },
    }


def connect(url: URL) -> Engine:
    """Return an engine on `url`; nothing is opened before the first query."""
    engine = create_engine(url, **engine_settings(url))
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    """Give a new connection the settings that SQLite does not keep in the file."""
    connection.isolation_level = None  # transactions are begun below, not by the driver
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once where a transaction will write: upgrading later can deadlock."""
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def enable_write_ahead_log(engine: Engine) -> None:
    """Switch an SQLite file to a write-ahead log, for good: readers and writer stop waiting."""
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


@contextmanager
def write(engine: Engine) -> Iterator[Connection]:
    """Open a write transaction: committed as a whole, or not at all."""
    with engine.execution_options(writing=True).begin() as connection:
        yield connection


@contextmanager
def read(engine: Engine) -> Iterator[Connection]:
    """Open a read transaction: a consistent picture of the store."""
    with engine.begin() as connection:
        yield connection


def insert_missing(
    connection: Connection,
    table: type[DeclarativeBase],
    rows: Mapping[str, Any] | Sequence[Mapping[str, Any]],
) -> None:
    """Insert one row, or several, and leave out each that would break a unique key."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(dialect.insert(table).on_conflict_do_nothing(), rows)
