"""Locks on PostgreSQL that say for whom they wait, and that hold nobody up meanwhile."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, RootTransaction, Row, text
from sqlalchemy.exc import OperationalError

from storage.database.retry import PATIENCE_SECONDS
from storage.database.url import display_url
from storage.errors import StorageError

_TRY_SECONDS = 3
"""Seconds a try may wait: who asks for a table after us waits behind us, for at most 30."""

_PAUSE_SECONDS = 1
"""Seconds between two tries, in which the others go on."""

_PASSING = ("55P03", "40P01")
"""SQLSTATEs of a try that failed: the lock is held, or two waited for each other."""

log = logging.getLogger("layer-search")


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock, or several that are taken together.

    Attributes:
        purpose: what is done under it, for messages: "migrate".
        statement: SQL that takes it within a transaction; empty when there is nothing to lock.
        holders: condition on `pg_locks AS held` that finds those who hold it.
    """

    purpose: str
    statement: str
    holders: str


_SETUP_KEY = 7_265_148  # any number; the same one in every process that sets a store up

SETUP_LOCK = Lock(
    "set up",
    f"SELECT pg_advisory_xact_lock({_SETUP_KEY})",
    f"held.locktype = 'advisory' AND held.classid = 0 AND held.objid = {_SETUP_KEY}",
)
"""Lock of the one process that sets a store up, or its roles."""


def table_lock(connection: Connection, names: Sequence[str], purpose: str) -> Lock:
    """Return the exclusive lock of the named tables and views, as far as they exist."""
    query = text(
        "SELECT oid, quote_ident(relname) FROM pg_class"
        " WHERE relnamespace = current_schema()::regnamespace"
        " AND relkind IN ('r', 'p', 'v') AND relname = ANY(:names) ORDER BY oid"
    )
    found = connection.execute(query, {"names": list(names)}).all()
    if not found:
        return Lock(purpose, "", "false")

    numbers = ", ".join(str(oid) for oid, _ in found)
    listed = ", ".join(name for _, name in found)
    statement = f"LOCK TABLE {listed} IN ACCESS EXCLUSIVE MODE"
    return Lock(purpose, statement, f"held.relation IN ({numbers})")


@contextmanager
def locked(engine: Engine, lock: Lock) -> Iterator[Connection]:
    """Open a transaction without time limits that holds `lock`; on PostgreSQL only.

    Whoever holds it meanwhile is named in a warning.

    Raises:
        StorageError: they held it for ten minutes; the message names them, and the SQL to end them.
    """
    with engine.connect() as connection:
        end = time.monotonic() + PATIENCE_SECONDS
        named: set[int | None] = set()

        while (transaction := _take(connection, lock)) is None:
            holders = _find_holders(connection, lock)
            message = f"cannot {lock.purpose} {display_url(engine.url)}: {_describe(holders)}"
            if time.monotonic() > end:
                raise StorageError(message)
            if pids := {row.pid for row in holders} - named:
                log.warning("%s; waiting", message)
                named |= pids
            time.sleep(_PAUSE_SECONDS)

        with transaction:
            yield connection


def _take(connection: Connection, lock: Lock) -> RootTransaction | None:
    """Begin a transaction and take the lock; roll back and return None if it is held."""
    transaction = connection.begin()
    connection.execute(text(f"SET LOCAL lock_timeout = '{_TRY_SECONDS}s'"))
    for limit in ("statement", "idle_in_transaction_session"):
        connection.execute(text(f"SET LOCAL {limit}_timeout = 0"))

    try:
        if lock.statement:
            connection.execute(text(lock.statement))
    except OperationalError as error:
        transaction.rollback()
        if getattr(error.orig, "sqlstate", None) in _PASSING:
            return None
        raise

    connection.execute(text("SET LOCAL lock_timeout = DEFAULT"))
    return transaction


_HOLDERS = """
    SELECT DISTINCT held.pid, coalesce(theirs.usename, 'unknown') AS role,
        theirs.application_name AS name, theirs.state AS state,
        extract(epoch FROM clock_timestamp() - theirs.xact_start)::integer AS seconds
    FROM pg_locks AS held
    LEFT JOIN pg_stat_activity AS theirs ON theirs.pid = held.pid
    WHERE held.granted AND held.pid IS DISTINCT FROM pg_backend_pid()
        AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND ({condition})
    ORDER BY held.pid
"""


def _find_holders(connection: Connection, lock: Lock) -> Sequence[Row[Any]]:
    """Return the sessions that hold `lock` now, but for this one."""
    with connection.begin():
        return connection.execute(text(_HOLDERS.format(condition=lock.holders))).all()


def _describe(holders: Sequence[Row[Any]]) -> str:
    """Return one clause that names sessions, and the SQL that ends them."""
    names = []
    for row in holders:
        if row.pid is None:  # it holds its locks without any connection
            names.append("a prepared transaction, see pg_prepared_xacts")
            continue
        # a role that is no superuser is told little of the others
        details = [f"role {row.role}", row.name, row.state]
        if row.seconds is not None:
            details.append(f"for {row.seconds} s in one transaction")
        names.append(f"process {row.pid} ({', '.join(filter(None, details))})")

    if not names:
        return "others keep locking it"
    ends = "; ".join(f"SELECT pg_terminate_backend({row.pid})" for row in holders if row.pid)
    hint = f", which `{ends}` ends" if ends else ""
    return f"in the way is {' and '.join(names)}{hint}"
