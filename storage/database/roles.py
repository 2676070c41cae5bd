"""The PostgreSQL role that dashboards and readers connect as: it may read and change nothing."""

import re

import psycopg
from psycopg import sql
from sqlalchemy import Engine

from storage.database.engine import write
from storage.errors import InputError, StorageError

_GRANTS = (
    "ALTER ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE",
    "ALTER ROLE {role} SET default_transaction_read_only = on",
    "REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}",
    "REVOKE ALL ON SCHEMA {schema} FROM {role}",
    "GRANT CONNECT ON DATABASE {database} TO {role}",
    "GRANT USAGE ON SCHEMA {schema} TO {role}",
    "GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}",
    # tables and views that later releases add
    "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {role}",
)


def create_reader(engine: Engine, name: str, password: str | None = None) -> None:
    """Create the role `name`, or reset an existing one to a reader's rights.

    Args:
        engine: the store, connected as the owner of its tables.
        name: name of the role.
        password: its new password; left as it is when None. The server is sent a hash of it.

    Raises:
        InputError: the store is no PostgreSQL database, or the name cannot be a reader's.
        StorageError: this user may not create roles.
    """
    if engine.dialect.name != "postgresql":
        message = "an SQLite store has no roles: give readers permission to read the file"
        raise InputError(message)
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,62}", name) or name.startswith("pg_"):
        message = f"{name!r} cannot be a role: use letters, digits, '_' and '-', not pg_ in front"
        raise InputError(message)

    with write(engine) as connection:
        driver = connection.connection.driver_connection
        if not isinstance(driver, psycopg.Connection):
            raise TypeError(type(driver).__name__)
        try:
            _create(driver, name, password)
        except psycopg.errors.InsufficientPrivilege as error:
            message = f"cannot create the role {name}: connect as a user that may create roles"
            raise StorageError(message) from error


def _create(
    connection: "psycopg.Connection[tuple[object, ...]]", name: str, password: str | None
) -> None:
    """Create the role where it is missing, grant its rights, and set its password."""
    cursor = connection.cursor()
    cursor.execute("SELECT current_user, current_database(), current_schema()")
    user, database, schema = cursor.fetchone() or (None, None, None)
    if name == user:
        message = f"{name!r} owns the store: name another role"
        raise InputError(message)

    names = {
        "role": sql.Identifier(name),
        "database": sql.Identifier(str(database)),
        "schema": sql.Identifier(str(schema)),
    }
    if cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).rowcount == 0:
        cursor.execute(sql.SQL("CREATE ROLE {role}").format(**names))
    for grant in _GRANTS:
        cursor.execute(sql.SQL(grant).format(**names))

    if password is not None:
        hashed = connection.pgconn.encrypt_password(
            password.encode(), name.encode(), b"scram-sha-256"
        )
        change = sql.SQL("ALTER ROLE {role} PASSWORD {hashed}")
        cursor.execute(change.format(**names, hashed=sql.Literal(hashed.decode())))
