"""Connections to the store, with the settings that hold under load, and its transactions."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import ConnectionPoolEntry

from storage.database.pool import SharingPool
from storage.database.postgresql import Connector

_BUSY_SECONDS = 60  # that SQLite waits for a lock: longer than any transaction of a worker lasts


def engine_settings(url: URL, **arguments: object) -> dict[str, Any]:
    """Return the keyword arguments of `create_engine` for `url`, for our engine and Optuna's.

    Args:
        url: the store.
        **arguments: of PostgreSQL's driver, for each connection.
    """
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": _BUSY_SECONDS}}

    return {
        "poolclass": SharingPool,
        "pool_pre_ping": True,
        # one for the worker; a second while it renews its lease and is at the store besides
        "pool_size": 1,
        "max_overflow": 1,
        "pool_recycle": 1800,
        "creator": Connector(url, **arguments),
    }


def connect(url: URL) -> Engine:
    """Return an engine on `url`; nothing is opened before the first query."""
    settings = engine_settings(url)
    engine = create_engine(url, **settings)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        settings["creator"].attach(engine)
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
def write_and_hang_up(engine: Engine) -> Iterator[Connection]:
    """Open a write transaction on a connection that is closed after it, and not kept for later."""
    with engine.execution_options(writing=True).begin() as connection:
        connection.detach()
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
