"""Alembic migrations of our tables; Optuna migrates its own, under its own version table."""

from sqlalchemy import Engine, column, inspect, select, table

from storage.database import patient, read

VERSION_TABLE = "search_schema_version"

SCHEMA_VERSION = "0009"
"""The newest revision; a store at any other must be migrated before it is used."""


@patient
def schema_version(engine: Engine) -> str | None:
    """Return the schema version of the store; None when there is no store."""
    if not inspect(engine).has_table(VERSION_TABLE):
        return None
    with read(engine) as connection:
        return connection.execute(
            select(column("version_num")).select_from(table(VERSION_TABLE))
        ).scalar()
