"""Alembic migrations of our tables; Optuna migrates its own, under its own version table."""

VERSION_TABLE = "search_schema_version"
