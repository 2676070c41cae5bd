"""Connections to PostgreSQL: their settings, also through a pooler, and the end of a failover."""

import os
import re
import socket
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL, ExceptionContext

from storage.database.pool import share
from storage.database.retry import READ_ONLY

# The limits end a statement that hangs, well before the two minutes of a lease. No just-in-time
# compiler: the views hold subqueries that hardly ever run, which it would compile at length.
_SETTINGS = {
    "jit": "off",
    "timezone": "UTC",
    "statement_timeout": "60000",
    "lock_timeout": "30000",
    "idle_in_transaction_session_timeout": "60000",
}

_NO_OPTIONS = re.compile(r"startup parameter|command-line options")
"""Words of poolers that take no settings with a connection: PgBouncer and the RDS proxy."""


class Connector:
    """Opens connections to one server, with the settings that hold under load.

    A pooler between may hand every transaction to another connection of the server. So nothing is
    kept in a session: no prepared statement, no lock, and where the pooler takes no settings with a
    connection, each transaction brings its own.

    Args:
        url: the store.
        **arguments: of the driver, besides the ones here and those of the URL.
    """

    def __init__(self, url: URL, **arguments: object) -> None:
        _, given = url.get_dialect()().create_connect_args(url)
        self._own_options = str(given.pop("options", ""))
        self._takes_options = True

        self._arguments: dict[str, Any] = {
            # what `psql` shows for the connections of this process; the server cuts it at 63
            "application_name": f"layer-search {os.getpid()} on {socket.gethostname()}",
            "connect_timeout": 10,
            # a server that is gone without a word is given up after a minute
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": 60_000,
            "prepare_threshold": None,
            **given,
            **arguments,
        }

    def __call__(self) -> "psycopg.Connection[Any]":
        """Open a connection."""
        if self._takes_options:
            settings = [f"-c {name}={value}" for name, value in _SETTINGS.items()]
            options = " ".join([*settings, self._own_options]).strip()
            try:
                return psycopg.connect(**self._arguments, options=options)
            except psycopg.OperationalError as error:
                if not _NO_OPTIONS.search(str(error)):
                    raise
                self._takes_options = False
        return psycopg.connect(**self._arguments)

    def attach(self, engine: Engine) -> None:
        """Let `engine`, whose connections this opens, bring settings, leave replicas, and share."""
        share(engine)
        event.listen(engine, "begin", self._begin)
        event.listen(engine, "handle_error", _leave_read_only)

    def _begin(self, connection: Connection) -> None:
        """Give a transaction its settings, if its connection could not bring them along."""
        if not self._takes_options:
            calls = [f"set_config('{name}', '{value}', true)" for name, value in _SETTINGS.items()]
            connection.exec_driver_sql(f"SELECT {', '.join(calls)}")


def _leave_read_only(context: ExceptionContext) -> None:
    """Close a connection whose server takes no writes: the next one may find the server that does.

    After a failover the old server may live on as a replica, and answer all but writes.
    """
    if getattr(context.original_exception, "sqlstate", None) == READ_ONLY:
        context.is_disconnect = True
