"""Opens the database behind a store URL, with the settings that hold under load."""

import os
import re
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from storage.errors import InputError

DEFAULT_URL = "sqlite:///layer-search.db"
_BUSY_SECONDS = 60
_POSTGRES_OPTIONS = (
    # no jit: the views hold subqueries that hardly ever run, for which it would compile at length
    "-c jit=off -c timezone=UTC -c statement_timeout=60000 -c lock_timeout=30000 "
    "-c idle_in_transaction_session_timeout=60000"
)


def parse(url: str) -> URL:
    """`url` with the driver this project uses.

    Raises:
        InputError: it is not the URL of an SQLite file or a PostgreSQL database. The message never
            repeats a password.
    """
    hint = f"use {DEFAULT_URL} or postgresql://USER@HOST/DATABASE"
    if re.fullmatch(r"[\w./~-]+", url):  # a bare path, which is safe to repeat
        hint = f"for an SQLite file write sqlite:///{url}"
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        message = f"the store URL is not a database URL: {hint}"
        raise InputError(message) from error
    kind = parsed.get_backend_name()
    if kind not in ("sqlite", "postgresql"):
        message = f"a store on {kind!r} is not supported: {hint}"
        raise InputError(message)
    if kind == "sqlite" and (not parsed.database or re.match(r"file:|:memory:", parsed.database)):
        message = f"the store must be a file that workers can share: {hint}"
        raise InputError(message)
    if kind == "postgresql" and url.count("@") > 1:  # what follows the first may be a password
        message = f"the store URL holds more than one '@': write the password's as %40; {hint}"
        raise InputError(message)
    if kind == "postgresql" and not parsed.database:
        message = f"the store URL names no database: {hint}"
        raise InputError(message)
    if kind == "sqlite" and parsed.database:
        file = str(Path(parsed.database).expanduser())
        return parsed.set(drivername="sqlite", database=file)
    return parsed.set(drivername="postgresql+psycopg")


def display(url: URL) -> str:
    """`url` as people may see it, without its password."""
    text = url.set(drivername=url.get_backend_name()).render_as_string(hide_password=True)
    return re.sub(r"(?i)(password=)[^&]*", r"\1***", text)


def _application() -> str:
    """Name that `psql` shows for the connections of this process; the server cuts it at 63."""
    return f"layer-search {os.getpid()} on {socket.gethostname()}"


def settings(url: URL) -> dict[str, object]:
    """Keyword arguments of `create_engine` for `url`, for our engine and for Optuna's."""
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": _BUSY_SECONDS}}
    return {
        "pool_pre_ping": True,
        "pool_size": 2,
        "max_overflow": 2,
        "pool_recycle": 1800,
        "connect_args": {
            "application_name": _application(),
            "connect_timeout": 10,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "options": _POSTGRES_OPTIONS,
        },
    }


def connect(url: URL) -> Engine:
    """An engine on `url`; nothing is opened before the first query.

    Raises:
        InputError: the folder of an SQLite file does not exist.
    """
    if url.get_backend_name() == "sqlite" and url.database:
        folder = Path(url.database).resolve().parent
        if not folder.is_dir():
            message = f"cannot keep a store in {folder}: no such folder"
            raise InputError(message)
    engine = create_engine(url, **settings(url))
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    """The settings that SQLite forgets with each connection."""
    connection.isolation_level = None  # transactions are begun below, not by the driver
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once where a transaction will write: upgrading later can deadlock."""
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def keep_log_ahead(engine: Engine) -> None:
    """Give an SQLite file a write-ahead log, for good: readers and the writer stop waiting."""
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


@contextmanager
def write(engine: Engine) -> Iterator[Connection]:
    """One write transaction: committed as a whole, or not at all."""
    with engine.execution_options(writing=True).begin() as connection:
        yield connection


@contextmanager
def read(engine: Engine) -> Iterator[Connection]:
    """One read transaction: a consistent picture of the store."""
    with engine.begin() as connection:
        yield connection
