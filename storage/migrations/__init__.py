"""Alembic migrations of our tables; Optuna migrates its own, under its own version table."""

VERSION_TABLE = "search_schema_version"

SCHEMA_VERSION = "0003"
"""The newest revision; a store at any other must be migrated before it is used."""
