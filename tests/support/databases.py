"""Statements that tests send to a PostgreSQL server past the store."""

from typing import Any

import psycopg

CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
"""Cuts every other connection to a database."""


def run_sql(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Run SQL that no transaction may hold, and return the rows of the last statement.

    Args:
        url: the database, as psycopg takes it.
        *statements: SQL, one statement each.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []
