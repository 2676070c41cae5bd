"""Rights of a PostgreSQL role beyond its purpose, and the SQL that revokes them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import psycopg
from psycopg import sql

Cursor = psycopg.Cursor[tuple[Any, ...]]

_NAMED = 3  # objects that a message names at most; the others are counted

_ATTRIBUTES = ("SUPERUSER", "CREATEDB", "CREATEROLE", "REPLICATION", "BYPASSRLS")


class Source(Enum):
    """Reason for which a role has a right that it should not have."""

    ROLE = auto()
    """It was given to that role."""
    STORE_DEFAULT = auto()
    """PostgreSQL gives it to every role of the store's database."""
    SERVER_DEFAULT = auto()
    """PostgreSQL gives it to every role, in other databases of the server."""
    EVERYBODY = auto()
    """Somebody gave it to every role."""


@dataclass(frozen=True, slots=True)
class Excess:
    """A right that a role should not have.

    Attributes:
        source: why the role has it.
        right: the right, as what follows "it": "has CREATEDB".
        remedy: SQL that takes it away.
    """

    source: Source
    right: str
    remedy: str


def find_own_excess(cursor: Cursor, role: str, allowed: Sequence[str]) -> list[Excess]:
    """Return the rights beyond `allowed` that were given to a role itself.

    Args:
        cursor: a transaction in the store's database.
        role: name of the role.
        allowed: rights within the current schema and database, each a kind of object and a
            privilege: `table SELECT`, `schema USAGE`.
    """
    return [
        *_attributes(cursor, role),
        *_memberships(cursor, role),
        *_objects(cursor, role, allowed),
    ]


def find_public_excess(cursor: Cursor, role: str) -> list[Excess]:
    """Return the rights of a role that every role of the server has.

    Args:
        cursor: a transaction in the store's database.
        role: name of a role without any rights of its own beyond the store's.
    """
    found: list[Excess] = []
    for source, right, query, remedy in _PUBLIC:
        names = [name for (name,) in cursor.execute(query, {"role": role})]
        if names:
            ends = [remedy.format(name=name) for name in names]
            found.append(Excess(source, right.format(names=_listed(names)), "; ".join(ends)))
    return found


def _attributes(cursor: Cursor, role: str) -> Iterator[Excess]:
    """Yield the attributes of the role that let it do more than log in."""
    query = "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls"
    row = cursor.execute(f"{query} FROM pg_roles WHERE rolname = %s".encode(), [role]).fetchone()
    names = [name for name, has in zip(_ATTRIBUTES, row or (), strict=False) if has]
    if names:
        remedy = f"ALTER ROLE {_quoted(cursor, role)} {' '.join(f'NO{name}' for name in names)}"
        yield Excess(Source.ROLE, f"has {' and '.join(names)}", remedy)


def _memberships(cursor: Cursor, role: str) -> Iterator[Excess]:
    """Yield the roles whose rights the role has too."""
    for group, grantor in cursor.execute(_MEMBERSHIPS, {"role": role}).fetchall():
        names = [_quoted(cursor, name) for name in (group, role, grantor)]
        remedy = "REVOKE {} FROM {} GRANTED BY {}".format(*names)
        yield Excess(Source.ROLE, f"is a member of {group}", remedy)


def _objects(cursor: Cursor, role: str, allowed: Sequence[str]) -> Iterator[Excess]:
    """Yield, by database, the objects that the role owns or has rights on."""
    found: dict[str, list[str]] = {}
    for query in (_ELSEWHERE, _PRIVILEGES):
        for database, right in cursor.execute(query, {"role": role, "allowed": list(allowed)}):
            found.setdefault(database, []).append(right)

    name = _quoted(cursor, role)
    for database, rights in found.items():
        remedy = f"REASSIGN OWNED BY {name} TO CURRENT_USER; DROP OWNED BY {name}"
        where = f"in database {_quoted(cursor, database)}: "
        yield Excess(
            Source.ROLE, f"has in database {database} {_listed(rights)}", f"{where}{remedy}"
        )


def _listed(names: Iterable[str]) -> str:
    """Return the first few names and the number of further ones, as text."""
    names = list(dict.fromkeys(names))
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _quoted(cursor: Cursor, name: str) -> str:
    """Return a name as SQL writes it."""
    return sql.Identifier(name).as_string(cursor)


_MEMBERSHIPS = b"""
    SELECT groups.rolname, coalesce(grantors.rolname, current_user)
    FROM pg_auth_members AS given
    JOIN pg_roles AS members ON members.oid = given.member AND members.rolname = %(role)s
    JOIN pg_roles AS groups ON groups.oid = given.roleid
    LEFT JOIN pg_roles AS grantors ON grantors.oid = given.grantor
    ORDER BY 1, 2
"""

# The server lists for each role the objects of all databases that it owns ('o') or has rights on
# ('a'). Rights within the store's schema and database are looked at one by one below.
_ELSEWHERE = b"""
    WITH here AS (
        SELECT roles.oid AS role, databases.oid AS database,
            current_schema()::regnamespace::oid AS schema
        FROM pg_roles AS roles, pg_database AS databases
        WHERE roles.rolname = %(role)s AND databases.datname = current_database()
    )
    SELECT coalesce(databases.datname, current_database()),
        CASE WHEN held.deptype = 'o' THEN 'as its own ' ELSE 'rights on ' END
        || CASE WHEN held.dbid IN (0, here.database)
            THEN coalesce(pg_describe_object(held.classid, held.objid, 0), 'objects')
            ELSE 'objects' END
    FROM here
    JOIN pg_shdepend AS held ON held.refclassid = 'pg_authid'::regclass
        AND held.refobjid = here.role AND held.deptype IN ('o', 'a')
    LEFT JOIN pg_database AS databases ON databases.oid = held.dbid
    WHERE held.deptype = 'o' OR NOT (
        held.dbid = 0 AND held.classid = 'pg_database'::regclass AND held.objid = here.database
        OR held.dbid = here.database AND (
            held.classid = 'pg_namespace'::regclass AND held.objid = here.schema
            OR held.classid = 'pg_class'::regclass AND EXISTS (
                SELECT FROM pg_class
                WHERE pg_class.oid = held.objid AND relnamespace = here.schema)
            OR held.classid = 'pg_default_acl'::regclass AND EXISTS (
                SELECT FROM pg_default_acl AS defaults
                WHERE defaults.oid = held.objid AND defaclnamespace = here.schema)))
    ORDER BY 1, 2
"""

_PRIVILEGES = b"""
    WITH here AS (SELECT current_schema()::regnamespace::oid AS schema),
    rules AS (
        SELECT CASE relkind WHEN 'S' THEN 'sequence' ELSE 'table' END AS kind, relname AS name,
            relacl AS acl
        FROM pg_class, here WHERE relnamespace = here.schema
        UNION ALL
        SELECT 'table', relname || '.' || attname, attacl
        FROM here JOIN pg_class ON relnamespace = here.schema
        JOIN pg_attribute ON attrelid = pg_class.oid
        UNION ALL
        SELECT 'schema', nspname, nspacl FROM pg_namespace, here WHERE oid = here.schema
        UNION ALL
        SELECT 'database', datname, datacl FROM pg_database WHERE datname = current_database()
        UNION ALL
        SELECT CASE defaclobjtype WHEN 'r' THEN 'table' WHEN 'S' THEN 'sequence' ELSE 'other' END,
            'later objects', defaclacl
        FROM pg_default_acl, here WHERE defaclnamespace = here.schema
    )
    SELECT current_database(), privilege_type || ' on ' || name
    FROM rules, aclexplode(acl), pg_roles
    WHERE pg_roles.rolname = %(role)s AND grantee = pg_roles.oid
        AND (is_grantable OR kind || ' ' || privilege_type <> ALL (%(allowed)s))
    ORDER BY name, privilege_type
"""

# Why, what it may do, a query for the names of where it may, and what ends it for one name.
_PUBLIC: tuple[tuple[Source, str, bytes, str], ...] = (
    (
        Source.STORE_DEFAULT,
        "may make temporary tables in {names}",
        b"""
        SELECT quote_ident(datname) FROM pg_database
        WHERE datname = current_database()
            AND has_database_privilege(%(role)s, oid, 'TEMPORARY')
        """,
        "REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC",
    ),
    (
        Source.STORE_DEFAULT,
        "may make large objects with {names}",
        b"""
        SELECT 'pg_catalog.' || oid::regprocedure FROM pg_proc
        WHERE proname = ANY ('{lo_create,lo_creat,lo_from_bytea,lo_import}')
            AND pronamespace = 'pg_catalog'::regnamespace
            AND has_function_privilege(%(role)s, oid, 'EXECUTE')
        ORDER BY 1
        """,
        "REVOKE EXECUTE ON FUNCTION {name} FROM PUBLIC",
    ),
    (
        Source.STORE_DEFAULT,
        "may create objects in the schema {names}",
        b"""
        SELECT quote_ident(nspname) FROM pg_namespace
        WHERE has_schema_privilege(%(role)s, oid, 'CREATE') ORDER BY 1
        """,
        "REVOKE CREATE ON SCHEMA {name} FROM PUBLIC",
    ),
    (
        Source.EVERYBODY,
        "may change {names}",
        b"""
        SELECT pg_class.oid::regclass::text
        FROM pg_class, aclexplode(relacl) AS given
        WHERE relnamespace <> 'pg_catalog'::regnamespace
            AND relkind IN ('r', 'p', 'v', 'm', 'f')
            AND grantee = 0 AND privilege_type <> 'SELECT'
        GROUP BY pg_class.oid ORDER BY 1
        """,
        "REVOKE ALL ON {name} FROM PUBLIC",
    ),
    (
        Source.SERVER_DEFAULT,
        "may connect to the databases {names}",
        b"""
        SELECT quote_ident(datname) FROM pg_database
        WHERE datname <> current_database() AND datallowconn
            AND has_database_privilege(%(role)s, oid, 'CONNECT')
        ORDER BY 1
        """,
        "REVOKE CONNECT ON DATABASE {name} FROM PUBLIC",
    ),
)
