"""PostgreSQL roles of a store: the reader, which changes nothing, and the worker."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Engine

from storage.database.locks import SETUP_LOCK, locked
from storage.database.rights import Cursor, Excess, Source, find_own_excess, find_public_excess
from storage.errors import InputError, StorageError

_OUR_TABLES = "search\\_%"  # pattern of their names


@dataclass(frozen=True, slots=True)
class _Kind:
    """Purpose of a role, with the rights and limits that serve it.

    Attributes:
        purpose: the purpose, as what follows "it may".
        tables: privileges on all tables and views of the store's schema.
        sequences: privileges on all its sequences.
        connections: how many it may open at a time; -1 when there is no limit.
        settings: defaults of its sessions, which a session may change.
        limits: settings that only a superuser may give, and no session of the role can change.
    """

    purpose: str
    tables: tuple[str, ...]
    sequences: tuple[str, ...]
    connections: int
    settings: Mapping[str, str]
    limits: Mapping[str, str]

    @property
    def allowed(self) -> list[str]:
        """Everything the role may do, as `find_own_excess` takes it."""
        return [
            "database CONNECT",
            "schema USAGE",
            *(f"table {privilege}" for privilege in self.tables),
            *(f"sequence {privilege}" for privilege in self.sequences),
        ]


_READER = _Kind(
    purpose="read",
    tables=("SELECT",),
    sequences=(),
    connections=20,  # optuna-dashboard opens up to 15; the others are for people
    settings={
        "default_transaction_read_only": "on",
        # no statement and no forgotten transaction keeps a migration waiting for longer
        "statement_timeout": "60s",
        "idle_in_transaction_session_timeout": "60s",
    },
    limits={"temp_file_limit": "1GB"},  # what a session may spill to the disk while it sorts
)
_WORKER = _Kind(
    purpose="read and write rows",
    tables=("SELECT", "INSERT", "UPDATE", "DELETE"),
    sequences=("USAGE",),
    connections=-1,
    settings={},
    limits={},
)


def create_reader(
    engine: Engine, name: str, password: str | None = None, *, dedicated: bool = False
) -> list[Excess]:
    """Create the role `name`, which may read the store and change nothing, or renew its rights.

    Args:
        engine: the store, connected as the owner of its tables or as a superuser.
        name: name of the role.
        password: its new password; left as it is when None. The server is sent a hash of it.
        dedicated: whether the server has no other use: its other databases are closed to all roles
            that were not let in by name.

    Returns:
        What every role of the server may do, so that this one may as well, and this user cannot
        end.

    Raises:
        InputError: the store is no PostgreSQL database, the name cannot be a reader's, or the role
            is there and may do more; the message has the SQL that narrows it.
        StorageError: this user may not create roles.
    """
    return _create_role(engine, _READER, name, password, dedicated=dedicated)


def create_worker(
    engine: Engine, name: str, password: str | None = None, *, dedicated: bool = False
) -> list[Excess]:
    """Create the role `name`, which may write rows and no tables, or renew its rights.

    Arguments, result and errors are those of `create_reader`.
    """
    return _create_role(engine, _WORKER, name, password, dedicated=dedicated)


def _create_role(
    engine: Engine, kind: _Kind, name: str, password: str | None, *, dedicated: bool
) -> list[Excess]:
    """Create or renew a role of one kind."""
    if engine.dialect.name != "postgresql":
        message = "an SQLite store has no roles: give people permission to read or write the file"
        raise InputError(message)
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,62}", name) or name.startswith("pg_"):
        message = f"{name!r} cannot be a role: use letters, digits, '_' and '-', not pg_ in front"
        raise InputError(message)

    with locked(engine, SETUP_LOCK) as connection:  # two at once would break each other
        driver = connection.connection.driver_connection
        if not isinstance(driver, psycopg.Connection):
            raise TypeError(type(driver).__name__)
        try:
            cursor = driver.cursor()
            _require_narrow(cursor, kind, name)
            _grant(cursor, kind, name)
            if password is not None:
                _set_password(driver, name, password)
            return _close(cursor, name, dedicated=dedicated)
        except psycopg.errors.InsufficientPrivilege as error:
            message = (
                f"cannot create the role {name}: connect as a superuser, or as the owner of the "
                f"store's tables with the right to create roles"
            )
            raise StorageError(message) from error


def _require_narrow(cursor: Cursor, kind: _Kind, name: str) -> None:
    """Refuse a role that is there and may do more than its kind.

    Raises:
        InputError: it may; the message has the SQL that narrows it.
    """
    (user,) = cursor.execute("SELECT current_user").fetchone() or (None,)
    if name == user:
        message = f"{name!r} owns the store: name another role"
        raise InputError(message)

    excess = find_own_excess(cursor, name, kind.allowed)
    if excess:
        rights = ", ".join(found.right for found in excess)
        remedies = "; ".join(found.remedy for found in excess)
        message = (
            f"the role {name} may do more than {kind.purpose}: it {rights}; name another role, or "
            f"narrow it as a superuser: {remedies}"
        )
        raise InputError(message)


def _grant(cursor: Cursor, kind: _Kind, name: str) -> None:
    """Create the role where it is missing, and give it the rights and limits of its kind."""
    names = _names(cursor, name)
    if cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).rowcount == 0:
        cursor.execute(sql.SQL("CREATE ROLE {role}").format(**names))

    statements = [
        f"ALTER ROLE {{role}} LOGIN CONNECTION LIMIT {kind.connections}",
        *(f"ALTER ROLE {{role}} SET {key} = '{value}'" for key, value in kind.settings.items()),
        "GRANT CONNECT ON DATABASE {database} TO {role}",
        "GRANT USAGE ON SCHEMA {schema} TO {role}",
    ]
    if _is_superuser(cursor):
        statements += [
            f"ALTER ROLE {{role}} SET {key} = '{value}'" for key, value in kind.limits.items()
        ]
    for what, privileges in (("TABLES", kind.tables), ("SEQUENCES", kind.sequences)):
        if privileges:
            grant = f"GRANT {', '.join(privileges)} ON"
            later = "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema}"
            statements += [
                f"{grant} ALL {what} IN SCHEMA {{schema}} TO {{role}}",
                f"{later} {grant} {what} TO {{role}}",  # those that later releases add
            ]
    for statement in statements:
        cursor.execute(sql.SQL(statement).format(**names))


def _names(cursor: Cursor, role: str) -> dict[str, sql.Identifier]:
    """Return the names that statements about a role hold: its own, the store's, the owner's."""
    query = """
        SELECT current_database(), current_schema(), coalesce(max(tableowner), current_user)
        FROM pg_tables WHERE schemaname = current_schema() AND tablename LIKE %s
    """
    database, schema, owner = cursor.execute(query, [_OUR_TABLES]).fetchone() or ("", "", "")
    return {
        "role": sql.Identifier(role),
        "database": sql.Identifier(database),
        "schema": sql.Identifier(schema),
        "owner": sql.Identifier(owner),
    }


def _is_superuser(cursor: Cursor) -> bool:
    """Whether the user of this connection is a superuser."""
    query = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
    (answer,) = cursor.execute(query).fetchone() or (False,)
    return bool(answer)


def _set_password(
    connection: "psycopg.Connection[tuple[Any, ...]]", name: str, password: str
) -> None:
    """Give the role a password, of which the server is sent a hash only."""
    hashed = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
    change = sql.SQL("ALTER ROLE {} PASSWORD {}")
    connection.execute(change.format(sql.Identifier(name), sql.Literal(hashed.decode())))


def _close(cursor: Cursor, name: str, *, dedicated: bool) -> list[Excess]:
    """Revoke needless rights of every role, as far as this user may, and return those that stay."""
    sources = {Source.STORE_DEFAULT} | ({Source.SERVER_DEFAULT} if dedicated else set())
    for found in find_public_excess(cursor, name):
        if found.source in sources:  # where this user may not, the server only warns
            cursor.execute(found.remedy.encode())
    return find_public_excess(cursor, name)
